"""Clips in requests: the dialects they may be written in, which frames and seconds the model then sees, and where they
are refused."""

from __future__ import annotations

import base64
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flashweb.api.video_parts import or_clip
from flashweb.errors import ObjectNotFound
from flashweb.types import ImagePart, Prompt, VideoPart
from tests import clips
from tests.api.test_documents import code_of, host_of, seen
from tests.house import House, ScriptedEngine, data_url, open_house, png, processor

QUESTION = {"type": "text", "text": "Which amount, at which second?"}
PICTURE = "<|begin_of_image|><|image|><|end_of_image|>"


@cache
def minute() -> bytes:
    """60 s; an amount is shown from second 20 to 30."""
    words, blank = clips.page("88.50"), clips.page("")
    return clips.film(300, lambda n: words if 100 <= n < 150 else blank, rate=5, gop=50)


@cache
def second() -> bytes:
    return clips.film(10, rate=10)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def video(data: bytes, **more: Any) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{base64_of(data)}"}, **more}


def asked(*content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*content, QUESTION]}], **more}


def frames_of(prompt: Prompt) -> list[tuple[float, list[bool]]]:
    """Of every picture of the prompt's clip the second told behind it, and of its frames whether anything is on it."""
    text = processor().tokenizer.decode(prompt.token_ids, keep_control=True)
    seconds = [float(found) for found in re.findall(r"<\|end_of_image\|>([\d.]+) seconds", text)]
    spans = [span.image for span in prompt.spans if span.of_clip]
    assert len(seconds) == len(spans)
    return [
        (at, [bool((half < 100).any()) for half in np.split(image.patches, image.patches.shape[1] // 588, axis=1)])
        for at, image in zip(seconds, spans, strict=True)
    ]


async def test_the_frames_and_seconds_of_a_minute_reach_the_prompt_and_are_decoded_once() -> None:
    async with open_house(ScriptedEngine(max_model_len=8192)) as house:
        answer = await house.post(asked(video(minute())))
        assert answer.status_code == 200, answer.text
        prompt = house.engine.asked[-1][0]
        frames = frames_of(prompt)
        # 2 frames a second and two to a picture: a picture for every second.
        assert len(frames) == 60 and [at for at, _ in frames] == [float(n) for n in range(60)]
        for at, shows in frames:
            assert shows == [20 <= at < 30] * len(shows), at
        usage = answer.json()["usage"]
        assert usage["prompt_tokens_details"]["image_tokens"] == prompt.num_image_tokens == 60 * 48
        assert "images" not in usage["prompt_tokens_details"], "boxes and sizes are told of still pictures"

        workers, decoded = house.pipeline.videos.workers, house.pipeline.videos.workers.num_decoded
        assert decoded == 120
        assert (await house.post(asked(video(minute()), {"type": "text", "text": "And now?"}))).status_code == 200
        again = house.engine.asked[-1][0]
        assert [span.image.digest for span in again.spans] == [span.image.digest for span in prompt.spans]
        assert len({span.image.digest for span in prompt.spans}) == 60
        counted = await house.post(asked(video(minute())), "/tokenize")
        assert counted.json()["count"] == prompt.num_tokens and workers.num_decoded == decoded
        fewer = await house.post(asked(video(minute(), max_frames=6)))
        assert fewer.status_code == 200 and len(frames_of(house.engine.asked[-1][0])) == 3
        await house.post(asked(video(minute(), detail="low")))
        assert house.engine.asked[-1][0].token_ids == prompt.token_ids, "its frames are smaller than that anyway"
        few = {"max_pixels": 12544}
        small = await house.post(asked(video(minute()), mm_processor_kwargs=few), "/tokenize")
        assert small.json()["count"] < prompt.num_tokens


async def uploaded(file_id: str, owner: str, most: int) -> bytes:
    if file_id != "file-1":
        raise ObjectNotFound(f"There is no file {file_id!r}.", code="file_not_found")
    return second()


async def test_a_clip_may_be_written_in_every_dialect() -> None:
    encoded = base64_of(second())
    with host_of(second()) as host:
        dialects: dict[str, dict[str, Any]] = {
            "plain": {"type": "video_url", "video_url": f"data:video/mp4;base64,{encoded}"},
            "bare base64": {"type": "video_url", "video_url": {"url": encoded}},
            "url": {"type": "video_url", "video_url": {"url": f"{host}/0"}},
            "uploaded": {"type": "video_url", "file_id": "file-1"},
            "responses": {"type": "input_video", "video_url": f"{host}/0"},
            "responses id": {"type": "input_video", "file_id": "file-1"},
            "hugging face": {"type": "video", "video": f"{host}/0"},
            "hugging face url": {"type": "video", "url": f"{host}/0"},
        }
        async with open_house(ScriptedEngine(max_model_len=8192), media__media_allow_hosts=["127.0.0.1"]) as house:
            house.pipeline.videos.bytes_of = uploaded
            still = {"type": "image_url", "image_url": {"url": data_url(png())}}
            assert (await house.post(asked(video(second()), still))).status_code == 200
            expected = house.engine.asked[-1][0]
            assert [span.of_clip for span in expected.spans] == [True] * 3 + [False]
            for name, part in dialects.items():
                answer = await house.post(asked(part, still))
                assert answer.status_code == 200, f"{name}: {answer.text}"
                assert house.engine.asked[-1][0].token_ids == expected.token_ids, name
            assert house.pipeline.videos.workers.num_decoded == 6
            content = [video(second()), still, {"type": "input_text", "text": QUESTION["text"]}]
            asks = {"input": [{"role": "user", "content": content}], "store": False}
            answer = await house.post(asks, "/v1/responses")
            assert answer.status_code == 200, answer.text
            assert house.engine.asked[-1][0].token_ids == expected.token_ids


async def test_the_endpoints_for_pictures_and_a_text_take_a_clip_too() -> None:
    async with open_house(ScriptedEngine(answer="ok", max_model_len=8192)) as house:
        question = {"prompt": "What?"}
        bodies: list[dict[str, Any]] = [
            {"json": {**question, "video_url": f"data:video/mp4;base64,{base64_of(second())}"}},
            {"json": {**question, "video_url": {"url": base64_of(second()), "max_frames": 640}}},
            {"json": {**question, "image": base64_of(second())}},
            {"data": question, "files": {"image": ("a.mp4", second(), "video/mp4")}},
        ]
        for body in bodies:
            answer = await house.client.post("/v1/multi-modal/inference", **body)
            assert answer.status_code == 200, answer.text
            assert f"<|begin_of_video|>{PICTURE}0.0 seconds{PICTURE}" in seen(house)
        answer = await house.client.post("/api/scenes/ocr", json=bodies[0]["json"])
        assert answer.status_code == 200, answer.text
        assert "<|begin_of_video|>" in seen(house)
        both = {**question, "image": base64_of(png()), "video_url": base64_of(second())}
        assert (await house.client.post("/infer", json=both)).status_code == 400


def test_a_picture_that_is_a_clip_is_known_by_its_first_bytes_alone() -> None:
    films = [second(), clips.film(2, format="webm", codec="libvpx"), clips.film(2, format="avi", codec="mpeg4")]
    brands = (b"avif", b"heic", b"mif1", b"heix")
    stills = [png(), b"RIFF\4\0\0\0WEBPVP8 ", b"%PDF-", b""]
    stills += [b"\0\0\0\x1cftyp" + brand + bytes(9) for brand in brands]
    for data, is_clip in [(film, True) for film in films] + [(still, False) for still in stills]:
        text = base64_of(data)
        for part in (ImagePart(data=data), ImagePart(url=text), ImagePart(url=f"data:a/b;base64,{text}")):
            assert isinstance(or_clip(part), VideoPart) == is_clip, (data[:12], part.url)
    assert isinstance(or_clip(ImagePart(url="https://a/b.mp4")), ImagePart)


async def test_an_animated_picture_is_its_first_frame_as_a_picture_and_its_frames_with_their_times_as_a_clip() -> None:
    data = clips.animation("GIF", [500, 1500, 1000, 1000])
    async with open_house(ScriptedEngine(max_model_len=8192)) as house:
        await house.post(asked({"type": "image_url", "image_url": {"url": data_url(data)}}))
        assert seen(house).count(PICTURE) == 1 and "seconds" not in seen(house)
        answer = await house.post(asked(video(data)))
        assert answer.status_code == 200, answer.text
        assert f"<|begin_of_video|>{PICTURE}0.0 seconds{PICTURE}2.0 seconds<|end_of_video|>" in seen(house)


@pytest.mark.parametrize(
    ("part", "status", "code", "words"),
    [
        ({"video_url": {"url": "blob:http://a/b"}}, 400, "invalid_video_url", "the clip's URL"),
        ({"video_url": {"url": "http://127.0.0.1:9/a.mp4"}}, 400, "invalid_video_url", "is not on the public internet"),
        ({"video_url": base64_of(b"no clip at all, nothing")}, 415, "unsupported_media_type", "the clip is of no kind"),
        ({"video_url": base64_of(clips.animation("PNG", [0]))}, 400, "invalid_video", "send it as image_url"),
        ({"video_url": "data:video/mp4;base64,AAAA" + "A" * 1600}, 413, "video_too_large", "the limit is 1,024"),
        ({"file_id": "file-9"}, 404, "file_not_found", "file-9"),
        ({}, 400, None, "names no clip"),
        ({"video_url": "http://a/b", "file_id": "x"}, 400, None, "give it once"),
        ({"video_url": "http://a/b", "max_frames": 1}, 400, None, "max_frames must be at least 2"),
    ],
)  # fmt: skip
async def test_a_bad_clip_is_refused_by_its_place(
    part: dict[str, Any], status: int, code: str | None, words: str
) -> None:
    async with open_house(ScriptedEngine(), media__max_video_size=1024) as house:
        house.pipeline.videos.bytes_of = uploaded
        answer = await house.post(asked({"type": "video_url", **part}))
        found, param = code_of(answer, status)
        assert (found, words in answer.json()["error"]["message"]) == (code, True), answer.text
        assert param.startswith("messages[0].content[0]")


async def refusal(house: House, *content: Any) -> tuple[int, str, str]:
    answer = await house.post(asked(*content))
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


async def test_limits_hold_before_a_frame_is_decoded() -> None:
    async with open_house(ScriptedEngine(max_model_len=2000), media__max_videos=1) as house:
        status, code, words = await refusal(house, video(minute()))
        assert (status, code) == (400, "context_length_exceeded") and "max_frames" in words
        status, code, words = await refusal(house, video(second()), video(second()))
        assert status == 400 and "2 clips, the limit is 1" in words
        assert house.pipeline.videos.workers.num_decoded == 0
        answer = await house.post({"messages": [{"role": "system", "content": [video(second())]}]})
        assert answer.status_code == 400 and "clips belong into user messages" in answer.text
    async with open_house(ScriptedEngine(max_model_len=9000), media__max_video_tokens=1000) as house:
        status, code, words = await refusal(house, video(minute()))
        assert (status, code) == (413, "video_too_large") and "become 2,880 tokens, the limit is 1,000" in words
    async with open_house(ScriptedEngine(), media__max_video_seconds=0.5) as house:
        status, code, words = await refusal(house, video(second()))
        assert (status, code) == (413, "video_too_long") and "the clip lasts 1.0 s, the limit is 0.5 s" in words
        shape = Image.new("RGB", (2000, 8))
        wide = clips.film(2, lambda _: shape, rate=10)
        status, code, words = await refusal(house, video(wide))
        assert status == 400 and "2000x8 pixels, the limit is 200:1" in words
