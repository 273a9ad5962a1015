"""`Peers`: the other web processes in front of the same engine, as far as the operator's questions go. Bytes out, bytes
back; knows nothing of what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Peers(Protocol):
    def answer_with(self, answer: Callable[[bytes], bytes]) -> None:
        """What this process says to a question of one of the others; called on the event loop."""

    async def ask(self, question: bytes) -> list[bytes]:
        """The answers of all others that answer in time; without them, of those there are."""


class NoPeers:
    """One web process alone."""

    def answer_with(self, answer: Callable[[bytes], bytes]) -> None:
        pass

    async def ask(self, question: bytes) -> list[bytes]:
        return []
