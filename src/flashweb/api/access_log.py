"""The access log: one line per request when it is over. Who, what, how it ended, how long it took."""

from __future__ import annotations

import logging

from flashweb.api.exchange import Exchange
from flashweb.observe import event

access_log = logging.getLogger("flashweb.access")


def log_access(exchange: Exchange) -> None:
    if exchange.is_quiet:
        return
    scope, record = exchange.scope, exchange.record
    event(
        access_log,
        f"{scope['method']} {scope['path'][:200]}",
        request_id=record.id,
        status=exchange.status,
        glm_status_code=exchange.status,
        latency_ms=round(exchange.seconds * 1000, 1),
        client=(scope.get("client") or (None,))[0],
        key=exchange.caller_name,
        refused_by=exchange.refused_by,
        **record.work.log_fields(),
        **exchange.fields,
    )
