"""The loader: order, limits before work, budgets of a whole request, the event loop kept free."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flashweb.errors import (
    FlashwebError,
    ImageDownloadFailed,
    InvalidImage,
    InvalidImageUrl,
    InvalidRequest,
    TooLarge,
)
from flashweb.media import ImageGeometry, MediaLoader, MediaSettings
from flashweb.media import loader as loader_module
from flashweb.types import ImagePart, PictureTimes
from tests.media.pictures import encoded, noise, png_claiming


def part(image: Image.Image, format: str = "PNG") -> ImagePart:
    return ImagePart(data=encoded(image, format))


def count_preparations(monkeypatch: pytest.MonkeyPatch, before: Callable[[], object] = lambda: None) -> list[bytes]:
    """The files that are really prepared from now on, `before` each."""
    made: list[bytes] = []

    def prepare(data: bytes, *others: Any) -> NDArray[np.uint8]:
        made.append(data)
        before()
        return really(data, *others)

    really = loader_module.prepare
    monkeypatch.setattr(loader_module, "prepare", prepare)
    return made


async def test_pictures_come_back_in_the_order_given() -> None:
    sizes = [(28 * n, 28 * (9 - n)) for n in range(1, 9)]
    async with MediaLoader(MediaSettings(), ImageGeometry(min_pixels=1)) as loader:
        images = await loader.load([part(noise(*size)) for size in sizes])
    assert [image.source_size for image in images] == sizes
    assert [(image.grid.h * 14, image.grid.w * 14) for image in images] == sizes
    for image in images:
        assert image.patches.shape == (image.grid.num_patches, 588)


async def test_the_same_picture_has_one_digest_whichever_way_it_comes() -> None:
    data = encoded(noise(60, 80))
    text = base64.b64encode(data).decode()
    parts = [ImagePart(data=data), ImagePart(url=text), ImagePart(url="data:image/png;base64," + text)]
    async with MediaLoader(MediaSettings()) as loader:
        *images, other = await loader.load([*parts, part(noise(60, 80), "BMP")])
    assert len({image.digest for image in images}) == 1
    assert other.digest != images[0].digest  # another file, though its pixels are the same


async def test_the_digest_tells_how_a_picture_is_prepared() -> None:
    data = encoded(noise(100, 140))
    digests = set()
    for settings in (MediaSettings(), MediaSettings(resize="fast", num_workers=1), MediaSettings(max_image_size=56)):
        async with MediaLoader(settings) as loader:
            (image,) = await loader.load([ImagePart(data=data)])
            digests.add(image.digest)
    assert len(digests) == 3


async def test_the_same_file_is_prepared_once_also_when_many_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = count_preparations(monkeypatch)
    same, other = part(noise(300, 400)), part(noise(300, 400, seed=1))
    async with MediaLoader(MediaSettings(num_workers=4)) as loader:
        many = [loader.load([same]) for _ in range(8)]
        first, *others = await asyncio.gather(*many, loader.load([same, other, same]))
        assert len(made) == 2
        assert all(one[0] is first[0] for one in others)
        assert others[-1][1].digest != first[0].digest
        with pytest.raises(ValueError, match="read-only"):
            first[0].patches[0, 0] = 1


async def test_a_cache_of_no_bytes_prepares_every_request_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made = count_preparations(monkeypatch)
    async with MediaLoader(MediaSettings(cache_bytes=0)) as loader:
        one, two = [await loader.load([part(noise(60, 80))]) for _ in range(2)]
    assert len(made) == 2
    assert one[0].digest == two[0].digest and np.array_equal(one[0].patches, two[0].patches)


async def test_who_waits_for_a_picture_gets_it_though_its_first_caller_left(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    made = count_preparations(monkeypatch, lambda: (begun.set(), go_on.wait(10)))
    async with MediaLoader(MediaSettings(num_workers=2)) as loader:
        first = asyncio.create_task(loader.load([part(noise(60, 80))]))
        await asyncio.to_thread(begun.wait, 10)
        second, third = (asyncio.create_task(loader.load([part(noise(60, 80))])) for _ in range(2))
        await asyncio.sleep(0.1)  # both wait for the first one's
        for leaves in (first, third):
            leaves.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaves
        go_on.set()
        assert len(await second) == 1
    assert len(made) == 1


async def test_a_known_picture_meets_every_check_again() -> None:
    known = part(noise(60, 80))
    async with MediaLoader(MediaSettings(max_request_pixels=12_000)) as loader:
        await loader.load([known])
        with pytest.raises(TooLarge, match="14,400 pixels together"):
            await loader.load([known] * 3)

        def refuse(sizes: Sequence[tuple[int, int]]) -> None:
            raise InvalidRequest(f"no room for {sizes}")

        with pytest.raises(InvalidRequest, match="no room"):
            await loader.load([known], refuse)


def data_url(image: Image.Image, format: str = "PNG") -> ImagePart:
    return ImagePart(url=f"data:image/{format.lower()};base64,{base64.b64encode(encoded(image, format)).decode()}")


async def test_pictures_sent_again_as_the_same_texts_are_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("read")

    one, two = data_url(noise(60, 80)), ImagePart(url=base64.b64encode(encoded(noise(80, 60))).decode())
    async with MediaLoader(MediaSettings()) as loader:
        (first,) = await loader.load([one])
        _, second = await loader.load([one, two])
        monkeypatch.setattr(loader_module, "read_inline", never)
        again = await loader.load([two, one, two])
        assert [image is before for image, before in zip(again, [second, first, second], strict=True)] == [True] * 3
        for others in ([data_url(noise(60, 80, seed=1))], [one, ImagePart(data=encoded(noise(60, 80)))]):
            with pytest.raises(AssertionError, match="read"):
                await loader.load(others)


async def test_a_known_text_meets_every_check_of_its_request() -> None:
    known = data_url(noise(60, 80))
    num_bytes = len(encoded(noise(60, 80)))
    settings = MediaSettings(max_images=4, max_request_pixels=12_000, max_request_bytes=3 * num_bytes)

    def refuse(sizes: Sequence[tuple[int, int]]) -> None:
        raise InvalidRequest(f"no room for {sizes}")

    async with MediaLoader(settings) as loader:
        await loader.load([known])
        with pytest.raises(InvalidRequest, match="holds 5 pictures, the limit is 4"):
            await loader.load([known] * 5)
        with pytest.raises(TooLarge, match="bytes together"):
            await loader.load([known] * 4)
        with pytest.raises(TooLarge, match="14,400 pixels together"):
            await loader.load([known] * 3)
        with pytest.raises(InvalidRequest, match=r"no room for \[\(60, 80\), \(60, 80\)\]"):
            await loader.load([known] * 2, refuse)


async def test_a_picture_that_was_fetched_is_fetched_again() -> None:
    class Counting:
        fetched = 0

        async def fetch(self, url: str) -> bytes:
            self.fetched += 1
            return encoded(noise(60, 80))

    fetcher: Any = Counting()
    async with MediaLoader(MediaSettings(), fetcher=fetcher) as loader:
        for _ in range(2):
            await loader.load([ImagePart(url="https://example.com/a.png")])
    assert fetcher.fetched == 2


async def test_where_the_time_went_is_told_once_for_each_picture_that_was_made() -> None:
    first, again = PictureTimes(), PictureTimes()
    url = "data:image/png;base64," + base64.b64encode(encoded(noise(60, 80))).decode()
    async with MediaLoader(MediaSettings()) as loader:
        await loader.load([ImagePart(url=url), part(noise(56, 56)), part(noise(56, 56))], times=first)
        await loader.load([ImagePart(url=url)], times=again)
    assert len(first.decodes) == len(first.preparations) == 2 and min(*first.decodes, *first.preparations) > 0
    assert first.file_bytes == [len(encoded(noise(*size))) for size in ((60, 80), (56, 56), (56, 56))]
    assert (again.decodes, again.preparations, again.fetches) == ([], [], [])
    assert again.file_bytes == first.file_bytes[:1]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (ImageDownloadFailed("x"), "failed"),
        (InvalidImageUrl("x"), "refused"),
        (TooLarge("x"), "too_large"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
async def test_a_download_is_told_with_how_it_ended(error: BaseException | None, outcome: str) -> None:
    class Fetching:
        async def fetch(self, url: str) -> bytes:
            if error is not None:
                raise error
            return encoded(noise(60, 80))

    fetcher: Any = Fetching()
    times = PictureTimes()
    async with MediaLoader(MediaSettings(), fetcher=fetcher) as loader:
        with suppress(FlashwebError, asyncio.CancelledError):
            await loader.load([ImagePart(url="https://example.com/a.png")], times=times)
    ((told, seconds),) = times.fetches
    assert told == outcome and seconds >= 0
    assert len(times.preparations) == (outcome == "ok")


async def test_a_large_data_url_is_read_like_a_small_one() -> None:
    data = encoded(noise(500, 500), "BMP")
    url = "data:image/bmp;base64," + base64.b64encode(data).decode()
    assert len(url) > loader_module._LONG_URL_CHARACTERS
    async with MediaLoader(MediaSettings()) as loader:
        one, two = await loader.load([ImagePart(url=url), ImagePart(data=data)])
    assert one.digest == two.digest


async def test_transposed_cropped_and_recoloured_pairs_have_different_digests() -> None:
    image = noise(56, 112)
    others = [
        image.transpose(Image.Transpose.TRANSPOSE),
        image.crop((0, 0, 56, 56)),
        image.quantize(8),
        image.convert("L"),
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    ]
    async with MediaLoader(MediaSettings()) as loader:
        images = await loader.load([part(one) for one in [image, *others]])
    assert len({one.digest for one in images}) == 6


async def test_too_many_pictures_are_refused_before_any_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(loader_module, "read_inline", never)
    async with MediaLoader(MediaSettings(max_images=2)) as loader:
        with pytest.raises(InvalidRequest, match="holds 3 pictures, the limit is 2"):
            await loader.load([part(noise(4, 4))] * 3)


async def test_a_requests_pixel_budget_is_checked_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(loader_module, "prepare", never)
    parts = [ImagePart(data=png_claiming(5000, 9999))] * 5
    async with MediaLoader(MediaSettings()) as loader:
        with pytest.raises(TooLarge, match="249,975,000 pixels together, the limit is 200,000,000"):
            await loader.load(parts)
    async with MediaLoader(MediaSettings(max_request_pixels=10_000_000)) as loader:
        with pytest.raises(TooLarge, match="49,995,000 pixels together, the limit is 10,000,000"):
            await loader.load(parts[:1])


async def test_a_requests_byte_budget_holds() -> None:
    data = encoded(noise(200, 200), "BMP")
    async with MediaLoader(MediaSettings(max_request_bytes=len(data) * 2)) as loader:
        assert len(await loader.load([ImagePart(data=data)] * 2)) == 2
        with pytest.raises(TooLarge, match="together"):
            await loader.load([ImagePart(data=data)] * 3)


async def test_sizes_are_known_before_decoding_and_may_refuse_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(loader_module, "prepare", never)
    seen: list[tuple[int, int]] = []

    def check(sizes: Sequence[tuple[int, int]]) -> None:
        seen.extend(sizes)
        raise InvalidRequest("too many tokens")

    async with MediaLoader(MediaSettings()) as loader:
        with pytest.raises(InvalidRequest, match="too many tokens"):
            await loader.load([part(noise(30, 40)), part(noise(50, 60))], check)
        assert seen == [(30, 40), (50, 60)]
        with pytest.raises(InvalidRequest, match="too many tokens"):
            await loader.load([part(noise(70, 80))], check)  # alone, header and pixels are one job
        assert seen[2:] == [(70, 80)]
        assert loader.num_image_tokens((336, 336)) == 144


async def test_one_bad_picture_fails_the_request_and_the_next_request_works() -> None:
    good = part(noise(40, 40))
    async with MediaLoader(MediaSettings()) as loader:
        with pytest.raises(InvalidImage):
            await loader.load([good, ImagePart(data=b"no picture at all"), good])
        assert len(await loader.load([good])) == 1


async def test_a_picture_that_breaks_while_decoding_is_an_error_of_ours() -> None:
    data = encoded(noise(300, 300), "JPEG")
    async with MediaLoader(MediaSettings()) as loader:
        with pytest.raises(InvalidImage, match="truncated"):
            await loader.load([ImagePart(data=data[: len(data) // 2])])


async def test_cancelling_a_request_leaves_the_loader_usable() -> None:
    async with MediaLoader(MediaSettings(num_workers=1)) as loader:
        parts = [part(noise(900, 900, seed=n), "JPEG") for n in range(6)]
        task = asyncio.create_task(loader.load(parts))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(await loader.load(parts[:1])) == 1


async def test_the_event_loop_stays_free_while_pictures_are_prepared() -> None:
    """The longest pause of a ticking task stays far below the work's own length."""
    pauses: list[float] = []

    async def tick() -> None:
        last = perf_counter()
        while True:
            await asyncio.sleep(0.001)
            pauses.append(perf_counter() - last)
            last = perf_counter()

    async with MediaLoader(MediaSettings()) as loader:
        parts = [part(noise(1600, 2000, seed=n), "JPEG") for n in range(4)]
        ticking = asyncio.create_task(tick())
        began = perf_counter()
        await loader.load(parts)
        took = perf_counter() - began
        ticking.cancel()
    assert len(pauses) > 3
    assert sorted(pauses)[len(pauses) // 2] < took / 8


async def test_no_pictures_are_no_work() -> None:
    async with MediaLoader(MediaSettings()) as loader:
        assert await loader.load([]) == []


async def test_a_closed_loader_may_be_closed_again() -> None:
    loader = MediaLoader(MediaSettings())
    loader.close()
    loader.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x.png", "https://[::1]/x.png", "http://169.254.169.254/latest"])
async def test_the_loader_refuses_private_urls(url: str) -> None:
    async with MediaLoader(MediaSettings()) as loader:
        with pytest.raises(FlashwebError, match="not on the public internet"):
            await loader.load([part(noise(8, 8)), ImagePart(url=url)])


def test_every_setting_of_the_tree_reaches_the_loader() -> None:
    from flashweb.settings import MediaSettings as Options

    defaults = MediaSettings.from_options(Options())
    assert defaults == MediaSettings()
    changed = Options(
        max_upload_size=2048, max_image_size=0, max_image_pixels=100, max_aspect_ratio=3, max_images=2,
        media_allow_hosts=("a.test",), fetch_timeout=1, max_fetch_size=4096, max_redirects=0, media_workers=3,
        media_resize="fast", media_cache_memory=5,
    )  # fmt: skip
    expected = MediaSettings(
        max_image_bytes=2048, max_image_size=0, max_pixels=100, max_request_pixels=400, max_aspect_ratio=3,
        max_images=2, allow_hosts=("a.test",), fetch_timeout_seconds=1, fetch_max_bytes=4096,
        fetch_max_redirects=0, num_workers=3, resize="fast", cache_bytes=5,
    )  # fmt: skip
    assert MediaSettings.from_options(changed) == expected
