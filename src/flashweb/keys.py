"""API keys: where they come from, how they are held, and whose a given one is.

Held as digests under a secret of this process, so that neither a memory image nor an error can show one. A check
compares with every digest in constant time: how long it takes tells nothing about how near a guess was, or whose key
it was. Knows nothing of HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flashweb.errors import ConfigError
from flashweb.settings import AuthSettings

log = logging.getLogger("flashweb.keys")
ADMIN = "admin"
SHORT_KEY = 16  # characters; a shorter one can be guessed
_NAMED = re.compile(r"([A-Za-z0-9_.-]{1,40}):(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key a request came with. `name` is for logs, usage and limits, and tells nothing of the key."""

    name: str
    is_admin: bool = False


class KeyRing:
    """Every key this server knows. Raises ConfigError for a key file that cannot be read and for keys given twice."""

    def __init__(self, settings: AuthSettings) -> None:
        self._secret = secrets.token_bytes(32)
        self._held: list[tuple[bytes, Caller]] = []
        for text in _given(settings):
            self._add(text)
        has_keys = bool(self._held)
        if settings.api_key_required and not has_keys:
            raise ConfigError("API keys are required, but there are none; set VALID_API_KEYS or --api-key-file")
        self.required = has_keys if settings.api_key_required is None else settings.api_key_required
        self.has_admin = settings.admin_key is not None
        if settings.admin_key is not None:
            self._hold(_checked(settings.admin_key.get_secret_value().strip(), ADMIN), Caller(ADMIN, is_admin=True))

    def caller(self, key: bytes) -> Caller | None:
        """Whose key this is. The work is the same for every key, known or not."""
        digest = self._digest(key)
        found = None
        for held, caller in self._held:
            if hmac.compare_digest(held, digest):
                found = caller
        return found

    def _add(self, text: str) -> None:
        named = _NAMED.fullmatch(text)
        key = named[2].strip() if named else text
        # 32 bits of a digest: enough to tell keys apart in a log, useless for finding one.
        name = named[1] if named else "key-" + hashlib.sha256(b"flashweb key name\0" + key.encode()).hexdigest()[:8]
        self._hold(_checked(key, name), Caller(name))

    def _hold(self, key: str, caller: Caller) -> None:
        digest = self._digest(key.encode())
        for held, other in self._held:
            if held == digest:
                raise ConfigError(f"the key of {caller.name!r} is also that of {other.name!r}; give each its own")
            if other.name == caller.name:
                raise ConfigError(f"two API keys are called {caller.name!r}; give each a name of its own")
        self._held.append((digest, caller))

    def _digest(self, key: bytes) -> bytes:
        return hmac.digest(self._secret, key, "sha256")


def _checked(key: str, name: str) -> str:
    """Raises ConfigError for what no client could send in a header."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"the API key {name!r} is empty or has characters other than printable ASCII without spaces")
    if len(key) < SHORT_KEY:
        log.warning("the API key %r has only %d characters and may be guessed; use %d or more", name, len(key), 32)
    return key


def _given(settings: AuthSettings) -> Iterator[str]:
    yield from (key.get_secret_value().strip() for key in settings.api_keys)
    if settings.api_key_file is not None:
        yield from lines_of(Path(settings.api_key_file).expanduser(), "API key")


def lines_of(path: Path, what: str) -> Iterable[str]:
    """The secrets of a file, one a line; warns when other users may read it. Raises ConfigError."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ConfigError(f"cannot read the {what} file {path}: {reason}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        words = "other users may read the %s file %s (mode %o); run: chmod 600 %s"
        log.warning(words, what, path, mode & 0o777, path)
    return [line for line in lines if line and not line.startswith("#")]
