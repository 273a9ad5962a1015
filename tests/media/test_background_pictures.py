"""Pictures that nobody waits for leave a worker to those that somebody does."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from flashweb.media import MediaLoader, MediaSettings
from flashweb.types import ImagePart, PixelPatches
from tests.house import png, until

PICTURES = [ImagePart(data=png(grey=grey)) for grey in range(40, 48)]


class SlowLoader(MediaLoader):
    """Every preparation waits to be let go on; `most` is how many did so at once."""

    def __init__(self, num_workers: int) -> None:
        super().__init__(MediaSettings(num_workers=num_workers, resize="exact"))
        self.may_go_on = threading.Event()
        self.inside = self.most = 0
        self._counting = threading.Lock()

    def _prepare(self, *args: Any) -> Future[PixelPatches]:
        with self._counting:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.may_go_on.wait(60)
        with self._counting:
            self.inside -= 1
        return super()._prepare(*args)


@pytest.mark.parametrize("at_once", [1, 8], ids=["one-request-each", "one-request"])
async def test_a_callers_picture_finds_a_worker_whatever_a_batch_has_under_way(at_once: int) -> None:
    async with SlowLoader(num_workers=3) as loader:
        parts = [PICTURES[i : i + at_once] for i in range(0, 8, at_once)]
        batch = [asyncio.create_task(loader.load(group, background=True)) for group in parts]
        await until(lambda: loader.inside == 2)
        caller = asyncio.create_task(loader.load([ImagePart(data=png(grey=9))]))
        await until(lambda: loader.inside == 3)
        loader.may_go_on.set()
        await caller
        pictures = [picture for group in await asyncio.gather(*batch) for picture in group]
        assert len(pictures) == 8
        assert loader.most == 3


async def test_a_loader_of_one_worker_prepares_background_pictures_too() -> None:
    async with SlowLoader(num_workers=1) as loader:
        loader.may_go_on.set()
        assert len(await loader.load(PICTURES, background=True)) == 8


async def test_a_background_picture_that_fails_gives_its_turn_back() -> None:
    async with SlowLoader(num_workers=2) as loader:
        loader.may_go_on.set()
        for _ in range(3):
            with pytest.raises(Exception, match="picture"):
                await loader.load([ImagePart(data=b"no picture")], background=True)
        assert len(await loader.load(PICTURES[:2], background=True)) == 2
