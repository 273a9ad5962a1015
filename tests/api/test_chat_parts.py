"""Parts of messages: their dialects, how large pictures may get, and pictures that are named instead of sent."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.house import House, ScriptedEngine, data_url, open_house, png

PICTURE = png(grey=7)
URL = data_url(PICTURE)
LARGE = data_url(png(700, 800))


def asked(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


def named(uuid: str, url: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": url if url is None else {"url": url}, "uuid": uuid, **more}


def spans(house: House) -> Any:
    return house.engine.asked[-1][0].spans


DIALECTS: dict[str, dict[str, Any]] = {
    "responses": {"type": "input_image", "image_url": URL, "detail": "auto"},
    "anthropic base64": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PICTURE).decode()},
    },
    "anthropic url": {"type": "image", "source": {"type": "url", "url": URL}},
    "hugging face image": {"type": "image", "image": URL},
    "hugging face url": {"type": "image", "url": URL},
    "hugging face base64": {"type": "image", "base64": base64.b64encode(PICTURE).decode()},
}


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_picture_may_be_written_in_another_dialect(name: str) -> None:
    async with open_house(ScriptedEngine()) as house:
        await house.post(asked({"type": "image_url", "image_url": {"url": URL}}))
        expected = house.engine.asked[-1][0]
        response = await house.post(asked(DIALECTS[name]))
        assert response.status_code == 200, response.text
        assert house.engine.asked[-1][0].token_ids == expected.token_ids
        assert spans(house)[0].image.digest == expected.spans[0].image.digest


async def test_text_may_be_written_in_another_dialect() -> None:
    async with open_house() as house:
        messages = [
            {"role": "user", "content": [{"type": "input_text", "text": "first"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "second"}]},
            {"role": "user", "content": [{"type": "text", "text": "third"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "fourth"}]},
            {"role": "user", "content": "fifth"},
        ]
        answer = (await house.post({"messages": messages})).json()["choices"][0]["message"]["content"]
    assert [answer.count(word) for word in ("first", "second", "third", "fourth", "fifth")] == [1] * 5


@pytest.mark.parametrize(
    ("part", "param", "words"),
    [
        ({"type": "image_url"}, "messages[0].content[0]", "names no picture"),
        ({"type": "image_url", "image_url": None}, "messages[0].content[0]", "names no picture"),
        ({"type": "image"}, "messages[0].content[0]", "names no picture"),
        ({"type": "image", "url": URL, "image": URL}, "messages[0].content[0]", "image and as url"),
        ({"type": "refusal", "refusal": "no"}, "messages[0].content[0]", "an assistant's"),
        ({"type": "image_url", "image_url": {"url": URL, "detail": "tiny"}}, None, "'low', 'high', 'auto'"),
        ({"type": "image_url", "image_url": {"url": URL, "max_pixels": 1}}, None, "at least 12544, got 1"),
        (named(""), "messages[0].content[0].uuid", "at least 1 character"),
        (named("x" * 129), "messages[0].content[0].uuid", "at most 128 characters"),
    ],
)
async def test_a_part_that_names_no_picture_or_two_is_refused(part: Any, param: str | None, words: str) -> None:
    async with open_house(ScriptedEngine()) as house:
        response = await house.post(asked(part))
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert words in error["message"] and param in (None, error["param"])


# --- how large ----------------------------------------------------------------------------------------------------


async def size_of(house: House, picture: Any, **parameters: Any) -> dict[str, Any]:
    response = await house.post({**asked(picture), **parameters})
    assert response.status_code == 200, response.text
    details = response.json()["usage"]["prompt_tokens_details"]
    (image,) = details["images"]
    assert image["tokens"] == details["image_tokens"] == spans(house)[0].image.grid.num_tokens
    return dict(image)


async def test_low_detail_is_a_small_budget_and_the_size_used_is_told() -> None:
    async with open_house(ScriptedEngine()) as house:
        sizes = {
            detail: await size_of(house, {"type": "image_url", "image_url": {"url": LARGE, "detail": detail}})
            for detail in ("low", "high", "auto", "original", None)
        }
    assert sizes["low"]["tokens"] <= 256 and sizes["low"]["width"] * sizes["low"]["height"] <= 448 * 448
    assert sizes["high"] == sizes["auto"] == sizes["original"] == sizes[None]
    assert sizes["high"] == {"width": 700, "height": 812, "source_width": 700, "source_height": 800, "tokens": 725}


async def test_the_smallest_of_several_bounds_holds() -> None:
    part = {"type": "image_url", "image_url": {"url": LARGE, "max_pixels": 100_000}}
    low = {"type": "image_url", "image_url": {"url": LARGE, "detail": "low", "max_pixels": 300_000}}
    async with open_house(ScriptedEngine()) as house:
        assert (await size_of(house, part))["tokens"] <= 100_000 // 784
        assert 100_000 // 784 < (await size_of(house, low))["tokens"] <= 256
        request_wide = {"mm_processor_kwargs": {"max_pixels": 70_000}}
        assert (await size_of(house, part, **request_wide))["tokens"] <= 70_000 // 784
        enlarged = await size_of(house, {"type": "image_url", "image_url": URL, "detail": "high"}, **request_wide)
        assert enlarged == await size_of(house, {"type": "image_url", "image_url": URL})


async def test_low_detail_lets_pictures_fit_that_would_not() -> None:
    async with open_house(ScriptedEngine()) as house:
        parts = [{"type": "image_url", "image_url": {"url": LARGE, "detail": d}} for d in ("low", "high")]
        assert (await house.post(asked(*[parts[1]] * 4))).json()["error"]["code"] == "context_length_exceeded"
        assert (await house.post(asked(*[parts[0]] * 4))).status_code == 200


async def test_a_request_cannot_choose_what_is_not_offered_about_pictures() -> None:
    async with open_house(ScriptedEngine()) as house:
        response = await house.post({**asked(DIALECTS["responses"]), "mm_processor_kwargs": {"min_pixels": 9_000_000}})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "mm_processor_kwargs.min_pixels"


# --- named instead of sent ----------------------------------------------------------------------------------------


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


async def test_a_picture_sent_once_is_found_by_its_uuid_and_only_by_its_sender() -> None:
    async with open_house(ScriptedEngine()) as house:
        assert (await house.post(asked(named("a", URL)), headers=key("ann"))).status_code == 200
        digest = spans(house)[0].image.digest
        again = await house.post(asked(named("a"), {"type": "text", "text": "and now?"}), headers=key("ann"))
        assert again.status_code == 200 and spans(house)[0].image.digest == digest
        small = await house.post(asked(named("a", detail="low")), headers=key("ann"))
        assert small.status_code == 200
        for headers in (key("bob"), {}, {"authorization": "Bearer"}):
            missing = await house.post(asked(named("a")), headers=headers)
            assert missing.status_code == 404, missing.text
            error = missing.json()["error"]
            assert (error["code"], error["param"]) == ("image_not_found", "uuid")
            assert "'a'" in error["message"] and "Send the picture again" in error["message"]


async def test_a_uuid_may_be_repeated_within_the_request_that_brings_its_picture() -> None:
    async with open_house(ScriptedEngine()) as house:
        messages = [
            *asked(named("a", URL), {"type": "text", "text": "first"})["messages"],
            {"role": "assistant", "content": "one"},
            *asked(named("a"), {"type": "text", "text": "second"})["messages"],
        ]
        assert (await house.post({"messages": messages})).status_code == 200
        assert len({span.image.digest for span in spans(house)}) == 1 and len(spans(house)) == 2
        both = await house.post(asked(named("b", URL), named("b", LARGE)))
    assert both.status_code == 400 and "two different pictures" in both.json()["error"]["message"]


async def test_a_uuid_that_comes_with_another_picture_names_that_one_from_then_on() -> None:
    other = data_url(png(grey=9))
    async with open_house(ScriptedEngine()) as house:
        digests = []
        for url in (URL, None, other, None, URL, None):  # the last is known to the cache of texts by then
            assert (await house.post(asked(named("a", url)))).status_code == 200
            digests.append(spans(house)[0].image.digest)
    assert digests[0] == digests[1] != digests[2] == digests[3]
    assert digests[4] == digests[5] == digests[0]


async def test_a_server_that_keeps_no_pictures_says_so_when_one_is_named() -> None:
    async with open_house(ScriptedEngine(), media__media_uuid_memory=0) as house:
        assert (await house.post(asked(named("a", URL)))).status_code == 200
        assert (await house.post(asked(named("a")))).status_code == 404
