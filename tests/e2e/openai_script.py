"""What an application does with the official OpenAI client, run against a server: sync, async, streamed, errors.

    python openai_script.py BASE_URL [PICTURE QUESTION [EXPECTED_ANSWER]]

Needs nothing but the `openai` package (1.40.0 or newer), so that it runs unchanged in an environment of another
version. Prints one JSON object with what came back; exits non-zero when something is not as an application expects.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path

import openai
from pydantic import TypeAdapter

# The 1 x 1 PNG of the product's own samples.
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
MODEL = "glm-4.6v-flash"


def messages(picture: str, question: str) -> list[dict[str, object]]:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
    return [{"role": "user", "content": [image, {"type": "text", "text": question}]}]


def valid(answer: object) -> object:
    """The same, once its JSON was read strictly as its own type: the client itself builds objects without looking."""
    TypeAdapter(type(answer)).validate_json(answer.model_dump_json(exclude_unset=True), strict=True)  # type: ignore[attr-defined]
    return answer


def joined(chunks: list[object]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)  # type: ignore[attr-defined]


def run_sync(client: openai.OpenAI, asked: list[dict[str, object]]) -> str:
    assert MODEL in [model.id for model in client.models.list()]
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=asked, max_tokens=64, temperature=0)
    assert raw.headers["x-request-id"].startswith("req_")
    whole = valid(raw.parse())
    assert (
        whole.model == MODEL and whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    )
    assert whole.choices[0].finish_reason in ("stop", "length")
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=asked,
            max_tokens=64,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert len({valid(chunk).id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    answer = whole.choices[0].message.content
    assert joined(chunks) == answer, (joined(chunks), answer)
    return answer


async def run_async(client: openai.AsyncOpenAI, asked: list[dict[str, object]], expected: str) -> None:
    whole = await client.chat.completions.create(model=MODEL, messages=asked, max_tokens=64, temperature=0)
    assert whole.choices[0].message.content == expected
    stream = await client.chat.completions.create(
        model=MODEL, messages=asked, max_tokens=64, temperature=0, stream=True
    )
    assert joined([chunk async for chunk in stream]) == expected
    crowd = [
        client.chat.completions.create(model=MODEL, messages=asked, max_tokens=64, temperature=0) for _ in range(8)
    ]
    assert {answer.choices[0].message.content for answer in await asyncio.gather(*crowd)} == {expected}


def run_parameters(client: openai.OpenAI, asked: list[dict[str, object]]) -> None:
    """Everything OpenAI names beside messages, in one request and in its streamed form."""
    create = client.chat.completions.create
    parameters = {
        "n": 2, "seed": 7, "temperature": 0.8, "top_p": 0.9, "max_completion_tokens": 6, "stop": ["###"],
        "presence_penalty": 0.1, "frequency_penalty": 0.1, "logit_bias": {"10": -100}, "logprobs": True,
        "top_logprobs": 2, "user": "ann", "metadata": {"order": "1"}, "store": False, "service_tier": "auto",
    }  # fmt: skip
    if openai.__version__ == "1.40.0":  # it names fewer of them; programs of its time pass the others so
        late = {name: parameters.pop(name) for name in ("max_completion_tokens", "metadata", "store")}
        parameters["extra_body"] = late
    whole = valid(create(model=MODEL, messages=asked, **parameters))
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert whole.system_fingerprint.startswith("fp_") and whole.service_tier == "default"
    for choice in whole.choices:
        assert choice.finish_reason in ("stop", "length")
        assert all(entry.logprob <= 0 and len(entry.top_logprobs) <= 2 for entry in choice.logprobs.content)
    again = create(model=MODEL, messages=asked, **parameters)
    assert [c.message.content for c in again.choices] == [c.message.content for c in whole.choices], "same seed"
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = list(create(model=MODEL, messages=asked, **parameters, stream=True, stream_options=options))
    counts = [valid(chunk).usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts) and counts[-1] == whole.usage.completion_tokens, counts
    for index, choice in enumerate(whole.choices):
        pieces = [c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == index]
        assert "".join(pieces) == choice.message.content
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=asked, max_tokens=2, extra_body={"no_such_field": 1}
    )
    assert raw.headers["x-flashweb-warning"] == "ignored unknown fields: no_such_field"


def run_messages(client: openai.OpenAI, picture: str) -> None:
    """Roles, parts and pictures as OpenAI and vLLM write them."""

    def ask(*turns: object, **more: object) -> object:
        return client.chat.completions.create(
            model=MODEL, messages=list(turns), max_tokens=8, temperature=0, extra_body=more
        )

    link = {"url": f"data:image/png;base64,{picture}", "detail": "low"}
    text = {"type": "text", "text": "What is it?"}
    sent = {"role": "user", "content": [{"type": "image_url", "image_url": link, "uuid": "one"}, text]}
    referred = {"role": "user", "content": [{"type": "image_url", "image_url": None, "uuid": "one"}, text]}
    developer = {"role": "developer", "content": "Be brief."}
    first, second = ask(developer, sent), ask(developer, sent, mm_processor_kwargs={"max_pixels": 200704})
    named = ask(developer, {**referred, "content": [{**referred["content"][0], "detail": "low"}, text]})
    assert first.choices[0].message.content == second.choices[0].message.content == named.choices[0].message.content
    details = named.usage.model_dump()["prompt_tokens_details"]
    assert details["image_tokens"] == sum(image["tokens"] for image in details["images"]) <= 256
    begun = {"role": "assistant", "content": "It is"}
    rest = ask(developer, sent, begun, continue_final_message=True, add_generation_prompt=False)
    assert rest.usage.prompt_tokens > first.usage.prompt_tokens
    try:
        ask({"role": "user", "content": [{"type": "image_url", "image_url": None, "uuid": "two"}]})
        raise AssertionError("a picture that was never sent was found")
    except openai.NotFoundError as error:
        assert error.code == "image_not_found", error.body


def run_errors(client: openai.OpenAI) -> None:
    try:
        client.chat.completions.create(model="gpt-4o", messages=messages(DOT, "hi"))
        raise AssertionError("an unknown model was answered")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found" and error.param == "model", error.body
        assert error.request_id.startswith("req_")
    try:
        client.chat.completions.create(model=MODEL, messages=messages("AAAA", "hi"))
        raise AssertionError("four letters are no picture")
    except openai.BadRequestError as error:
        assert error.type == "invalid_request_error", error.body
    try:
        client.chat.completions.create(model=MODEL, messages=messages(DOT, "hi"), temperature=3)
        raise AssertionError("temperature 3 was taken")
    except openai.BadRequestError as error:
        assert error.param == "temperature" and "at most 2" in error.message


def main() -> None:
    base_url, *rest = sys.argv[1:]
    picture, question, expected = DOT, "What is in this image?", None
    if rest:
        picture = base64.b64encode(Path(rest[0]).read_bytes()).decode()
        question, expected = rest[1], rest[2] if len(rest) > 2 else None
    client = openai.OpenAI(base_url=base_url, api_key="not-needed", max_retries=0)
    asked = messages(picture, question)
    answer = run_sync(client, asked)
    asyncio.run(run_async(openai.AsyncOpenAI(base_url=base_url, api_key="not-needed", max_retries=0), asked, answer))
    run_parameters(client, asked)
    run_messages(client, picture)
    run_errors(client)
    assert expected is None or answer.strip() == expected, f"answered {answer!r}, the picture says {expected!r}"
    print(json.dumps({"openai": openai.__version__, "answer": answer}))


if __name__ == "__main__":
    main()
