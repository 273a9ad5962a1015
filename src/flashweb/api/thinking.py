"""Whether a request wants the model to think before it answers, and for how long: one reading of the names that
several APIs have for it.

    on or off   chat_template_kwargs.enable_thinking (vLLM, SGLang), thinking.type (GLM, Anthropic),
                reasoning_effort (OpenAI)
    how long    thinking_token_budget (vLLM), thinking.budget_tokens (Anthropic), thinking_budget (Qwen, SiliconFlow)

A budget of tokens by itself switches thinking on, 0 off.
"""

from __future__ import annotations

from flashweb.api.schemas.chat import ChatRequest
from flashweb.errors import InvalidRequest

_FIELDS = frozenset(
    {"chat_template_kwargs", "thinking", "reasoning_effort", "thinking_token_budget", "thinking_budget"}
)


def thinks(request: ChatRequest) -> bool:
    """Raises InvalidRequest where the switches contradict each other. reasoning_effort, which clients send without
    being asked, gives way to the others."""
    if request.model_fields_set.isdisjoint(_FIELDS):
        return False  # nearly always
    kwargs, thinking = request.chat_template_kwargs, request.thinking
    budget = _budget(request)
    switches: set[bool] = set()
    if kwargs is not None and "enable_thinking" in kwargs.model_fields_set:
        switches.add(kwargs.enable_thinking)
    if thinking is not None:
        switches.add(thinking.type == "enabled")
    if len(switches) == 2:
        raise InvalidRequest(
            "thinking.type and chat_template_kwargs.enable_thinking contradict each other; give one of them.",
            param="thinking",
        )
    if budget == 0:
        return False
    if switches:
        return switches.pop()
    if request.reasoning_effort is not None:
        return request.reasoning_effort not in ("none", "minimal")
    return budget is not None


def thinking_budget(request: ChatRequest) -> int | None:
    """Tokens of the thought; None where there is no limit, or no thought."""
    return _budget(request) if thinks(request) else None


def _budget(request: ChatRequest) -> int | None:
    named = {
        "thinking_token_budget": request.thinking_token_budget,
        "thinking_budget": request.thinking_budget,
        "thinking.budget_tokens": request.thinking.budget_tokens if request.thinking is not None else None,
    }
    given = {name: value for name, value in named.items() if value is not None}
    if len(set(given.values())) > 1:
        words = " but ".join(f"{name} is {value}" for name, value in given.items())
        raise InvalidRequest(f"{words}; they mean the same, give one of them.", param=next(iter(given)))
    return next(iter(given.values()), None)
