"""Drawing processes that fill batches in shared memory.

Each worker process draws pages until a batch is full and writes it into a slot of anonymous shared memory; the trainer
takes ready slots. No torch here.
"""

from __future__ import annotations

import mmap
import multiprocessing as mp
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from training.batches import BatchWriter, Budget
from training.drawer import Drawer
from training.encoding import Encoder


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
