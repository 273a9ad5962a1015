"""`BoundedProcess`: the web process's side of one process that reads what strangers sent.

It is started when there is something to do and ends when there has been nothing for a while. One that takes too long,
dies, or is left in the middle of an answer is ended, and started anew for the next question. It is given nothing of the
server's environment: keys and addresses are nothing for a reader of formats. Knows nothing of what is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import flashweb
from flashweb.bounded.limits import LENGTH
from flashweb.errors import FlashwebError, NotReady

START_SECONDS = 60.0
IDLE_SECONDS = 60.0  # then a process ends, and with it what it holds
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONHOME")  # what Python needs to start
_SOURCE = str(Path(flashweb.__file__).resolve().parents[1])


class BoundedProcess:
    """`module` is run with these arguments; `greeted` reads the first thing that it says, and raises what that means.
    `what` it reads, in the plural, for a message."""

    def __init__(
        self, module: str, arguments: Sequence[str], greeted: Callable[[Process], Awaitable[object]], what: str
    ) -> None:
        self.holds: bytes | None = None  # digest of what is open there
        self._command = (sys.executable, "-m", module, *arguments)
        self._greeted = greeted
        self._what = what
        self._process: Process | None = None
        self._resting: asyncio.Task[None] | None = None

    @property
    def process_id(self) -> int | None:
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    def rest(self) -> None:
        """End the process if nobody needs it for a while."""

        async def wait_and_end() -> None:
            await asyncio.sleep(IDLE_SECONDS)
            await self.end()

        self._resting = asyncio.create_task(wait_and_end())

    def wake(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    async def end(self) -> None:
        process, self._process, self.holds = self._process, None, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            assert process.stdin is not None
            process.stdin.close()

    async def started(self) -> Process:
        """Raises NotReady, and what `greeted` does."""
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self.end()
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            env={**{name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}, "PYTHONPATH": _SOURCE},
            start_new_session=True,  # Ctrl-C is the server's business
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._greeted(process)
        except (TimeoutError, asyncio.IncompleteReadError):
            await self.end()
            raise NotReady(f"{self._what} cannot be read at the moment; try again shortly") from None
        except BaseException:
            await self.end()
            raise
        return process

    @contextlib.asynccontextmanager
    async def bounded(self, seconds: float, too_slow: FlashwebError, crashed: FlashwebError) -> AsyncIterator[None]:
        """What the process does within, it does in its time; else it is ended, as it is when it cannot be spoken with
        any more."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except FlashwebError:
            raise
        except TimeoutError:
            await self.end()
            raise too_slow from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await self.end()
            raise crashed from None
        except BaseException:  # cancelled: its answer would be taken for the next one's
            await self.end()
            raise


async def send(process: Process, *pieces: bytes) -> None:
    assert process.stdin is not None
    for piece in filter(None, pieces):
        process.stdin.write(piece)
    await process.stdin.drain()


async def receive(process: Process) -> bytes:
    """The next frame."""
    assert process.stdout is not None
    (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    return await process.stdout.readexactly(length)


async def receive_bytes(process: Process, num_bytes: int) -> bytes:
    """What stands behind a frame."""
    assert process.stdout is not None
    return await process.stdout.readexactly(num_bytes)
