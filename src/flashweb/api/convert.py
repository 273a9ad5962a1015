"""Wire <-> domain: a `ChatRequest` becomes a `Chat` with `SamplingParams`; deltas become chunks and messages.

Every rule about what a request means lives here once, for every endpoint. Answers are built as plain dicts (their
shape is documented in `schemas.py` and tested against it), because this runs once per token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flashweb.api import schemas
from flashweb.errors import InvalidRequest
from flashweb.types import (
    Chat,
    Delta,
    ImagePart,
    Message,
    Part,
    SamplingParams,
    TextPart,
    TokenLogprob,
    Usage,
)

DEFAULT_MAX_TOKENS = 512
DEFAULT_MAX_TOKENS_THINKING = 4096
# What a checkpoint's generation_config may set, and under which of our names.
_GENERATION_DEFAULTS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
TokenText = Callable[[int], tuple[str, bytes]]


# --- requests -----------------------------------------------------------------------------------------------------


def to_chat(request: schemas.ChatRequest, *, max_images: int) -> Chat:
    """Raises InvalidRequest for what this edition does not offer and for too many pictures."""
    _refuse_later_features(request)
    messages = tuple(_message(index, message) for index, message in enumerate(request.messages))
    chat = Chat(messages, enable_thinking=_thinks(request))
    if len(chat.images) > max_images:
        raise InvalidRequest(
            f"The messages hold {len(chat.images)} pictures; the limit is {max_images}. Send fewer, or start the "
            "server with a larger --max-images.",
            param="messages",
        )
    return chat


def _refuse_later_features(request: schemas.ChatRequest) -> None:
    if request.response_format is not None and request.response_format.type != "text":
        raise InvalidRequest(
            f"response_format.type {request.response_format.type!r} is not offered in this edition, only 'text'; "
            "leave it out and ask for JSON in the prompt.",
            param="response_format",
            code="unsupported_parameter",
        )
    for name in ("tools", "functions"):
        if getattr(request, name):
            raise InvalidRequest(
                f"{name} are not offered in this edition; leave the field out.",
                param=name,
                code="unsupported_parameter",
            )


def _thinks(request: schemas.ChatRequest) -> bool:
    if request.chat_template_kwargs is not None and "enable_thinking" in request.chat_template_kwargs.model_fields_set:
        return request.chat_template_kwargs.enable_thinking
    return request.reasoning_effort not in (None, "none", "minimal")


def _message(index: int, message: schemas.ChatMessage) -> Message:
    where = f"messages[{index}]"
    if message.role in ("tool", "function") or message.tool_calls:
        param = f"{where}.tool_calls" if message.tool_calls else f"{where}.role"
        raise InvalidRequest(
            f"{param}: tools are not offered in this edition; send their results as text in a user message.",
            param=param,
            code="unsupported_parameter",
        )
    if message.content is None and message.role != "assistant":
        raise InvalidRequest(f"{where}.content is missing; give a text or a list of parts.", param=f"{where}.content")
    role: Any = "system" if message.role == "developer" else message.role
    parts = tuple(_parts(message.content))
    if role != "user" and any(isinstance(part, ImagePart) for part in parts):
        raise InvalidRequest(
            f"{where}.content: pictures belong into user messages, this one's role is {message.role!r}.",
            param=f"{where}.content",
        )
    return Message(role, parts)


def _parts(content: schemas.Content | None) -> Iterable[Part]:
    if content is None:
        return
    if isinstance(content, str):
        yield TextPart(content)
        return
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, schemas.TextPart):
            yield TextPart(part.text)
        else:
            yield ImagePart(url=part.image_url if isinstance(part.image_url, str) else part.image_url.url)


def to_params(request: schemas.ChatRequest, defaults: Mapping[str, Any], num_tokens: int) -> SamplingParams:
    """Sampling from the request, else the checkpoint's generation_config, else ours. Raises InvalidRequest.

    `num_tokens` is the size of the vocabulary: ids a caller names must be below it.
    """
    max_tokens = _max_tokens(request)
    min_tokens = request.min_tokens or 0
    if min_tokens > max_tokens:
        raise InvalidRequest(
            f"min_tokens is {min_tokens} but max_tokens is {max_tokens}; lower min_tokens or raise max_tokens.",
            param="min_tokens",
        )
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest(
            "stream_options is only allowed together with stream: true; leave it out, or stream.",
            param="stream_options",
        )
    given: dict[str, Any] = {}
    for name in _GENERATION_DEFAULTS:
        value = getattr(request, name)
        if value is None:
            value = defaults.get(name)
        if value is not None:
            given[name] = value
    if given.get("top_k") == -1:
        given["top_k"] = 0
    return SamplingParams(
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        seed=request.seed,
        logit_bias=_logit_bias(request.logit_bias or {}, num_tokens),
        logprobs=_logprobs(request),
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        stop_token_ids=tuple(_known(id, num_tokens, "stop_token_ids") for id in request.stop_token_ids or ()),
        include_stop=bool(request.include_stop_str_in_output),
        ignore_eos=bool(request.ignore_eos),
        **given,
    )


def _max_tokens(request: schemas.ChatRequest) -> int:
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise InvalidRequest(
            f"max_tokens is {old} but max_completion_tokens is {new}; they mean the same, give one of them.",
            param="max_completion_tokens",
        )
    default = DEFAULT_MAX_TOKENS_THINKING if _thinks(request) else DEFAULT_MAX_TOKENS
    return old or new or max(default, request.min_tokens or 0)


def _logprobs(request: schemas.ChatRequest) -> int | None:
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequest(
            f"top_logprobs is {request.top_logprobs} but logprobs is not true; set logprobs to true or leave "
            "top_logprobs out.",
            param="top_logprobs",
        )
    return (request.top_logprobs or 0) if request.logprobs else None


def _known(token_id: int, num_tokens: int, param: str) -> int:
    if token_id >= num_tokens:
        raise InvalidRequest(f"{param}: there is no token {token_id}; ids are below {num_tokens}.", param=param)
    return token_id


def _logit_bias(given: Mapping[str, float], num_tokens: int) -> dict[int, float]:
    bias: dict[int, float] = {}
    for key, value in given.items():
        if not (key.isascii() and key.isdigit() and len(key) <= 8):
            raise InvalidRequest(f"logit_bias: {key[:40]!r} is no token id; give whole numbers.", param="logit_bias")
        bias[_known(int(key), num_tokens, "logit_bias")] = value
    return bias


# --- answers ------------------------------------------------------------------------------------------------------


def usage_out(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "image_tokens": usage.image_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def add_usages(usages: Iterable[Usage]) -> Usage:
    """Of several choices over one prompt: the prompt counts once, the answers all."""
    usages = list(usages)
    return Usage(
        prompt_tokens=max((u.prompt_tokens for u in usages), default=0),
        completion_tokens=sum(u.completion_tokens for u in usages),
        cached_tokens=max((u.cached_tokens for u in usages), default=0),
        image_tokens=max((u.image_tokens for u in usages), default=0),
        reasoning_tokens=sum(u.reasoning_tokens for u in usages),
    )


def logprobs_out(entries: Iterable[TokenLogprob], text_of: TokenText) -> dict[str, Any]:
    content = []
    for entry in entries:
        top = [_logprob(token_id, logprob, text_of) for token_id, logprob in entry.top]
        content.append({**_logprob(entry.token_id, entry.logprob, text_of), "top_logprobs": top})
    return {"content": content, "refusal": None}


def _logprob(token_id: int, logprob: float, text_of: TokenText) -> dict[str, Any]:
    text, raw = text_of(token_id)
    # JSON has no -inf; -9999 is what the field's other servers write for "never".
    return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(raw)}


def delta_out(delta: Delta) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if delta.reasoning:
        out["reasoning_content"] = delta.reasoning
    if delta.text:
        out["content"] = delta.text
    return out


class Collector:
    """Deltas of a whole answer, gathered into OpenAI's `choices` and `usage`."""

    def __init__(self, n: int, *, logprobs: bool, text_of: TokenText) -> None:
        self._deltas: list[list[Delta]] = [[] for _ in range(n)]
        self._logprobs = logprobs
        self._text_of = text_of

    def add(self, index: int, delta: Delta) -> None:
        self._deltas[index].append(delta)

    @property
    def usage(self) -> Usage:
        return add_usages(delta.usage for deltas in self._deltas for delta in deltas if delta.usage is not None)

    def choices(self) -> list[dict[str, Any]]:
        return [self._choice(index, deltas) for index, deltas in enumerate(self._deltas)]

    def _choice(self, index: int, deltas: list[Delta]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(d.text for d in deltas), "refusal": None}
        reasoning = "".join(d.reasoning for d in deltas)
        if reasoning:
            message["reasoning_content"] = reasoning
        entries = [entry for delta in deltas for entry in delta.logprobs]
        return {
            "index": index,
            "message": message,
            "logprobs": logprobs_out(entries, self._text_of) if self._logprobs else None,
            "finish_reason": deltas[-1].finish,
        }
