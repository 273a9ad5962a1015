"""Functions that a model may call, which of them it may or must, and the calls of earlier answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, ModelWrapValidatorHandler, PrivateAttr, Tag, model_validator

from flashweb.api.schemas.base import MAX_NAME_CHARS, Wire

MAX_TOOLS = 128


class FunctionCall(Wire):
    """What an earlier answer called."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(description="the function's name")
    arguments: str | dict[str, Any] = Field("", description="a JSON object, as text or as it is")


class ToolCall(Wire):
    id: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(description="names it for its result")
    type: Literal["function"] = "function"
    function: FunctionCall


class AsGiven(Wire):
    """Remembers what it was read from."""

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        model = validate(value)
        model._given = value
        return model

    @property
    def as_given(self) -> dict[str, Any]:
        """With the caller's own order and further keys: the prompt shows the model what the caller wrote."""
        return self._given


class FunctionDefinition(AsGiven):
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(description="what the model calls")
    description: str | None = Field(None, description="when to call it, for the model")
    parameters: dict[str, Any] | None = Field(None, description="a JSON Schema of type object; absent: no arguments")
    strict: bool | None = Field(None, description="a forced call of it that cannot follow all of the schema is refused")


class Tool(AsGiven):
    """A function the model may call."""

    type: Literal["function"]
    function: FunctionDefinition


class FunctionName(Wire):
    name: str = Field(description="one of the functions offered")


class NamedTool(Wire):
    """This function and no other."""

    type: Literal["function"]
    function: FunctionName


class ToolChoiceSet(Wire):
    mode: Literal["auto", "required"] = Field(description="required: at least one call")
    tools: Annotated[list[NamedTool], Field(min_length=1, max_length=MAX_TOOLS)] = Field(description="those allowed")


class AllowedTools(Wire):
    """Only some of the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: ToolChoiceSet


def choice_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if kind in ("function", "allowed_tools") else None


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[NamedTool, Tag("function")]
    | Annotated[AllowedTools, Tag("allowed_tools")],
    Discriminator(choice_kind, custom_error_type="tool_choice_type", custom_error_message="unknown tool choice"),
]
