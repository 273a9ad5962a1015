"""`Recorded`: opens the work of every HTTP request, tells its times in headers, and puts it into the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flashweb.api.answers import add_usages
from flashweb.observe.ledger import Ledger, Record
from flashweb.observe.work import open_work

ADMIN = "/api/admin"
NOBODY_LEFT = 499


class Recorded:
    """`openai-processing-ms` on every answer but those of `quiet` paths, `Server-Timing` on those that the pipeline had
    a part in. The operator's own questions get no place in the ledger: a page that asks twice a second would fill it.
    """

    def __init__(self, app: ASGIApp, ledger: Ledger, quiet: Sequence[str]) -> None:
        self.app = app
        self._ledger = ledger
        self._quiet = tuple(quiet)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._quiet):
            await self.app(scope, receive, send)
            return
        state = scope["state"]
        with open_work() as work:
            state["work"] = work
            record = Record(state["request_id"], scope["method"], scope["path"], work)

            async def send_with_times(message: Message) -> None:
                if message["type"] == "http.response.start":
                    record.status = message["status"]
                    headers = MutableHeaders(scope=message)
                    headers["openai-processing-ms"] = str(round(1000 * (time.perf_counter() - work.began)))
                    if work.admitted:
                        headers["server-timing"] = work.server_timing()
                await send(message)

            is_kept = not scope["path"].startswith(ADMIN)
            if is_kept:
                self._ledger.begin(record)
            try:
                await self.app(scope, receive, send_with_times)
            finally:
                record.status = record.status or NOBODY_LEFT
                record.usage = add_usages(work.usages)
                record.key = getattr(state.get("caller"), "name", None)
                if is_kept:
                    self._ledger.end(record)
