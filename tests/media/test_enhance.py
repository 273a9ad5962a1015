"""Enhancement of text pictures: what is done to the pixels, and that no cache takes one kind for the other."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from flashweb.errors import InvalidImage, TooLarge
from flashweb.media import ImageGeometry, MediaLoader, MediaSettings
from flashweb.media.decode import read_header
from flashweb.media.enhance import enhanced
from flashweb.media.fast import PictureWorkers
from flashweb.media.patches import digest
from flashweb.media.prepare import prepare
from flashweb.types import Grid, ImagePart
from tests.media.pictures import encoded, noise, png_claiming

GEOMETRY = ImageGeometry()
SETTINGS = MediaSettings(num_workers=1)


def test_text_is_grey_of_twice_the_contrast_and_sharpened() -> None:
    image = noise(60, 40)
    wanted = ImageEnhance.Contrast(image.convert("L")).enhance(2.0).filter(ImageFilter.SHARPEN)
    made = enhanced(image, "text")
    assert made.mode == "L" and made.size == image.size
    assert np.array_equal(np.asarray(made), np.asarray(wanted))
    assert enhanced(image, None) is image


def test_enhancing_comes_before_the_resize() -> None:
    data = encoded(noise(600, 400), "PNG")
    header = read_header(data, SETTINGS)
    with Image.open(io.BytesIO(data)) as image:
        by_hand = encoded(enhanced(image.convert("RGB"), "text"), "PNG")
    made = prepare(data, header, GEOMETRY, 300, None, 1, "text")
    assert np.array_equal(made, prepare(by_hand, read_header(by_hand, SETTINGS), GEOMETRY, 300))
    assert not np.array_equal(made, prepare(data, header, GEOMETRY, 300))


@pytest.mark.slow  # starts a process that imports torch
def test_worker_processes_enhance_alike() -> None:
    data = encoded(noise(300, 200), "PNG")
    header = read_header(data, SETTINGS)
    workers = PictureWorkers(1)
    try:
        fast = workers.prepare(data, header, GEOMETRY, 0, "text")
    finally:
        workers.close()
    exact = prepare(data, header, GEOMETRY, 0, None, 1, "text")
    assert np.abs(fast.astype(int) - exact.astype(int)).max() <= 2


def test_a_plain_pictures_digest_is_what_it_was_and_an_enhanced_one_has_its_own() -> None:
    grid = Grid(1, 4, 4)
    plain = digest(b"file", grid, GEOMETRY, "exact")
    assert plain == digest(b"file", grid, GEOMETRY, "exact", None)
    assert plain != digest(b"file", grid, GEOMETRY, "exact", "text")
    assert plain != digest(b"file", grid, GEOMETRY, "fast")


async def test_the_same_text_with_and_without_enhancement_gives_two_pictures_in_either_order() -> None:
    url = "data:image/png;base64," + base64.b64encode(encoded(noise(90, 90), "PNG")).decode()
    plain, text = ImagePart(url=url), ImagePart(url=url, enhance="text")
    async with MediaLoader(SETTINGS) as loader:
        first = [(await loader.load([one]))[0] for one in (plain, text, plain, text)]
        assert first[0].digest == first[2].digest != first[1].digest == first[3].digest
        assert first[0].patches is first[2].patches and first[1].patches is first[3].patches
        assert not np.array_equal(first[0].patches, first[1].patches)
        both = await loader.load([text, plain])
        assert [one.digest for one in both] == [first[1].digest, first[0].digest]
    async with MediaLoader(SETTINGS) as loader:
        (enhanced_first,) = await loader.load([text])
        (then_plain,) = await loader.load([plain])
        assert enhanced_first.digest == first[1].digest and then_plain.digest == first[0].digest


async def test_every_guard_stands_before_an_enhanced_picture_too() -> None:
    async with MediaLoader(MediaSettings(num_workers=1, max_raw_bytes=2000)) as loader:
        for data, error in (
            (b"", InvalidImage),
            (b"no picture", InvalidImage),
            (png_claiming(30_000, 30_000), TooLarge),
            (encoded(noise(200, 200), "PNG"), TooLarge),
            (encoded(noise(20, 20), "PNG")[:-300], InvalidImage),
        ):
            for how in (None, "text"):
                try:
                    await loader.load([ImagePart(data=data, enhance=how)])
                except error as caught:
                    message = caught.message
                else:
                    raise AssertionError("it was let through")
                if how is None:
                    plain = message
            assert message == plain
