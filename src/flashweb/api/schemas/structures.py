"""What an answer must match: `response_format`, and `structured_outputs` as vLLM names it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from flashweb.api.schemas.base import Wire


class JsonSchemaFormat(Wire):
    """A JSON Schema and its name."""

    name: str | None = Field(None, max_length=256, description="for the caller's own use")
    description: str | None = Field(None, description="accepted for compatibility; say it in the messages")
    schema_: dict[str, Any] | bool | None = Field(
        None, alias="schema", description="JSON Schema (draft 2020-12; keywords: docs/api.md); none: any object"
    )
    strict: bool | None = Field(None, description="accepted for compatibility: the schema is always enforced")


class ResponseFormat(Wire):
    """What the answer is: free text, any JSON object, or JSON that a schema describes."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchemaFormat | None = Field(None, description="with type json_schema")


class StructuredOutputs(Wire):
    """What the answer must match, as vLLM names it: exactly one of these."""

    json_: dict[str, Any] | str | bool | None = Field(None, alias="json", description="a JSON Schema, also as text")
    json_object: bool | None = Field(None, description="any JSON object")
    regex: str | None = Field(None, description="a regular expression that the whole answer matches")
    choice: list[str] | None = Field(None, description="one of these texts")
    grammar: str | None = Field(None, description="a grammar in Lark's or GBNF's notation")
    structural_tag: Any | None = Field(None, description="not offered")
    whitespace_pattern: Any | None = Field(None, description="not offered: the server's own is bounded")
