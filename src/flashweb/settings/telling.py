"""The tree told to people: `--print-config` and `docs/settings.md`."""

from __future__ import annotations

from flashweb.settings.declared import format_value, options
from flashweb.settings.loading import LoadedSettings
from flashweb.settings.tree import PRESETS, Settings


def print_config(loaded: LoadedSettings) -> str:
    """The whole tree as a TOML file would hold it, each line with the place its value came from."""
    lines: list[str] = []
    section = ""
    for opt in options():
        if opt.section != section:
            section = opt.section
            lines += ["", f"[{section}]"] if lines else [f"[{section}]"]
        value = getattr(getattr(loaded.settings, opt.section), opt.name)
        comment = "# " if value is None else ""
        text = f"{comment}{opt.name} = {format_value(value)}"
        lines.append(f"{text:<48} # {loaded.sources.get(opt.path, 'default')}")
    return "\n".join(lines) + "\n"


def settings_markdown() -> str:
    """`docs/settings.md`, generated; `tests/test_settings.py` keeps the file current."""
    lines = [
        "# Settings",
        "",
        "Generated from `src/flashweb/settings/` by `python -m flashweb.settings`; do not edit by hand.",
        "",
        "A value comes from the first of: flag, environment, TOML file (`--config FILE`, or `flashweb.toml` in the",
        "working directory), default. Unknown names are errors that propose the nearest known one. Sizes accept",
        "`4k`, `10MiB`, `2G` (powers of 1024); lists are comma lists or JSON lists. `flashweb serve --print-config`",
        "shows every value and where it came from. What Kubernetes sets for a service called flashweb",
        "(`FLASHWEB_SERVICE_HOST`, `FLASHWEB_PORT=tcp://...`) is passed over.",
    ]
    section = ""
    for opt in options():
        if opt.section != section:
            section = opt.section
            doc = (Settings.model_fields[section].annotation.__doc__ or "").strip()
            lines += ["", f"## [{section}]", "", doc, ""]
            lines += ["| flag | environment, TOML | default | meaning |", "|---|---|---|---|"]
        default = format_value(opt.info.default) + (f" {opt.unit}" if opt.unit else "")
        meaning = str(opt.info.description) + (f" ({' / '.join(opt.choices)})" if opt.choices else "")
        names = f"`{opt.env}`, `{opt.path}`"
        lines.append(f"| `{opt.flag}` | {names} | {default} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join([*lines, *_presets_markdown()]) + "\n"


def _presets_markdown() -> list[str]:
    lines = ["", "## Presets", "", "What `--preset` changes of the defaults; whatever is given beside it still counts."]
    for name, values in PRESETS.items():
        lines += ["", f"| option | under `{name}` |", "|---|---|"]
        by_path = {opt.path: opt for opt in options()}
        for path, value in values.items():
            unit = by_path[path].unit
            lines.append(f"| `{by_path[path].flag}` | {format_value(value)}{' ' + unit if unit else ''} |")
    return lines
