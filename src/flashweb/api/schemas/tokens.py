"""The wire format of `/tokenize` and `/detokenize`, which is vLLM's: shapes and ranges, nothing else."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from flashweb.api.schemas.base import MAX_TOKENS, TokenId, Wire
from flashweb.api.schemas.chat import MAX_MESSAGES, ChatMessage, ChatTemplateKwargs, MmProcessorKwargs
from flashweb.api.schemas.tools import MAX_TOOLS, Tool


class TokenizeRequest(Wire):
    """Either a text, or a chat with all that shapes its prompt: its fields are those of a chat completion, of which
    further ones are taken too."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(None, max_length=256, description="the model's name or one of its aliases")
    prompt: str | None = Field(None, description="a text; never together with messages")
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)] | None = Field(
        None, description="a conversation; of its pictures only the headers are read"
    )
    add_special_tokens: bool | None = Field(
        None,
        description="of a text: with what every prompt begins with; default true. Of a chat no choice: its template "
        "writes them",
    )
    return_token_strs: bool | None = Field(None, description="tell each token's text too")
    add_generation_prompt: bool | None = Field(None, description="begin a new assistant's turn; default true")
    continue_final_message: bool | None = Field(None, description="leave the last assistant's turn open")
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="functions the model may call"
    )
    chat_template_kwargs: ChatTemplateKwargs | None = Field(None, description="choices of the chat template")
    mm_processor_kwargs: MmProcessorKwargs | None = Field(None, description="how large pictures may get")


class TokenizeOut(BaseModel):
    count: int = Field(description="number of tokens, those of pictures included")
    max_model_len: int | None = Field(description="tokens of prompt and answer together; null until loaded")
    tokens: list[int] = Field(description="their ids; a picture is the same id as often as it has tokens")
    token_strs: list[str] | None = Field(
        None, description="their texts, with U+FFFD for parts of characters; null unless asked for"
    )


class DetokenizeRequest(Wire):
    model: str | None = Field(None, max_length=256, description="the model's name or one of its aliases")
    tokens: Annotated[list[TokenId], Field(max_length=MAX_TOKENS)] = Field(description="token ids")


class DetokenizeOut(BaseModel):
    prompt: str = Field(description="their text; control tokens by their names")
