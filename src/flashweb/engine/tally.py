"""What the engine counts for `/metrics` while it works: plain numbers, added to in bulk once a step.

Counted here and not by those who read the tokens: every web process shares this engine, so its numbers are right
whichever of them is asked. Travels in `Stats`. Knows nothing of Prometheus; pure Python.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from flashweb.engine.protocol import Counts
from flashweb.engine.speculation import MAX_DRAFTS

# vLLM's edges, so that panels and alerts made for it fit.
INTER_TOKEN_EDGES = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
STEP_TOKENS_EDGES = (1, 8, *(2**n for n in range(4, 15)))


class Tally:
    """A histogram under way: how many values lie up to each of `edges` (and above the one before), and their sum."""

    __slots__ = ("_edges", "_numbers", "_total")

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = edges
        self._numbers = [0] * (len(edges) + 1)
        self._total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        self._numbers[bisect_left(self._edges, value)] += times
        self._total += value * times

    def counts(self) -> Counts:
        return Counts(tuple(self._numbers), self._total)


@dataclass(slots=True)
class EngineTally:
    """Since the engine was ready. `accepted_at[i]`: drafts that were right as the i-th behind a newest token."""

    num_prompt_tokens: int = 0  # of prompts that have been computed, cached ones among them
    num_answer_tokens: int = 0
    inter_token: Tally = field(default_factory=lambda: Tally(INTER_TOKEN_EDGES))
    step_tokens: Tally = field(default_factory=lambda: Tally(STEP_TOKENS_EDGES))
    accepted_at: list[int] = field(default_factory=lambda: [0] * MAX_DRAFTS)

    def add_gaps(self, now: float, before: Mapping[float, int]) -> None:
        """One step's sequences by the moment (seconds) of their tokens before: most had them in the same step."""
        for moment, number in before.items():
            self.inter_token.add(now - moment, number)

    def add_accepted(self, places: Iterable[int]) -> None:
        for place in places:
            self.accepted_at[place] += 1
