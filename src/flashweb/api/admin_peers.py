"""The operator's questions to all web processes: put to this one and its peers, and the answers made one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from flashweb.observe.peers import Peers

Answers = Mapping[str, Callable[..., Any]]  # what is asked -> who answers it here, with the question's parameters


class Everyone:
    """This web process and its peers. An answer is what JSON can say."""

    def __init__(self, peers: Peers, answers: Answers) -> None:
        self._peers = peers
        self._answers = answers
        peers.answer_with(self._answer)

    async def ask(self, what: str, **given: Any) -> list[Any]:
        """Every process's answer, this one's first. One that does not answer is left out: it hangs, or is going."""
        own = self._answers[what](**given)
        others = await self._peers.ask(msgspec.json.encode([what, given]))
        return [own, *map(msgspec.json.decode, others)]

    def _answer(self, question: bytes) -> bytes:
        what, given = msgspec.json.decode(question)
        return msgspec.json.encode(self._answers[what](**given))


def added_up(usages: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Usage by key over all processes, in the order in which keys were first seen."""
    sums: dict[str | None, dict[str, Any]] = {}
    for usage in usages:
        for used in usage:
            known = sums.setdefault(used["key"], dict.fromkeys(used, 0) | {"key": used["key"]})
            for name in used.keys() - {"key"}:
                known[name] += used[name]
    return list(sums.values())


def newest_first(lists: Iterable[list[dict[str, Any]]], limit: int) -> list[dict[str, Any]]:
    """The requests of all processes: the running ones, then the others, each newest first."""
    found = [request for requests in lists for request in requests]
    return sorted(found, key=lambda request: (request["state"] != "running", -request["time"]))[:limit]
