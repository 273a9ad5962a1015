"""`PixelStatistics`: the mean and deviation a checkpoint's pictures are normalised by. Knows nothing of tensors.

The vision tower folds them into its patch weights, so they belong to the weights' folder, not to the picture code,
which hands raw bytes over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashweb.errors import CheckpointError

FILE = "preprocessor_config.json"


@dataclass(frozen=True, slots=True)
class PixelStatistics:
    """Per channel (red, green, blue), of pixels in 0..1. The defaults are OpenAI CLIP's, the family's (sheet 3.1)."""

    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    @staticmethod
    def read(folder: str | Path) -> PixelStatistics:
        """`image_mean` and `image_std` of the folder's preprocessor_config.json; the defaults where it is silent.

        Raises CheckpointError for a file that cannot be read and for numbers that cannot be used.
        """
        path = Path(folder) / FILE
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return PixelStatistics()
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read as JSON ({error}); download the file again") from None
        if not isinstance(document, dict):
            raise CheckpointError(f"{path} holds a {type(document).__name__}, not a JSON object; download it again")
        family = PixelStatistics()
        found = PixelStatistics(
            _three(path, document, "image_mean", family.mean), _three(path, document, "image_std", family.std)
        )
        if min(found.std) <= 0:
            raise CheckpointError(
                f"{path}: image_std is {list(found.std)}; each must be over 0: download the file again"
            )
        return found


def _three(
    path: Path, document: Mapping[str, Any], key: str, default: tuple[float, float, float]
) -> tuple[float, float, float]:
    value = document.get(key)
    if value is None:
        return default
    numbers = isinstance(value, list) and all(
        isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in value
    )
    if not numbers or len(value) != 3:
        raise CheckpointError(
            f"{path}: {key} is {value!r}; it must be three numbers, one per channel: download it again"
        )
    return float(value[0]), float(value[1]), float(value[2])
