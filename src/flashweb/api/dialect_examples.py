"""Examples for the API's description: bodies and a value for every field of the dialects beside OpenAI's chat. A test
holds each of them against its wire model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flashweb.api.examples import PICTURE_FIELDS

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_ASKED = {"prompt": "这张图是什么?", "image": _PIXEL}
_HELLO = [{"role": "user", "content": "Hello!"}]
_ANTHROPIC_TURN = [
    {
        "role": "user",
        "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PIXEL}},
            {"type": "text", "text": "What is in this image?"},
        ],
    }
]
_BATCH = {
    "input_file_id": "file-0a1b2c3d4e5f60718293a4b5",
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
    "metadata": {"customer": "42"},
}

# Of a request that has no examples of its own beside its routes, by the name of its wire model.
BODIES: Mapping[str, dict[str, Any]] = {
    "CompletionRequest": {"base64": {"value": {**_ASKED, "max_tokens": 64, "temperature": 0.7}}},
    "InferenceRequest": {"raw": {"value": {**_ASKED, "raw": True}}},
    "PromptRequest": {"base64": {"value": _ASKED}},
    "TextCompletionRequest": {"text": {"value": {"prompt": "Green tea is", "max_tokens": 16, "temperature": 0}}},
    "MessagesRequest": {
        "picture": {"value": {"model": "glm-4.6v-flash", "max_tokens": 64, "messages": _ANTHROPIC_TURN}},
        "begun": {
            "value": {
                "model": "glm-4.6v-flash",
                "max_tokens": 64,
                "stop_sequences": ["."],
                "messages": [*_ANTHROPIC_TURN, {"role": "assistant", "content": "The picture shows"}],
            }
        },
    },
    "CountTokensRequest": {"picture": {"value": {"model": "glm-4.6v-flash", "messages": _ANTHROPIC_TURN}}},
    "TokenizeRequest": {
        "text": {"value": {"prompt": "Green tea is", "return_token_strs": True}},
        "chat": {"value": {"messages": _HELLO}},
    },
    "DetokenizeRequest": {"tokens": {"value": {"tokens": [10, 11, 12]}}},
    "SceneRequest": {"rules": {"value": {"image": _PIXEL, "rules": ["不允许出现价格"]}}},
    "BatchRequest": {"chats": {"value": _BATCH}},
}

_FUNCTION = {"name": "now", "description": "the time"}
_MESSAGES_FIELDS: dict[str, Any] = {
    "model": "glm-4.6v-flash",
    "messages": _HELLO,
    "system": "Answer in one sentence.",
    "tools": [{**_FUNCTION, "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 256},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    "max_tokens": 512,
    "stream": True,
    "stop_sequences": ["\n\n"],
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "metadata": {"user_id": "customer-17"},
    "service_tier": "auto",
}
_RESPONSES_FIELDS: dict[str, Any] = {
    "model": "glm-4.6v-flash",
    "input": "Hello!",
    "instructions": "Answer in one sentence.",
    "previous_response_id": "resp_0a1b2c3d4e5f60718293a4b5",
    "tools": [{"type": "function", **_FUNCTION, "parameters": {"type": "object"}}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "text": {"format": {"type": "json_object"}},
    "reasoning": {"effort": "medium", "summary": "auto"},
    "truncation": "disabled",
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "store": False,
    "background": True,
    "max_output_tokens": 512,
    "temperature": 0.7,
    "top_p": 0.9,
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 5,
    "metadata": {"order": "4711"},
    "max_tool_calls": 4,
    "user": "customer-17",
    "safety_identifier": "b7f1",
    "prompt_cache_key": "receipts",
    "prompt_cache_retention": "in_memory",
    "prompt_cache_options": {"mode": "auto"},
    "service_tier": "auto",
}
_TOKENIZE_FIELDS: dict[str, Any] = {
    "model": "glm-4.6v-flash",
    "prompt": "Green tea is",
    "messages": _HELLO,
    "add_special_tokens": True,
    "return_token_strs": True,
    "add_generation_prompt": True,
    "continue_final_message": False,
    "tools": [{"type": "function", "function": {**_FUNCTION, "parameters": {}}}],
    "chat_template_kwargs": {"enable_thinking": True},
    "mm_processor_kwargs": {"max_pixels": 1003520},
}
# A value for every field, by the name of the wire model.
FIELDS: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("CompletionRequest", "InferenceRequest", "PromptRequest", "SceneRequest"), PICTURE_FIELDS),
    "TextCompletionRequest": {
        "model": "glm-4.6v-flash",
        "prompt": "Green tea is",
        "add_special_tokens": True,
        "suffix": "",
        "echo": False,
        "best_of": 1,
        "logprobs": 5,
        "n": 1,
        "stream": True,
        "max_tokens": 512,
        "temperature": 0.7,
    },
    "MessagesRequest": _MESSAGES_FIELDS,
    "CountTokensRequest": _MESSAGES_FIELDS,
    "TokenizeRequest": _TOKENIZE_FIELDS,
    "DetokenizeRequest": {"model": "glm-4.6v-flash", "tokens": [10, 11, 12]},
    "ResponseRequest": _RESPONSES_FIELDS,
    "InputTokensRequest": _RESPONSES_FIELDS,
    "BatchRequest": {
        **_BATCH,
        "output_expires_after": {"anchor": "created_at", "seconds": 86400},
        "webhook_url": "https://example.com/hooks",
    },
}
