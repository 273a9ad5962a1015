"""What a store of responses can do, whatever holds them. Knows nothing of HTTP or of what a response means: bodies and
items are JSON objects, of which only a body's `status` and an item's `id` are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

RUNNING = ("queued", "in_progress")  # statuses of a response that will still change


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One response. `items` are its input's, without those of the conversation it continues (`previous`); `request`
    is what to run, of a background response only; `run` the number of its last run, 0 before the first."""

    id: str
    owner: str
    body: dict[str, Any]
    items: list[dict[str, Any]]
    previous: str | None = None
    request: dict[str, Any] | None = None
    run: int = 0

    @property
    def status(self) -> str:
        return str(self.body["status"])

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING


class ResponseStore(Protocol):
    """Each method raises StorageUnavailable when the disk does not do its part, and those that take an owner raise
    ResponseNotFound for an id that is unknown, another owner's, deleted, or older than responses are kept.

    Who runs a background response is the queue's business. Here each run has a number, higher than those before: what
    an earlier run still brings is not taken.
    """

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored here; only then may it be asked without making a store."""

    async def put(self, response: StoredResponse) -> None:
        """Keep it, new or in place of the one with its id; the oldest unused make room. One that runs is on the disk
        when this returns."""

    async def get(self, id: str, owner: str, *, whole: bool = False) -> StoredResponse:
        """`whole`: with the pictures in its items; else they are left out."""

    async def conversation(self, id: str, owner: str) -> list[StoredResponse]:
        """It and everything it continues, oldest first, whole. Counts as a use of all of them."""

    async def delete(self, id: str, owner: str) -> None: ...

    async def cancel(self, id: str, owner: str) -> StoredResponse:
        """One that runs is cancelled from here on, whatever its run still finds out; any other stays as it is."""

    async def running(self) -> list[tuple[str, str, int]]:
        """Id, owner and last run of every response that is queued or in progress, of whichever owner."""

    async def begin(self, id: str, run: int) -> StoredResponse | None:
        """A run begins: the response, whole; its events so far are gone. None where it has ended or is gone, or a
        later run has begun."""

    async def reset(self, id: str, run: int) -> None:
        """Runs are numbered from the beginning again, if `run` was the last one."""

    async def add_events(
        self, id: str, run: int, first: int, events: Sequence[bytes], body: dict[str, Any] | None = None
    ) -> bool:
        """Append the run's events, numbered from `first`, and its body from here on. False where nothing was kept,
        because the response has ended, is gone, or a later run has begun: this one should end."""

    async def finish(self, id: str, run: int, first: int, events: Sequence[bytes], body: dict[str, Any]) -> bool:
        """The last events and the final body, together and on the disk. False as above."""

    async def events(self, id: str, owner: str, after: int) -> tuple[list[bytes], bool, int]:
        """The events whose number is above `after`, whether more will come, and the number of their run."""

    async def claim_endings(
        self, limit: int, now: float, until: float
    ) -> tuple[list[tuple[str, str, str, float]], int]:
        """Background responses whose end is still to be told: id, owner, status and when it ended; and how many there
        are in all. Each is one from the change on that ends it. Nobody else gets the returned ones before `until`."""

    async def settle_endings(self, ready_at: Mapping[str, float | None]) -> None:
        """When each is to be told (again); None: it has been."""

    async def close(self) -> None: ...
