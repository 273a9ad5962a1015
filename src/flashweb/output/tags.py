"""The control tokens that shape an answer, as single characters no text can hold.

A token `</think>` and the text "</think>" that a model copies from a picture are different things. So that the stream's
readers can tell them apart, the tokens stand in it as lone surrogates (which UTF-8 text cannot contain, so no
detokenised text does): nothing has to be looked for across pieces, and no half tag is ever held back or leaks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

THINK, END_THINK = "<think>", "</think>"
CALL, END_CALL = "<tool_call>", "</tool_call>"
KEY, END_KEY = "<arg_key>", "</arg_key>"
VALUE, END_VALUE = "<arg_value>", "</arg_value>"
NAMES = (THINK, END_THINK, CALL, END_CALL, KEY, END_KEY, VALUE, END_VALUE)

# name -> its mark, and back; for `TextStream(keep_control=ids_of_names(tokenizer, MARKS))`
MARKS: Mapping[str, str] = {name: chr(0xDC00 + index) for index, name in enumerate(NAMES)}
NAME_OF: Mapping[str, str] = {mark: name for name, mark in MARKS.items()}
_MARK = re.compile(f"([{''.join(NAME_OF)}])")


def pieces(text: str) -> list[str]:
    """The text cut at its marks: pieces of plain text and marks, in order; every mark is a piece of its own."""
    return [piece for piece in _MARK.split(text) if piece]
