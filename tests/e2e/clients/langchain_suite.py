"""LangChain's own standard suite for chat models, over `ChatOpenAI` and a server with the bundled model.

Run by `tests/e2e/test_clients.py` with `.venv-langchain`. In LOGIT_BIAS is what ends strings and calls of the bundled
model early: asked for jokes, which it has never seen, it writes on until `max_tokens`.

What only the bundled model cannot do is marked `xfail`; its answers are always the same, so the marks are strict. A
test below each shows the same way with the choice taken from the model.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any, Literal

import pytest
from common import AMOUNTS, BASE_URL, EXAMPLES, MODEL
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests, chat_models
from pydantic import BaseModel

PICTURE = EXAMPLES / "price-tag.png"
PICTURE_BASE64 = base64.b64encode(PICTURE.read_bytes()).decode()
PICTURE_URL = f"{os.environ['PICTURES_URL']}/{PICTURE.name}"
never_calls = pytest.mark.xfail(strict=True, reason="the bundled model does not choose by itself to ask for weather")


def _with_our_picture(test: Any) -> None:
    """The suite's tests of pictures fetch theirs from the internet: they get the address of ours instead."""
    old = test.__code__.co_consts
    new = tuple(PICTURE_URL if isinstance(one, str) and one.endswith(".png") else one for one in old)
    assert new != old
    test.__code__ = test.__code__.replace(co_consts=new)


for _test in ("test_image_inputs", "test_image_tool_message", "test_anthropic_inputs"):
    _with_our_picture(getattr(ChatModelIntegrationTests, _test))


class TestChatOpenAI(ChatModelIntegrationTests):
    has_tool_calling = has_tool_choice = has_structured_output = supports_json_mode = True
    supports_image_inputs = supports_image_urls = supports_image_tool_message = supports_anthropic_inputs = True
    supports_pdf_inputs = supports_pdf_tool_message = supports_audio_inputs = supports_video_inputs = False
    returns_usage_metadata = True
    model_override_value = "glm-4.6v-flash"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "base_url": BASE_URL,
            "model": MODEL,
            "api_key": "not-needed",
            "stream_usage": True,  # with an address other than OpenAI's the client asks for usage only when told to
            "temperature": 0,
            "max_tokens": 512,
            "logit_bias": json.loads(os.environ["LOGIT_BIAS"]),
            "model_kwargs": {"parallel_tool_calls": False},  # the bundled model would call again and again
        }

    @property
    def supported_usage_metadata_details(self) -> dict[Literal["invoke", "stream"], list[Any]]:
        return {name: ["reasoning_output", "cache_read_input"] for name in ("invoke", "stream")}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        model = self._model(reasoning_effort="low", max_tokens=64)
        message = _ask(model, "What is 3 + 4?", stream=stream)
        assert message.usage_metadata and message.usage_metadata["output_token_details"]["reasoning"] > 0
        return message

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        question = "List the amounts. " * 40
        _ask(self._model(max_tokens=4), question)
        message = _ask(self._model(max_tokens=4), question, stream=stream)
        assert message.usage_metadata and message.usage_metadata["input_token_details"]["cache_read"] > 0
        return message

    def _model(self, **more: Any) -> BaseChatModel:
        return self.chat_model_class(**{**self.chat_model_params, **more})

    def test_a_picture_is_read_in_every_form(self, model: BaseChatModel) -> None:
        for picture in (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE_BASE64}"}},
            {"type": "image", "base64": PICTURE_BASE64, "mime_type": "image/png"},
            {"type": "image", "url": PICTURE_URL},
        ):
            question = {"type": "text", "text": "list the amounts"}
            assert model.invoke([HumanMessage([question, picture])]).text == AMOUNTS

    def test_a_prompt_over_the_context_is_an_error_of_langchains_own(self, model: BaseChatModel) -> None:
        with pytest.raises(ContextOverflowError, match="maximum context length"):
            model.invoke("a " * 40000)

    # --- what the bundled model cannot do, and the way there without its choice --------------------------------------

    @pytest.mark.parametrize("model", [{}, {"output_version": "v1"}], indirect=True)
    async def test_a_call_with_only_one_possible_number_comes_in_every_way(self, model: BaseChatModel) -> None:
        parameters = {"type": "object", "properties": {"input": {"const": 3}}, "required": ["input"]}
        function = {"name": "magic_function", "description": "Magic.", "parameters": parameters}
        bound = model.bind_tools([{"type": "function", "function": function}], tool_choice="any")
        query = "What is the value of magic_function(3)? Use the tool."
        for message in (bound.invoke(query), await bound.ainvoke(query), _sum(list(bound.stream(query)))):
            chat_models._validate_tool_call_message(message)

    @never_calls
    @pytest.mark.parametrize("model", [{}, {"output_version": "v1"}], indirect=True)
    def test_agent_loop(self, model: BaseChatModel) -> None:
        super().test_agent_loop(model)

    @pytest.mark.parametrize("model", [{}, {"output_version": "v1"}], indirect=True)
    def test_an_agent_loop_whose_first_step_is_forced(self, model: BaseChatModel) -> None:
        def get_weather(location: str) -> str:
            """Get weather at a location."""
            return "It's sunny."

        question = HumanMessage("What is the weather in San Francisco, CA?")
        called = model.bind_tools([get_weather], tool_choice="get_weather").invoke([question])
        (call,) = called.tool_calls
        result = ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])
        answer = model.bind_tools([get_weather]).invoke([question, called, result])
        assert answer.text and not answer.tool_calls

    @pytest.mark.xfail(strict=True, reason="the bundled model writes an object, but not with the keys it was told of")
    def test_json_mode(self, model: BaseChatModel) -> None:
        super().test_json_mode(model)

    def test_json_mode_answers_with_an_object(self, model: BaseChatModel) -> None:
        found = model.with_structured_output(None, method="json_mode").invoke("Answer as JSON.")
        assert isinstance(found, dict)

    @pytest.mark.xfail(strict=True, reason="the bundled model does not copy a name out of the question")
    def test_unicode_tool_call_integration(self, model: BaseChatModel) -> None:
        super().test_unicode_tool_call_integration(model)

    def test_characters_of_any_script_come_through_a_call(self, model: BaseChatModel) -> None:
        name = "你好啊集团 こんにちは株式会社 🙂"

        class Customer(BaseModel):
            """A customer."""

            name: Literal[name]  # type: ignore[valid-type]

        bound = model.bind_tools([Customer], tool_choice="any")
        for message in (bound.invoke("Create a customer."), _sum(list(bound.stream("Create a customer.")))):
            assert message.tool_calls[0]["args"] == {"name": name}


def _ask(model: BaseChatModel, question: str, *, stream: bool = False) -> AIMessage:
    return _sum(list(model.stream(question))) if stream else model.invoke(question)


def _sum(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    first, *rest = chunks
    return sum(rest, first)
