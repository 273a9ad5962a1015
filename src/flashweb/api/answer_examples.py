"""Examples for the API's description: an answer of every kind, by the name of its wire model. A test holds each of them
against that model."""

from __future__ import annotations

from typing import Any

_USAGE = {
    "prompt_tokens": 279,
    "completion_tokens": 4,
    "total_tokens": 283,
    "prompt_tokens_details": {
        "cached_tokens": 0,
        "image_tokens": 256,
        "images": [{"width": 448, "height": 448, "source_width": 600, "source_height": 600, "tokens": 256}],
    },
    "completion_tokens_details": {"reasoning_tokens": 0},
}
_HEAD = {"created": 1764325801, "model": "glm-4.6v-flash", "system_fingerprint": "fp_1f0c9d2e8a"}
_MESSAGE = {"role": "assistant", "content": "A red circle."}
_CHOICES = [{"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}]
_PIECES = [{"index": 0, "delta": {"content": "A red"}, "logprobs": None, "finish_reason": None}]
_TIMINGS = {
    "fetch": 0.0, "decode": 3.1, "preprocess": 4.8, "queue": 0.4, "encode": 61.2, "prefill": 22.9,
    "decode_tokens": 716.0, "total": 812.4,
}  # fmt: skip
_MODEL = {
    "id": "glm-4.6v-flash", "object": "model", "created": 1764325801, "owned_by": "flashweb", "root": "flashweb-nano",
    "max_model_len": 8192,
}  # fmt: skip
_AUDIT = {"contains_price": True, "contains_brand_logo": None, "forbidden_words": ["最便宜"]}

ANSWERS: dict[str, dict[str, Any]] = {
    "ChatCompletion": {
        "id": "chatcmpl-9a1c", "object": "chat.completion", **_HEAD, "choices": _CHOICES, "usage": _USAGE,
    },
    "ChatCompletionChunk": {"id": "chatcmpl-9a1c", "object": "chat.completion.chunk", **_HEAD, "choices": _PIECES},
    "MultimodalCompletion": {
        "id": "mmcmpl-9a1c", "object": "multimodal.completion", **_HEAD, "choices": _CHOICES, "usage": _USAGE,
    },
    "MultimodalCompletionChunk": {
        "id": "mmcmpl-9a1c", "object": "multimodal.completion.chunk", **_HEAD, "choices": _PIECES,
    },
    "InferenceOut": {
        "id": "mminf-9a1c", "model": "glm-4.6v-flash", "text": "A red circle.", "finish_reason": "stop",
        "usage": _USAGE, "timings_ms": _TIMINGS,
    },
    "InferOut": {"result": "A red circle.", "code": 0, "cost_time": 0.812},
    "AuditOut": _AUDIT,
    "SceneList": {
        "scenes": [
            {
                "name": "audit",
                "title": {"zh": "商品主图审核", "en": "Product picture audit"},
                "description": {"zh": "价格、品牌与违禁词", "en": "price, brand and forbidden words"},
                "answer": "json",
                "fields": ["rules", "language"],
                "question": {"zh": "", "en": ""},
                "translates": False,
                "schema": {"type": "object", "properties": {"contains_price": {"type": "boolean"}}},
                "sample": "poster.png",
                "show": {"contains_price": "flag"},
                "own": False,
            }
        ],
        "errors": [],
    },
    "ModelOut": _MODEL,
    "ModelList": {"object": "list", "data": [_MODEL]},
    "HealthOut": {"status": "ok", "model_loaded": True, "model": "flashweb-nano"},
    "LiveOut": {"status": "ok"},
    "CancelledOut": {"id": "req_5f0c9d2e8a7b41c3d6e9f012", "cancelled": True},
}  # fmt: skip
