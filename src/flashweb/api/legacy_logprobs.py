"""Log probabilities in the shape of OpenAI's text completions: four lists side by side."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from typing import Any

from flashweb.api.answers import TokenText
from flashweb.types import TokenLogprob

NEVER = -9999.0  # JSON has no -inf


class LegacyLogprobs:
    """Of one choice, piece after piece. `begin`: how many characters stand before the answer's first; `is_shown`:
    whether a token's text is a part of the answer's (a control token's may not be)."""

    def __init__(self, text_of: TokenText, is_shown: Callable[[int], bool], begin: int) -> None:
        self._text_of = text_of
        self._is_shown = is_shown
        self._at = begin
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def out(self, entries: Iterable[TokenLogprob]) -> dict[str, Any]:
        """The lists for these tokens. A token inside of a character begins where the character does."""
        tokens: list[str] = []
        logprobs: list[float] = []
        tops: list[dict[str, float]] = []
        offsets: list[int] = []
        for entry in entries:
            name = self._name(entry.token_id)
            logprob = max(entry.logprob, NEVER)
            tokens.append(name)
            logprobs.append(logprob)
            tops.append({**{self._name(id): max(one, NEVER) for id, one in entry.top}, name: logprob})
            offsets.append(self._at)
            if self._is_shown(entry.token_id):
                self._at += len(self._decoder.decode(self._text_of(entry.token_id)[1]))
        return {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": tops, "text_offset": offsets}

    def _name(self, token_id: int) -> str:
        """Parts of characters by their bytes, or several of them would be one and the same."""
        text, raw = self._text_of(token_id)
        if "\ufffd" in text and text.encode() != raw:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
        return text
