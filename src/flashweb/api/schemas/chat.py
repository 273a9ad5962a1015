"""A request of `/v1/chat/completions`: OpenAI's format, and the names that others have added to it. What the values
mean together is checked in `api/convert.py` and `api/sampling.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from flashweb.api.schemas.base import (
    MAX_NAME_CHARS,
    MAX_TOKENS,
    WHOLE,
    Metadata,
    ThinkingBudget,
    TokenCount,
    TokenId,
    Wire,
)
from flashweb.api.schemas.parts import Content, Enhance, MaxPixels
from flashweb.api.schemas.structures import ResponseFormat, StructuredOutputs
from flashweb.api.schemas.tools import (
    MAX_TOOLS,
    FunctionCall,
    FunctionDefinition,
    FunctionName,
    Tool,
    ToolCall,
    ToolChoice,
)

MAX_MESSAGES = 256
MAX_STOP = 16
MAX_STOP_CHARS = 256
MAX_LOGIT_BIAS = 300
MAX_TOP_LOGPROBS = 20
MAX_CHOICES = 8
Seed = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63), WHOLE]
StopText = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]


class ChatMessage(Wire):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"] = Field(
        description="developer is read as system"
    )
    content: Content | None = Field(None, description="a text, a list of parts, or one part")
    reasoning_content: str | None = Field(
        None, description="an assistant turn's thinking; the model sees it again until the next user message"
    )
    reasoning: str | None = Field(None, description="the same under its other name")
    tool_calls: Annotated[list[ToolCall], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="an assistant turn's calls, as they were answered"
    )
    tool_call_id: str | None = Field(None, description="which call a tool message gives the result of")
    function_call: FunctionCall | None = Field(None, description="the older form of tool_calls")
    name: str | None = Field(
        None,
        max_length=MAX_NAME_CHARS,
        description="of a function message its function; else not used",
    )


class StreamOptions(Wire):
    include_usage: bool | None = Field(None, description="one more chunk with the usage and no choices")
    continuous_usage_stats: bool | None = Field(None, description="the usage so far in every chunk")


class ChatTemplateKwargs(Wire):
    enable_thinking: bool = Field(False, description="let the model think before it answers")


class MmProcessorKwargs(Wire):
    """vLLM's name for choices about pictures; what is not listed is refused."""

    model_config = ConfigDict(extra="forbid")

    max_pixels: MaxPixels | None = Field(None, description="largest area the model sees of each picture, in pixels")


class Thinking(Wire):
    """Thinking in the words of GLM's and Anthropic's own APIs."""

    type: Literal["enabled", "disabled"]
    budget_tokens: ThinkingBudget | None = Field(None, description="longest thought in tokens")


