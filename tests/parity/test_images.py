"""Our picture preparation against transformers' own processor: sizes, token counts, pixels, patch order."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from flashweb.media.decode import decode, read_header
from flashweb.media.geometry import ImageGeometry, smart_resize
from flashweb.media.loader import MediaLoader
from flashweb.media.settings import MediaSettings
from flashweb.types import ImagePart

GEOMETRY = ImageGeometry()
UNCAPPED = MediaSettings(max_image_size=0)

# Fact sheet: height x width -> resized -> tokens.
VECTORS = [
    ((336, 336), (336, 336), 144),
    ((224, 224), (224, 224), 64),
    ((100, 100), (112, 112), 16),
    ((480, 640), (476, 644), 391),
    ((720, 1280), (728, 1288), 1196),
    ((1080, 1920), (1092, 1932), 2691),
    ((2160, 3840), (1624, 2912), 6032),
    ((4000, 6000), (1792, 2688), 6144),
    ((3508, 2480), (2604, 1820), 6045),
    ((15, 53), (56, 168), 12),
    ((28, 28), (84, 84), 9),
]
OBSERVED_TOKENS = [((1596, 2968), 6042), ((6771, 867), 6132), ((2366, 1402), 4200), ((5796, 8693), 6080)]


@lru_cache(maxsize=1)
def reference() -> Any:
    module = pytest.importorskip("transformers.models.glm46v.image_processing_pil_glm46v")
    return module.Glm46VImageProcessorPil(size={"shortest_edge": 12544, "longest_edge": 9633792})


def reference_patches(image: Image.Image) -> tuple[NDArray[np.uint8], list[int]]:
    """The reference's float rows turned back into the 8-bit pixels they came from: [n, 588], first frame only."""
    out = reference()(images=[image], return_tensors="np")
    rows = out["pixel_values"].reshape(-1, 3, 2, 196)
    assert (rows[:, :, 0] == rows[:, :, 1]).all(), "a still frame is doubled"
    mean, std = (np.array(v).reshape(1, 3, 1) for v in (GEOMETRY.mean, GEOMETRY.std))
    pixels = (rows[:, :, 0] * std + mean) * 255
    assert np.abs(pixels - np.rint(pixels)).max() < 0.01
    return np.rint(pixels).astype(np.uint8).reshape(-1, 588), list(out["image_grid_thw"][0])


