"""Examples for the API's description; a test sends each of them."""

from __future__ import annotations

from typing import Any

_DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)
_LOOK = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "What is in this image?"},
            {"type": "input_image", "image_url": _DOT, "detail": "auto"},
        ],
    }
]
_NOW = {"type": "function", "name": "now", "description": "the time", "parameters": {"type": "object"}, "strict": True}

# name -> (summary, body)
RESPONSES: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("text alone", {"input": "Hello!", "max_output_tokens": 64}),
    "picture": ("a picture and a question, not kept", {"model": "glm-4.6v-flash", "input": _LOOK, "store": False}),
    "function": ("a function that the model may call", {"input": "What time is it?", "tools": [_NOW]}),
    "json": ("any JSON object", {"input": _LOOK, "text": {"format": {"type": "json_object"}}}),
    "stream": ("a streamed answer", {"input": _LOOK, "stream": True}),
    "background": ("an answer to be retrieved later", {"input": _LOOK, "background": True}),
}
COUNTS: dict[str, tuple[str, dict[str, Any]]] = {"picture": ("a picture and a question", {"input": _LOOK})}