class ChatRequest(Wire):
    """A chat, and how to answer it."""

    model: str | None = Field(None, max_length=256, description="the model's name or one of its aliases")
    messages: list[ChatMessage] = Field(
        min_length=1, max_length=MAX_MESSAGES, description="the conversation so far, oldest turn first"
    )
    stream: bool | None = Field(None, description="send the answer piece by piece as server-sent events")
    stream_options: StreamOptions | None = Field(None, description="only together with stream: true")
    max_tokens: TokenCount | None = Field(None, description="longest answer; default 512; 4096 with thinking or JSON")
    max_completion_tokens: TokenCount | None = Field(None, description="the newer name of max_tokens")
    min_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS), WHOLE] | None = Field(
        None, description="the answer does not end before it has so many tokens"
    )
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES), WHOLE] | None = Field(None, description="number of answers")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(None, description="0: always the likeliest token")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="choose among the likeliest tokens that together have this probability"
    )
    top_k: Annotated[int, Field(ge=-1, le=1 << 24), WHOLE] | None = Field(None, description="0 or -1: off")
    min_p: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="leave out tokens less likely than this share of the likeliest one"
    )
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = Field(
        None, description="taken from the score of every token the answer already has"
    )
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = Field(
        None, description="the same, as often as the answer has the token"
    )
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] | None = Field(
        None, description="divides the score of tokens in prompt or answer; 1: off"
    )
    seed: Seed | None = Field(None, description="the same seed and request give the same answer")
    stop: StopText | Annotated[list[StopText], Field(max_length=MAX_STOP)] | None = Field(
        None, description="texts that end the answer and are not part of it"
    )
    stop_token_ids: Annotated[list[TokenId], Field(max_length=MAX_STOP)] | None = Field(
        None, description="token ids that end the answer"
    )
    include_stop_str_in_output: bool | None = Field(None, description="keep the stop text at the end of the answer")
    logit_bias: (
        Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=MAX_LOGIT_BIAS)] | None
    ) = Field(None, description="token id (as text) -> what is added to its score; -100 forbids it")
    logprobs: bool | None = Field(None, description="give the log probability of each token of the answer")
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS), WHOLE] | None = Field(
        None, description="with logprobs: and so many alternatives each"
    )
    enhance: Enhance | None = Field(None, description="for every picture of the chat; a part's own value wins")
    ignore_eos: bool | None = Field(None, description="go on after the end token, for measuring")
    response_format: ResponseFormat | None = Field(None, description="what the answer must look like")
    structured_outputs: StructuredOutputs | None = Field(
        None, description="what the answer must match, as vLLM names it"
    )
    guided_json: dict[str, Any] | str | bool | None = Field(None, description="older name of structured_outputs.json")
    guided_regex: str | None = Field(None, description="older name of structured_outputs.regex")
    guided_choice: list[str] | None = Field(None, description="older name of structured_outputs.choice")
    guided_grammar: str | None = Field(None, description="older name of structured_outputs.grammar")
    guided_whitespace_pattern: Any | None = Field(None, description="not offered: the server's own is bounded")
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="functions the model may call"
    )
    tool_choice: ToolChoice | None = Field(
        None, description="none; auto (default): the model decides; required: at least one call; or a function by name"
    )
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call; default true")
    functions: Annotated[list[FunctionDefinition], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="the older form of tools; the answer then has function_call"
    )
    function_call: Literal["none", "auto"] | FunctionName | None = Field(None, description="the older tool_choice")
    chat_template_kwargs: ChatTemplateKwargs | None = Field(None, description="choices of the chat template")
    thinking: Thinking | None = Field(None, description="thinking on or off, in the words of GLM's own API")
    thinking_token_budget: ThinkingBudget | None = Field(
        None, description="longest thought in tokens; then it is closed and the answer begins; 0: no thought"
    )
    thinking_budget: ThinkingBudget | None = Field(None, description="the same under its other name")
    include_reasoning: bool | None = Field(None, description="false: the thought is not sent; default true")
    skip_special_tokens: bool | None = Field(
        None, description="false: control tokens such as <|begin_of_box|> stay in the text; default true"
    )
    timings: bool | None = Field(None, description="tell where the time went: timings_ms in the answer or last chunk")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="anything but none or minimal lets the model think before it answers"
    )
    mm_processor_kwargs: MmProcessorKwargs | None = Field(None, description="how large pictures may get")
    add_generation_prompt: bool | None = Field(None, description="begin a new assistant's turn; default true")
    continue_final_message: bool | None = Field(
        None, description="the last message is an assistant's, and the answer goes on where its text ends"
    )
    user: Annotated[str, Field(max_length=512)] | None = Field(None, description="accepted, without effect")
    safety_identifier: Annotated[str, Field(max_length=512)] | None = Field(
        None, description="accepted, without effect"
    )
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = Field(
        None, description="accepted, without effect: every prompt is looked up in the prefix cache"
    )
    metadata: Metadata | None = Field(None, description="accepted, without effect: up to 16 pairs of texts")
    store: bool | None = Field(None, description="accepted, without effect: answers are not stored")
    service_tier: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="accepted; there is one tier, which the answer names: default"
    )
