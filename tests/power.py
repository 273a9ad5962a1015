"""What a power cut would leave: the order in which contents, names and rows reach the disk."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest


class Disk:
    """Watches os.fsync, the ways a file gets its name, and SQLite's commits. `mistakes`: what a row that is on the disk
    may name although it is not there itself, or not whole."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.mistakes: list[str] = []
        self.named: list[str] = []
        self.durable_commits = 0
        self._synced: set[str] = set()
        self._unsure: set[Path] = set()  # names whose folder was not written since
        self._is_full = False
        fsync, replace, link, connect = os.fsync, os.replace, os.link, sqlite3.connect

        def watched_fsync(descriptor: int) -> None:
            fsync(descriptor)
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            self._synced.add(path)
            self._unsure = {name for name in self._unsure if str(name.parent) != path}

        def watched_replace(source: Any, target: Any) -> None:
            if str(source) not in self._synced:
                self.mistakes.append(f"{Path(target).name} may be empty")
            replace(source, target)
            self._name(Path(target))

        def watched_link(source: Any, target: Any) -> None:
            link(source, target)
            self._name(Path(target))

        def watched_connect(*given: Any, **more: Any) -> sqlite3.Connection:
            line = connect(*given, **more)
            line.set_trace_callback(self._note)
            return line

        patch.setattr(os, "fsync", watched_fsync)
        patch.setattr(os, "replace", watched_replace)
        patch.setattr(os, "link", watched_link)
        patch.setattr(sqlite3, "connect", watched_connect)

    def _name(self, path: Path) -> None:
        self.named.append(path.name)
        self._unsure.add(path)

    def _note(self, statement: str) -> None:
        if "synchronous" in statement:
            self._is_full = "FULL" in statement
        if statement == "COMMIT":
            self.durable_commits += self._is_full
            self.mistakes += [f"{name.name} may be gone" for name in self._unsure]
