"""Answers: from token ids to text that is safe to send, and from text to thinking and answer."""

from flashweb.output.reply import THINK_TAGS, ReplySplitter, ReplyText
from flashweb.output.text import TextStream

__all__ = ["THINK_TAGS", "ReplySplitter", "ReplyText", "TextStream"]
