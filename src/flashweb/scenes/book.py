"""All scenes that are offered: our own, and those of the operator's folder, which is looked at on every request. A file
that changed is read again; one that is broken is reported and harms no other.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from flashweb.errors import SceneNotFound
from flashweb.scenes.scene import Scene

ORDER = ("audit", "service", "receipt", "marking", "contract", "inspection", "ocr")
MAX_FILES = 200
MAX_FILE_BYTES = 256 << 10
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class BrokenScene:
    file: str
    message: str


@dataclass(frozen=True, slots=True)
class _Read:
    """What a file was when it was read: modification time in ns and size."""

    stamp: tuple[int, int]
    outcome: Scene | BrokenScene


class SceneBook:
    def __init__(self, folder: str | None = None) -> None:
        """`folder` holds further scenes, `NAME.toml` each; one that is called like one of ours takes its place."""
        texts = {name: (files("flashweb.scenes") / f"{name}.toml").read_text(encoding="utf-8") for name in ORDER}
        self._bundled = {name: Scene.read(name, text) for name, text in texts.items()}
        self._folder = Path(folder).expanduser() if folder else None
        self._read: dict[str, _Read] = {}

    def find(self, name: str) -> Scene:
        """Raises SceneNotFound."""
        scenes, _ = self.all()
        if name not in scenes:
            raise SceneNotFound(
                f"There is no scene {name[:60]!r}; there are {', '.join(scenes)}. GET /api/scenes describes them.",
                param="name",
            )
        return scenes[name]

    def all(self) -> tuple[dict[str, Scene], list[BrokenScene]]:
        """Scenes by name, and the files that are none."""
        if self._folder is None:
            return self._bundled, []
        scenes, broken = dict(self._bundled), []
        for outcome in self._outcomes(self._folder):
            if isinstance(outcome, Scene):
                scenes[outcome.name] = outcome
            else:
                broken.append(outcome)
        return scenes, broken

    def _outcomes(self, folder: Path) -> list[Scene | BrokenScene]:
        try:
            found = sorted(
                (entry for entry in os.scandir(folder) if entry.name.endswith(".toml")), key=lambda e: e.name
            )
        except OSError as error:
            return [BrokenScene(folder.name, f"the folder of --scenes-dir cannot be read: {error.strerror}")]
        kept: dict[str, _Read] = {}
        for entry in found[:MAX_FILES]:
            kept[entry.name] = self._outcome(entry)
        self._read = kept
        outcomes = [one.outcome for one in kept.values()]
        if len(found) > MAX_FILES:
            outcomes.append(
                BrokenScene(folder.name, f"the folder holds {len(found)} files; the first {MAX_FILES} are read")
            )
        return outcomes

    def _outcome(self, entry: os.DirEntry[str]) -> _Read:
        try:
            now = entry.stat()
            stamp = (now.st_mtime_ns, now.st_size)
            known = self._read.get(entry.name)
            if known is not None and known.stamp == stamp:
                return known
            if now.st_size > MAX_FILE_BYTES:
                raise ValueError(f"has {now.st_size:,} bytes; the limit is {MAX_FILE_BYTES:,}")
            name = entry.name.removesuffix(".toml")
            if not _NAME.fullmatch(name):
                raise ValueError("a scene's name is lower-case letters, digits, - and _, 64 at most")
            return _Read(stamp, Scene.read(name, Path(entry.path).read_text(encoding="utf-8"), own=True))
        except OSError as error:
            return _Read((0, 0), BrokenScene(entry.name, f"cannot be read: {error.strerror}"))
        except ValueError as error:  # UnicodeDecodeError is one
            return _Read(stamp, BrokenScene(entry.name, str(error)))
