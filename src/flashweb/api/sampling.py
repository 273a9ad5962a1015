"""How a request wants its tokens chosen: wire parameters -> `SamplingParams`, checked once, for every endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flashweb.api.schemas.chat import ChatRequest
from flashweb.api.structures import to_structure
from flashweb.api.thinking import thinking_budget, thinks
from flashweb.api.tools import forced_calls
from flashweb.errors import InvalidRequest
from flashweb.types import SamplingParams, Structure

DEFAULT_MAX_TOKENS = 512
DEFAULT_MAX_TOKENS_LONG = 4096  # with thinking or tools, and for JSON, of which half is worth nothing
# What a checkpoint's generation_config may set, and under which of our names.
_GENERATION_DEFAULTS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def to_params(request: ChatRequest, defaults: Mapping[str, Any], num_tokens: int) -> SamplingParams:
    """Sampling from the request, else the checkpoint's generation_config, else ours. Raises InvalidRequest.

    `num_tokens` is the size of the vocabulary: ids a caller names must be below it.
    """
    structure = _structure(request)
    max_tokens = _max_tokens(request, long=structure is not None and structure.kind.startswith("json"))
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
        structure=structure,
        keep_control=request.skip_special_tokens is False,
        thinking_budget=thinking_budget(request),
        **_given_by(defaults, request),
    )


def default_sampling(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What a request gets that names nothing."""
    chosen = SamplingParams(max_tokens=DEFAULT_MAX_TOKENS, **_given_by(defaults))
    return {name: getattr(chosen, name) for name in _GENERATION_DEFAULTS} | {
        "max_tokens": DEFAULT_MAX_TOKENS,
        "max_tokens_long": DEFAULT_MAX_TOKENS_LONG,
    }


def _given_by(defaults: Mapping[str, Any], request: ChatRequest | None = None) -> dict[str, Any]:
    """Of what both may set, the request's before the checkpoint's; what neither sets is left out."""
    given: dict[str, Any] = {}
    for name in _GENERATION_DEFAULTS:
        value = None if request is None else getattr(request, name)
        if value is None:
            value = defaults.get(name)
        if value is not None:
            given[name] = value
    if given.get("top_k") == -1:
        given["top_k"] = 0
    return given


def _structure(request: ChatRequest) -> Structure | None:
    """What the answer must match: a form that was asked for, or the form of a call that was demanded."""
    asked, forced = to_structure(request), forced_calls(request)
    if asked is not None and forced is not None:
        raise InvalidRequest(
            f"{asked.param} asks for an answer of a form of its own and tool_choice for a call; an answer cannot be "
            "both. Leave one of them out.",
            param=asked.param,
        )
    return forced or asked


def _max_tokens(request: ChatRequest, *, long: bool) -> int:
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise InvalidRequest(
            f"max_tokens is {old} but max_completion_tokens is {new}; they mean the same, give one of them.",
            param="max_completion_tokens",
        )
    is_long = long or thinks(request) or request.tools or request.functions
    default = DEFAULT_MAX_TOKENS_LONG if is_long else DEFAULT_MAX_TOKENS
    return old or new or max(default, request.min_tokens or 0)


def _logprobs(request: ChatRequest) -> int | None:
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
