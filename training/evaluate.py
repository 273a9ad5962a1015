"""Score a network during training: are all tokens of an answer the most likely ones, given the answer so far?

For a whole answer that is the same as greedy decoding giving exactly it. Held-out pages are drawn once, in a process of
their own. The figures of the model card come from `flashweb eval` on generated answers, not from here.
"""

from __future__ import annotations

import multiprocessing as mp
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training.batches import TOKEN, BatchWriter, Budget, Encoder, Look, Turn, _Use

KINDS: tuple[str, ...] = ("train", "unseen_fonts", "unseen_decorations", "unseen_all")


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


def draw_sheets(budget: Budget, pages: int, seed: int = 77) -> list[Sheet]:
    """Batches with `pages` pages of each kind, two questions each in one conversation, undistorted."""
    from training import recipe

    budget = replace(budget, passes=1)
    encoder, rng, sides = Encoder(), np.random.default_rng(seed), random.Random(seed)
    sheets: list[Sheet] = []
    writer: BatchWriter | None = None
    buffer, answers = bytearray(), list[Answer]()

    def close() -> None:
        assert writer is not None
        writer.close(random.Random(0))
        shared, passes = budget.views(buffer)
        sheets.append(Sheet({name: array.copy() for name, array in {**shared, **passes[0]}.items()}, list(answers)))
        answers.clear()

    for kind in KINDS:
        for _ in range(pages):
            largest = min(16, budget.max_side)
            w, h = sides.randint(min(7, largest), largest), sides.randint(min(7, largest), largest)
            page = recipe.draw_page(rng, w * TOKEN, h * TOKEN, split=kind, difficulty=1.0, num_qa=2)
            turns = [Turn(qa.question, qa.answer, (0,) if i == 0 else ()) for i, qa in enumerate(page.qa)]
            use = _Use(turns, [(Look(), np.eye(3))])
            if writer is not None:
                before, rows = writer.num_labels[0], writer.num_rows[0]
            if writer is None or not writer.add([page], [use]):
                if writer is not None:
                    close()
                buffer = bytearray(budget.nbytes())
                writer = BatchWriter(budget, encoder, buffer)
                before, rows = 0, 0
                writer.add([page], [use])
            if writer.num_rows[0] == rows:
                continue  # overlong, dropped
            for qa in page.qa:
                end = before + len(encoder.encode(qa.answer)) + 1
                answers.append(Answer(kind, qa.task, before, end))
                before = end
            assert before == writer.num_labels[0]
    close()
    return sheets


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
