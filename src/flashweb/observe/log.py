"""Structured logs: one line for people or one JSON object per line, on standard error.

Fields are given with `event(...)`. Whole prompts, answers and pixels never get here: there is no field for them, and
long values are cut. Knows nothing of HTTP.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from functools import lru_cache
from typing import Any

from flashweb.settings import LogSettings

MAX_FIELD_CHARS = 200
_FIELDS = "flashweb_fields"


def event(logger: logging.Logger, message: str, /, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log `message` with named fields; fields that are None are left out."""
    if logger.isEnabledFor(level):
        # Made here and not by `logger.log`, which would first look through the stack for who calls: no line shows it.
        record = logger.makeRecord(logger.name, level, "", 0, message, (), None)
        setattr(record, _FIELDS, {name: _cut(value) for name, value in fields.items() if value is not None})
        logger.handle(record)


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_FIELD_CHARS:
        return value[:MAX_FIELD_CHARS] + "..."
    return value


class TextFormatter(logging.Formatter):
    """`12:30:01 INFO  access: request request_id=req_1 status=200`; control characters are written as escapes."""

    def format(self, record: logging.LogRecord) -> str:
        clock = _clock(int(record.created))
        name = record.name.removeprefix("flashweb.")
        fields = getattr(record, _FIELDS, {})
        words = [f"{clock} {record.levelname:<7} {name}: {_printable(record.getMessage())}"]
        words += [f"{key}={_printable(str(value))}" for key, value in fields.items()]
        line = " ".join(words)
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(getattr(record, _FIELDS, {}))
        if record.exc_info is not None:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


@lru_cache(maxsize=2)  # many lines in one second
def _clock(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


def _printable(text: str) -> str:
    """A caller's text cannot forge a second log line or colour the terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def configure_logging(settings: LogSettings) -> None:
    """Send our own loggers and the HTTP server's warnings to standard error in the chosen form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    for name, level in (("flashweb", settings.log_level.upper()), ("uvicorn", "WARNING")):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