def noise(height: int, width: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Gradients, noise and hard edges, so that rounding and clipping both happen."""
    generator = np.random.default_rng(seed)
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    y, x = np.mgrid[0:height, 0:width]
    base = ((x * 3 + y * 2) % 256)[..., None] * 0.5 + 255 * ((x // 7 + y // 5) % 2)[..., None] * 0.5
    pixels = np.clip(base + generator.normal(0, 40, (height, width, channels)), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels).convert(mode)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


async def ours(data: bytes, settings: MediaSettings = UNCAPPED) -> tuple[NDArray[np.uint8], list[int]]:
    async with MediaLoader(settings, GEOMETRY) as loader:
        (image,) = await loader.load([ImagePart(data=data)])
    return image.patches, [image.grid.t, image.grid.h, image.grid.w]


@pytest.mark.parametrize(("size", "target", "num_tokens"), VECTORS)
def test_the_fact_sheets_vectors_hold(size: tuple[int, int], target: tuple[int, int], num_tokens: int) -> None:
    assert GEOMETRY.target_size(*size) == target
    assert GEOMETRY.num_tokens(*size) == num_tokens


@pytest.mark.parametrize(("size", "num_tokens"), OBSERVED_TOKENS)
def test_token_counts_seen_elsewhere_are_ours_too(size: tuple[int, int], num_tokens: int) -> None:
    assert GEOMETRY.num_tokens(*size) == num_tokens


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([(12544, 9633792), (114688, 1229312), (1, 10**9)]))
@settings(max_examples=500)
def test_every_size_equals_the_references(height: int, width: int, limits: tuple[int, int]) -> None:
    module = pytest.importorskip("transformers.models.glm46v.image_processing_pil_glm46v")
    arguments = {"min_pixels": limits[0], "max_pixels": limits[1]}
    try:
        expected = module.smart_resize(2, height, width, **arguments)
    except ValueError:
        with pytest.raises(ValueError, match="aspect ratio"):
            smart_resize(2, height, width, **arguments)
        return
    assert smart_resize(2, height, width, **arguments) == expected


SIZES = [
    (1, 1),
    (15, 53),
    (28, 28),
    (100, 100),
    (224, 224),
    (336, 336),
    (333, 517),
    (480, 640),
    (37, 1900),
    (1024, 1024),
]


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
async def test_pixels_of_a_png_equal_the_references(size: tuple[int, int]) -> None:
    image = noise(*size)
    expected, grid = reference_patches(image)
    patches, our_grid = await ours(encoded(image, "PNG"))
    assert our_grid == grid
    assert np.array_equal(patches, expected)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK"])
async def test_pixels_of_every_mode_equal_the_references(mode: str) -> None:
    image = noise(211, 307, mode)
    data = encoded(image, "JPEG", quality=92) if mode == "CMYK" else encoded(image, "PNG")
    expected, grid = reference_patches(Image.open(io.BytesIO(data)))
    patches, our_grid = await ours(data)
    assert our_grid == grid
    assert np.array_equal(patches, expected)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "BMP", "GIF", "AVIF"])
async def test_pixels_of_every_format_equal_the_references(format: str) -> None:
    data = encoded(noise(240, 330), format)
    expected, grid = reference_patches(Image.open(io.BytesIO(data)))
    patches, our_grid = await ours(data)
    assert our_grid == grid
    assert np.array_equal(patches, expected)


async def test_pixels_of_a_palette_with_transparency_equal_the_references() -> None:
    image = noise(150, 200).quantize(16)
    data = encoded(image, "PNG", transparency=3)
    expected, _ = reference_patches(Image.open(io.BytesIO(data)))
    patches, _ = await ours(data)
    assert np.array_equal(patches, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_exif_orientation_is_applied_before_the_reference_would_look(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(noise(120, 260), "JPEG", quality=95, exif=exif.tobytes())
    expected, grid = reference_patches(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    patches, our_grid = await ours(data)
    assert our_grid == grid
    assert np.array_equal(patches, expected)


@pytest.mark.parametrize("size", [(1500, 2100), (2100, 1500), (1999, 3001)], ids=lambda s: f"{s[1]}x{s[0]}")
async def test_pixels_of_a_large_photograph_equal_the_references_through_bands(size: tuple[int, int]) -> None:
    data = encoded(noise(*size), "JPEG", quality=90)
    expected, grid = reference_patches(Image.open(io.BytesIO(data)))
    patches, our_grid = await ours(data)
    assert our_grid == grid
    assert np.array_equal(patches, expected)


@pytest.mark.slow
async def test_pixels_of_a_12_megapixel_photograph_equal_the_references() -> None:
    data = encoded(noise(3000, 4000), "JPEG", quality=90)
    expected, _ = reference_patches(Image.open(io.BytesIO(data)))
    patches, _ = await ours(data)
    assert np.array_equal(patches, expected)


async def test_the_size_cap_is_one_resize_to_the_capped_target() -> None:
    """With the cap the picture is resized once: the same pixels as Pillow's single resize to that target."""
    image = noise(700, 3000)
    data = encoded(image, "PNG")
    settings = MediaSettings(max_image_size=1024)
    height, width = GEOMETRY.target_size(700, 3000, 1024)
    assert max(height, width) <= 1024
    expected, grid = reference_patches(image.resize((width, height), Image.Resampling.BICUBIC))
    patches, our_grid = await ours(data, settings)
    assert our_grid == grid
    assert np.array_equal(patches, expected)


def test_a_header_costs_no_decoding_and_tells_the_decoded_size() -> None:
    data = encoded(noise(90, 120), "JPEG")
    header = read_header(data, UNCAPPED)
    assert (header.height, header.width) == (90, 120)
    assert decode(data, header).size == (120, 90)
