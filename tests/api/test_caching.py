"""The result cache at the API: whatever asks the model has it alike, of one key's answers only, and says so."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.api.routes import TEXT_ONLY, send, ways_into
from tests.house import House, ScriptedEngine, events_of, open_house, png, until, user

JSON = "application/json"
EVERY_WAY = [*ways_into(), *((path, JSON) for path in TEXT_ONLY)]
AUDIT = '{"contains_price": true, "contains_brand_logo": null, "forbidden_words": []}'
ON: dict[str, Any] = {"results__result_cache": 1 << 20}
GREEDY = {"temperature": 0}
KEYS = {"auth__api_keys": ("shop:sk-0123456789abcdef", "bank:sk-fedcba9876543210")}
SHOP, BANK = ({"authorization": f"Bearer {key.partition(':')[2]}"} for key in KEYS["auth__api_keys"])


async def cached(house: House, **headers: str) -> str | None:
    answer = await house.post({"messages": user("hi", png()), **GREEDY}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-flashweb-cache")


async def test_every_way_into_the_model_is_answered_from_what_was_answered_before() -> None:
    async with open_house(ScriptedEngine(AUDIT), **ON) as house:
        for path, kind in EVERY_WAY:
            own = {} if path.startswith("/api/") else GREEDY  # scenes are greedy by themselves
            asked, prompt = len(house.engine.asked), f"What is {path} {kind}?"
            more = {"question": prompt} if path == "/api/scenes/ocr" else {}
            pictures = [] if path in TEXT_ONLY else [png(56 + len(prompt), 56)]
            first, again = [await send(house, path, kind, pictures, prompt, **own, **more) for _ in range(2)]
            assert first.status_code == again.status_code == 200, f"{path} ({kind}): {first.text}"
            assert again.headers["x-flashweb-cache"] == "hit", f"{path} ({kind})"
            assert len(house.engine.asked) - asked == (first.headers["x-flashweb-cache"] == "miss")


async def test_dialects_that_ask_the_same_share_an_answer_each_in_its_own_words() -> None:
    async with open_house(ScriptedEngine("ok"), **ON) as house:
        said = [{"role": "user", "content": "hi"}]
        chat = await house.post({"messages": said, "max_tokens": 9, **GREEDY})
        message = await house.post(
            {"model": "flashweb-nano", "messages": said, "max_tokens": 9, **GREEDY}, "/v1/messages"
        )
        response = await house.post({"input": "hi", "max_output_tokens": 9, **GREEDY}, "/v1/responses")
    assert [one.headers["x-flashweb-cache"] for one in (chat, message, response)] == ["miss", "hit", "hit"]
    assert message.json()["content"][0]["text"] == "ok" == response.json()["output"][0]["content"][0]["text"]
    usage = response.json()["usage"]
    assert usage["input_tokens_details"]["cached_tokens"] == usage["input_tokens"] > 0


async def test_a_stream_that_was_answered_whole_before_comes_as_a_stream() -> None:
    async with open_house(ScriptedEngine("a b c"), **ON) as house:
        body = {"messages": user("hi"), "stream_options": {"include_usage": True}, **GREEDY}
        whole = await house.post({"messages": user("hi"), **GREEDY})
        streams = [await house.post({**body, "stream": True}) for _ in range(2)]
    assert [one.headers["x-flashweb-cache"] for one in streams] == ["hit", "hit"]
    for stream in streams:
        *chunks, last, done = events_of(stream.text)
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert text == whole.json()["choices"][0]["message"]["content"] == "a b c" and done == "[DONE]"
        assert last["usage"]["prompt_tokens_details"]["cached_tokens"] == last["usage"]["prompt_tokens"]


async def test_answers_are_of_one_key_unless_the_operator_shares_them() -> None:
    for shared, wanted in ((False, ["miss", "hit", "miss"]), (True, ["miss", "hit", "hit"])):
        async with open_house(ScriptedEngine("ok"), **ON, **KEYS, results__result_cache_shared=shared) as house:
            assert [await cached(house, **key) for key in (SHOP, SHOP, BANK)] == wanted


async def test_cache_control_of_a_request_is_honoured() -> None:
    async with open_house(ScriptedEngine("ok"), **ON) as house:
        steps = [({"cache-control": "no-store"}, None), ({}, "miss"), ({"cache-control": "private, No-Cache"}, "miss")]
        steps += [({"cache-control": "max-age=0"}, "miss"), ({}, "hit")]
        for headers, wanted in steps:
            assert await cached(house, **headers) == wanted, headers


async def test_two_requests_at_once_are_one_generation_and_are_told_so() -> None:
    gate = asyncio.Event()
    gate.set()
    async with open_house(ScriptedEngine("ok", gate=gate), **ON) as house:
        gate.clear()
        both = [asyncio.create_task(cached(house)) for _ in range(2)]
        await until(lambda: house.engine.num_running and house.pipeline.num_inside == 2)
        await asyncio.sleep(0.3)  # in which the second would begin another one
        assert (house.engine.num_running, house.pipeline.num_inside) == (1, 2)
        gate.set()
        assert await asyncio.gather(*both) == ["miss", "shared"] and len(house.engine.asked) == 1


async def test_without_the_option_nothing_is_kept_and_nothing_is_said() -> None:
    async with open_house(ScriptedEngine("ok")) as house:
        assert [await cached(house) for _ in range(2)] == [None, None] and len(house.engine.asked) == 2
