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
    "default_sampling": {
        "temperature": 0.8, "top_p": 0.6, "top_k": 2, "min_p": 0.0, "repetition_penalty": 1.1, "max_tokens": 512,
        "max_tokens_long": 4096,
    },
    "limits": {
        "max_body_bytes": 67108864, "max_messages": 256, "max_images": 16, "max_image_bytes": 10485760,
        "max_image_pixels": 50000000, "max_image_side": 2048, "max_aspect_ratio": 200.0, "max_document_pages": 50,
        "max_videos": 4, "max_video_bytes": 33554432, "max_video_seconds": 300.0,
    },
}  # fmt: skip
_TEXT = {
    "id": "cmpl-9a1c", "object": "text_completion", "created": 1764325801, "model": "glm-4.6v-flash",
    "system_fingerprint": "fp_1f0c9d2e8a",
}  # fmt: skip
_TEXT_USAGE = {
    "prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 0, "image_tokens": 0, "images": []},
    "completion_tokens_details": {"reasoning_tokens": 0},
}  # fmt: skip
_TEXT_CHOICE = {"index": 0, "text": " good for you.", "logprobs": None}
_RESPONSE = {
    "id": "resp_0a1b2c3d4e5f60718293a4b5", "object": "response", "created_at": 1764325801, "completed_at": 1764325802,
    "status": "completed", "background": False, "error": None, "incomplete_details": None, "instructions": None,
    "max_output_tokens": None, "max_tool_calls": None, "metadata": {}, "model": "glm-4.6v-flash",
    "output": [
        {
            "type": "message", "id": "msg_0a1b2c3d4e5f60718293a4b5", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "A red circle.", "annotations": [], "logprobs": []}],
        }
    ],
    "parallel_tool_calls": True, "previous_response_id": None, "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None}, "safety_identifier": None, "service_tier": "default",
    "store": True, "temperature": 0.8, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
    "top_logprobs": 0, "top_p": 0.6, "truncation": "disabled",
    "usage": {
        "input_tokens": 279,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "image_tokens": 256},
        "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 283,
    },
    "user": None,
}  # fmt: skip
_INPUT_ITEM = {
    "id": "msg_1b2c3d4e5f60718293a4b5c6", "type": "message", "role": "user", "status": "completed",
    "content": [{"type": "input_text", "text": "What is in this image?"}],
}  # fmt: skip
_MESSAGE_USAGE = {
    "input_tokens": 279, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 4,
    "output_tokens_details": {"thinking_tokens": 0}, "service_tier": "standard",
}  # fmt: skip
_FILE = {
    "id": "file-0a1b2c3d4e5f60718293a4b5", "object": "file", "bytes": 2048, "created_at": 1764325801,
    "expires_at": None, "filename": "requests.jsonl", "purpose": "batch", "status": "processed",
    "status_details": None,
}  # fmt: skip
_BATCH = {
    "id": "batch_0a1b2c3d4e5f60718293a4b5", "object": "batch", "endpoint": "/v1/chat/completions", "errors": None,
    "input_file_id": _FILE["id"], "completion_window": "24h", "status": "in_progress", "output_file_id": None,
    "error_file_id": None, "created_at": 1764325801, "in_progress_at": 1764325802, "expires_at": 1764412201,
    "finalizing_at": None, "completed_at": None, "failed_at": None, "expired_at": None, "cancelling_at": None,
    "cancelled_at": None, "request_counts": {"total": 100, "completed": 42, "failed": 1},
    "metadata": {"customer": "42"},
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
                "labels": {"contains_price": {"zh": "出现价格", "en": "Shows a price"}},
                "judge": {"contains_price": {"true": "review"}},
                "own": False,
            }
        ],
        "errors": [],
    },
    "ModelOut": _MODEL,
    "ModelList": {"object": "list", "data": [_MODEL]},
    "HealthOut": {"status": "ok", "model_loaded": True, "model": "flashweb-nano"},
    "LiveOut": {"status": "ok"},
    "TextCompletion": {**_TEXT, "choices": [{**_TEXT_CHOICE, "finish_reason": "stop"}], "usage": _TEXT_USAGE},
    "TextCompletionChunk": {**_TEXT, "choices": [{**_TEXT_CHOICE, "finish_reason": None}]},
    "MessageOut": {
        "id": "msg_9a1c", "type": "message", "role": "assistant", "model": "glm-4.6v-flash",
        "content": [{"type": "text", "text": "A red circle."}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": _MESSAGE_USAGE,
    },
    "MessageStreamEvent": {
        "type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "A red"},
    },
    "TokenCountOut": {"input_tokens": 279},
    "TokenizeOut": {"count": 2, "max_model_len": 8192, "tokens": [10, 11], "token_strs": ["Green", " tea"]},
    "DetokenizeOut": {"prompt": "Green tea"},
    "ResponseOut": _RESPONSE,
    "ResponseEvent": {"type": "response.output_text.delta", "sequence_number": 4},
    "DeletedOut": {"id": _RESPONSE["id"], "object": "response", "deleted": True},
    "ItemList": {
        "object": "list", "data": [_INPUT_ITEM], "first_id": _INPUT_ITEM["id"], "last_id": _INPUT_ITEM["id"],
        "has_more": False,
    },
    "InputTokensOut": {"object": "response.input_tokens", "input_tokens": 279},
    "FileOut": _FILE,
    "FileList": {
        "object": "list", "data": [_FILE], "first_id": _FILE["id"], "last_id": _FILE["id"], "has_more": False,
    },
    "FileDeleted": {"id": _FILE["id"], "object": "file", "deleted": True},
    "BatchOut": _BATCH,
    "BatchList": {
        "object": "list", "data": [_BATCH], "first_id": _BATCH["id"], "last_id": _BATCH["id"], "has_more": False,
    },
    "JobOut": {
        "id": "job_0a1b2c3d4e5f60718293a4b5", "object": "job", "status": "completed", "path": "/api/scenes/audit",
        "created_at": 1764325801, "expires_at": 1764412201, "ended_at": 1764325802,
        "result_url": "/api/jobs/job_0a1b2c3d4e5f60718293a4b5/result",
    },
    "CancelledOut": {"id": "req_5f0c9d2e8a7b41c3d6e9f012", "cancelled": True},
}  # fmt: skip
