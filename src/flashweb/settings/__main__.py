"""`python -m flashweb.settings > docs/settings.md`"""

from flashweb.settings.telling import settings_markdown

print(settings_markdown(), end="")
