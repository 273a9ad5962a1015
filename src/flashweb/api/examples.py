"""Examples for the API's description: whole chat requests, and a value for every field of every request. A test
holds each of them against the wire model."""

from __future__ import annotations

import base64
from typing import Any

_DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)
# A page of an inch with a red square; readers find the objects without a table of their places.
_PDF = (
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Contents 4 0 R>>endobj\n"
    "4 0 obj<</Length 25>>stream\n1 0 0 rg 18 18 36 36 re f\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
)
_QUESTION = {"type": "text", "text": "What is in this image?"}


def _turn(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def _picture(**more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": _DOT, **more}}


# Red, and a second later blue.
_TWO_FRAMES = (
    "data:image/gif;base64,R0lGODlhBAAEAIEAAP8AAAAA/wAAAAAAACH5BABkAAAALAAAAAAEAAQAAAgJAAEIHEiwIICAACH5BABkAAAALAAAAAAEAAQ"
    "Agf8AAAAA/wAAAAAAAAgJAAMIHEiwYICAADs="
)

# name -> (summary, body)
CHAT_REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("text alone", {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 64}),
    "picture": (
        "a picture and a question, in little detail",
        {"model": "glm-4.6v-flash", "messages": [_turn(_picture(detail="low"), _QUESTION)]},
    ),
    "stream": (
        "a streamed answer with its usage",
        {
            "messages": [_turn(_picture(), _QUESTION)],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ),
    "uuid": (
        "a picture to be named by its uuid later",
        {"messages": [_turn({**_picture(), "uuid": "page-1"}, _QUESTION)]},
    ),
    "document": (
        "the first page of a PDF",
        {
            "messages": [
                _turn(
                    {
                        "type": "file",
                        "file": {"file_data": base64.b64encode(_PDF.encode()).decode(), "filename": "square.pdf"},
                        "pages": "1",
                        "dpi": 144,
                    },
                    {"type": "text", "text": "What does page 1 show?"},
                )
            ]
        },
    ),
    "clip": (
        "two frames of an animation",
        {
            "messages": [
                _turn(
                    {"type": "video_url", "video_url": {"url": _TWO_FRAMES}, "max_frames": 2},
                    {"type": "text", "text": "What changes?"},
                )
            ]
        },
    ),
    "continued": (
        "an answer that goes on with a given text",
        {
            "messages": [_turn(_picture(), _QUESTION), {"role": "assistant", "content": "The picture shows"}],
            "continue_final_message": True,
        },
    ),
}

CHAT_FIELDS: dict[str, Any] = {
    "model": "glm-4.6v-flash",
    "messages": [{"role": "user", "content": "Hello!"}],
    "stream": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": False},
    "max_tokens": 512,
    "max_completion_tokens": 512,
    "min_tokens": 1,
    "n": 1,
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "repetition_penalty": 1.05,
    "seed": 42,
    "stop": ["\n\n"],
    "stop_token_ids": [10],
    "include_stop_str_in_output": False,
    "logit_bias": {"10": -100},
    "logprobs": True,
    "top_logprobs": 5,
    "ignore_eos": False,
    "enhance": "text",
    "response_format": {"type": "text"},
    "structured_outputs": {"choice": ["red", "green"]},
    "guided_json": {"type": "object", "properties": {"total": {"type": "string"}}, "required": ["total"]},
    "guided_regex": "[0-9]{1,6}",
    "guided_choice": ["yes", "no"],
    "guided_grammar": 'start: "yes" | "no"',
    "guided_whitespace_pattern": " ?",
    "tools": [{"type": "function", "function": {"name": "now", "description": "the time", "parameters": {}}}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "functions": [{"name": "now", "description": "the time"}],
    "function_call": "auto",
    "thinking": {"type": "enabled", "budget_tokens": 256},
    "thinking_token_budget": 256,
    "thinking_budget": 256,
    "include_reasoning": True,
    "skip_special_tokens": True,
    "timings": False,
    "chat_template_kwargs": {"enable_thinking": True},
    "reasoning_effort": "none",
    "mm_processor_kwargs": {"max_pixels": 1003520},
    "add_generation_prompt": True,
    "continue_final_message": False,
    "user": "customer-17",
    "safety_identifier": "b7f1",
    "prompt_cache_key": "receipts",
    "metadata": {"order": "4711"},
    "store": False,
    "service_tier": "auto",
}

# For every endpoint of pictures and one text.
PICTURE_FIELDS: dict[str, Any] = {
    "model": "glm-4.6v-flash",
    "image": _DOT.partition(",")[2],
    "image_url": "https://example.com/receipt.png",
    "file_id": "file-0a1b2c3d4e5f60718293a4b5",
    "video_url": {"url": "https://example.com/till.mp4", "max_frames": 60},
    "pages": "1-3",
    "dpi": 144,
    "password": "quarterly-2026",
    "enhance": "text",
    "prompt": "What is in this image?",
    "max_tokens": 512,
    "temperature": 0.7,
    "top_p": 0.9,
    "seed": 42,
    "stop": ["\n\n"],
    "response_format": {"type": "json_object"},
    "stream": False,
    "raw": True,
    "question": "这是什么品牌?",
    "rules": ["不允许出现价格"],
    "language": "zh",
}
