"""Fill fixed-size batches with drawn pages and conversations, in many processes, through shared memory.

Each worker process draws pages until a batch is full and writes it into a slot of anonymous shared memory; the trainer
takes ready slots. A batch holds its pictures once and `passes` different uses of them (other questions, another
distortion), so that a fast device that outruns the drawing trains on a second use instead of waiting. No torch here.
"""

from __future__ import annotations

import io
import json
import mmap
import multiprocessing as mp
import os
import random
import re
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.page import CELL_COLUMNS, COLOUR, QA, QUESTIONS_EACH, Page, moved
from training.tokenizer import single_token_characters, token_ids, vocabulary

TOKEN = 28  # pixels of a merged token's side
PADDING_WIDTH, PADDING_AREA = 16, 128  # pictures that fill up a batch, in visual tokens; small, so attention is cheap
LARGEST_DRAWN = 36  # tokens: the recipe's papers end at 1,024 px
LOOK = 30  # floats that say how one picture is distorted, see `Look`


# --- text -> ids ------------------------------------------------------------------------------------------------


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


@dataclass(slots=True)
class Turn:
    """One exchange; `pictures` are indices into the conversation's pictures, shown before or after the question.

    `given` are parts of the answer (from, to) that are not learnt, because a grammar writes them.
    With `parts` the user's content is these texts and pictures in order instead. `calls` are made before the answer;
    without `results` the exchange ends with them. `thought` is written only where thinking is on and in the last turn.
    """

    question: str
    answer: str
    pictures: tuple[int, ...] = ()
    pictures_first: bool = True
    parts: tuple[str | int, ...] = ()
    thought: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[str, ...] = ()
    given: tuple[tuple[int, int], ...] = ()

    @property
    def content(self) -> tuple[str | int, ...]:
        """The user's texts and pictures in order."""
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
            else:
                ids.append(s["<|begin_of_image|>"])
                pictures.append((len(ids), part))
                ids += [s["<|image|>"]] * tokens_of[part]
                ids.append(s["<|end_of_image|>"])
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


# --- the batch in shared memory -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Budget:
    """Fixed sizes of a batch. `visual` and `text` are tokens, the rest counts of items."""

    visual: int = 16384
    text: int = 38912
    pictures: int = 576
    conversations: int = 576
    labels: int = 11264
    glyphs: int = 8192
    max_side: int = 30  # of a picture, in visual tokens
    max_area: int = 640  # of a picture, in visual tokens
    max_row: int = 1536  # tokens of one conversation
    passes: int = 3

    @property
    def max_patches(self) -> int:
        return 4 * self.max_area

    def fields(self) -> dict[str, tuple[type, tuple[int, ...]]]:
        """Arrays that are the same in every pass."""
        patches = 4 * self.visual
        return {
            "pixels": (np.uint8, (patches * 14 * 14 * 3,)),
            "picture_offset": (np.int32, (self.pictures,)),
            "picture_size": (np.int32, (self.pictures, 2)),
            "patch_picture": (np.int32, (patches,)),
            "patch_yx": (np.int32, (patches, 2)),
            "patch_grid": (np.int32, (patches, 2)),
            "vision_offsets": (np.int32, (self.pictures + 1,)),
        }

    def pass_fields(self) -> dict[str, tuple[type, tuple[int, ...]]]:
        """Arrays of one pass."""
        return {
            "look": (np.float32, (self.pictures, LOOK)),
            "tokens": (np.int32, (self.text,)),
            "positions": (np.int32, (3, self.text)),
            "text_offsets": (np.int32, (self.conversations + 1,)),
            "image_slots": (np.int32, (self.visual,)),
            "label_slots": (np.int32, (self.labels,)),
            "labels": (np.int32, (self.labels,)),
            "label_weights": (np.float32, (self.labels,)),
            "glyph_token": (np.int32, (self.glyphs,)),
            "glyph_cell": (np.int32, (self.glyphs,)),
            "glyph_label": (np.int32, (self.glyphs,)),
            "glyph_weights": (np.float32, (self.glyphs,)),
        }

    def nbytes(self) -> int:
        parts = list(self.fields().values()) + list(self.pass_fields().values()) * self.passes
        return sum(_aligned(np.dtype(kind).itemsize * int(np.prod(shape))) for kind, shape in parts)

    def views(self, buffer: Any) -> tuple[dict[str, npt.NDArray[Any]], list[dict[str, npt.NDArray[Any]]]]:
        """(shared arrays, arrays of each pass) over one buffer of `nbytes`."""
        at = 0
        groups: list[dict[str, npt.NDArray[Any]]] = []
        for spec in [self.fields()] + [self.pass_fields()] * self.passes:
            group = {}
            for name, (kind, shape) in spec.items():
                count = int(np.prod(shape))
                group[name] = np.frombuffer(buffer, kind, count, at).reshape(shape)
                at += _aligned(np.dtype(kind).itemsize * count)
            groups.append(group)
        return groups[0], groups[1:]


