"""What a refused request is answered, in OpenAI's shape."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ErrorOut(BaseModel):
    message: str = Field(description="what was wrong, the value, the limit and the fix")
    type: str = Field(description="OpenAI's kind of error")
    param: str | None = Field(description="the parameter at fault, as a path such as messages[0].content")
    code: str | None = Field(description="a word for programs, or null")


class ErrorBody(BaseModel):
    error: ErrorOut
