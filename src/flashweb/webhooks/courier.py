"""`Courier`: tells receivers what has ended.

What is to be told is in the stores, from the very change on that ends it, until a receiver took it or it is given up.
Whoever tells has it for LEASE_SECONDS; if that one dies, it is told again, with the same id: at least once, that is.
Only what makes a bad receiver cheap is kept here: one that does not answer is tried alone and seldom, and the events of
one receiver, one owner or of all that do not answer never take every place.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from flashweb.errors import ConfigError, InvalidRequest, StorageUnavailable
from flashweb.media.fetch import Fetcher, Posted
from flashweb.media.settings import MediaSettings
from flashweb.observe.metrics import Metrics
from flashweb.settings import Settings
from flashweb.webhooks.events import Endings, Event
from flashweb.webhooks.signing import Signer

log = logging.getLogger("flashweb.webhooks")
POST_SECONDS = 15.0
LEASE_SECONDS = 60.0
LIFE_SECONDS = 72 * 3600.0  # an attempt that fails after that is the last one
# Each pause is as long as the event is old, so that pauses double: about 20 attempts in LIFE_SECONDS.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 6 * 3600.0
JITTER = 0.2
MAX_AT_ONCE, MAX_OF_URL, MAX_OF_OWNER, MAX_SILENT = 128, 16, 64, 32
LONGEST_SILENCE = 600.0  # between two looks whether a receiver answers again
MAX_REMEMBERED = 4096  # receivers
IDLE_SECONDS, BUSY_SECONDS, AWAY_SECONDS = 0.5, 0.1, 5.0
GONE = 410


@dataclass(frozen=True, slots=True)
class _Silent:
    """A receiver that did not answer `times` times in a row, not to be tried before `until`; for ever: it is gone."""

    until: float
    times: int


class Courier:
    """Raises ConfigError for secrets and a URL that cannot be used."""

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[Endings],
        metrics: Metrics,
        *,
        fetcher: Fetcher | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signer = Signer(settings.webhooks)
        self._fetcher = fetcher or Fetcher(MediaSettings.from_options(settings.media))
        self._sources = sources
        self._metrics = metrics
        self._clock = clock
        try:
            self._url = self.checked(settings.webhooks.webhook_url)
        except InvalidRequest as error:
            raise ConfigError(f"--webhook-url: {error.message}") from None
        self._pending = [0] * len(sources)
        self._running: dict[asyncio.Task[None], tuple[str, str]] = {}  # owner, receiver
        self._silent: dict[str, _Silent] = {}
        self._free = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def checked(self, url: str | None) -> str | None:
        """A receiver that is asked for. Raises InvalidRequest for one that nobody will be told at."""
        if url is None:
            return None
        if not self._signer.can_sign:
            raise InvalidRequest(
                "this server signs no webhooks; its operator must set --webhook-secret",
                param="webhook_url",
                code="webhooks_not_offered",
            )
        self._fetcher.receiver(url)
        return url

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(index)) for index in range(len(self._sources))]

    async def stop(self) -> None:
        """What is under way is told again by the next one. Idempotent."""
        tasks, self._tasks = [*self._tasks, *self._running], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what is to be told -------------------------------------------------------------------------------------------

    async def _run(self, index: int) -> None:
        """One of the sources: while its store is away the others go on."""
        while True:
            self._free.clear()
            try:
                seconds = BUSY_SECONDS if await self._turn(index) else IDLE_SECONDS
            except StorageUnavailable:
                seconds = AWAY_SECONDS
            except Exception:
                log.exception("webhooks: a mistake; they go on")
                seconds = AWAY_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._free.wait()

    async def _turn(self, index: int) -> bool:
        """Whether there was anything to tell."""
        source, now = self._sources[index], self._clock()
        places = MAX_AT_ONCE - len(self._running)
        if places <= 0:
            return True
        events, self._pending[index] = await source.claim(places, now, now + LEASE_SECONDS)
        self._metrics.webhooks_pending(sum(self._pending))
        not_now: dict[str, float | None] = {}
        for event in events:
            url = event.url or self._url
            if url is None or not self._signer.can_sign:
                not_now[event.subject] = None
                continue
            pause = self._pause_of(event, url, now)
            if pause == 0.0:
                task = asyncio.create_task(self._tell(source, event, url))
                self._running[task] = event.owner, url
                task.add_done_callback(self._ended)
            else:
                not_now[event.subject] = None if pause is None else now + pause
        if not_now:
            await source.settle(not_now)
        return bool(events)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._free.set()

    def _pause_of(self, event: Event, url: str, now: float) -> float | None:
        """How long an event must wait for a place; None: for ever."""
        if len(self._running) >= MAX_AT_ONCE:  # another source has taken them since this one asked
            return BUSY_SECONDS
        owners, urls = (Counter(pair[index] for pair in self._running.values()) for index in (0, 1))
        silent = self._silent.get(url)
        if silent is not None:
            if silent.until == math.inf or now - event.at > LIFE_SECONDS:
                self._give_up(event, url, "its receiver is gone")
                return None
            if now < silent.until:
                return silent.until - now
            if urls[url] or sum(num for one, num in urls.items() if one in self._silent) >= MAX_SILENT:
                return BUSY_SECONDS
        return BUSY_SECONDS if urls[url] >= MAX_OF_URL or owners[event.owner] >= MAX_OF_OWNER else 0.0

    # --- one attempt --------------------------------------------------------------------------------------------------

    async def _tell(self, source: Endings, event: Event, url: str) -> None:
        ready_at: float | None = self._clock()  # for the next courier, where this one is stopped meanwhile
        try:
            ready_at = self._after(event, url, await self._post(event, url))
        finally:
            with suppress(StorageUnavailable):  # told again when the lease is over
                await asyncio.shield(source.settle({event.subject: ready_at}))

    async def _post(self, event: Event, url: str) -> Posted:
        try:
            target = self._fetcher.receiver(url)  # what is allowed may have changed since it was asked for
        except InvalidRequest as error:
            return Posted(0, error.message)
        body = event.body
        headers = {"Content-Type": "application/json", **self._signer.headers(event.id, int(self._clock()), body)}
        return await self._fetcher.post(target, headers, body, POST_SECONDS)

    def _after(self, event: Event, url: str, posted: Posted) -> float | None:
        """When the event is to be told again; None: never."""
        now = self._clock()
        age = max(0.0, now - event.at)
        self._remember(url, posted, now)
        if 200 <= posted.status < 300:
            self._metrics.webhook("sent")
            return None
        if posted.status == GONE or age > LIFE_SECONDS:
            self._give_up(event, url, posted.words)
            return None
        self._metrics.webhook("failed")
        log.info("webhook %s of %s: %s; again later", event.type, event.subject, posted.words)
        pause = min(max(FIRST_PAUSE, age), LONGEST_PAUSE)
        pause = max(pause, min(_seconds(posted.retry_after, now), LONGEST_PAUSE))
        return now + pause * random.uniform(1.0, 1.0 + JITTER)

    def _remember(self, url: str, posted: Posted, now: float) -> None:
        before = self._silent.pop(url, None)
        if posted.status == GONE:
            self._silent[url] = _Silent(math.inf, 0)
        elif posted.status == 0:
            times = 1 if before is None else min(before.times + 1, 32)
            self._silent[url] = _Silent(now + min(FIRST_PAUSE * 2.0 ** (times - 1), LONGEST_SILENCE), times)
        if len(self._silent) > MAX_REMEMBERED:
            del self._silent[next(iter(self._silent))]

    def _give_up(self, event: Event, url: str, words: str) -> None:
        # The host alone: the rest of a receiver's address is often its secret.
        host = url.partition("://")[2].partition("/")[0]
        self._metrics.webhook("given_up")
        log.warning("webhook %s of %s for %s is given up: %s", event.type, event.subject, host, words)


def _seconds(retry_after: str, now: float) -> float:
    """Both forms of the header: a number of seconds, or a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(retry_after).timestamp() - now
    return 0.0
