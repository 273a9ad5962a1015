"""Which frames of a clip the model sees, and how the prompt tells when each was: the family's two rules.

GLM-4.6V (transformers `Glm46VVideoProcessor.sample_frames`, fact sheet 3.2): 6 frames a second of a clip up to 30 s,
2 up to 300 s, 1 beyond, 640 at most, spread over the whole clip where they would be more. GLM-4.1V
(`Glm4vVideoProcessor`): 2 a second, of 300 s at most. Two frames make a temporal patch, so their number is even: the
last one may stand twice. Pure arithmetic.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from flashweb.errors import CheckpointError

Rule: TypeAlias = Literal["glm46v", "glm4v"]

_MAX_FRAMES = 640
_MAX_SECONDS = 2400
_OLD_RATE, _OLD_MAX_SECONDS = 2, 300
_PER_PATCH = 2  # frames


@dataclass(frozen=True, slots=True)
class ClipTimes:
    """A clip's frames: how many, at which rate and for how long; `times`: of each, in seconds, where the rate does not
    say."""

    num_frames: int
    rate: float
    seconds: float
    times: tuple[float, ...] = ()

    def at(self, frame: int) -> float:
        return self.times[frame] if self.times else frame / self.rate


def rule_of(folder: Path) -> Rule:
    """The one that a checkpoint's `video_preprocessor_config.json` names; GLM-4.6V's where there is none. Raises
    CheckpointError."""
    path = folder / "video_preprocessor_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return "glm4v" if config.get("video_processor_type") == "Glm4vVideoProcessor" else "glm46v"
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be used: {error}; fetch the file again") from error


def sample_frames(clip: ClipTimes, rule: Rule, max_frames: int = 0) -> list[int]:
    """Frames from 0, rising, an even number of them, the last one perhaps twice. `max_frames`: of the caller, who gets
    as many, spread evenly over those of the rule; 0 = the rule's."""
    chosen = _unique(_sample_46(clip) if rule == "glm46v" else _sample_41(clip))
    if max_frames and len(chosen) > max_frames:
        places = np.linspace(0, len(chosen) - 1, max(1, max_frames), dtype=int).tolist()
        chosen = [chosen[place] for place in places]
    return chosen + chosen[-1:] if len(chosen) % _PER_PATCH else chosen


def patch_times(clip: ClipTimes, frames: Sequence[int]) -> tuple[float, ...]:
    """When the first frame of every temporal patch is shown, in seconds."""
    return tuple(clip.at(frame) for frame in frames[::_PER_PATCH])


def time_text(seconds: float, rule: Rule) -> str:
    """As it stands behind a temporal patch in the prompt."""
    return f"{seconds:.1f} seconds" if rule == "glm46v" else str(int(seconds))


def _sample_46(clip: ClipTimes) -> list[int]:
    total = clip.num_frames
    duration = clip.seconds or round((total - 1) / clip.rate) + 1
    counted = min(duration, _MAX_SECONDS)
    rate = 3 if counted <= 30 else 1 if counted <= 300 else 0.5
    number = min(int(counted * rate * _PER_PATCH), _MAX_FRAMES)
    chosen = _spread(0, total - 1, number) if total < number else _walked(clip, rate, int(duration))
    if len(chosen) < number:
        return _spread(chosen[0], chosen[-1], number)
    # A clip of less than a sixth of a second has no frame by this rule; it has its first one here.
    return _spread(0, total - 1, number or 1) if len(chosen) > number else chosen


def _walked(clip: ClipTimes, rate: float, last_second: int) -> list[int]:
    # In the reference's order of operations: another one rounds differently.
    step, per_frame, wanted = 1 / (_PER_PATCH * rate), 1 / clip.rate, 0.0
    chosen: list[int] = []
    for frame in range(clip.num_frames):
        if (clip.times[frame] if clip.times else frame * per_frame) >= wanted:
            wanted += step
            chosen.append(frame)
            if wanted >= last_second:
                break
    return chosen


def _sample_41(clip: ClipTimes) -> list[int]:
    last = clip.num_frames - 1
    if clip.seconds <= _OLD_MAX_SECONDS:
        number = max(math.floor(clip.seconds * _OLD_RATE), 1)
        return [min(last, math.ceil(i * clip.rate / _OLD_RATE)) for i in range(number)]
    number = _OLD_MAX_SECONDS * _OLD_RATE
    if number >= clip.num_frames:
        return list(range(clip.num_frames))
    seconds = np.linspace(0, clip.seconds, number, endpoint=True)
    return [min(last, math.ceil(second * clip.rate)) for second in seconds]


def _spread(first: int, last: int, number: int) -> list[int]:
    return [int(frame) for frame in np.linspace(first, last, number, dtype=int)]


def _unique(frames: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(frames))
