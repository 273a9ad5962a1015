"""What `kernels.py` measures: a kernel at one shape, as a launcher and the work that one launch does.

Modules `kernel_cases_*.py` each give `cases() -> Iterator[Case]`; nothing is allocated before `prepare` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple, TypeVar

T = TypeVar("T")

# Copies of what a real step reads from memory must together be larger than any card's L2 cache (H200: 50 MB), or the
# cache serves what memory would have to. A graph turns over at most as many as it has launches.
TURNED_BYTES = 160 << 20
LAUNCHES = 160


class Prepared(NamedTuple):
    """`launch` starts the kernel once, without waiting, and can be captured in a CUDA graph."""

    launch: Callable[[], object]
    num_bytes: int  # that one launch has to read and write, each once
    flops: int


@dataclass(frozen=True, slots=True)
class Case:
    """`prepare` allocates on the current CUDA device; its memory is given back before the next case."""

    name: str
    prepare: Callable[[], Prepared]


def num_copies(num_bytes: int) -> int:
    """How many copies of so many bytes a case should turn over."""
    return min(LAUNCHES, max(1, -(-TURNED_BYTES // num_bytes)))


def turning(launch: Callable[[T], object], copies: Sequence[T]) -> Callable[[], object]:
    """A launcher that takes the next of `copies` with every call, as a step takes the next layer."""
    turn = cycle(copies)
    return lambda: launch(next(turn))
