"""Prepared pictures: bounded, least recent use first, errors not kept."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest

from flashweb.errors import InvalidImage
from flashweb.media.cache import PictureCache
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
