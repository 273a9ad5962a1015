"""`Results`: what was answered before is answered again without the engine, and identical requests that run at the same
time wait for one generation.

What is shared are the engine's tokens, not the texts made of them: each request reads them by its own `Reader`, in its
own dialect, and counts as every other does. A generation belongs to nobody of its readers (`Flight`): it ends early
when the last of them has left, and an error of the engine is told to all.

Kept is only what would come again: greedy answers and those with a seed (others where the operator says so), of one
caller for the same caller, whole: neither errors, nor what a client broke off, nor what `max_tokens` cut.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from flashweb import __version__
from flashweb.observe.work import Caching, Outcome
from flashweb.pipeline.result_store import ResultStore
from flashweb.settings import Settings
from flashweb.types import Chat, FinishReason, Prompt, SamplingParams, TokenOut

FORMAT = 1  # of what is kept; another one is never read
SMALL_FILE = 4 << 20  # of a model folder; larger ones are known by size and time
Generate: TypeAlias = Callable[[Prompt, SamplingParams], AsyncGenerator[TokenOut, None]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(TokenOut).decode


class Results:
    """`identity`: of the model, in every key; `told`: what became of each look-up."""

    def __init__(
        self, store: ResultStore, generate: Generate, identity: bytes, told: Callable[[Outcome], None], *, sampled: bool
    ) -> None:
        self._store = store
        self._generate = generate
        self._identity = identity
        self._told = told
        self._sampled = sampled
        self._flights: dict[tuple[bytes, bool], Flight] = {}
        self._keeping: set[asyncio.Task[None]] = set()

    def reading(
        self, chat: Chat, prompt: Prompt, params: SamplingParams, index: int, caching: Caching | None
    ) -> Reading | None:
        """How choice `index` of a request is read; None where it has to come from the engine alone."""
        repeats = params.temperature == 0 or params.seed is not None
        if caching is None or caching.no_store or not (repeats or self._sampled):
            return None
        # Choices that are alike by themselves are one; those that are to differ are told apart.
        key = self._key(caching.owner, chat, prompt, params, 0 if repeats else index)
        return Reading(self, key, prompt, params, caching)

    def _key(self, owner: str, chat: Chat, prompt: Prompt, params: SamplingParams, index: int) -> bytes:
        """Of all that decides which tokens come and where they end: what the engine is told, and what the reader of
        them goes by. Not what the engine only needs to arrange its work (`background`)."""
        structure = params.structure and replace(params.structure, param="")
        told = replace(params, background=False, structure=structure)
        pictures = [(span.start, span.image.digest) for span in prompt.spans]
        reader = chat.enable_thinking, chat.parallel_tool_calls, [dict(tool) for tool in chat.tools]
        digest = hashlib.blake2b(self._identity, digest_size=32)
        digest.update(_encode((owner, prompt.token_ids, pictures, told, reader, index)))
        return digest.digest()

    async def look_up(self, key: bytes) -> TokenOut | None:
        """A whole answer, in one piece."""
        found = await self._store.get(key)
        try:
            return None if found is None else _decode(found)
        except msgspec.MsgspecError:
            return None  # not of our making, or damaged; it is overwritten by the next

    def flight_of(self, name: tuple[bytes, bool]) -> Flight | None:
        return self._flights.get(name)

    def begin(self, name: tuple[bytes, bool], prompt: Prompt, params: SamplingParams) -> Flight:
        """A new generation, which whoever comes from now on joins."""
        flight = self._flights[name] = Flight(self._generate(prompt, params), lambda over: self._landed(name, over))
        return flight

    def count(self, outcome: Outcome) -> None:
        self._told(outcome)

    def _landed(self, name: tuple[bytes, bool], flight: Flight) -> None:
        # In the store before nobody can join it any more, or one that comes meanwhile would be computed anew.
        if flight.is_whole:
            task = asyncio.create_task(self._keep(name, flight))
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)
        else:
            self._forget(name, flight)

    async def _keep(self, name: tuple[bytes, bool], flight: Flight) -> None:
        try:
            ids = tuple(id for out in flight.outs for id in out.token_ids)
            probs = tuple(prob for out in flight.outs for prob in out.logprobs)
            await self._store.put(name[0], _encode(TokenOut(ids, flight.outs[-1].finish, probs)))
        finally:
            self._forget(name, flight)

    def _forget(self, name: tuple[bytes, bool], flight: Flight) -> None:
        if self._flights.get(name) is flight:  # one that was to be computed anew may have taken its place
            del self._flights[name]

    async def close(self) -> None:
        """When no request is left."""
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self._store.close()


class Reading:
    """One choice of a request, from the store, from a generation that runs, or from one that it begins."""

    def __init__(self, results: Results, key: bytes, prompt: Prompt, params: SamplingParams, caching: Caching) -> None:
        self._results = results
        # An interactive request never waits for one that is computed with what others leave.
        self._name = key, params.background
        self._prompt = prompt
        self._params = params
        self._caching = caching
        self._flight: Flight | None = None
        self._num_read = 0

    async def tokens(self) -> AsyncGenerator[TokenOut, None]:
        """As the engine's own `generate`."""
        results, flight = self._results, None
        if not self._caching.no_cache:
            flight = results.flight_of(self._name)
            if flight is None:
                kept = await results.look_up(self._name[0])
                if kept is not None:
                    self._tell("hit")
                    yield self._cached(kept)
                    return
                flight = results.flight_of(self._name)  # that began meanwhile
        is_first = flight is None
        self._flight = flight or results.begin(self._name, self._prompt, self._params)
        self._tell("miss" if is_first else "hit" if self._flight.is_over else "shared")
        async with aclosing(self._flight.read()) as outs:
            async for out in outs:
                self._num_read += 1
                yield out if is_first or self._num_read > 1 else self._cached(out)

    def is_whole(self) -> None:
        """Its reader has found the end of its answer, where the engine may not have: a stop text, a tool call."""
        if self._flight is not None:
            self._flight.end_at(self._num_read)

    def _cached(self, out: TokenOut) -> TokenOut:
        """Nothing of the prompt was computed for this request, and the engine's times are not its own."""
        return TokenOut(out.token_ids, out.finish, out.logprobs, self._prompt.num_tokens)

    def _tell(self, outcome: Outcome) -> None:
        self._caching.found.append(outcome)
        self._results.count(outcome)


