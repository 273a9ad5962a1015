"""Conversations to token ids: the chat template's bytes, what of them is learnt, and the rotary positions.

Knows texts and how many tokens a picture has, nothing of pixels. Neither torch nor the tokenizers library is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from training.tokenizer import single_token_characters, token_ids, vocabulary


class Encoder:
    """Text to token ids without the tokenizers library: exactly its result for our one-token-per-character BPE."""

    def __init__(self) -> None:
        vocab, merges = vocabulary()
        self.special = token_ids()
        self._vocab, self._ranks = vocab, {pair: rank for rank, pair in enumerate(merges)}
        self._alphabet = list(vocab)[:256]
        self._chars = {
            char: [vocab["".join(self._alphabet[b] for b in char.encode())]] for char in single_token_characters()
        }
        self._pieces = re.compile("|".join(re.escape(name) for name in sorted(self.special, key=len, reverse=True)))

    def encode(self, text: str) -> list[int]:
        """Ids of plain text; JSON pieces become their tokens, and so would the name of a control token."""
        ids: list[int] = []
        at = 0
        for match in self._pieces.finditer(text):
            ids += self._plain(text[at : match.start()])
            ids.append(self.special[match.group()])
            at = match.end()
        return ids + self._plain(text[at:])

    def spans(self, text: str) -> list[tuple[int, int, int]]:
        """(id, start, end) of every token of a text; the tokens of one character outside the charset share its span."""
        found: list[tuple[int, int, int]] = []
        at = 0
        for match in [*self._pieces.finditer(text), None]:
            end = len(text) if match is None else match.start()
            found += [(i, k, k + 1) for k in range(at, end) for i in self._plain(text[k])]
            if match is not None:
                found.append((self.special[match.group()], match.start(), match.end()))
                at = match.end()
        return found

    def single(self, char: str) -> int:
        """The id of a character that is one token and no blank, else -1."""
        ids = self._chars.get(char, ())
        return ids[0] if len(ids) == 1 and not char.isspace() else -1

    def _plain(self, text: str) -> list[int]:
        return [i for char in text for i in self._chars.get(char) or self._fallback(char)]

    def _fallback(self, char: str) -> list[int]:
        """A character outside the charset: its bytes, joined by the merges that happen to fit, in rank order."""
        parts = [self._alphabet[b] for b in char.encode()]
        while True:
            ranked = [(self._ranks[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in self._ranks]
            if not ranked:
                break
            i = min(ranked)[1]
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        ids = [self._vocab[part] for part in parts]
        self._chars[char] = ids
        return ids


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call: strings are written as they are, other arguments as JSON."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Clip:
    """Pictures of the conversation that are one clip, and the second of the clip that each is from, rising from 0."""

    pictures: tuple[int, ...]
    seconds: tuple[float, ...]


def second_text(seconds: float) -> str:
    """What stands behind each picture of a clip in the prompt (GLM-4.6V's rule; `flashweb.media.frame_sampling`)."""
    return f"{seconds:.1f} seconds"


@dataclass(slots=True)
class Turn:
    """One exchange; `pictures` are indices into the conversation's pictures, shown before or after the question.

    `given` are parts of the answer (from, to) that are not learnt, because a grammar writes them.
    With `parts` the user's content is these texts, pictures and clips in order. `calls` are made before the answer;
    without `results` the exchange ends with them. `thought` is written only where thinking is on and in the last turn.
    """

    question: str
    answer: str
    pictures: tuple[int, ...] = ()
    pictures_first: bool = True
    parts: tuple[str | int | Clip, ...] = ()
    thought: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[str, ...] = ()
    given: tuple[tuple[int, int], ...] = ()

    @property
    def content(self) -> tuple[str | int | Clip, ...]:
        """The user's texts, pictures and clips in order."""
        if self.parts:
            return self.parts
        return (*self.pictures, self.question) if self.pictures_first else (self.question, *self.pictures)


@dataclass(slots=True)
class Row:
    """An encoded conversation: ids, which of them are learnt, and where each picture's tokens begin."""

    ids: list[int]
    learnt: list[int]  # indices of ids that are to be predicted (from the id before)
    weights: list[float]  # of the learnt ids in the loss
    pictures: list[tuple[int, int]]  # (index of its first token, picture)


def answer_weight(num_tokens: int) -> float:
    """Weight of each token of an answer: "3" would else count for nothing beside a page that is read."""
    return max(0.6, min(3.0, (24 / max(1, num_tokens)) ** 0.5))


TOOLS_BEFORE = (
    "\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function "
    "signatures within <tools></tools> XML tags:\n<tools>\n"
)
TOOLS_AFTER = (
    "</tools>\n\nFor each function call, output the function name and arguments within the following XML format:\n"
    "<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>\n<arg_value>{arg-value-1}</arg_value>\n"
    "<arg_key>{arg-key-2}</arg_key>\n<arg_value>{arg-value-2}</arg_value>\n...\n</tool_call>"
)


def call_text(call: Call) -> str:
    """A tool call in the family's format."""
    lines = [f"<tool_call>{call.name}"]
    for key, value in call.arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"<arg_key>{key}</arg_key>\n<arg_value>{text}</arg_value>")
    return "\n".join([*lines, "</tool_call>"])


