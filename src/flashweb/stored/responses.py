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
    is what to run again, of a background response only; `attempts` is how often its run was begun."""

    id: str
    owner: str
    body: dict[str, Any]
    items: list[dict[str, Any]]
    previous: str | None = None
    request: dict[str, Any] | None = None
    attempts: int = 0

    @property
    def status(self) -> str:
        return str(self.body["status"])

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING


class ResponseStore(Protocol):
    """Each method raises StorageUnavailable when the disk does not do its part, and those that take an owner raise
    ResponseNotFound for an id that is unknown, another owner's, deleted, or older than responses are kept.

    A background response is run by whoever holds its lease, which ends `seconds` after it was last renewed; one whose
    lease has ended belongs to nobody (its process died) and can be claimed.
    """

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored here; only then may it be asked without making a store."""

    async def put(self, response: StoredResponse) -> None:
        """Keep it, new or in place of the one with its id; the oldest unused make room."""

    async def get(self, id: str, owner: str, *, whole: bool = False) -> StoredResponse:
        """`whole`: with the pictures in its items; else they are left out."""

    async def conversation(self, id: str, owner: str) -> list[StoredResponse]:
        """It and everything it continues, oldest first, whole. Counts as a use of all of them."""

    async def delete(self, id: str, owner: str) -> None: ...

    async def cancel(self, id: str, owner: str) -> StoredResponse:
        """One that runs is cancelled from here on, whatever its run still finds out; any other stays as it is."""

    async def claim(self, seconds: float) -> StoredResponse | None:
        """Take over the running response that waits for longest without a holder. It comes whole, its events so far
        are gone, and the attempt is counted."""

    async def add_events(self, id: str, first: int, events: Sequence[bytes], seconds: float) -> bool:
        """Append the events numbered from `first` and renew the lease. False where the response was cancelled or
        deleted meanwhile: its run should end."""

    async def begin(self, id: str, body: dict[str, Any]) -> bool:
        """Its body from here on. False as above."""

    async def finish(self, id: str, body: dict[str, Any], first: int, events: Sequence[bytes]) -> bool:
        """The last events and the final body, together. False as above: nothing was kept."""

    async def release(self, id: str, *, counts: bool) -> None:
        """Give up the lease of a response whose run could not end here, so that it is claimed soon; `counts`: as an
        attempt."""

    async def events(self, id: str, owner: str, after: int) -> tuple[list[bytes], bool]:
        """The events whose number is above `after`, and whether more will come."""

    async def claim_endings(
        self, limit: int, now: float, until: float
    ) -> tuple[list[tuple[str, str, str, float]], int]:
        """Background responses whose end is still to be told: id, owner, status and when it ended; and how many there
        are in all. Each is one from the change on that ends it. Nobody else gets the returned ones before `until`."""

    async def settle_endings(self, ready_at: Mapping[str, float | None]) -> None:
        """When each is to be told (again); None: it has been."""

    async def close(self) -> None: ...
