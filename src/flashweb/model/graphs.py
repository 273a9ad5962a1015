"""Captures the same computation for several sizes as CUDA graphs that share their memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import torch

Result = TypeVar("Result")


class Captured(NamedTuple, Generic[Result]):
    """`replay` computes again what `compute` did; `result` is what that returned, written anew by every replay."""

    graph: torch.cuda.CUDAGraph
    result: Result


@torch.inference_mode()
def capture(
    sizes: Sequence[int], device: torch.device, prepare: Callable[[int], object], compute: Callable[[int], Result]
) -> dict[int, Captured[Result]]:
    """A graph of `compute(size)` for each size, largest first: the smaller ones then find room in its memory.

    `prepare(size)` puts numbers where `compute` reads them that it can compute with. Each size is computed once before,
    which compiles kernels and chooses the products' algorithms.
    """
    graphs: dict[int, Captured[Result]] = {}
    pool = None
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    for size in sorted(sizes, reverse=True):
        prepare(size)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            compute(size)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=stream):
            result = compute(size)
        pool = pool or graph.pool()
        graphs[size] = Captured(graph, result)
    torch.cuda.current_stream().wait_stream(stream)
    return graphs
