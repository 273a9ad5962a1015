"""The fast resize in worker processes: close to the exact one, errors and crashes included."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, _imaging

from flashweb.errors import InvalidImage
from flashweb.media import ImageGeometry, MediaLoader, MediaSettings
from flashweb.media import fast as fast_module
from flashweb.media import worker as worker_module
from flashweb.media.decode import read_header
from flashweb.media.fast import PictureWorkers
from flashweb.media.patches import empty_patches, place_planes, planes_of
from flashweb.media.prepare import prepare
from flashweb.types import ImagePart, PictureTimes
from tests.media.pictures import encoded, noise

GEOMETRY = ImageGeometry()
SETTINGS = MediaSettings()


@pytest.fixture(scope="module")
def workers() -> Iterator[PictureWorkers]:
    workers = PictureWorkers(1)
    yield workers
    workers.close()


def photograph(height: int, width: int) -> Image.Image:
    """Smooth ground, sharp edges, a little noise."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 / width, y * 255 / height, (x + y) % 256], -1)
    pixels[(x // 9 + y // 13) % 5 == 0] = 10
    pixels += np.random.default_rng(0).normal(0, 6, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "image",
    [
        photograph(1024, 1024),
        photograph(600, 800),
        photograph(1500, 900),
        photograph(60, 50),
        photograph(336, 336),
        photograph(300, 400).convert("L"),
        photograph(300, 400).convert("1"),
        photograph(1, 1),
        noise(500, 700),
    ],
    ids=lambda image: f"{image.mode} {image.width}x{image.height}",
)
def test_fast_pixels_are_within_two_levels_of_the_exact_ones(workers: PictureWorkers, image: Image.Image) -> None:
    data = encoded(image)
    header = read_header(data, SETTINGS)
    exact = prepare(data, header, GEOMETRY)
    quick = workers.prepare(data, header, GEOMETRY, 0)
    assert quick.shape == exact.shape
    assert np.abs(quick.astype(int) - exact).max() <= 2


@pytest.mark.parametrize(
    ("source", "target", "is_split"),
    [
        ((1000, 750), (644, 476), True),
        ((640, 700), (640 // 28 * 28, 700), True),
        ((1400, 448), (1400, 448), True),  # nothing to resize
        ((1786, 400), (1792, 392), True),  # its upper half has as many rows as the source rows it is made from
        ((500, 600), (1008, 1204), True),  # enlarged
        ((200, 4000), (112, 2240), True),
        ((1001, 750), (644, 476), False),  # no middle row
        ((400, 300), (252, 196), False),  # too small
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_halves_are_made_of_the_same_pixels_as_the_whole(
    source: tuple[int, int], target: tuple[int, int], is_split: bool, mode: str
) -> None:
    height, width = target
    random = np.random.default_rng(0).integers(0, 256, (*source, 3), dtype=np.uint8)
    image = Image.fromarray(random).convert(mode)
    assert (len(worker_module.bands(image.size, height, width, GEOMETRY)) == 2) == is_split
    whole, halves = empty_patches(height, width, GEOMETRY), empty_patches(height, width, GEOMETRY)
    previous = _imaging.get_use_block_allocator()
    _imaging.set_use_block_allocator(1)
    try:
        image = image.copy()
        with ThreadPoolExecutor(1) as helper:
            worker_module.fill(halves, image, height, width, GEOMETRY, helper)
        worker_module.fill(whole, image, height, width, GEOMETRY)
    finally:
        _imaging.set_use_block_allocator(previous)
    assert np.array_equal(halves, whole)
    exact = empty_patches(height, width, GEOMETRY)
    place_planes(exact, planes_of(image.resize((width, height), Image.Resampling.BICUBIC)), 0, width, GEOMETRY)
    assert np.abs(halves.astype(int) - exact).max() <= 2


def test_two_workers_split_a_large_picture_and_agree_with_one() -> None:
    data = encoded(photograph(1200, 900), "JPEG")
    header = read_header(data, SETTINGS)
    made = []
    for num_workers in (1, 2):
        some = PictureWorkers(num_workers)
        made.append(some.prepare(data, header, GEOMETRY, 0).copy())
        some.close()
    assert np.array_equal(*made)


def test_a_bad_picture_is_the_same_error_as_without_workers(workers: PictureWorkers) -> None:
    data = encoded(noise(200, 200), "JPEG")
    header = read_header(data, SETTINGS)
    with pytest.raises(InvalidImage, match="truncated"):
        workers.prepare(data[:2000], header, GEOMETRY, 0)
    assert workers.prepare(data, header, GEOMETRY, 0).shape[0] == 4 * 49


def test_a_worker_that_dies_is_replaced(workers: PictureWorkers) -> None:
    data = encoded(noise(56, 56))
    worker = workers._workers[0]
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    assert workers.prepare(data, read_header(data, SETTINGS), GEOMETRY, 0).shape[0] == 4 * 9


def test_a_worker_that_hangs_fails_its_picture_and_is_replaced(workers: PictureWorkers) -> None:
    data = encoded(noise(56, 56))
    header = read_header(data, SETTINGS)
    worker = workers._workers[0]
    os.kill(worker._process.pid, signal.SIGSTOP)
    worker._line.settimeout(0.3)
    with pytest.raises(InvalidImage, match="crash or hang"):
        workers.prepare(data, header, GEOMETRY, 0)
    assert workers.prepare(data, header, GEOMETRY, 0).shape[0] == 4 * 9


async def test_the_loader_uses_workers_when_asked_and_ends_them() -> None:
    data = encoded(photograph(200, 300), "JPEG")
    times = PictureTimes()
    loader = MediaLoader(MediaSettings(resize="fast", num_workers=1), GEOMETRY)
    try:
        images = await loader.load([ImagePart(data=data)] * 4, times=times)
        assert len(times.decodes) == len(times.preparations) == 1  # as the worker measured them
        assert 0 < times.decodes[0] < 60 and 0 < times.preparations[0] < 60
        assert len({image.digest for image in images}) == 1
        assert loader._fast is not None
        pids = [worker._process.pid for worker in loader._fast._workers]
    finally:
        loader.close()
    await asyncio.sleep(0)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_web_side_never_imports_torch() -> None:
    code = "import sys, flashweb.media, flashweb.prompt, flashweb.output; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_shared_memory_is_given_back(workers: PictureWorkers) -> None:
    data = encoded(noise(280, 280))
    header = read_header(data, SETTINGS)
    for _ in range(3):
        workers.prepare(data, header, GEOMETRY, 0)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        workers.prepare(data, header, GEOMETRY, 0)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert fast_module._SECONDS_PER_PICTURE > 10
