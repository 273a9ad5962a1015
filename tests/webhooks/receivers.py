"""Receivers of webhooks: real servers on loopback, which the tests' settings allow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from openai import OpenAI

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0xMjM0NTY3ODkw"
CLIENT = OpenAI(api_key="not-needed", webhook_secret=SECRET)
ALLOWED: dict[str, Any] = {"webhooks__webhook_secret": [SECRET], "media__media_allow_hosts": ["127.0.0.1"]}


@dataclass
class Receiver:
    """Answers with `answers` in turn, the last one for ever: a status, or bytes as they stand (none: silence)."""

    answers: list[int | bytes]
    port: int = 0
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    num_tried: int = 0  # connections, whatever came of them
    num_open: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?token=hidden"

    @property
    def events(self) -> list[Any]:
        """What came, as the official client reads it: it raises where a signature is not right."""
        return [CLIENT.webhooks.unwrap(body, headers) for headers, body in self.came]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    async def has(self, num: int, seconds: float = 20) -> list[Any]:
        async with asyncio.timeout(seconds):
            while len(self.came) < num:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.events

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_tried += 1
        self.num_open += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            self.came.append((headers, await reader.readexactly(int(headers["content-length"]))))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if not answer:
                await reader.read()  # until the other side has enough
            text = answer if isinstance(answer, bytes) else b"HTTP/1.1 %d .\r\nContent-Length: 0\r\n\r\n" % answer
            writer.write(text)
            while answer and isinstance(answer, bytes) and b"chunked" in answer:  # a body without an end
                writer.write(b"4\r\nmore\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.num_open -= 1
            writer.close()


@asynccontextmanager
async def receiving(*answers: int | bytes) -> AsyncIterator[Receiver]:
    async with receiving_many(1, *answers) as (receiver,):
        yield receiver


@asynccontextmanager
async def receiving_many(num: int, *answers: int | bytes) -> AsyncIterator[Sequence[Receiver]]:
    found = [Receiver(list(answers or (200,))) for _ in range(num)]
    servers = [await asyncio.start_server(one.serve, "127.0.0.1", 0) for one in found]
    for one, server in zip(found, servers, strict=True):
        one.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        for server in servers:
            server.close()
