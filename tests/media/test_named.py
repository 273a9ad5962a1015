"""Files under their callers' names: whose they are, the bound, and what is dropped."""

from __future__ import annotations

import base64

import pytest

from flashweb.errors import ImageNotFound
from flashweb.media import ImageGeometry, MediaLoader, MediaSettings
from flashweb.media.named import NamedPictures
from flashweb.types import ImagePart
from tests.media.pictures import encoded, noise

A, B, C = ("ann", "1"), ("bob", "1"), ("ann", "2")


def test_a_file_is_found_by_its_own_name_only() -> None:
    named = NamedPictures(10_000)
    named.keep(A, b"anns")
    assert named.find(A) == b"anns"
    for other in (B, C, ("", "1")):
        with pytest.raises(ImageNotFound, match="uuid"):
            named.find(other)


def test_a_second_file_under_a_name_replaces_the_first() -> None:
    named = NamedPictures(10_000)
    named.keep(A, b"x" * 100)
    held = named.num_bytes
    named.keep(A, b"y" * 100)
    assert (named.find(A), named.num_bytes) == (b"y" * 100, held)


def test_the_least_recently_used_file_makes_room() -> None:
    named = NamedPictures(3_000)
    named.keep(A, b"a" * 800)
    named.keep(B, b"b" * 800)
    named.find(A)
    named.keep(C, b"c" * 800)
    assert named.find(A) and named.find(C) and named.num_bytes <= 3_000
    with pytest.raises(ImageNotFound):
        named.find(B)


def test_a_file_over_the_bound_is_not_kept_and_drives_nobody_out() -> None:
    named = NamedPictures(2_000)
    named.keep(A, b"a" * 800)
    named.keep(B, b"b" * 2_000)
    assert named.find(A)
    with pytest.raises(ImageNotFound):
        named.find(B)


def test_empty_files_cannot_fill_the_memory_with_names() -> None:
    named = NamedPictures(4_096)
    for number in range(100):
        named.keep(("ann", str(number)), b"")
    assert named.num_bytes <= 4_096
    with pytest.raises(ImageNotFound):
        named.find(("ann", "0"))


async def test_a_named_picture_is_read_again_without_being_sent() -> None:
    data = encoded(noise(60, 80))
    async with MediaLoader(MediaSettings()) as loader:
        (sent,) = await loader.load([ImagePart(data=data, name=A)])
        (again,) = await loader.load([ImagePart(name=A)])
        with pytest.raises(ImageNotFound):
            await loader.load([ImagePart(name=B)])
    assert again.digest == sent.digest and again.patches is sent.patches


async def test_a_picture_that_is_refused_is_not_kept() -> None:
    async with MediaLoader(MediaSettings(max_pixels=100)) as loader:
        for _ in range(2):
            with pytest.raises(Exception, match="pixels"):
                await loader.load([ImagePart(data=encoded(noise(60, 80)), name=A)])
        with pytest.raises(ImageNotFound):
            await loader.load([ImagePart(name=A)])


@pytest.mark.parametrize("resize", ["exact", pytest.param("fast", marks=pytest.mark.slow)])
async def test_an_area_bounds_the_picture_and_its_digest_tells_sizes_apart(resize: str) -> None:
    data = encoded(noise(600, 800))
    settings = MediaSettings(resize=resize, num_workers=1)  # type: ignore[arg-type]
    async with MediaLoader(settings, ImageGeometry()) as loader:
        small, whole = await loader.load([ImagePart(data=data, max_pixels=200_704), ImagePart(data=data)])
    assert (small.grid.num_tokens <= 256 < whole.grid.num_tokens) and small.digest != whole.digest
    assert small.source_size == whole.source_size == (600, 800)
    assert small.patches.shape == (small.grid.num_patches, 588)


async def test_a_picture_that_is_small_anyway_is_one_picture_with_and_without_an_area() -> None:
    data = encoded(noise(200, 200))
    async with MediaLoader(MediaSettings()) as loader:
        bounded, free = await loader.load([ImagePart(data=data, max_pixels=200_704), ImagePart(data=data)])
    assert bounded.digest == free.digest


async def test_the_same_text_in_another_detail_is_another_picture() -> None:
    text = base64.b64encode(encoded(noise(600, 800))).decode()
    async with MediaLoader(MediaSettings()) as loader:
        sizes = []
        for max_pixels in (0, 200_704, 0, 200_704):
            (picture,) = await loader.load([ImagePart(url=text, max_pixels=max_pixels)])
            sizes.append(picture.grid.num_tokens)
            assert picture.grid.num_tokens == loader.num_image_tokens((600, 800), max_pixels)
    assert sizes[0] == sizes[2] > 256 >= sizes[1] == sizes[3]
