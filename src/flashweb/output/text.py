"""`TextStream`: token ids as they come -> text that is safe to send.

Safe means: never half a character, never a control token that was not asked for, never the beginning of a stop string
that may still be completed. Each token costs the same, however long the answer is. Knows nothing of requests, of
thinking (`output/reply.py`) or of which tokenizer it was handed.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from flashweb.types import TokenOut


class TokenBytes(Protocol):
    """What a stream needs of a tokenizer (`flashweb.prompt.Tokenizer`)."""

    def id_to_bytes(self, id: int) -> bytes: ...
    def is_control(self, id: int) -> bool: ...
    def control_id(self, name: str) -> int | None: ...


def ids_of_names(tokenizer: TokenBytes, names: Mapping[str, str]) -> Mapping[int, str]:
    """Texts by control tokens' names -> by their ids, of those that this tokenizer has."""
    known = ((tokenizer.control_id(name), text) for name, text in names.items())
    return {id: text for id, text in known if id is not None}


class TextStream:
    """Decodes one answer.

    stop: strings that end the answer; the text before the first one that is completed is kept (with `include_stop`
    also the stop string). stop_token_ids: ids that end it and are never shown (eos, unless it is ignored).
    keep_control: control tokens to pass on (`ids_of_names`), and the text each becomes; all others vanish, the text
    between them stays. min_tokens: stop strings count only after so many tokens, as the engine does with stop ids.
    """

    def __init__(
        self,
        tokenizer: TokenBytes,
        *,
        stop: Iterable[str] = (),
        stop_token_ids: Collection[int] = (),
        include_stop: bool = False,
        keep_control: Mapping[int, str] = MappingProxyType({}),
        min_tokens: int = 0,
    ) -> None:
        self._tokenizer = tokenizer
        self._stop_token_ids = frozenset(stop_token_ids)
        self._kept = keep_control
        self._unfinished = b""  # bytes of a character that has not come whole
        self._matcher = StopMatcher(stop, include_stop=include_stop)
        self._min_tokens = min_tokens
        self.num_tokens = 0
        self.stopped = False

    def feed(self, token: TokenOut) -> str:
        """The text that may be sent now. Once `stopped`, always empty."""
        if len(token.token_ids) == 1 and not self.stopped:
            return self._feed_id(token.token_ids[0])
        pieces = [self._feed_id(id) for id in token.token_ids if not self.stopped]
        return "".join(pieces)

    @property
    def found_stop(self) -> str | None:
        """Which of the stop strings ended the answer."""
        return self._matcher.found

    def flush(self) -> str:
        """What was held back, at the end of the answer. Bytes of a character that never came whole are dropped."""
        return "" if self.stopped else self._matcher.flush()

    def _decode(self, raw: bytes) -> str:
        """What `codecs`' incremental decoder does, without its two calls in Python per token."""
        raw = self._unfinished + raw
        text, used = codecs.utf_8_decode(raw, "replace", False)
        self._unfinished = raw[used:]
        return text

    def _give_up_character(self) -> str:
        """A token follows that is no text: what has come of a character will not become one."""
        broken, self._unfinished = self._unfinished, b""
        return broken.decode("utf-8", "replace")

    def _feed_id(self, id: int) -> str:
        self.num_tokens += 1
        if id in self._stop_token_ids and self.num_tokens > self._min_tokens:
            text = self._matcher.flush()
            self.stopped = True
            return text
        if not self._tokenizer.is_control(id):
            text = self._decode(self._tokenizer.id_to_bytes(id))
        elif id in self._kept:
            text = self._give_up_character() + self._kept[id]
        else:
            return ""
        if self.num_tokens <= self._min_tokens:
            return text
        text = self._matcher.feed(text)
        self.stopped = self._matcher.found is not None
        return text


class StopMatcher:
    """Finds the first stop string to be completed in a text that arrives in pieces.

    When several are completed by the same character, the longest wins. One Knuth-Morris-Pratt automaton per string:
    every character is looked at once per stop string, and the held-back tail is never longer than it must be.
    """

    def __init__(self, stop: Iterable[str], *, include_stop: bool = False) -> None:
        self._strings = [string for string in dict.fromkeys(stop) if string]
        self._tables = [_prefix_table(string) for string in self._strings]
        self._states = [0] * len(self._strings)
        self._include_stop = include_stop
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """The part of everything so far that can belong to no stop string."""
        if not self._strings or not text:
            return text
        assert self.found is None, "nothing follows a stop string"
        for index, character in enumerate(text):
            if (found := self._advance(character)) is not None:
                self.found = found
                whole = self._held + text[: index + 1]
                self._held = ""
                return whole if self._include_stop else whole[: len(whole) - len(found)]
        whole = self._held + text
        safe = len(whole) - max(self._states)
        self._held = whole[safe:]
        return whole[:safe]

    def flush(self) -> str:
        held, self._held = self._held, ""
        self._states = [0] * len(self._strings)
        return held

    def _advance(self, character: str) -> str | None:
        found: str | None = None
        for index, (string, table) in enumerate(zip(self._strings, self._tables, strict=True)):
            state = self._states[index]
            while state and string[state] != character:
                state = table[state - 1]
            if string[state] == character:
                state += 1
            if state == len(string):
                if found is None or len(string) > len(found):
                    found = string
                state = table[state - 1]
            self._states[index] = state
        return found


def _prefix_table(string: str) -> list[int]:
    """table[i] = length of the longest proper prefix of string[:i+1] that is also its suffix."""
    table = [0] * len(string)
    length = 0
    for index in range(1, len(string)):
        while length and string[index] != string[length]:
            length = table[length - 1]
        if string[index] == string[length]:
            length += 1
        table[index] = length
    return table
