"""`ImageGeometry`: which size a picture is resized to and how many tokens it becomes. Pure arithmetic, no pixels.

The rule is the checkpoint's (`smart_resize`, transformers `image_processing_glm46v`): both sides are rounded to
multiples of patch * merge = 28 and the area times the number of frames (2 for a still picture) is kept between
`min_pixels` and `max_pixels`, which `preprocessor_config.json` calls `size.shortest_edge` and `size.longest_edge`.

`--max-image-size` is folded into the same rule, so a picture is resized once and only once: when the longest side of
the target would exceed the cap, the rule is applied to the sides scaled down to the cap instead of the real ones.
Pictures whose target is within the cap, and all pictures when it is off, get the checkpoint's own size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flashweb.errors import CheckpointError, TooLarge
from flashweb.types import Grid

# OpenAI CLIP's statistics, the family's default.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)

_VIDEO_MAX_PIXELS = 28 * 28 * 2 * 64000  # GLM-4.6V's, of all frames of a clip

_MAX_RESIZE_ASPECT_RATIO = 200  # of the reference; larger ratios never had a defined size


def smart_resize(
    num_frames: int,
    height: int,
    width: int,
    *,
    temporal_factor: int = 2,
    factor: int = 28,
    min_pixels: int = 12544,
    max_pixels: int = 9633792,
) -> tuple[int, int]:
    """Target (height, width) in pixels; both are multiples of `factor`. Raises ValueError over 200:1 or t < factor."""
    if num_frames < temporal_factor:
        raise ValueError(f"{num_frames} frames; at least {temporal_factor} are needed")
    if height < factor or width < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    if max(height, width) / min(height, width) > _MAX_RESIZE_ASPECT_RATIO:
        raise ValueError(f"aspect ratio of {width}x{height} is over {_MAX_RESIZE_ASPECT_RATIO}:1")
    # Python's round is half to even, like the reference's.
    t = round(num_frames / temporal_factor) * temporal_factor
    h = round(height / factor) * factor
    w = round(width / factor) * factor
    if t * h * w > max_pixels:
        shrink = math.sqrt(num_frames * height * width / max_pixels)
        h = max(factor, math.floor(height / shrink / factor) * factor)
        w = max(factor, math.floor(width / shrink / factor) * factor)
    elif t * h * w < min_pixels:
        grow = math.sqrt(min_pixels / (num_frames * height * width))
        h = math.ceil(height * grow / factor) * factor
        w = math.ceil(width * grow / factor) * factor
    return h, w


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGeometry:
    """A checkpoint's picture geometry. Areas are pixels times frames; the defaults are GLM-4.6V's."""

    patch_size: int = 14
    merge_size: int = 2
    temporal_patch_size: int = 2
    min_pixels: int = 12544
    max_pixels: int = 9633792
    mean: tuple[float, float, float] = _MEAN
    std: tuple[float, float, float] = _STD

    @classmethod
    def load(cls, folder: Path) -> ImageGeometry:
        """Read `preprocessor_config.json` of a checkpoint folder; the family's defaults where it is silent."""
        return cls._read(folder / "preprocessor_config.json", cls())

    @classmethod
    def load_video(cls, folder: Path) -> ImageGeometry:
        """The same of clips, from `video_preprocessor_config.json`."""
        return cls._read(folder / "video_preprocessor_config.json", cls(max_pixels=_VIDEO_MAX_PIXELS))

    @classmethod
    def _read(cls, path: Path, family: ImageGeometry) -> ImageGeometry:
        if not path.is_file():
            return family
        try:
            return cls.from_config(json.loads(path.read_text(encoding="utf-8")), family)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} cannot be used: {error}; fetch the file again") from error

    @classmethod
    def from_config(cls, config: Mapping[str, Any], family: ImageGeometry | None = None) -> ImageGeometry:
        size, family = config.get("size") or {}, family or cls()
        geometry = cls(
            patch_size=int(config.get("patch_size", 14)),
            merge_size=int(config.get("merge_size", 2)),
            temporal_patch_size=int(config.get("temporal_patch_size", 2)),
            min_pixels=int(size.get("shortest_edge", config.get("min_pixels", family.min_pixels))),
            max_pixels=int(size.get("longest_edge", config.get("max_pixels", family.max_pixels))),
            mean=_three_floats(config.get("image_mean"), _MEAN),
            std=_three_floats(config.get("image_std"), _STD),
        )
        _check_steps(config)
        if geometry.patch_size < 1 or geometry.merge_size != 2 or geometry.temporal_patch_size < 1:
            raise ValueError(f"unsupported picture geometry {geometry}")
        if not 0 < geometry.min_pixels <= geometry.max_pixels:
            raise ValueError(f"size {dict(size)}: need 0 < shortest_edge <= longest_edge")
        if min(geometry.std) <= 0:
            raise ValueError(f"image_std {list(geometry.std)}: each must be over 0")
        return geometry

    def bounded(self, max_pixels: int) -> ImageGeometry:
        """The same rule with a smaller largest area, in pixels of a still picture; 0, or more than the rule allows,
        changes nothing. The smallest area, and a picture's shorter side of one token, stay: a very long one may be
        larger."""
        area = max(self.min_pixels, max_pixels * self.temporal_patch_size)
        return self if max_pixels <= 0 or area >= self.max_pixels else replace(self, max_pixels=area)

    def bounded_frames(self, max_pixels: int, num_frames: int) -> ImageGeometry:
        """`bounded` for a clip: `max_pixels` of each of so many frames."""
        area = max(self.min_pixels, max_pixels * num_frames)
        return self if max_pixels <= 0 or area >= self.max_pixels else replace(self, max_pixels=area)

    @property
    def max_patches(self) -> int:
        """Of the largest still picture: its area counts once for each frame of a temporal patch."""
        return self.max_pixels // (self.temporal_patch_size * self.patch_size**2)

    @property
    def factor(self) -> int:
        """Side in pixels of the square that becomes one token."""
        return self.patch_size * self.merge_size

    def target_size(self, height: int, width: int, max_image_size: int = 0, num_frames: int = 0) -> tuple[int, int]:
        """(height, width) a picture of this size is resized to, or each of so many frames. Raises TooLarge over
        200:1."""
        assert height > 0 and width > 0, "zero-sided pictures are refused by the header check"
        target = self._smart_resize(height, width, num_frames)
        if max_image_size <= 0 or max(target) <= max_image_size:
            return target
        # The cap in whole tokens; the shorter side follows, rounded up so that 200:1 stays 200:1.
        longest = max(self.factor, max_image_size // self.factor * self.factor)
        across = max(height, width)
        sides = -(-height * longest // across), -(-width * longest // across)
        capped = self._smart_resize(*sides, num_frames)
        # A very long, thin picture cannot satisfy both the cap and `min_pixels`; the model's own minimum wins.
        return capped if max(capped) < max(target) else target

    def grid(self, height: int, width: int, max_image_size: int = 0) -> Grid:
        """The patch grid of a picture of this size."""
        h, w = self.target_size(height, width, max_image_size)
        return Grid(1, h // self.patch_size, w // self.patch_size)

    def num_tokens(self, height: int, width: int, max_image_size: int = 0) -> int:
        """How many `<|image|>` tokens a picture of this size becomes."""
        return self.grid(height, width, max_image_size).num_tokens

    def _smart_resize(self, height: int, width: int, num_frames: int) -> tuple[int, int]:
        try:
            return smart_resize(
                num_frames or self.temporal_patch_size,
                height,
                width,
                temporal_factor=self.temporal_patch_size,
                factor=self.factor,
                min_pixels=self.min_pixels,
                max_pixels=self.max_pixels,
            )
        except ValueError:
            raise TooLarge(
                f"the picture is {width}x{height} pixels, longer than {_MAX_RESIZE_ASPECT_RATIO} times its shorter "
                "side; crop it or cut it into pieces",
                code="image_too_large",
            ) from None


def _check_steps(config: Mapping[str, Any]) -> None:
    """The steps that are always done, in one way. Raises CheckpointError for a file that asks for another."""
    for key in ("do_resize", "do_rescale", "do_normalize"):
        if config.get(key) not in (None, True):
            raise CheckpointError(
                f"preprocessor_config.json: {key} is {config[key]!r} but that step is always done; set it to "
                "true if the model was trained so, else choose another checkpoint"
            )
    scale = config.get("rescale_factor")
    if scale is not None and not math.isclose(scale, 1 / 255, rel_tol=1e-6):
        raise CheckpointError(
            f"preprocessor_config.json: rescale_factor is {scale!r} but pixels are always divided by 255; set it to "
            f"{1 / 255} with image_mean and image_std to match, else choose another checkpoint"
        )


def _three_floats(values: Any, default: tuple[float, float, float]) -> tuple[float, float, float]:
    first, second, third = default if values is None else (float(value) for value in values)
    return first, second, third
