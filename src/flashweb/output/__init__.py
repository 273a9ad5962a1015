"""Answers: from token ids to text that is safe to send, and from text to thinking, answer, tool calls and boxes."""

from flashweb.output.boxes import find_boxes
from flashweb.output.call_grammar import call_grammar
from flashweb.output.reply import ReplySplitter, ReplyText
from flashweb.output.tags import END_THINK, MARKS
from flashweb.output.text import TextStream, ids_of_names

__all__ = [
    "END_THINK",
    "MARKS",
    "ReplySplitter",
    "ReplyText",
    "TextStream",
    "call_grammar",
    "find_boxes",
    "ids_of_names",
]
