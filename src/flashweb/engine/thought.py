"""`Thought`: the budget of the thought that an answer begins with, in tokens.

When the budget is used up and the thought has not ended, the next tokens are those that close it, as the template
writes them, and the model goes on with its answer (budget forcing, Muennighoff et al. 2025). Which tokens these are
depends on the answer before them alone, so a preempted sequence that is computed again comes to the same ones. Pure
Python; knows nothing of logits or steps.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Thought:
    budget: int
    end_ids: frozenset[int]
    close_ids: tuple[int, ...]  # the first of them ends a thought
    ended_at: int | None = None  # place in the answer of the token that ended it, once that is known

    @classmethod
    def from_budget(cls, budget: int | None, end_ids: tuple[int, ...], close_ids: tuple[int, ...]) -> Thought | None:
        """None where there is no budget, or no way to end a thought."""
        if budget is None or not close_ids:
            return None
        return cls(budget, frozenset(end_ids), close_ids)

    def see(self, token_id: int, place: int) -> None:
        """The answer's token at `place` is known; places come in order."""
        if self.ended_at is None and token_id in self.end_ids:
            self.ended_at = place

    def forced(self, place: int) -> int | None:
        """The token that must stand at a place of the answer; needs to have seen everything before."""
        if not self.may_close(place):
            return None
        return self.close_ids[place - self.budget]

    def may_close(self, place: int, ahead: int = 0) -> bool:
        """Whether a token at `place`, or up to `ahead` places further, may be one that closes the thought: certain only
        when every token before it has been seen."""
        if self.ended_at is not None and self.ended_at < self.budget:
            return False
        return place + ahead >= self.budget and place < self.budget + len(self.close_ids)
