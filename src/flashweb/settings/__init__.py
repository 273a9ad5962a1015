"""The one settings tree: every option is declared once, in the file of its section, and flags, environment names,
the TOML file, the help texts, `--print-config` and `docs/settings.md` are derived from the declaration.

A value comes from the first of: flag, environment (`FLASHWEB_*`), TOML file, default. A name nobody declared is an
error that proposes the nearest one that exists. Knows what the options are called, which values they take and
which of this edition's limits they touch; not what they do. Imports nothing of ours but the errors.
"""

from flashweb.settings.auth import AuthSettings
from flashweb.settings.declared import Option, format_value, nearest, options
from flashweb.settings.engine import EngineSettings
from flashweb.settings.flags import add_arguments
from flashweb.settings.loading import LoadedSettings, load_settings
from flashweb.settings.log import LogSettings
from flashweb.settings.media import MediaSettings
from flashweb.settings.model import BUNDLED_MODEL, ModelSettings
from flashweb.settings.results import ResultSettings
from flashweb.settings.section import parse_size
from flashweb.settings.server import ServerSettings
from flashweb.settings.storage import StorageSettings
from flashweb.settings.telling import print_config, settings_markdown
from flashweb.settings.tree import PRESETS, Settings
from flashweb.settings.webhooks import WebhookSettings

__all__ = [
    "AuthSettings",
    "BUNDLED_MODEL",
    "EngineSettings",
    "LoadedSettings",
    "LogSettings",
    "MediaSettings",
    "ModelSettings",
    "Option",
    "PRESETS",
    "ResultSettings",
    "ServerSettings",
    "Settings",
    "StorageSettings",
    "WebhookSettings",
    "add_arguments",
    "format_value",
    "load_settings",
    "nearest",
    "options",
    "parse_size",
    "print_config",
    "settings_markdown",
]
