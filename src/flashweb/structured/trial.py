"""`Trials`: whether a structure can be enforced, found out where it can do no harm.

A caller's schema may take a compiler minutes or gigabytes, and a thread cannot be stopped. So every new structure is
compiled first in a process of its own, with the checkpoint's real vocabulary, within 2 s and a bounded memory; if it
is not done by then the process is killed, the caller gets a 400, and the next structure a new process. The engine
compiles for itself what has passed. Equal structures are tried once, also while the first is being tried.

    python -m flashweb.structured.trial FOLDER EOS_IDS

reads a structure per line (JSON) and answers each with a line, `""` or what is wrong. Ends with its input. Each is not
only compiled but rehearsed, with the masks, drafts and steps back of an engine, on a stack that is a fraction of the
engine's: what would bring down a native library there brings it down here, and costs its own request a 400.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from flashweb.errors import FlashwebError, InvalidRequest, NotReady, is_failure
from flashweb.types import Structure

if TYPE_CHECKING:
    from flashweb.structured.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

TRIAL_SECONDS = 2.0
START_SECONDS = 60.0  # to read the vocabulary
MEMORY_BYTES = 512 << 20  # beyond what it needs before the first structure
MAX_VERDICTS = 4096  # remembered: some 2 MB
MAX_LINE_BYTES = 4 << 20
STACK_BYTES = 2 << 20  # an engine has four times as much and more (`engine.worker.STACK_BYTES`)
TOO_MUCH = "it is more than can be compiled in the memory that a request may take; make it smaller"
BROKE = "it breaks the compiler of grammars, or needs more memory than a request may take; make it smaller or simpler"
KILLED = -9  # by somebody else, as the system when memory is short: that says nothing about the structure


class Trials:
    def __init__(self, folder: Path, eos_token_ids: Sequence[int], *, trial_seconds: float = TRIAL_SECONDS) -> None:
        self._command = [sys.executable, "-m", __spec__.name, str(folder), ",".join(map(str, eos_token_ids))]
        self._trial_seconds = trial_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._verdicts: OrderedDict[bytes, str] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[str]] = {}
        self.num_tried = 0
        self.num_killed = 0

    async def check(self, structure: Structure) -> None:
        """Raises InvalidRequest when it cannot be enforced, NotReady when nobody can tell."""
        key = sha256(f"{structure.kind}\0{structure.source}".encode("utf-8", "surrogatepass")).digest()
        verdict = self._verdicts.get(key)
        if verdict is None:
            task = self._under_way.get(key)
            if task is None:
                task = self._under_way[key] = asyncio.create_task(self._find_out(key, structure))
                task.add_done_callback(lambda _: self._under_way.pop(key, None))
            verdict = await asyncio.shield(task)  # who leaves does not take it from the others
        else:
            self._verdicts.move_to_end(key)
        if verdict:
            where = structure.param or structure.kind
            raise InvalidRequest(f"{where}: {verdict}.", param=structure.param or None)

    async def close(self) -> None:
        """Ends the process. Idempotent."""
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        await self._end()

    async def _find_out(self, key: bytes, structure: Structure) -> str:
        async with self._turn:
            verdict = await self._try(structure)
            if verdict is None:
                verdict = await self._try(structure)
            if verdict is None:
                raise NotReady("structured answers cannot be checked at the moment; try again shortly")
        self._verdicts[key] = verdict
        while len(self._verdicts) > MAX_VERDICTS:
            self._verdicts.popitem(last=False)
        return verdict

    async def _try(self, structure: Structure) -> str | None:
        """What is wrong with it, as a rule ""; None when the process was taken away before it could tell."""
        process = await self._started()
        self.num_tried += 1
        line = json.dumps([structure.kind, structure.source]) + "\n"
        if len(line) > MAX_LINE_BYTES:
            return f"it is {len(structure.source)} characters long, which is far too much"
        assert process.stdin is not None and process.stdout is not None
        verdict: str | None
        try:
            process.stdin.write(line.encode())
            answer = await asyncio.wait_for(process.stdout.readline(), self._trial_seconds)
            if answer:
                return str(json.loads(answer))
            verdict = None
        except TimeoutError:
            verdict = f"it takes more than {self._trial_seconds:g} s to compile; make it smaller"
        except (BrokenPipeError, ConnectionResetError):
            verdict = None
        except asyncio.CancelledError:
            await self._end()  # its answer would be taken for the next one's
            raise
        self.num_killed += 1
        if verdict is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 1)
            if process.returncode != KILLED:
                verdict = BROKE
                logger.warning("a %s of %d characters ended the process that tried it", structure.kind, len(line))
        await self._end()
        return verdict

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        try:
            ready = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        except BaseException:
            await self._end()
            raise
        if not ready:
            await self._end()
            raise NotReady("structured answers cannot be checked at the moment; try again shortly")
        return process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def main(folder: str, eos_token_ids: str) -> None:
    from flashweb.structured.vocabulary import Vocabulary

    os.nice(5)  # whoever computes answers comes first
    vocabulary = Vocabulary.load(Path(folder), [int(id) for id in eos_token_ids.split(",")])
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        most = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.stack_size(STACK_BYTES)
    serving = threading.Thread(target=_serve, args=(vocabulary,))
    serving.start()
    serving.join()


def _serve(vocabulary: Vocabulary) -> None:
    _say("")
    for line in sys.stdin.buffer:
        _say(_judged(Structure(*json.loads(line)), vocabulary))


def _judged(structure: Structure, vocabulary: Vocabulary) -> str:
    from flashweb.structured.grammar import compile_structure, rehearse

    try:
        rehearse(compile_structure(structure, vocabulary))
    except FlashwebError as error:
        return error.message
    except MemoryError:
        return TOO_MUCH
    except BaseException as error:
        if not is_failure(error):
            raise
        return BROKE
    return ""


def _say(verdict: str) -> None:
    sys.stdout.write(json.dumps(verdict) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
