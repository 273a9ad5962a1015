"""Fixed-size batches: their arrays in one buffer, and the writer that packs pages and conversations into them.

A batch holds its pictures once and `passes` different uses of them (other questions, another distortion), so that a
fast device that outruns the drawing trains on a second use instead of waiting. No torch here.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.encoding import Encoder, Row, Turn, encode_conversation, rope_positions
from training.looks import LOOK, Look
from training.page import CELL_COLUMNS, COLOUR, TOKEN, Page

PADDING_WIDTH, PADDING_AREA = 16, 128  # pictures that fill up a batch, in visual tokens; small, so attention is cheap
SIGHT_WEIGHT = 6.0  # of a named thing beside a character: there are fifty times fewer


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


def _aligned(size: int) -> int:
    return -(-size // 256) * 256


@dataclass(slots=True)
class Use:
    """What one pass asks about a group of pages: a conversation over them and each page's distortion."""

    turns: list[Turn]
    looks: list[tuple[Look, npt.NDArray[np.float64]]]
    system: str = ""
    thinking: bool = False
    weight: float = 1.0
    tools: tuple[Mapping[str, Any], ...] = ()


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

    def add(self, pages: Sequence[Page], uses: Sequence[Use]) -> bool:
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


def _shown(
    points: Sequence[tuple[float, float]], grid: tuple[int, int], forward: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where points of a page are seen, in whole pixels, and whether that is inside the picture of `grid` tokens."""
    xy = np.array([(x, y, 1.0) for x, y in points]) @ forward.T
    xy = xy[:, :2] / xy[:, 2:]
    inside = (xy >= 0).all(1) & (xy < (grid[1] * TOKEN, grid[0] * TOKEN)).all(1)
    x, y = np.where(inside[:, None], xy, 0).astype(np.int64).T
    return inside, x, y


def patch_places(h: int, w: int) -> npt.NDArray[np.int32]:
    """[4hw, 2] row and column of each patch in merge-block order, for a picture of h x w visual tokens."""
    grid = np.stack(np.meshgrid(np.arange(2 * h), np.arange(2 * w), indexing="ij"), -1)
    return grid.reshape(h, 2, w, 2, 2).transpose(0, 2, 1, 3, 4).reshape(-1, 2).astype(np.int32)


def empty_batch(budget: Budget) -> dict[str, npt.NDArray[Any]]:
    """A valid batch of padding alone: shapes to compile and capture with; all its gradients are zero."""
    buffer = bytearray(budget.nbytes())
    writer = BatchWriter(budget, Encoder(), buffer)
    writer.close(random.Random(0))
    shared, passes = budget.views(buffer)
    return {**shared, **passes[0]}
