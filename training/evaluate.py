"""Score a network during training: are all tokens of an answer the most likely ones, given the answer so far?

For a whole answer that is the same as greedy decoding giving exactly it. Held-out pages are drawn once, in a process of
their own. The figures of the model card come from `flashweb eval` on generated answers, not from here.
"""

from __future__ import annotations

import multiprocessing as mp
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training.batches import BatchWriter, Budget, Use
from training.encoding import Encoder, Turn, encode_conversation
from training.looks import Look
from training.page import TOKEN, Page

KINDS: tuple[str, ...] = ("train", "unseen_fonts", "unseen_decorations", "unseen_all")
TALKS = "conversations"


@dataclass(slots=True)
class Answer:
    """Where one answer's labels lie in a batch."""

    kind: str
    task: str
    begin: int
    end: int


@dataclass(slots=True)
class Sheet:
    """One packed batch of held-out pages."""

    arrays: dict[str, npt.NDArray[Any]]
    answers: list[Answer]


class _Sheets:
    """Packs pages with one conversation each into as many sheets as it takes."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.encoder = budget, Encoder()
        self.sheets: list[Sheet] = []
        self._open()

    def _open(self) -> None:
        self.buffer, self.answers = bytearray(self.budget.nbytes()), list[Answer]()
        self.writer = BatchWriter(self.budget, self.encoder, self.buffer)

    def close(self) -> None:
        """Finish the sheet at hand and begin another."""
        self.writer.close(random.Random(0))
        shared, passes = self.budget.views(self.buffer)
        arrays = {name: array.copy() for name, array in {**shared, **passes[0]}.items()}
        self.sheets.append(Sheet(arrays, self.answers))
        self._open()

    def add(self, kind: str, tasks: Sequence[str], pages: Sequence[Page], use: Use) -> None:
        """One conversation, an answer of a task each turn; one that is too long for a row is left out."""
        before, rows = self.writer.num_labels[0], self.writer.num_rows[0]
        if not self.writer.add(pages, [use]):
            self.close()
            before, rows = 0, 0
            self.writer.add(pages, [use])
        if self.writer.num_rows[0] == rows:
            return
        for task, turn in zip(tasks, use.turns, strict=True):
            end = before + len(encode_conversation(self.encoder, [turn], [1] * len(pages)).learnt)
            self.answers.append(Answer(kind, task, before, end))
            before = end
        assert before == self.writer.num_labels[0]


def draw_sheets(budget: Budget, pages: int, seed: int = 77) -> list[Sheet]:
    """Batches with `pages` pages of each kind, two questions each in one conversation, and as many other conversations
    (kind `TALKS`, a task is a kind of `conversations.SHARES`); undistorted, thinking off.
    """
    from training import recipe
    from training.conversations import SHARES, Conversations

    budget = replace(budget, passes=1)
    sheets, rng, sides = _Sheets(budget), np.random.default_rng(seed), random.Random(seed)
    for kind in KINDS:
        for _ in range(pages):
            largest = min(16, budget.max_side)
            w, h = sides.randint(min(7, largest), largest), sides.randint(min(7, largest), largest)
            page = recipe.draw_page(rng, w * TOKEN, h * TOKEN, split=kind, difficulty=1.0, num_qa=2)
            turns = [Turn(qa.question, qa.answer, (0,) if i == 0 else ()) for i, qa in enumerate(page.qa)]
            sheets.add(kind, [qa.task for qa in page.qa], [page], Use(turns, [(Look(), np.eye(3))]))
    drawer = Conversations(random.Random(seed), budget, "unseen_fonts")
    for index in range(pages):
        kind = tuple(SHARES)[index % len(SHARES)]
        drawn = drawer.talk(kind)
        if drawn is not None:
            shown, talk = drawn
            looks = [(Look(), np.eye(3)) for _ in shown]
            use = Use(talk.turns, looks, talk.system, tools=talk.tools)
            sheets.add(TALKS, [kind] * len(talk.turns), shown, use)
    sheets.close()
    return sheets.sheets


class TeacherForced:
    """Draws in the background from construction on; `run` scores the network of a `training.train.Device`."""

    def __init__(self, budget: Budget, pages: int) -> None:
        context = mp.get_context("fork")
        self._queue = context.Queue()
        self._process = context.Process(target=self._draw, args=(budget, pages), daemon=True)
        self._process.start()
        self._sheets: list[Sheet] = []

    def _draw(self, budget: Budget, pages: int) -> None:
        for sheet in draw_sheets(budget, pages):
            self._queue.put(sheet)
        self._queue.put(None)

    def wait(self) -> None:
        """Block until the pages are there."""
        while self._process is not None:
            sheet = self._queue.get()
            if sheet is None:
                self._process = None
                break
            self._sheets.append(sheet)

    def run(self, trainer: Any) -> dict[str, Any]:
        """{kind: {task: [exact %, count], "read_tokens": % of read answers' tokens right}}."""
        self.wait()
        exact: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        tokens: dict[str, list[npt.NDArray[np.bool_]]] = defaultdict(list)
        for sheet in self._sheets:
            trainer.load(sheet.arrays)
            right = trainer.predictions().cpu().numpy() == sheet.arrays["labels"]
            for answer in sheet.answers:
                hits = right[answer.begin : answer.end]
                exact[answer.kind][answer.task].append(bool(hits.all()))
                if answer.task == "read":
                    tokens[answer.kind].append(hits)
        return {
            kind: {
                **{task: [round(100 * float(np.mean(hits)), 1), len(hits)] for task, hits in sorted(tasks.items())},
                "read_tokens": round(100 * float(np.concatenate(tokens[kind]).mean()), 2) if tokens[kind] else None,
            }
            for kind, tasks in exact.items()
        }
