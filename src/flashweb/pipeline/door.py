"""`Door`: how many requests may be inside, what is refused before any work is done for it, and the drain at the end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flashweb.engine import Engine, EngineState
from flashweb.errors import CancelledByOperator, FlashwebError, NotReady, Overloaded
from flashweb.observe.work import Work, current_work
from flashweb.pipeline.health import Health, not_ready_words

log = logging.getLogger("flashweb.pipeline")

# Requests that may wait for each one that runs; beyond that callers are told to come back (contract, section 3).
WAITING_PER_RUNNING = 4
# Until the engine has said how much it can hold.
ASSUMED_MAX_NUM_SEQS = 8


@dataclass(eq=False, slots=True)
class Ticket:
    """One admitted request; `task` is what to cancel when the drain's time is over, `work` what it took so far."""

    weight: int
    task: asyncio.Task[Any] | None
    work: Work = field(default_factory=current_work)
    aborted: bool = False
    reason: FlashwebError | None = None  # of an abortion that is not the drain's
    since: float = field(default_factory=time.monotonic)


class Door:
    """`limit`: requests inside at most, None for what the engine holds; `refused` is told why one was sent away."""

    def __init__(
        self, engine: Engine, limit: int | None, health: Callable[[EngineState], Health], refused: Callable[[str], None]
    ) -> None:
        # Where several web processes share an engine: takes how many are inside here, returns how many elsewhere.
        self.tell_inside: Callable[[int], int] = lambda inside: 0
        self.is_closed = False
        self._engine = engine
        self._limit = limit
        self._health = health
        self._refused = refused
        self._tickets: set[Ticket] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._mean_seconds = 1.0  # of recent requests, for Retry-After

    @property
    def num_inside(self) -> int:
        """Admitted sequences, running or waiting; a request for n choices counts n times."""
        return sum([ticket.weight for ticket in self._tickets])

    @property
    def capacity(self) -> int:
        return self._capacity(self._engine.state)

    def _capacity(self, state: EngineState) -> int:
        held = (state.max_num_seqs or ASSUMED_MAX_NUM_SEQS) * (1 + WAITING_PER_RUNNING)
        return held if self._limit is None else min(held, self._limit)

    def check_open(self, weight: int = 1) -> None:
        """Raise NotReady or Overloaded if a request would not be let in now."""
        state = self._engine.state
        self._check_ready(state)
        self._check_room(state, weight)

    def _check_ready(self, state: EngineState) -> None:
        health = self._health(state)
        if not health.ready:
            self._refused(health.status)
            raise NotReady(not_ready_words(health), retry_after_seconds=2.0 if health.status != "draining" else 10.0)

    def _check_room(self, state: EngineState, weight: int) -> None:
        inside, capacity = self.num_inside, self._capacity(state)
        inside += self.tell_inside(inside)
        if inside + weight > capacity:
            self._refused("full")
            raise Overloaded(
                f"The server already holds {inside} requests, running and waiting; its limit is {capacity}. "
                "Come back after the time in Retry-After, or raise --max-num-seqs or --limit-concurrency.",
                retry_after_seconds=self._retry_after_seconds(),
            )

    def _retry_after_seconds(self) -> float:
        """About the time until a place is free: the queue ahead, in units of what recent requests took."""
        slots = self._engine.state.max_num_seqs or ASSUMED_MAX_NUM_SEQS
        return min(30.0, max(1.0, self._mean_seconds * (self.num_inside / slots - 1)))

    def admit(self, weight: int = 1) -> AbstractContextManager[Ticket]:
        """Hold `weight` places for as long as the block runs. Raises NotReady or Overloaded; NotReady also when the
        block is ended by the drain."""
        return _Place(self, weight)

    def _let_in(self, weight: int) -> Ticket:
        self.check_open(weight)
        ticket = Ticket(weight, asyncio.current_task())
        ticket.work.admitted, ticket.work.cancel = True, partial(_cancel, ticket)
        self._tickets.add(ticket)
        self._idle.clear()
        try:
            self._check_room(self._engine.state, 0)  # again, now that the other web processes can see it
        except Overloaded:
            self._let_out(ticket)
            raise
        return ticket

    def _let_out(self, ticket: Ticket) -> None:
        ticket.work.cancel = None
        self._tickets.discard(ticket)
        self.tell_inside(self.num_inside)
        self._mean_seconds += 0.1 * (time.monotonic() - ticket.since - self._mean_seconds)
        if not self._tickets:
            self._idle.set()

    def widen(self, ticket: Ticket, weight: int) -> None:
        """Let a request that is inside hold `weight` places. Raises NotReady (not for the drain: who is inside goes
        on) and Overloaded."""
        state = self._engine.state
        if not self.is_closed:
            self._check_ready(state)
        if weight > ticket.weight:
            self._check_room(state, weight - ticket.weight)
        ticket.weight = weight
        self.tell_inside(self.num_inside)

    def close(self) -> None:
        """Let nobody in any more; who is inside goes on."""
        self.is_closed = True

    async def drain(self, seconds: float) -> None:
        """Close, give running requests `seconds` to finish, then end the rest with NotReady."""
        self.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        if not self._tickets:
            return
        log.warning("ending %d requests that did not finish within %g s", len(self._tickets), seconds)
        for ticket in self._tickets:
            ticket.aborted = True
            if ticket.task is not None:
                ticket.task.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), 5.0)


def _cancel(ticket: Ticket) -> bool:
    """End one request for its operator; False when its work is done already."""
    if ticket.aborted or ticket.task is None or ticket.task.done():
        return False
    ticket.aborted, ticket.reason = True, CancelledByOperator("The operator of this server has ended this request.")
    return ticket.task.cancel()


# Classes, not generators under `@contextmanager`: every request passes them, and those cost three times as much.


class _Place:
    """What `Door.admit` gives: the ticket for as long as the block runs."""

    __slots__ = ("_door", "_ticket", "_weight")

    def __init__(self, door: Door, weight: int) -> None:
        self._door = door
        self._weight = weight

    def __enter__(self) -> Ticket:
        self._ticket = self._door._let_in(self._weight)
        return self._ticket

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._door._let_out(self._ticket)
        _end_kindly(self._ticket, error)


class in_this_task:
    """From here on this task does the ticket's work: it is the one to cancel."""

    __slots__ = ("_ticket",)

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket

    def __enter__(self) -> Ticket:
        ticket = self._ticket
        ticket.task = asyncio.current_task()
        if ticket.aborted:
            raise ticket.reason or _grace_is_over()
        return ticket

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        _end_kindly(self._ticket, error)


def _end_kindly(ticket: Ticket, error: BaseException | None) -> None:
    """A cancellation by the drain becomes NotReady, one by the operator CancelledByOperator, and no other anything."""
    if ticket.aborted and isinstance(error, asyncio.CancelledError):
        if ticket.task is not None:
            ticket.task.uncancel()
        raise ticket.reason or _grace_is_over() from None


def _grace_is_over() -> NotReady:
    return NotReady("The server is shutting down and its grace time is over; send the request again.")