class Flight:
    """One generation and all that has come of it. `landed` is called once, at its end."""

    def __init__(self, tokens: AsyncGenerator[TokenOut, None], landed: Callable[[Flight], None]) -> None:
        self.outs: list[TokenOut] = []
        self.num_readers = 0
        self._landed = landed
        self.is_over = False
        self._error: Exception | None = None
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run(tokens), name="flight")

    @property
    def is_whole(self) -> bool:
        """An answer that came to its own end."""
        return bool(self.outs) and self.outs[-1].finish not in (None, FinishReason.LENGTH)

    async def read(self) -> AsyncGenerator[TokenOut, None]:
        """What has come, then what comes. Raises what the engine has raised."""
        position = 0
        self.num_readers += 1
        try:
            while True:
                while position < len(self.outs):
                    position += 1
                    yield self.outs[position - 1]
                if self._error is not None:
                    raise self._error
                if self.is_over:
                    return
                await self._news.wait()
        finally:
            self.num_readers -= 1
            if not self.num_readers and not self._task.done():
                self._over()  # first: who comes now must not join what is about to end
                self._task.cancel()
                await asyncio.wait({self._task})  # its place in the engine is free before its caller hears the end

    def end_at(self, count: int) -> None:
        """The answer ends with the first `count` pieces of it."""
        if self.outs[count - 1].finish is not None:
            return
        del self.outs[count:]
        self.outs[-1] = msgspec.structs.replace(self.outs[-1], finish=FinishReason.STOP)
        self._over()
        self._task.cancel()

    async def _run(self, tokens: AsyncGenerator[TokenOut, None]) -> None:
        try:
            async with aclosing(tokens):
                async for out in tokens:
                    if self.is_over:
                        return
                    self.outs.append(out)
                    news, self._news = self._news, asyncio.Event()
                    news.set()
        except Exception as error:
            self._error = error
        finally:
            self._over()

    def _over(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._news.set()
            self._landed(self)


def identity_of(folder: Path, settings: Settings) -> bytes:
    """Changes with whatever may change an answer to the same request: the checkpoint's files (small ones by content,
    weights by size and time), this program, and the formats that the model computes in."""
    digest = hashlib.blake2b(digest_size=32)
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        stat = path.stat()
        told = path.read_bytes() if stat.st_size <= SMALL_FILE else (stat.st_size, stat.st_mtime_ns)
        digest.update(_encode((path.name, told)))
    engine: Mapping[str, Any] = settings.engine.model_dump(include={"engine", "device", "kv_cache_dtype"})
    model = settings.model.model_dump(include={"model", "revision", "dtype", "load_format", "quantization"})
    digest.update(_encode((FORMAT, __version__, engine, model)))
    return digest.digest()