def encode_conversation(
    encoder: Encoder,
    turns: Sequence[Turn],
    tokens_of: Sequence[int],
    *,
    system: str = "",
    thinking: bool = False,
    tools: Sequence[Mapping[str, Any]] = (),
) -> Row:
    """The chat template's bytes as ids (reference: chat_template.jinja), image tokens expanded.

    Without `thinking` the prompt says `/nothink` and holds the empty think block; with it the last turn's think block,
    empty or with the turn's thought, is learnt too. Answers, calls and the role token after them are learnt.
    """
    s = encoder.special
    ids = [s["[gMASK]"], s["<sop>"]]
    learnt: list[int] = []
    weights: list[float] = []
    pictures: list[tuple[int, int]] = []
    if tools:
        signatures = "".join(json.dumps(tool, ensure_ascii=False) + "\n" for tool in tools)
        ids += [s["<|system|>"], *encoder.encode(TOOLS_BEFORE + signatures + TOOLS_AFTER)]
    if system:
        ids += [s["<|system|>"], *encoder.encode("\n" + system)]
    ids.append(s["<|user|>"])
    for turn in turns:
        ids += encoder.encode("\n")
        for part in turn.content:
            if isinstance(part, str):
                ids += encoder.encode(part)
            elif isinstance(part, Clip):
                ids.append(s["<|begin_of_video|>"])
                for picture, seconds in zip(part.pictures, part.seconds, strict=True):
                    _show(encoder, ids, pictures, picture, tokens_of)
                    ids += encoder.encode(second_text(seconds))
                ids.append(s["<|end_of_video|>"])
            else:
                _show(encoder, ids, pictures, part, tokens_of)
        if not thinking:
            ids.append(s["/nothink"])
        thought = turn.thought if thinking and turn is turns[-1] else None
        begin = len(learnt)
        if turn.calls:
            _reply(encoder, ids, learnt, "\n".join(map(call_text, turn.calls)), "<|observation|>", thought)
            if not turn.results:
                weights += [answer_weight(len(learnt) - begin)] * (len(learnt) - begin)
                continue
            for result in turn.results:
                ids += encoder.encode(f"\n<tool_response>\n{result}\n</tool_response>\n")
            thought = None if thought is None else ""
        _reply(encoder, ids, learnt, turn.answer, "<|user|>", thought, turn.given)
        weights += [answer_weight(len(learnt) - begin)] * (len(learnt) - begin)
    return Row(ids, learnt, weights, pictures)


def _show(
    encoder: Encoder, ids: list[int], pictures: list[tuple[int, int]], picture: int, tokens_of: Sequence[int]
) -> None:
    """A picture's tokens between the two that stand around it."""
    s = encoder.special
    ids.append(s["<|begin_of_image|>"])
    pictures.append((len(ids), picture))
    ids += [s["<|image|>"]] * tokens_of[picture]
    ids.append(s["<|end_of_image|>"])


def _reply(
    encoder: Encoder,
    ids: list[int],
    learnt: list[int],
    text: str,
    end: str,
    thought: str | None,
    given: Sequence[tuple[int, int]] = (),
) -> None:
    """What the assistant writes; a think block that is not None is its own and learnt as well.

    Tokens that lie inside a span of `given` are not learnt.
    """
    s = encoder.special
    ids += [s["<|assistant|>"], *encoder.encode("\n")]
    begin = len(ids)
    ids += [s["<think>"], *encoder.encode(thought or ""), s["</think>"], *encoder.encode("\n")]
    if thought is None:
        begin = len(ids)
    learnt += range(begin, len(ids))
    for id, start, stop in encoder.spans(text):
        if not any(low <= start and stop <= high for low, high in given):
            learnt.append(len(ids))
        ids.append(id)
    learnt.append(len(ids))
    ids.append(s[end])


def rope_positions(row: Row, grids: Sequence[tuple[int, int]]) -> npt.NDArray[np.int32]:
    """[3, n]: text counts on; a picture's tokens share one time and count rows and columns; then the larger side."""
    out = np.empty((3, len(row.ids)), np.int32)
    at = position = 0
    for first, picture in row.pictures:
        h, w = grids[picture]
        out[:, at:first] = np.arange(position, position + first - at)
        position += first - at
        out[0, first : first + h * w] = position
        out[1, first : first + h * w] = position + np.repeat(np.arange(h), w)
        out[2, first : first + h * w] = position + np.tile(np.arange(w), h)
        at = first + h * w
        position += max(h, w)
    out[:, at:] = np.arange(position, position + len(row.ids) - at)
    return out
