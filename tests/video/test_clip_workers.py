"""Clips in processes of their own: the frames asked for and no others, every bad clip refused in its own words, and
nothing that outlives its bounds."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from flashweb.errors import FlashwebError, InvalidVideo, TooLarge, UnsupportedMediaType
from flashweb.video.containers import is_whole, kind_of
from flashweb.video.workers import ClipFile, ClipLimits, ClipWorkers
from tests import clips

LIMITS = ClipLimits(seconds=300, frames=18_000, pixels=9_000_000, clip_seconds=20, memory_bytes=1 << 30)
FEW, MORE = [("mp4", "libx264"), ("webm", "libvpx")], [("mov", "libx265"), ("webm", "libvpx-vp9"), ("avi", "mpeg4")]


@asynccontextmanager
async def workers_of(limits: ClipLimits = LIMITS) -> AsyncIterator[ClipWorkers]:
    workers = ClipWorkers(1, limits)
    try:
        yield workers
    finally:
        await workers.close()


def file(data: bytes) -> ClipFile:
    return ClipFile(data, hashlib.sha256(data).digest())


async def light(workers: ClipWorkers, data: bytes, frames: Sequence[int]) -> list[float]:
    """The mean of each of these frames."""
    found: list[float] = []

    def use(planes: NDArray[np.uint8]) -> None:
        assert planes.shape == (3, 28, 56)
        found.append(float(planes.mean()))

    await workers.take(file(data), frames, 28, 56, use)
    return found


async def refused(workers: ClipWorkers, data: bytes) -> FlashwebError:
    with pytest.raises((InvalidVideo, TooLarge, UnsupportedMediaType)) as caught:
        await workers.opened(file(data))
    return caught.value


@pytest.mark.parametrize("codecs", [FEW, pytest.param(MORE, marks=pytest.mark.slow)])
async def test_every_codec_gives_exactly_the_frames_asked_for(codecs: list[tuple[str, str]]) -> None:
    async with workers_of() as workers:
        for format, codec in codecs:
            data = clips.film(50, format=format, codec=codec)
            opened = await workers.opened(file(data))
            assert (opened.num_frames, opened.height, opened.width, opened.times) == (50, 48, 64, ()), codec
            assert opened.rate == 30 and abs(opened.seconds - 50 / 30) < 1e-9
            wanted = [0, 3, 4, 17, 30, 31, 49]  # over key frames, within a group, the last one
            lights = await light(workers, data, wanted)
            assert np.abs(np.array(lights) - [index * 4 for index in wanted]).max() < 3, (codec, lights)
            assert np.abs(np.array(await light(workers, data, [2, 40])) - [8, 160]).max() < 3  # and back again


async def test_frames_of_uneven_distance_and_of_animations_keep_their_times() -> None:
    async with workers_of() as workers:
        opened = await workers.opened(file(clips.film(4, times=[0, 3, 30, 33])))
        assert np.abs(np.array(opened.times) - [0, 0.1, 1, 1.1]).max() < 0.002
        for format in ("GIF", "WEBP", "PNG"):
            data = clips.animation(format, [100, 200, 0, 400])  # browsers show 0 for a tenth of a second
            opened = await workers.opened(file(data))
            assert np.abs(np.array(opened.times) - [0, 0.1, 0.3, 0.4]).max() < 1e-9 and opened.seconds == 0.8
            assert np.abs(np.array(await light(workers, data, [1, 3])) - [40, 120]).max() < 2


async def test_bad_clips_are_refused_in_their_own_words() -> None:
    good, webm = clips.film(30), clips.film(30, format="webm", codec="libvpx")
    damaged = bytearray(good)
    at = good.index(b"mdat") + 4
    damaged[at : at + 600] = bytes(600)
    clip, whole = "ends too early", "damaged"
    cases: dict[str, tuple[bytes, str]] = {
        "empty": (b"", r"empty \(0 bytes\)"), "text": (b"no clip at all" * 9, "of no kind that is read here"),
        "cut": (good[: len(good) // 2], clip), "cut webm": (webm[:-50], clip), "damaged": (bytes(damaged), whole),
        "sound alone": (clips.sound(), "no video stream"), "encrypted": (clips.film(9, options=clips.KEY), "encrypted"),
        "still": (clips.animation("PNG", [0]), "is a still picture"), "a head alone": (good[:40] + bytes(4000), clip),
        "cut animation": (clips.animation("GIF", [90] * 9)[:-60], f"{clip}|{whole}"),
    }  # fmt: skip
    async with workers_of() as workers:
        for name, (data, words) in cases.items():
            error = await refused(workers, data)
            assert re.search(words, error.message), (name, error.message)
        assert await light(workers, good, [29])  # the neighbour


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seconds": 0.5}, "lasts 1.0 s, the limit is 0.5 s"),
        ({"frames": 20}, "has 30 frames or more, the limit is 20"),
        ({"pixels": 3000}, "has frames of 64x48 pixels, the limit is 3,000"),
    ],
)
async def test_a_header_over_a_limit_is_refused_with_value_and_limit(changed: dict[str, int], words: str) -> None:
    async with workers_of(replace(LIMITS, **changed)) as workers:
        error = await refused(workers, clips.film(30))
        assert isinstance(error, TooLarge) and words in error.message and "--max-video-" in error.message
        error = await refused(workers, clips.animation("GIF", [100] * 30))
        assert isinstance(error, TooLarge) and "the limit is" in error.message


async def test_a_hundred_thousand_frames_are_refused_from_the_header() -> None:
    """The number that the container claims, without as many frames behind it."""
    data = clips.film(3)
    at = data.index(b"stts") + 12
    assert int.from_bytes(data[at : at + 4]) == 3
    async with workers_of() as workers:
        claimed = data[:at] + (100_000).to_bytes(4) + data[at + 4 :]
        error = await refused(workers, claimed)
        assert isinstance(error, TooLarge) and "has 100,000 frames or more, the limit is 18,000" in error.message


async def test_a_clip_beyond_its_time_or_memory_costs_only_itself() -> None:
    data = clips.film(2, lambda n: clips.grey(n, (1920, 1080)))
    async with workers_of(replace(LIMITS, clip_seconds=1.0)) as workers:
        await workers.opened(file(data))
        (process,) = workers.process_ids
        os.kill(process, signal.SIGSTOP)
        with pytest.raises(InvalidVideo, match="takes more than 1 s") as caught:
            await light(workers, data, [1])
        assert caught.value.code == "video_too_complex" and not Path(f"/proc/{process}").exists()
    async with workers_of(replace(LIMITS, memory_bytes=20 << 20)) as workers:
        with pytest.raises(InvalidVideo, match="memory") as caught:
            await light(workers, data, [1])
        assert caught.value.code == "video_too_complex"


async def test_who_leaves_ends_the_process_and_the_next_one_gets_another() -> None:
    data = clips.film(9)
    async with workers_of() as workers:
        await workers.opened(file(data))
        (process,) = workers.process_ids
        os.kill(process, signal.SIGSTOP)
        task = asyncio.create_task(light(workers, data, [8]))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not Path(f"/proc/{process}").exists()
        assert await light(workers, clips.film(3), [2])
    assert workers.process_ids == ()


def test_the_process_opens_no_file_and_no_socket_once_it_has_started() -> None:
    code = (
        "import socket; from flashweb.bounded.limits import open_nothing_more; open_nothing_more()\n"
        "for attempt in (lambda: open('/etc/hostname'), lambda: socket.socket()):\n"
        "    try: attempt()\n"
        "    except OSError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=60)
    assert done.stdout.split() == ["refused", "refused"], done.stderr


async def test_without_the_library_animations_are_read_and_films_named_with_their_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = "import sys; sys.modules['av'] = None; from flashweb.video.worker import main; main(1 << 30, 10.0)"
    async with workers_of() as workers:
        monkeypatch.setattr(workers._pool._workers[0], "_command", (sys.executable, "-c", code))
        assert (await workers.opened(file(clips.animation("GIF", [100, 100])))).num_frames == 2
        error = await refused(workers, clips.film(3))
        assert isinstance(error, UnsupportedMediaType) and "flashweb[video]" in error.message


def test_the_bytes_decide_what_a_clip_is() -> None:
    heads = {
        "mov": [b"\0\0\0\x20ftypisom", b"\0\0\0\x08moov", b"\0\0\0\x08wide"], "avi": [b"RIFF\4\0\0\0AVI "],
        "webp": [b"RIFF\4\0\0\0WEBP"], "matroska": [b"\x1a\x45\xdf\xa3"], "gif": [b"GIF89a"],
        None: [b"", b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypavif", b"%PDF-1.7", b"#EXTM3U\nhttp://a/b.ts"],
    }  # fmt: skip
    for kind, starts in heads.items():
        assert all(kind_of(start) == kind for start in starts), kind
    assert not is_whole(b"\0\0\0\x20ftypisom" + bytes(20), "mov")
