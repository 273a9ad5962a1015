"""Captures the same computation for several sizes as CUDA graphs that share their memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import torch

Result = TypeVar("Result")


class Captured(NamedTuple, Generic[Result]):
    """`replay` computes again what `compute` did; `result` is what that returned, written anew by every replay."""

    graph: torch.cuda.CUDAGraph
    result: Result


class Recorder:
    """Captures graphs one after another, on a stream of its own, that share one pool of memory.

    The first should be the largest: the others then find room in what it has left. That they share it means that none
    may begin before the one before has ended, and that what one wrote there is gone with the next.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()  # lives while one of its graphs does

    @torch.inference_mode()
    def record(self, compute: Callable[[], Result]) -> Captured[Result]:
        """Computes once before it captures, which compiles kernels and chooses the products' algorithms. Waits for the
        device. Raises RuntimeError where something cannot be captured or memory is short."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            compute()
        self._stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        # What other threads ask of CUDA meanwhile is not part of it and does no harm.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            result = compute()
        torch.cuda.current_stream().wait_stream(self._stream)
        return Captured(graph, result)


@torch.inference_mode()
def capture(
    sizes: Sequence[int],
    device: torch.device,
    prepare: Callable[[int], object],
    compute: Callable[[int], Result],
    recorder: Recorder | None = None,
) -> dict[int, Captured[Result]]:
    """A graph of `compute(size)` for each size, largest first: the smaller ones then find room in its memory.

    `prepare(size)` puts numbers where `compute` reads them that it can compute with. `recorder`: whose memory they
    share; None: a new one.
    """
    graphs: dict[int, Captured[Result]] = {}
    recorder = recorder or Recorder(device)
    for size in sorted(sizes, reverse=True):
        prepare(size)
        graphs[size] = recorder.record(partial(compute, size))
    return graphs
