"""Prepared pictures: bounded, least recent use first, errors not kept."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest

from flashweb.errors import InvalidImage
from flashweb.media.cache import PictureCache, _mark
from flashweb.types import Grid, PixelPatches


def picture(number: int, num_patches: int = 4) -> PixelPatches:
    patches = np.full((num_patches, 25), number, np.uint8)
    return PixelPatches(patches, Grid(1, 2, num_patches // 2), bytes([number]) * 32, (28, 28))


def never() -> PixelPatches:
    raise AssertionError("prepared again")


def has(cache: PictureCache, number: int) -> bool:
    return bytes([number]) * 32 in cache._entries


def ask(cache: PictureCache, number: int, num_patches: int = 4) -> Future[PixelPatches]:
    return cache.get(bytes([number]) * 32, lambda: picture(number, num_patches))


def test_the_least_recently_used_picture_goes_first_and_the_bound_holds() -> None:
    cache = PictureCache(max_bytes=300)
    for number in (1, 2, 3):
        ask(cache, number)
    assert cache.num_bytes == 300
    assert cache.get(bytes([1]) * 32, never).result().patches[0, 0] == 1
    ask(cache, 4)
    assert [has(cache, number) for number in (1, 2, 3, 4)] == [True, False, True, True]
    assert cache.num_bytes == 300


def test_a_picture_over_the_bound_is_made_but_drives_nobody_out() -> None:
    cache = PictureCache(max_bytes=300)
    ask(cache, 1)
    assert ask(cache, 2, num_patches=16).result().patches.nbytes == 400
    assert (has(cache, 1), has(cache, 2), cache.num_bytes) == (True, False, 100)


def test_errors_are_not_kept() -> None:
    def broken() -> PixelPatches:
        raise InvalidImage("truncated")

    cache = PictureCache(max_bytes=300)
    with pytest.raises(InvalidImage):
        cache.get(bytes([1]) * 32, broken).result()
    assert ask(cache, 1).result().digest == bytes([1]) * 32
    assert cache.num_bytes == 100 and not cache._under_way


def test_one_of_those_who_wait_cannot_cancel_the_picture() -> None:
    cache = PictureCache(max_bytes=300)
    inside: list[Future[PixelPatches]] = []

    def make() -> PixelPatches:
        inside.append(cache.get(bytes([1]) * 32, never))
        assert not inside[0].cancel()
        return picture(1)

    made = cache.get(bytes([1]) * 32, make)
    assert made is inside[0] and made.result().patches[0, 0] == 1


def test_a_text_finds_its_picture_for_as_long_as_both_are_kept() -> None:
    cache = PictureCache(max_bytes=500)
    for number in (1, 2):
        ask(cache, number)
        cache.remember(str(number) * 100, 75, bytes([number]) * 32)
    assert cache.num_bytes == 400
    found = cache.find("1" * 100)
    assert found is not None and found.picture.digest == bytes([1]) * 32 and found.num_file_bytes == 75
    ask(cache, 3)
    ask(cache, 4)  # drops the second, the first was asked for later
    assert cache.find("2" * 100) is None and not has(cache, 2)
    assert cache.find("1" * 100) is not None
    assert cache.num_bytes == 400 and len(cache._digests) == 1


def test_a_text_that_only_looks_alike_finds_nothing() -> None:
    cache = PictureCache(max_bytes=10_000)
    texts = ["a" + "x" * 300, "b" + "x" * 300]
    assert len({_mark(text) for text in texts}) == 1
    ask(cache, 1)
    cache.remember(texts[0], 225, bytes([1]) * 32)
    assert cache.find(texts[1]) is None
    ask(cache, 2)
    cache.remember(texts[1], 225, bytes([2]) * 32)
    assert cache.find(texts[0]) is None  # one of them can be found, and never as the other
    found = cache.find(texts[1])
    assert found is not None and found.picture.digest == bytes([2]) * 32


def test_a_text_that_does_not_fit_beside_its_picture_is_not_kept() -> None:
    cache = PictureCache(max_bytes=300)
    ask(cache, 1)
    for text in ("x" * 201, "\u00e9" * 10):  # too long, and more bytes than characters
        cache.remember(text, 150, bytes([1]) * 32)
        assert cache.find(text) is None and cache.num_bytes == 100
    cache.remember("y" * 50, 37, bytes([9]) * 32)  # dropped meanwhile
    assert cache.find("y" * 50) is None
    for text in ("x" * 200, "z" * 100):
        cache.remember(text, 75, bytes([1]) * 32)
        assert cache.num_bytes == 100 + len(text)
    assert cache.find("x" * 200) is None and cache.find("z" * 100) is not None