SIGHT_WEIGHT = 6.0  # of a named thing beside a character: there are fifty times fewer


def _shown(
    points: Sequence[tuple[float, float]], grid: tuple[int, int], forward: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where points of a page are seen, in whole pixels, and whether that is inside the picture of `grid` tokens."""
    xy = np.array([(x, y, 1.0) for x, y in points]) @ forward.T
    xy = xy[:, :2] / xy[:, 2:]
    inside = (xy >= 0).all(1) & (xy < (grid[1] * TOKEN, grid[0] * TOKEN)).all(1)
    x, y = np.where(inside[:, None], xy, 0).astype(np.int64).T
    return inside, x, y


def _aligned(size: int) -> int:
    return -(-size // 256) * 256


@dataclass(slots=True)
class Look:
    """How one picture is distorted on the device; see `training/augment.py` for the use of each number."""

    inverse: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(3))  # drawn <- shown, pixels
    blur: float = 0.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    noise: float = 0.0
    fill: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # colour outside the page and its opacity
    light: tuple[float, float] = (0.0, 0.0)  # how much brighter the right and the lower edge are than the other one
    vignette: float = 0.0  # how much darker the corners are
    shadow: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # its soft edge a u + b v + c = 0 (sides), depth
    motion: tuple[float, float] = (0.0, 0.0)  # half the way the picture moved while it was taken, pixels

    def keeps_colours(self) -> bool:
        """Whether named colours are still themselves."""
        bright = min(self.gain) + min(self.bias) > 0.8 and max(self.gain) - min(self.gain) < 0.08
        return bright and self.vignette < 0.2 and self.shadow[3] < 0.25 and max(map(abs, self.light)) < 0.2

    def row(self) -> list[float]:
        flat = (self.inverse / self.inverse[2, 2]).ravel().tolist()
        light = (*self.light, self.vignette, *self.shadow, *self.motion)
        return [*flat[:8], self.blur, self.noise, *self.gain, *self.bias, *self.fill, *light, 0.0]


def random_look(
    rng: random.Random, page: Page, strength: float, asked: Sequence[QA] = ()
) -> tuple[Look, npt.NDArray[np.float64]]:
    """A distortion of growing `strength` (0..1) and the forward map drawn -> shown.

    Text and shapes stay inside the picture, glyphs are not shrunk beyond `legibility`. Where the questions `asked` are
    about places, nothing moves unless their answers can (`QA.outlines`); where they are about colours, these change by
    little (`QA.colours`) or not at all.
    """
    look, forward = Look(), np.eye(3)
    height, width = page.image.shape[:2]
    tasks = {qa.task for qa in asked}
    fixed_geometry = page.fixed_geometry and bool(tasks & PLACE_TASKS)
    fixed_colours = page.fixed_colours and bool(tasks & COLOUR_TASKS)
    share = 0.0 if fixed_colours else 0.25 if any(qa.colours for qa in asked) else 1.0  # of all change to colours
    if not fixed_geometry and (page.glyphs or page.keep) and rng.random() < 0.5 * strength:
        forward = _random_map(rng, page, width, height)
        look.inverse = np.linalg.inv(forward)
        if rng.random() < 0.5:
            look.fill = (rng.random(), rng.random(), rng.random(), 1.0)
    smallest = min((g.size for g in page.glyphs), default=20.0)
    if rng.random() < 0.4 * strength:
        look.blur = rng.random() * min(1.3, max(0.0, (smallest - 8) / 10))
    if rng.random() < 0.06 * strength and smallest >= 14:
        way, angle = rng.uniform(0.3, min(2.0, (smallest - 8) / 7)), rng.uniform(0, np.pi)
        look.motion = (way * np.cos(angle), way * np.sin(angle))
    if share and rng.random() < 0.5 * strength:
        gain, bias = 1 + share * rng.uniform(-0.45, 0.15), share * rng.uniform(-0.12, 0.12)
        tint = [share * rng.uniform(-0.1, 0.1) if rng.random() < 0.4 else 0.0 for _ in range(3)]
        look.gain = (gain + tint[0], gain + tint[1], gain + tint[2])
        look.bias = (bias, bias, bias)
    if share and rng.random() < 0.25 * strength:
        _light(rng, look, share)
    if rng.random() < 0.35 * strength:
        look.noise = rng.random() ** 2 * 0.09
    return look, forward


def _light(rng: random.Random, look: Look, share: float) -> None:
    """As a telephone takes it: brighter on one side, darker corners, the edge of a shadow."""
    look.light = (share * rng.uniform(-0.4, 0.4), share * rng.uniform(-0.4, 0.4))
    if rng.random() < 0.5:
        look.vignette = share * rng.uniform(0.1, 0.4)
    if rng.random() < 0.5:
        angle, steep = rng.uniform(0, 2 * np.pi), 60 ** rng.uniform(0.3, 1.0)
        edge = steep * rng.uniform(-0.35, 0.35)
        look.shadow = (steep * np.cos(angle), steep * np.sin(angle), edge, share * rng.uniform(0.15, 0.5))


SMALLEST_HANZI, SMALLEST_LATIN = 12.0, 9.5  # px that distortion may leave


def legibility(page: Page) -> float:
    """How often larger the smallest glyph is than it must be; 2 without glyphs."""
    sizes = (g.size / (SMALLEST_HANZI if g.char >= "\u2e80" else SMALLEST_LATIN) for g in page.glyphs)
    return min(sizes, default=2.0)


def _random_map(rng: random.Random, page: Page, width: int, height: int) -> npt.NDArray[np.float64]:
    angle = np.deg2rad(rng.triangular(-9, 9, 0))
    shear, tilt = rng.uniform(-0.06, 0.06), rng.random() < 0.4
    cos, sin = np.cos(angle), np.sin(angle)
    centre = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1.0]])
    turn = np.array([[cos, -sin + shear, 0], [sin, cos, 0], [0, 0, 1.0]])
    if tilt:
        turn[2, :2] = rng.uniform(-0.18, 0.18) / max(width, height), rng.uniform(-0.18, 0.18) / max(width, height)
    moved = turn @ centre
    xs = np.array([[g.x + dx * g.size * 0.6, g.y + dy * g.size * 0.6, 1.0] for g in page.glyphs for dx, dy in
                   ((-1, -1), (1, 1))] + [[x * width, y * height, 1.0] for x, y in page.keep])  # fmt: skip
    out = xs @ moved.T
    out = out[:, :2] / out[:, 2:]
    low, high = out.min(0), out.max(0)
    room_to_shrink = legibility(page)
    scale = float(min(1.0, (width - 2) / (high[0] - low[0]), (height - 2) / (high[1] - low[1])))
    if scale * room_to_shrink < 1:
        return np.eye(3)
    if rng.random() < 0.6:
        scale *= rng.uniform(max(0.65, min(1.0, 1 / (scale * room_to_shrink))), 1.0)
    room = np.maximum(np.array([width, height]) - (high - low) * scale, 0)
    # stay near where it was: at most a quarter of the free room away from the centred place, mostly
    corner = room * np.array([rng.triangular(0, 1, 0.5), rng.triangular(0, 1, 0.5)])
    place = np.array([[scale, 0, corner[0] - low[0] * scale], [0, scale, corner[1] - low[1] * scale], [0, 0, 1.0]])
    return np.asarray(place @ moved)


@dataclass(slots=True)
class _Use:
    """What one pass asks about a group of pages: a conversation over them and each page's distortion."""

    turns: list[Turn]
    looks: list[tuple[Look, npt.NDArray[np.float64]]]
    system: str = ""
    thinking: bool = False
    weight: float = 1.0
    tools: tuple[Mapping[str, Any], ...] = ()


# Tasks whose answers a moved or recoloured picture would make untrue.
PLACE_TASKS = frozenset({"box"})
COLOUR_TASKS = frozenset({"colour", "shapes", "count", "describe", "yesno"})


class BatchWriter:
    """Packs pages and conversations into one slot until a budget is spent; `close` pads the rest."""

    def __init__(self, budget: Budget, encoder: Encoder, buffer: Any) -> None:
        self.budget, self.encoder = budget, encoder
        self.shared, self.passes = budget.views(buffer)
        self.open()

    def open(self) -> None:
        self.num_pictures = self.num_visual = 0
        self.num_text = [0] * self.budget.passes
        self.num_rows = [0] * self.budget.passes
        self.num_labels = [0] * self.budget.passes
        self.glyphs: list[list[tuple[int, int, int]]] = [[] for _ in range(self.budget.passes)]
        self.sights: list[list[tuple[int, int, int]]] = [[] for _ in range(self.budget.passes)]
        self.notes: list[list[dict[str, Any]]] = [[] for _ in range(self.budget.passes)]
        for arrays in self.passes:
            arrays["label_weights"][:] = 0
            arrays["glyph_weights"][:] = 0

    def room_for(self, tokens: int, rows: Sequence[Row], pictures: int) -> bool:
        """Whether pictures of `tokens` in all and a row per pass still fit, with what padding will need."""
        b = self.budget
        visual_left = b.visual - self.num_visual - tokens
        spare = -(-visual_left // PADDING_AREA) + PADDING_WIDTH
        return (
            visual_left >= 0
            and self.num_pictures + pictures + spare <= b.pictures
            and all(
                self.num_text[p] + len(row.ids) <= b.text
                and self.num_rows[p] + 1 - (-(b.text - self.num_text[p] - len(row.ids)) // b.max_row) <= b.conversations
                and self.num_labels[p] + len(row.learnt) <= b.labels
                for p, row in enumerate(rows)
            )
        )

    def add(self, pages: Sequence[Page], uses: Sequence[_Use]) -> bool:
        """Add pages with one conversation per pass; False if it does not fit (nothing is written then)."""
        grids = [(p.image.shape[0] // TOKEN, p.image.shape[1] // TOKEN) for p in pages]
        sizes = [h * w for h, w in grids]
        rows = [
            encode_conversation(
                self.encoder, use.turns, sizes, system=use.system, thinking=use.thinking, tools=use.tools
            )
            for use in uses
        ]
        if max(len(row.ids) for row in rows) > self.budget.max_row:
            return True  # an overlong conversation is dropped, not an end of the batch
        if not self.room_for(sum(sizes), rows, len(pages)):
            return False
        first_picture, first_token = self.num_pictures, []
        for page in pages:
            first_token.append(self.num_visual)
            self._add_picture(page.image)
        for p, (row, use) in enumerate(zip(rows, uses, strict=True)):
            self._add_row(p, row, grids, first_token, use.weight)
            for i, (page, (look, forward)) in enumerate(zip(pages, use.looks, strict=True)):
                self.passes[p]["look"][first_picture + i] = look.row()
                self._add_glyphs(p, page, grids[i], first_token[i], forward)
                self._add_sights(p, page, grids[i], first_token[i], look, forward)
        return True

    def _add_picture(self, image: npt.NDArray[np.uint8]) -> None:
        index, s = self.num_pictures, self.shared
        h, w = image.shape[0] // TOKEN, image.shape[1] // TOKEN
        begin, end = 4 * self.num_visual, 4 * (self.num_visual + h * w)
        s["picture_offset"][index] = begin * 14 * 14 * 3
        s["picture_size"][index] = image.shape[:2]
        s["pixels"][begin * 588 : end * 588] = image.reshape(-1)
        s["patch_picture"][begin:end] = index
        s["patch_yx"][begin:end] = patch_places(h, w)
        s["patch_grid"][begin:end] = 2 * h, 2 * w
        s["vision_offsets"][index], s["vision_offsets"][index + 1] = begin, end
        self.num_pictures += 1
        self.num_visual += h * w

    def _add_row(
        self, p: int, row: Row, grids: Sequence[tuple[int, int]], first_token: Sequence[int], weight: float
    ) -> None:
        a, begin = self.passes[p], self.num_text[p]
        end = begin + len(row.ids)
        a["tokens"][begin:end] = row.ids
        a["positions"][:, begin:end] = rope_positions(row, grids)
        a["text_offsets"][self.num_rows[p]], a["text_offsets"][self.num_rows[p] + 1] = begin, end
        for first, picture in row.pictures:
            h, w = grids[picture]
            token = first_token[picture]
            slots = np.arange(begin + first, begin + first + h * w, dtype=np.int32)
            a["image_slots"][token : token + h * w] = slots
            a["tokens"][slots] = slots % 4096  # overwritten by the picture; spread, so that gradients do not collide
        learnt = np.asarray(row.learnt, np.int32)
        at = slice(self.num_labels[p], self.num_labels[p] + len(learnt))
        a["label_slots"][at] = begin + learnt - 1
        a["labels"][at] = np.asarray(row.ids, np.int32)[learnt]
        a["label_weights"][at] = weight * np.asarray(row.weights, np.float32)
        self.num_labels[p] += len(learnt)
        self.num_rows[p] += 1
        self.num_text[p] = end

    def _add_glyphs(
        self, p: int, page: Page, grid: tuple[int, int], first: int, forward: npt.NDArray[np.float64]
    ) -> None:
        if not page.glyphs:
            return
        ids = np.array([self.encoder.single(g.char) for g in page.glyphs])
        inside, x, y = _shown([(g.x, g.y) for g in page.glyphs], grid, forward)
        inside &= ids >= 0
        x, y = x[inside], y[inside]
        tokens = first + y // TOKEN * grid[1] + x // TOKEN
        cells = y % TOKEN // 14 * CELL_COLUMNS + x % TOKEN // 7
        self.glyphs[p] += zip(tokens.tolist(), cells.tolist(), ids[inside].tolist(), strict=True)

    def _add_sights(
        self, p: int, page: Page, grid: tuple[int, int], first: int, look: Look, forward: npt.NDArray[np.float64]
    ) -> None:
        """The named things, once for each token, and their colours where the distortion leaves these as they are."""
        sights = [s for s in page.sights if s.cell != COLOUR or look.keeps_colours()]
        if not sights:
            return
        inside, x, y = _shown([(s.x, s.y) for s in sights], grid, forward)
        tokens = first + y // TOKEN * grid[1] + x // TOKEN
        found = {
            (int(token), sight.cell): self.encoder.single(sight.word)
            for sight, token, shown in zip(sights, tokens, inside, strict=True)
            if shown
        }
        self.sights[p] += [(token, cell, label) for (token, cell), label in found.items()]

    def close(self, rng: random.Random) -> dict[str, int]:
        """Pad everything to its full size and sample the glyphs to be read; returns what the batch holds."""
        b, s = self.budget, self.shared
        counts = {
            "pictures": self.num_pictures, "visual": self.num_visual, "text": self.num_text[0],
            "labels": self.num_labels[0], "glyphs": len(self.glyphs[0]), "rows": self.num_rows[0],
        }  # fmt: skip
        padded_from = self.num_visual
        while self.num_visual < b.visual:
            self._add_padding_picture()
        s["vision_offsets"][self.num_pictures + 1 :] = 4 * b.visual
        for p, a in enumerate(self.passes):
            begin = self.num_text[p]
            a["image_slots"][padded_from:] = np.arange(b.text, b.text + b.visual - padded_from)
            a["tokens"][begin:] = np.arange(begin, b.text) % 4096
            a["positions"][:, begin:] = np.arange(b.text - begin) % b.max_row
            while begin < b.text:
                begin = min(begin + b.max_row, b.text)
                self.num_rows[p] += 1
                a["text_offsets"][self.num_rows[p]] = begin
            a["text_offsets"][self.num_rows[p] + 1 :] = b.text
            a["look"][self.num_pictures :] = Look().row()
            unused = b.labels - self.num_labels[p]
            a["label_slots"][b.labels - unused :] = np.arange(unused) % b.text  # spread: no gradient collides
            a["labels"][b.labels - unused :] = 0
            sights = self.sights[p][: b.glyphs // 2]
            chosen = sights + rng.sample(self.glyphs[p], min(len(self.glyphs[p]), b.glyphs - len(sights)))
            for column, name in enumerate(("glyph_token", "glyph_cell", "glyph_label")):
                a[name][: len(chosen)] = [g[column] for g in chosen]
                a[name][len(chosen) :] = 0
            a["glyph_token"][len(chosen) :] = np.arange(b.glyphs - len(chosen)) % b.visual
            a["glyph_weights"][: len(chosen)] = 1
            a["glyph_weights"][: len(sights)] = SIGHT_WEIGHT
        return counts

    def _add_padding_picture(self) -> None:
        left = self.budget.visual - self.num_visual
        width = min(left, PADDING_WIDTH)
        height = min(left // width, PADDING_AREA // PADDING_WIDTH)
        for a in self.passes:
            a["look"][self.num_pictures] = Look().row()
        self._add_picture(np.zeros((height * TOKEN, width * TOKEN, 3), np.uint8))


def patch_places(h: int, w: int) -> npt.NDArray[np.int32]:
    """[4hw, 2] row and column of each patch in merge-block order, for a picture of h x w visual tokens."""
    grid = np.stack(np.meshgrid(np.arange(2 * h), np.arange(2 * w), indexing="ij"), -1)
    return grid.reshape(h, 2, w, 2, 2).transpose(0, 2, 1, 3, 4).reshape(-1, 2).astype(np.int32)


# --- drawing ------------------------------------------------------------------------------------------------------


def random_grid(rng: random.Random, difficulty: float, budget: Budget) -> tuple[int, int]:
    """(height, width) in visual tokens: one-row lines first, then up to 16 x 16, later larger pages too."""
    if rng.random() > difficulty * 1.25 or rng.random() < 0.04:
        return 1, rng.randint(3, 16)
    kind = rng.random()
    if kind < 0.62 or difficulty < 0.75:
        side = min(budget.max_side, 2 + round(14 * min(1.0, difficulty * 1.3)))
        return rng.randint(2, side), rng.randint(2, side)
    low, high, area = (12, 22, 400) if kind < 0.9 else (13, budget.max_side, budget.max_area)
    low = min(low, budget.max_side)
    while True:
        h, w = rng.randint(low, budget.max_side), rng.randint(low, budget.max_side)
        if max(h, w) <= high and h * w <= min(area, budget.max_area):
            return h, w


def empty_batch(budget: Budget) -> dict[str, npt.NDArray[Any]]:
    """A valid batch of padding alone: shapes to compile and capture with; all its gradients are zero."""
    buffer = bytearray(budget.nbytes())
    writer = BatchWriter(budget, Encoder(), buffer)
    writer.close(random.Random(0))
    shared, passes = budget.views(buffer)
    return {**shared, **passes[0]}


def jpeg(image: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def resize(page: Page, width: int, height: int, max_area: int) -> None:
    """Resample a page as serving does with pictures of any size; left as it is where glyphs would become illegible."""
    drawn_height, drawn_width = page.image.shape[:2]
    x, y = width / drawn_width, height / drawn_height
    if legibility(page) * min(x, y) < 1 and drawn_width * drawn_height <= max_area * TOKEN * TOKEN:
        return
    image = Image.fromarray(page.image).resize((width, height), Image.Resampling.BICUBIC)
    page.image = np.asarray(image)
    for glyph in page.glyphs:
        glyph.x, glyph.y, glyph.size = glyph.x * x, glyph.y * y, glyph.size * min(x, y)
    for sight in page.sights:
        sight.x, sight.y = sight.x * x, sight.y * y


SYSTEMS = (  # that change nothing; those that do are in training/rules.py
    "You are a helpful assistant.", "你是一个有用的助手。", "你是一个多模态助手，请根据图片回答问题。",
    "Answer from the picture only.", "You are a careful reader of pictures.", "请根据图片内容回答。",
)  # fmt: skip
ORDINALS = {
    "zh": (("第一张图：", "第二张图："), ("在第一张图中，", "在第二张图中，")),
    "en": (("In the first picture: ", "In the second picture: "), ("First image: ", "Second image: ")),
}


class Drawer:
    """Draws groups of pages and decides what each pass asks. One per worker process."""

    def __init__(self, budget: Budget, seed: int, split: str = "train") -> None:
        from training import conversations, recipe, refusals, thoughts  # they know the turns of this module
        from training.scenes import worksheet

        self.recipe, self.budget, self.split = recipe, budget, split
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(seed)
        self.conversations = conversations.Conversations(self.random, budget, split)
        self._thought, self._open_chat, self._typed_sums = thoughts.thought, refusals.open_chat, worksheet.typed

    def page(self, difficulty: float) -> Page:
        h, w = random_grid(self.random, difficulty, self.budget)
        drawn_h, drawn_w = h, w
        if self.random.random() < 0.25 * difficulty:
            factor = 2 ** self.random.uniform(-0.5, 1.0)
            drawn_h, drawn_w = (min(LARGEST_DRAWN, max(1, round(side / factor))) for side in (h, w))
        page = self.recipe.draw_page(
            self.numpy, drawn_w * TOKEN, drawn_h * TOKEN, split=self.split, difficulty=difficulty,
            num_qa=QUESTIONS_EACH * self.budget.passes,
        )  # fmt: skip
        quality = self.random.randint(30, 80) if self.random.random() < 0.14 * difficulty else 0
        early = self.random.random() < 0.5  # a photograph is compressed first and resampled by serving
        if quality and early:
            page.image = jpeg(page.image, quality)
        if (drawn_h, drawn_w) != (h, w):
            resize(page, w * TOKEN, h * TOKEN, self.budget.max_area)
        if quality and not early:
            page.image = jpeg(page.image, quality)
        return page

    def group(self, difficulty: float, strength: float) -> tuple[list[Page], list[_Use]]:
        """Pages shown together (nearly always one) and a conversation about them for each pass."""
        r = self.random
        if r.random() < 0.02 + 0.05 * difficulty:
            return [], [self._text_only() for _ in range(self.budget.passes)]
        talked = self.conversations.group(difficulty, strength)
        if talked is not None:
            return talked
        pages = [self.page(difficulty)]
        if difficulty > 0.6 and r.random() < 0.015 and pages[0].image.size < 300 * 300 * 3:
            pages.append(self.page(difficulty))
        return pages, [self._use(pages, strength, p) for p in range(self.budget.passes)]

    def _text_only(self) -> _Use:
        asked = self.recipe.draw_text_only(self.numpy, self.split)
        if self.random.random() < 0.7:
            asked = [self._typed_sums(self.random)]
        elif self.random.random() < 0.4:
            asked = [self._open_chat(self.random, self.split == "unseen_all")]
        return self._dress(_Use([Turn(qa.question, qa.answer) for qa in asked], []), None, asked[-1])

    def _dress(self, use: _Use, page: Page | None, last: QA | None) -> _Use:
        """Some with a system message, some with thinking on, where the last answer comes after a thought."""
        r = self.random
        use.thinking = r.random() < 0.05
        if use.thinking and last is not None and (page is None or page.plan is not None):
            use.turns[-1].thought = self._thought(page.plan if page is not None else None, last)
        use.system = r.choice(SYSTEMS) if r.random() < 0.05 else ""
        return use

    def _use(self, pages: list[Page], strength: float, p: int) -> _Use:
        r = self.random
        if len(pages) == 2:
            looks = [random_look(r, page, strength, page.qa) for page in pages]
            seen = [_seen(page, look) for page, look in zip(pages, looks, strict=True)]
            return self._dress(_Use(self._two_picture_turns(seen), looks), None, None)
        qa = pick_questions(r, pages[0].qa, p, self.budget.passes)
        looks = [random_look(r, pages[0], strength, qa)]
        turns = [Turn(item.question, item.answer) for item in _seen(replace(pages[0], qa=qa), looks[0]).qa]
        turns[0].pictures, turns[0].pictures_first = (0,), r.random() < 0.6
        return self._dress(_Use(turns, looks), pages[0], qa[-1])

    def _two_picture_turns(self, pages: list[Page]) -> list[Turn]:
        r = self.random
        asked = [r.choice(page.qa) for page in pages]
        if r.random() < 0.5:  # one picture each turn
            return [Turn(qa.question, qa.answer, (i,), r.random() < 0.6) for i, qa in enumerate(asked)]
        which = r.randrange(2)
        qa = asked[which]
        prefix = r.choice(ORDINALS[qa.language])[which]
        return [Turn(prefix + qa.question, qa.answer, (0, 1), r.random() < 0.8)]


def _seen(page: Page, look: tuple[Look, npt.NDArray[np.float64]]) -> Page:
    """The page with answers about places as they are after the distortion."""
    height, width = page.image.shape[:2]
    return replace(page, qa=[moved(qa, look[1], width, height) for qa in page.qa])


def pick_questions(rng: random.Random, qa: Sequence[QA], p: int, passes: int) -> list[QA]:
    """Up to `QUESTIONS_EACH` questions for pass `p` in random order; other passes get others while there are enough."""
    if not qa:
        raise ValueError("a page without questions")
    share = [qa[i] for i in range(len(qa)) if i % passes == p] or [qa[p % len(qa)]]
    chosen = share[: rng.choices((1, 2, QUESTIONS_EACH), (15, 25, 60))[0]]
    return rng.sample(chosen, len(chosen))


def fill(writer: BatchWriter, drawer: Drawer, difficulty: Callable[[], tuple[float, float]]) -> dict[str, int]:
    """Draw until the batch is full; `difficulty()` gives the curriculum's state and the augmentation's strength."""
    writer.open()
    hard, strength = difficulty()
    refused = 0
    while refused < 3:  # a large page may not fit where a small one still does
        try:
            pages, uses = drawer.group(hard, strength)
        except Exception:
            traceback.print_exc()
            time.sleep(0.05)
            continue
        if not writer.add(pages, uses):
            refused += 1
    return writer.close(drawer.random)


# --- processes ----------------------------------------------------------------------------------------------------


class Renderers:
    """Worker processes and the slots they fill. Start them before CUDA is touched (they are forked).

    Drawing begins when `go` is set. `ready()` gives (slot, counts); `views(slot)` its arrays; `release(slot)` hands it
    back to be filled again.
    """

    def __init__(self, budget: Budget, workers: int, slots: int, seed: int) -> None:
        self.budget = budget
        self.buffers = [mmap.mmap(-1, budget.nbytes()) for _ in range(slots)]
        context = mp.get_context("fork")
        self._free, self._ready = context.Queue(), context.Queue()
        self.progress = context.Array("d", [0.0, 0.0], lock=False)  # difficulty, strength
        self.go = context.Event()
        for slot in range(slots):
            self._free.put(slot)
        self.processes = [
            context.Process(target=self._work, args=(seed * 1000 + i,), daemon=True) for i in range(workers)
        ]
        for process in self.processes:
            process.start()

    def _work(self, seed: int) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"
        self.go.wait()
        drawer, encoder = Drawer(self.budget, seed), Encoder()
        writers: dict[int, BatchWriter] = {}
        while True:
            slot = self._free.get()
            if slot not in writers:
                writers[slot] = BatchWriter(self.budget, encoder, self.buffers[slot])
            began = time.perf_counter()
            counts = fill(writers[slot], drawer, lambda: (self.progress[0], self.progress[1]))
            counts["milliseconds"] = round(1000 * (time.perf_counter() - began))
            self._ready.put((slot, counts))

    def ready(self, timeout: float | None = None) -> tuple[int, dict[str, int]]:
        return self._ready.get(timeout=timeout)  # type: ignore[no-any-return]

    def views(self, slot: int) -> tuple[dict[str, npt.NDArray[Any]], list[dict[str, npt.NDArray[Any]]]]:
        return self.budget.views(self.buffers[slot])

    def release(self, slot: int) -> None:
        self._free.put(slot)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
