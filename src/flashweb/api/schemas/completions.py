"""The wire format of OpenAI's legacy text completions: shapes and ranges, nothing else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from flashweb.api.schemas.base import MAX_TOKENS, TokenCount, TokenId, Wire
from flashweb.api.schemas.chat import MAX_CHOICES, MAX_TOP_LOGPROBS
from flashweb.api.schemas.chat_answers import TimingsOut, UsageOut

MAX_PROMPTS = 64

Tokens = Annotated[list[TokenId], Field(max_length=MAX_TOKENS)]


def _prompt_kind(value: Any) -> str | None:
    """By the first entry, as every list of prompts is of one kind."""
    if isinstance(value, str):
        return "text"
    if not isinstance(value, list):
        return None
    first = value[0] if value else ""
    return "<texts>" if isinstance(first, str) else "<lists>" if isinstance(first, list) else "<tokens>"


Prompt = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[list[str], Field(min_length=1, max_length=MAX_PROMPTS), Tag("<texts>")]
    | Annotated[Tokens, Field(min_length=1), Tag("<tokens>")]
    | Annotated[
        list[Annotated[Tokens, Field(min_length=1)]], Field(min_length=1, max_length=MAX_PROMPTS), Tag("<lists>")
    ],
    Discriminator(_prompt_kind, custom_error_type="prompt_type", custom_error_message="unknown prompt"),
]


class TextCompletionRequest(Wire):
    """One prompt or several, each to be continued. Every sampling parameter of a chat completion, and what holds an
    answer to a form, is taken too."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(None, max_length=256, description="the model's name or one of its aliases")
    prompt: Prompt = Field(
        description="a text, a list of texts, token ids, or a list of lists of token ids. A text is preceded by what "
        "every prompt of the model begins with; token ids are taken as they stand"
    )
    add_special_tokens: bool | None = Field(None, description="false: nothing is put before a text; default true")
    suffix: str | None = Field(None, description="not offered: the model was not trained to fill in")
    echo: bool | None = Field(None, description="repeat the prompt before its continuation")
    best_of: int | None = Field(None, description="only as n: answers are not ranked")
    logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = Field(
        None, description="log probabilities of the tokens, with so many alternatives each"
    )
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = Field(None, description="number of answers to each prompt")
    stream: bool | None = Field(None, description="send the answers piece by piece as server-sent events")
    max_tokens: TokenCount | None = Field(None, description="longest answer in tokens; default 512")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(None, description="0: always the likeliest token")


# --- answers ------------------------------------------------------------------------------------------------------


class LegacyLogprobs(BaseModel):
    """Four lists with an entry for each token of the text."""

    tokens: list[str] = Field(description="their texts; bytes:\\x.. for a part of a character")
    token_logprobs: list[float] = Field(description="natural logarithms of their probabilities; -9999 stands for never")
    top_logprobs: list[dict[str, float]] = Field(description="the likeliest tokens at each place, and the chosen one")
    text_offset: list[int] = Field(description="at which character of the text each begins")


class TextChoice(BaseModel):
    index: int = Field(description="prompt's number * n + answer's number")
    text: str = Field(description="what follows the prompt; with echo the prompt before it")
    logprobs: LegacyLogprobs | None = Field(description="null unless asked for")
    finish_reason: Literal["stop", "length"] = Field(
        description="stop: the model ended, or a stop text or id came; length: max_tokens or the context was reached"
    )


class TextCompletion(BaseModel):
    id: str = Field(description="cmpl-...: this answer's name")
    object: Literal["text_completion"]
    created: int = Field(description="when the request came, in seconds since 1970")
    model: str = Field(description="the name that was asked for")
    choices: list[TextChoice] = Field(description="n for each prompt, in the order of the prompts")
    usage: UsageOut
    system_fingerprint: str = Field(description="changes with version, model and weight format")
    service_tier: str | None = Field(None, description="default, where the request names a tier")
    timings_ms: TimingsOut | None = Field(None, description="with timings: true only")


class TextChunkChoice(TextChoice):
    finish_reason: Literal["stop", "length"] | None = Field(  # type: ignore[assignment]
        description="null but in the last chunk of a choice"
    )


class TextCompletionChunk(TextCompletion):
    """One server-sent event of a streamed answer."""

    choices: list[TextChunkChoice] = Field(  # type: ignore[assignment]
        description="what is new; empty in the last chunk of include_usage"
    )
    usage: UsageOut | None = Field(  # type: ignore[assignment]
        None, description="of the last chunk with include_usage, so far with continuous_usage_stats"
    )
