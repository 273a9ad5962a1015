"""`Ledger`: the requests of one web process, running and recent, and what each key has used since the start and by day.

Bounded in every direction. Holds facts only: no prompt, answer, picture, header or key; of a key the operator's name
for it. Knows nothing of HTTP but a method, a path and a status.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from flashweb.observe.work import Work
from flashweb.types import Usage

MAX_RECENT = 500
MAX_KEYS = 256
MAX_DAYS = 31
OTHERS = "(others)"  # keys beyond MAX_KEYS, together
MAX_PATH_CHARS = 200


@dataclass(eq=False, slots=True)
class Record:
    """One HTTP request. `status` is None until an answer has begun, and 499 when nobody was left to get one."""

    id: str
    method: str
    path: str
    work: Work
    time: float = field(default_factory=time.time)  # Unix seconds
    key: str | None = None
    status: int | None = None
    ended: float | None = None  # as Work's moments; None while it runs
    usage: Usage = Usage(0, 0)

    @property
    def latency_ms(self) -> float:
        """So far, while it runs."""
        return round(1000 * ((self.ended or time.perf_counter()) - self.work.began), 1)


@dataclass(slots=True)
class KeyUsage:
    """Sums since the start of this web process; `errors` are answers with a status from 400 on."""

    requests: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    pictures: int = 0

    def add(self, record: Record) -> None:
        self.requests += 1
        self.errors += (record.status or 0) >= 400
        self.prompt_tokens += record.usage.prompt_tokens
        self.completion_tokens += record.usage.completion_tokens
        self.pictures += len(record.work.picture_sizes)


class Ledger:
    """Used on the event loop only."""

    def __init__(self) -> None:
        self.usage: dict[str | None, KeyUsage] = {}
        self.days: dict[str, dict[str | None, KeyUsage]] = {}  # by the day of UTC on which a request ended
        self._running: dict[str, Record] = {}
        self._recent: deque[Record] = deque(maxlen=MAX_RECENT)

    def begin(self, record: Record) -> None:
        record.path = record.path[:MAX_PATH_CHARS]
        self._running[record.id] = record

    def end(self, record: Record) -> None:
        """The request is over: its record, complete but for `ended`, is kept among the recent ones."""
        record.ended = time.perf_counter()
        del self._running[record.id]
        self._recent.append(record)
        key = record.key if record.key in self.usage or len(self.usage) < MAX_KEYS else OTHERS
        self.usage.setdefault(key, KeyUsage()).add(record)
        self._today().setdefault(key, KeyUsage()).add(record)

    def _today(self) -> dict[str | None, KeyUsage]:
        day = time.strftime("%Y-%m-%d", time.gmtime())
        if day not in self.days:
            self.days[day] = {}
            while len(self.days) > MAX_DAYS:
                del self.days[next(iter(self.days))]
        return self.days[day]

    def newest_first(self) -> Iterator[Record]:
        """The running ones, then the recent ones."""
        yield from reversed(self._running.values())
        yield from reversed(self._recent)

    @property
    def num_running(self) -> int:
        return len(self._running)

    def cancel(self, request_id: str) -> bool:
        """End a running request; False when there is none of this id, or nothing of it is left to end."""
        record = self._running.get(request_id)
        return record is not None and record.work.cancel is not None and record.work.cancel()
