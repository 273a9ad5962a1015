"""A document of forty pages in front of the bundled model: the right page is read, once, and bombs beside it change
nothing."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flashweb.engine import EngineClient
from flashweb.serve import engine_config
from tests import pdfs
from tests.house import NANO, House, make_settings, open_house, processor

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "examples"
SCANS = {7: "price-tag.png", 19: "receipt.png", 33: "label.png", 40: "device.png"}


def scan(name: str) -> pdfs.Page:
    """A page as a scanner makes it: the picture alone, at 144 dots per inch."""
    with Image.open(EXAMPLES / name) as image:
        return pdfs.picture(image, (image.width / 2, image.height / 2))


def records() -> bytes:
    return pdfs.pdf(*(scan(SCANS[n]) if n in SCANS else pdfs.text(f"Chapter {n}") for n in range(1, 41)))


async def ask(house: House, data: bytes, question: str, pages: str) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    document = {"type": "file", "file": {"file_data": encoded, "filename": "records.pdf"}, "pages": pages}
    content = [document, {"type": "text", "text": question}]
    answer = await house.post({"messages": [{"role": "user", "content": content}], "max_tokens": 64})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def said(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


async def test_the_right_page_of_forty_is_read_and_drawn_once() -> None:
    engine = EngineClient(engine_config(make_settings(engine__threads=1), NANO, processor()))
    async with open_house(engine, media__document_page_timeout=2.0) as house:
        workers, data = house.pipeline.documents.workers, records()

        assert said(await ask(house, data, "list the amounts", "7")) == "24.90, 39.90"
        assert said(await ask(house, data, "这个商品包装上写的保质期是哪天?", "33")) == "2027年6月30日"
        assert said(await ask(house, data, "What is the total?", "19")) == "22.58"
        assert "10000mAh" in said(await ask(house, data, "请识别图中所有文字内容", "40-"))
        assert workers.num_drawn == 4

        # The next question: nothing is drawn, and the page's place in the KV cache is found again.
        again = await ask(house, data, "list the amounts", "19")
        assert said(again) == "4.20, 2.75, 6.90, 3.48, 5.25, 22.58, 30.00, 7.42"
        details = again["usage"]["prompt_tokens_details"]
        assert details["cached_tokens"] > details["image_tokens"] > 0 and workers.num_drawn == 4
        # So are the first pages of a longer choice, by what they show.
        more = await ask(house, data, "What is the total?", "19-20")
        assert more["usage"]["prompt_tokens_details"]["cached_tokens"] > details["image_tokens"]

        bombs = [pdfs.endless(), pdfs.swelling(1500), pdfs.encrypted(), data[:-500], pdfs.alike(10_000)]
        jobs = [house.post({"prompt": "What?", "image": base64.b64encode(bomb).decode()}, "/infer") for bomb in bombs]
        *refused, neighbour = await asyncio.gather(*jobs, ask(house, data, "list the amounts", "19"))
        assert [answer.status_code for answer in refused] == [400] * len(bombs)  # type: ignore[union-attr]
        assert said(neighbour) == said(again)  # type: ignore[arg-type]
        assert len(workers.process_ids) <= workers.num_workers
    assert workers.process_ids == ()
