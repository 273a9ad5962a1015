"""`EngineClient`: the web side of the real engine. Starts the engine process, watches it, restarts it, talks to it.

    client = EngineClient(config)
    await client.start()
    async with aclosing(client.generate(prompt, params, request_id)) as outs: ...
    await client.stop()

One connection (`connection.py`), no task per token: the news of a step are handed to each request's stream
(`stream.py`), which wakes its reader. Never imports torch.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import msgspec

from flashweb.engine.config import EngineConfig
from flashweb.engine.connection import Connection
from flashweb.engine.face import EnginePhase, EngineState
from flashweb.engine.process import describe_exit, ends_within, listen, spawn
from flashweb.engine.protocol import (
    NO_STATS,
    Abort,
    Encoded,
    Failed,
    Fatal,
    FrameError,
    FromEngine,
    NeedPixels,
    Progress,
    Ready,
    Shutdown,
    Stats,
    Tokens,
    encode_frame,
)
from flashweb.engine.start_clock import in_words
from flashweb.engine.stream import TokenStream
from flashweb.engine.submit import to_submit
from flashweb.errors import (
    CheckpointError,
    ConfigError,
    ContextLengthExceeded,
    EngineDied,
    FlashwebError,
    InvalidRequest,
    NotReady,
    Overloaded,
)
from flashweb.types import Prompt, SamplingParams, TokenOut

logger = logging.getLogger(__name__)

GOOD_SERVICE_SECONDS = 60.0  # an engine that lived so long may die again without counting as one that cannot start
DEFAULT_STALL_SECONDS = {"cpu": 120.0, "cuda": 20.0}
# A step grows with the network: a 2048 px picture is some 1e14 operations for the tower of a 9B model (18 GB), and a
# small CPU does no more than 1e11 of them a second.
CPU_STALL_SECONDS_PER_BYTE = 60.0 / 10**9
ENDED = "the engine ended while it served this request"
FAILURES: dict[str, type[FlashwebError]] = {
    "invalid_request": InvalidRequest,
    "context_length_exceeded": ContextLengthExceeded,
    "server_is_overloaded": Overloaded,
}


class EngineClient:
    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._phase: EnginePhase = "off"
        self._error = ""
        self._start_error: FlashwebError | None = None
        self._device = ""  # where the first process ran: a restart after a lost GPU must not end up on the CPU
        self._stage = ""
        self._progress = 0.0
        self._ready: Ready | None = None
        self._stats = NO_STATS
        self._was_ready = False
        self._gave_up = False
        self._num_restarts = 0
        self._num_requests = 0
        self._wire_ids = itertools.count(1)
        self._wire_prefix = ""  # where several web processes share the engine
        self._streams: dict[str, TokenStream] = {}
        self._encoded: set[bytes] = set()  # digests of pictures whose features the engine has, by its own word
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._fatal: Fatal | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # ready, or given up
        self._stopping = False
        self._last_heard = 0.0
        self._last_progress = 0.0

    # --- the engine's face ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts the engine and returns when it is ready; at once with `lazy_load`, whose first request starts it.

        Raises CheckpointError, ConfigError, EngineDied.
        """
        self._stopping = False
        if self._supervisor is None or self._supervisor.done():
            self._start_error, self._was_ready, self._device = None, False, ""
        if not self.config.lazy_load:
            self._begin()
            await self._until_settled()

    async def stop(self) -> None:
        """Aborts what is left and ends the process: politely, then with SIGKILL. Idempotent."""
        self._stopping = True
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            if self._connection is not None:
                self._connection.send(Shutdown())
            process = self._process
            if process is not None:
                await ends_within(process, self.config.shutdown_seconds)
            supervisor.cancel()  # closes the line and kills what is still there
            with contextlib.suppress(asyncio.CancelledError):
                await supervisor
        self._phase = "stopped"
        self._fail_streams("the engine was stopped while it served this request")
        self._settled.set()

    async def generate(self, prompt: Prompt, params: SamplingParams, request_id: str) -> AsyncIterator[TokenOut]:
        """Tokens of one request as they come; closing the iterator aborts it.

        `request_id` is for logs: on the line every request has a number of its own, so that no caller can name
        another's. Raises ContextLengthExceeded, InvalidRequest, Overloaded, NotReady, EngineDied.
        """
        self._check_capacity()
        self._num_requests += 1
        try:
            connection = await self._until_connected()
            self._check_length(prompt)
            wire_id = f"{self._wire_prefix}{next(self._wire_ids)}"
            pictures = {span.image.digest for span in prompt.spans}
            known = self._known(pictures)
            frame = self._encode(wire_id, prompt, params, known)
            stream = self._streams[wire_id] = TokenStream(asyncio.get_running_loop(), pictures - known)
            try:
                connection.write(frame)
                del frame  # pictures are large; the answer is long
                await connection.drained()
                while True:
                    while not stream.has_news:
                        if stream.needs_pixels:
                            stream.needs_pixels, stream.pictures = False, pictures
                            connection.write(self._encode(wire_id, prompt, params))
                            await connection.drained()
                        else:
                            await stream.wait()
                    out = stream.take()
                    yield out
                    if out.finish is not None:
                        return
            finally:
                del self._streams[wire_id]
                if not stream.ended:
                    connection.send(Abort(wire_id))
        finally:
            self._num_requests -= 1

    @property
    def state(self) -> EngineState:
        stats, ready = self._stats, self._ready
        return EngineState(
            phase=self._phase,
            stage=self._stage if self._phase == "loading" else "",
            progress=self._progress if self._phase == "loading" else 0.0,
            max_model_len=ready.max_model_len if ready else 0,
            max_num_seqs=ready.max_num_seqs if ready else 0,
            num_running=stats.num_running,
            num_waiting=stats.num_waiting,
            num_free_blocks=stats.num_free_blocks,
            num_blocks=stats.num_blocks,
            num_steps=stats.num_steps,
            num_preemptions=stats.num_preemptions,
            num_restarts=self._num_restarts,
            prefix_queries=stats.prefix_queries,
            prefix_hits=stats.prefix_hits,
            encoder_queries=stats.encoder_queries,
            encoder_hits=stats.encoder_hits,
            error=self._error,
            was_ready=self._was_ready,
            gave_up=self._gave_up,
            start_seconds=ready.start_seconds if ready else (),
            peak_memory_bytes=stats.peak_memory_bytes,
            stats=stats,
            made=ready,
            process_id=self.process_id,
        )

    @property
    def ready(self) -> Ready | None:
        """What the engine said when it became ready: sizes, device, dtype. None before, and after a death."""
        return self._ready

    @property
    def process_id(self) -> int | None:
        return None if self._process is None else self._process.pid

    # --- one request ---------------------------------------------------------------------------------------------

    def _check_capacity(self) -> None:
        """Refuses before a prompt is encoded or sent."""
        max_num_seqs = self._ready.max_num_seqs if self._ready else self.config.max_num_seqs or 16
        limit = max_num_seqs + self.config.waiting_limit(max_num_seqs)
        if self._num_requests >= limit:
            raise Overloaded(
                f"{self._num_requests} requests are running or waiting; the limit is {max_num_seqs} running and "
                f"{limit - max_num_seqs} waiting: try again shortly"
            )

    async def _until_connected(self) -> Connection:
        if self.config.lazy_load and not self._stopping and not self._gave_up:
            self._begin()  # also after a load that failed
            if self._phase == "loading" and not self._was_ready:
                await self._until_settled()
        connection = self._connection
        self._raise_start_error()
        if connection is None or self._ready is None or self._phase not in ("ready", "stalled"):
            reason = f": {self._error}" if self._error else ""
            advice = "the server has to be restarted" if self._gave_up else "try again shortly"
            raise NotReady(f"the engine is {self._phase}{reason}; {advice}", retry_after_seconds=2.0)
        if self._phase == "stalled":
            raise NotReady(f"the engine is not advancing: {self._error}; try again shortly", retry_after_seconds=5.0)
        return connection

    def _known(self, pictures: set[bytes]) -> set[bytes]:
        """Those of these digests that can be sent without pixels: the engine has their features or, from an open
        request, pixels. That may have changed when it reads the message; then it asks for them."""
        return {
            digest
            for digest in pictures
            if digest in self._encoded or any(digest in stream.pictures for stream in self._streams.values())
        }

    def _check_length(self, prompt: Prompt) -> None:
        assert self._ready is not None
        if prompt.num_tokens >= self._ready.max_model_len:
            raise ContextLengthExceeded(
                f"the prompt has {prompt.num_tokens} tokens; the context holds {self._ready.max_model_len}, at least "
                "one of them for the answer: shorten the text or send fewer or smaller pictures"
            )

    def _encode(self, wire_id: str, prompt: Prompt, params: SamplingParams, known: Collection[bytes] = ()) -> bytearray:
        try:
            return encode_frame(to_submit(wire_id, prompt, params, known))
        except (OverflowError, FrameError) as error:
            raise InvalidRequest(f"this request cannot be sent to the engine: {error}") from None

    # --- messages from the engine --------------------------------------------------------------------------------

    def _on_message(self, message: FromEngine) -> None:
        self._last_heard = asyncio.get_running_loop().time()
        if isinstance(message, Tokens):
            self._last_progress = self._last_heard
            for started in message.started:  # before its first token
                stream = self._streams.get(started.request_id)
                if stream is not None:
                    stream.note_start(started)
            for token in message.tokens:
                stream = self._streams.get(token.request_id)
                if stream is not None:  # else it was aborted and the news crossed the line
                    stream.put(token)
        elif isinstance(message, Stats):
            working = message.num_running or message.num_waiting
            if not working or message.num_steps != self._stats.num_steps:
                self._last_progress = self._last_heard
            self._stats = message
        elif isinstance(message, Failed):
            stream = self._streams.get(message.request_id)
            if stream is not None:
                kind = FAILURES.get(message.code)
                stream.fail(kind(message.message) if kind else FlashwebError(message.message, code=message.code))
        elif isinstance(message, Encoded):
            self._encoded.update(message.added)
            self._encoded.difference_update(message.dropped)
        elif isinstance(message, NeedPixels):
            stream = self._streams.get(message.request_id)
            if stream is not None:
                stream.ask_for_pixels()
        elif isinstance(message, Progress):
            self._stage, self._progress = message.stage, message.done
        elif isinstance(message, Ready):
            self._ready, self._was_ready = message, True
            self._device = self._device or message.device.partition(":")[0]
            self._last_progress = self._last_heard
            if message.quantization_reason:
                logger.info("weights in %s: %s", message.quantization, message.quantization_reason)
            if message.start_seconds:
                logger.info("engine ready in %s", in_words(message.start_seconds))
            self._phase, self._error = "ready", ""
            self._settled.set()
        else:
            self._fatal = message

    def _fail_streams(self, reason: str) -> None:
        for stream in self._streams.values():
            stream.fail(EngineDied(reason, retry_after_seconds=2.0))

    # --- the process's life --------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._supervisor is None or self._supervisor.done():
            self._settled.clear()
            self._gave_up = False
            self._phase, self._error, self._stage, self._progress = "loading", "", "import", 0.0
            self._supervisor = asyncio.create_task(self._supervise(), name="engine-supervisor")

    async def _until_settled(self) -> None:
        await self._settled.wait()
        self._raise_start_error()
        if self._phase == "dead":
            raise EngineDied(self._error)

    def _raise_start_error(self) -> None:
        if self._start_error is not None:  # a new one each time: a raised exception collects tracebacks
            raise type(self._start_error)(self._start_error.message)

    async def _supervise(self) -> None:
        """Runs the process; runs it again when it dies, later each time, until it seems hopeless."""
        loop = asyncio.get_running_loop()
        deaths = 0
        while True:
            self._phase, self._stage, self._progress = "loading", "import", 0.0
            began = loop.time()
            try:
                await self._run_process()
            except OSError as error:  # no memory for a process, no room for a socket: a death like any other
                self._fatal = Fatal("engine_died", f"it could not be started: {error}")
            except Exception as error:  # nobody watches the supervisor: everyone would wait for ever
                logger.exception("supervising the engine process failed")
                self._fatal = Fatal("engine_died", f"it could not be supervised: {type(error).__name__}: {error}")
            finally:
                served = self._ready is not None
                self._connection, self._ready, self._stats = None, None, NO_STATS
                self._encoded = set()
            if self._stopping:
                return
            self._book_death()
            deaths = 1 if served and loop.time() - began > GOOD_SERVICE_SECONDS else deaths + 1
            if not self._is_to_be_restarted(deaths):
                break
            self._fail_streams(f"{ENDED} ({self._error}); it is being restarted: send the request again")
            await asyncio.sleep(self.config.restart_backoff_seconds * 2 ** (deaths - 1))
            self._num_restarts += 1
        self._fail_streams(f"{ENDED} ({self._error})")
        self._settled.set()

    def _is_to_be_restarted(self, deaths: int) -> bool:
        """After so many deaths in a row. Not when it has never worked: whoever starts the server wants to know now,
        and under lazy load the next request tries again."""
        if self._start_error is not None:
            self._gave_up = True
        elif not self._was_ready:
            self._gave_up = not self.config.lazy_load
        elif deaths > self.config.max_restarts:
            self._error += f"; it died {deaths} times in a row and is not started again"
            self._gave_up = True
        else:
            return True
        return False

    def _book_death(self) -> None:
        """Notes and logs why the process is gone."""
        process, fatal = self._process, self._fatal
        self._process, self._fatal = None, None
        reason = describe_exit(process.returncode if process else None)
        if self._phase == "stalled":
            reason = f"it stopped advancing and was killed ({self._error})"
        if fatal is not None:
            reason = fatal.message
            if self._was_ready:
                pass  # the same files and settings worked before: a device or a disk that is away may come back
            elif fatal.code == "checkpoint_error":
                self._start_error = CheckpointError(fatal.message)
            elif fatal.code == "config_error":
                self._start_error = ConfigError(fatal.message)
        self._phase, self._error = "dead", reason
        logger.error("the engine process is gone: %s", reason)

    async def _run_process(self) -> None:
        """Starts one process, connects it, and returns when it has ended (a killed one included)."""
        folder = Path(tempfile.mkdtemp(prefix="flashweb-"))  # mode 0700
        try:
            with listen(folder / "engine.sock") as listener:
                self._process = process = spawn(folder / "engine.sock", self._process_config())
                try:
                    accepted = await self._accept(listener, process)
                    shutil.rmtree(folder)  # nobody else is to connect
                    if accepted is not None:
                        await self._serve(accepted, process)
                        await ends_within(process, 0.5)
                finally:
                    # Its line is closed or it was told to go; whatever still keeps it is not worth waiting for.
                    if process.poll() is None:
                        process.kill()
                    process.wait()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _process_config(self) -> EngineConfig:
        config = self.config
        if config.device == "auto" and self._device:
            config = msgspec.structs.replace(config, device=self._device)
        return config

    async def _accept(self, listener: socket.socket, process: subprocess.Popen[bytes]) -> socket.socket | None:
        """The process's connection, or None when it ended without one."""
        loop = asyncio.get_running_loop()
        accepting = asyncio.ensure_future(loop.sock_accept(listener))
        try:
            deadline = loop.time() + self.config.start_timeout_seconds
            while not accepting.done():
                if process.poll() is not None or loop.time() > deadline:
                    return None
                await asyncio.wait({accepting}, timeout=0.1)
            return accepting.result()[0]
        finally:
            accepting.cancel()

    async def _serve(self, accepted: socket.socket, process: subprocess.Popen[bytes]) -> None:
        loop = asyncio.get_running_loop()
        self._last_heard = self._last_progress = loop.time()
        connection = Connection(self._on_message)
        await loop.connect_accepted_socket(lambda: connection, accepted)
        self._connection = connection
        try:
            await self._watch(connection, process)
        finally:
            connection.close()

    async def _watch(self, connection: Connection, process: subprocess.Popen[bytes]) -> None:
        """Returns when the line is closed, the process gone, or killed because it no longer advances."""
        loop = asyncio.get_running_loop()
        began = before = loop.time()
        silence = self.config.heartbeat_timeout_seconds
        tick = min(1.0, silence / 4)
        while not connection.closed.is_set() and process.poll() is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.closed.wait(), tick)
            now = loop.time()
            lag, before = now - before - tick, now
            if lag > 1.0:  # it was us who slept: a suspended machine, a blocked event loop
                self._last_heard += lag
                self._last_progress += lag
            if self._ready is None:
                if now - began > self.config.start_timeout_seconds:
                    self._error = f"not ready {now - began:.0f} s after its start"
                    self._phase = "stalled"
                    return
                continue
            overdue = max((now - self._last_heard) / silence, (now - self._last_progress) / self._stall_seconds())
            if overdue > 2.0:
                return
            if overdue > 1.0:
                silent, stuck = now - self._last_heard, now - self._last_progress
                self._phase = "stalled"
                self._error = f"no sign of life for {silent:.1f} s, no finished step for {stuck:.1f} s"
            elif self._phase == "stalled":
                self._phase, self._error = "ready", ""

    def _stall_seconds(self) -> float:
        assert self._ready is not None
        kind = self._ready.device.partition(":")[0]
        if self.config.stall_seconds is not None:
            return self.config.stall_seconds
        default = DEFAULT_STALL_SECONDS.get(kind, DEFAULT_STALL_SECONDS["cuda"])
        return default + CPU_STALL_SECONDS_PER_BYTE * self._ready.weight_bytes if kind == "cpu" else default
