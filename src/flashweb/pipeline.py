"""The spine: one request from chat to deltas, and the only file that knows the whole row.

    admit -> pictures -> prompt -> engine -> text

Also the house's door: how many requests may be inside, what is refused before any work is done for it, warm-up,
and the drain at the end. Knows nothing of HTTP, sockets or torch. Leaving the `async with aclosing(...)` around
the engine's tokens is the one way a request ends early.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from flashweb.engine import Engine
from flashweb.errors import (
    CancelledByOperator,
    ContextLengthExceeded,
    FlashwebError,
    InvalidRequest,
    NotReady,
    Overloaded,
    TooLarge,
)
from flashweb.media import BytesOf
from flashweb.observe.work import Work, current_work, opening_of
from flashweb.output import END_THINK, MARKS, ReplySplitter, TextStream, find_boxes
from flashweb.prompt import PromptProcessor
from flashweb.settings import Settings
from flashweb.structured.trial import Trials
from flashweb.types import (
    Box,
    Chat,
    Delta,
    EngineTimes,
    FinishReason,
    ImagePart,
    ImageUse,
    Message,
    Part,
    PictureTimes,
    PixelPatches,
    Prompt,
    SamplingParams,
    TextPart,
    TokenLogprob,
    TokenOut,
    Trace,
    Usage,
)
from flashweb.warm_up import warm_up_picture

if TYPE_CHECKING:
    from flashweb.observe.metrics import Metrics

log = logging.getLogger("flashweb.pipeline")

# Requests that may wait for each one that runs; beyond that callers are told to come back (contract, section 3).
WAITING_PER_RUNNING = 4
# Until the engine has said how much it can hold.
ASSUMED_MAX_NUM_SEQS = 8
# Text longer than this is tokenised on a thread, so that other requests' streams keep moving meanwhile.
LONG_TEXT_CHARS = 16_000
# No vocabulary packs natural text tighter; a longer text is refused without counting its tokens.
MAX_CHARS_PER_TOKEN = 64


class Loader(Protocol):
    bytes_of: BytesOf | None

    async def load(
        self,
        parts: Sequence[ImagePart],
        check_sizes: Callable[[Sequence[tuple[int, int]]], None] | None = None,
        times: PictureTimes | None = None,
    ) -> list[PixelPatches]: ...

    def num_image_tokens(self, size: tuple[int, int], max_pixels: int = 0) -> int: ...

    def close(self) -> None: ...


_Piece: TypeAlias = tuple[int, Delta]  # the choice's index, and what is new of it
HealthStatus = Literal["ok", "loading", "draining", "stalled", "dead", "stopped"]


@dataclass(frozen=True, slots=True)
class Health:
    status: HealthStatus
    model_loaded: bool
    ready: bool
    detail: str = ""
    gave_up: bool = False  # the engine is not started again: only a new server helps


@dataclass(eq=False, slots=True)
class Ticket:
    """One admitted request; `task` is what to cancel when the drain's time is over, `work` what it took so far."""

    weight: int
    task: asyncio.Task[Any] | None
    work: Work = field(default_factory=current_work)
    aborted: bool = False
    reason: FlashwebError | None = None  # of an abortion that is not the drain's


@dataclass(eq=False, slots=True)
class _Watch:
    """What the metrics will be told of one request, or of one choice of it; moments of `time.perf_counter`."""

    began: float
    n: int = 1
    counted: bool = True
    work: Work = field(default_factory=Work)
    first_token: float | None = None
    ended: float = 0.0
    times: EngineTimes | None = None
    finish: FinishReason | None = None
    usage: Usage | None = None  # with `finish`


@dataclass(frozen=True, slots=True)
class _Finished:
    """In the merged queue of several choices: this choice is done, with its error if it had one."""

    error: BaseException | None = None


class Pipeline:
    def __init__(
        self, settings: Settings, loader: Loader, processor: PromptProcessor, engine: Engine, model_name: str = ""
    ) -> None:
        """`model_name` is for the metrics' labels."""
        self.settings = settings
        self.processor = processor
        self.engine = engine
        self.model_name = model_name
        self._loader = loader
        self._trials = Trials(processor.folder, processor.eos_token_ids)
        self._tickets: set[Ticket] = set()
        # Where several web processes share an engine: takes how many are inside here, returns how many elsewhere.
        self.tell_inside: Callable[[int], int] = lambda inside: 0
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._warm_up_seconds = 0.0
        self._warmed_restarts = -1  # the engine's restart count when it was last warmed
        self._life: asyncio.Task[None] | None = None
        self._start_error: BaseException | None = None
        self._mean_seconds = 1.0  # of recent requests, for Retry-After

    def read_files_by(self, bytes_of: BytesOf) -> None:
        """Where uploaded files are kept: pictures may be named by their ids from here on."""
        self._loader.bytes_of = bytes_of

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin loading and warming up in the background; `wait_ready` tells the end of it. Idempotent."""
        if self._life is not None:
            return
        self._life = asyncio.create_task(self._live(), name="pipeline-life")

    async def wait_ready(self) -> None:
        """Return when the first request can be served. Raises what kept the engine from starting."""
        while not self.health().ready:
            if self._start_error is not None:
                raise self._start_error
            await asyncio.sleep(0.02)

    async def _live(self) -> None:
        try:
            await self.engine.start()
        except BaseException as error:
            self._start_error = error
            if not isinstance(error, FlashwebError):
                raise
            return
        while True:
            try:
                await self._warm_up_when_new()
            except Exception:
                log.exception("the warm-up failed; trying again")
                await asyncio.sleep(5)
            await asyncio.sleep(0.25)

    async def _warm_up_when_new(self) -> None:
        """A first real picture through every stage, at start and after each restart of the engine."""
        state = self.engine.state
        if state.phase != "ready" or state.num_restarts == self._warmed_restarts:
            return
        began = time.perf_counter()
        if self._loads_on_demand or await self._warm_up():
            self._warm_up_seconds = time.perf_counter() - began
            self._warmed_restarts = state.num_restarts

    async def _warm_up(self) -> bool:
        """False when the engine went away meanwhile; it will be new again."""
        picture, text = ImagePart(data=warm_up_picture()), TextPart("What is in this picture?")
        for parts in ((picture, text), (text,)):
            try:
                await self._answer_warm_up(*parts)
                return True
            except (InvalidRequest, TooLarge) as error:
                # The operator's settings leave no room for it: a tiny context, no pictures at all.
                log.warning("this could not be part of the warm-up: %s", error.message)
            except FlashwebError:
                return False
        return True

    async def _answer_warm_up(self, *parts: Part) -> None:
        chat, params = Chat((Message("user", parts),)), SamplingParams(max_tokens=2, ignore_eos=True)
        async for _ in await self._answer(chat, params, _Watch(time.perf_counter(), counted=False)):
            pass

    def close(self) -> None:
        """Let nobody in any more; who is inside goes on."""
        self._closed = True

    async def drain(self, seconds: float) -> None:
        """Close, give running requests `seconds` to finish, then end the rest with NotReady."""
        self.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        if not self._tickets:
            return
        log.warning("ending %d requests that did not finish within %g s", len(self._tickets), seconds)
        for ticket in self._tickets:
            ticket.aborted = True
            if ticket.task is not None:
                ticket.task.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), 5.0)

    async def stop(self) -> None:
        """End the engine. Idempotent; call `drain` first to be kind."""
        self.close()
        if self._life is not None:
            self._life.cancel()
            with suppress(asyncio.CancelledError):
                await self._life
        await self.engine.stop()
        await self._trials.close()
        self._loader.close()

    # --- what operators ask ----------------------------------------------------------------------------------------

    @cached_property
    def metrics(self) -> Metrics:
        # Not above: the library takes a twentieth of a second to import, in which the engine could already be loading.
        from flashweb.observe.metrics import Metrics

        return Metrics(self.model_name)

    @property
    def start_seconds(self) -> tuple[tuple[str, float], ...]:
        """The stages of the last start and the seconds of each: the engine's own, then the first picture's way through
        the whole house."""
        state = self.engine.state
        own = (("first answer", self._warm_up_seconds),) if self._warmed_restarts == state.num_restarts else ()
        return state.start_seconds + own

    # --- what callers may ask about the model ---------------------------------------------------------------------

    @cached_property
    def generation_defaults(self) -> Mapping[str, Any]:
        """The checkpoint's own sampling, for parameters a caller leaves out."""
        return asdict(self.processor.generation_defaults)

    @property
    def num_tokens(self) -> int:
        """Size of the vocabulary; ids from here on are nobody's."""
        return self.processor.num_real_tokens

    def token_text(self, token_id: int) -> tuple[str, bytes]:
        """A single token as text (with U+FFFD for parts of characters) and as bytes, for log probabilities."""
        raw = self.processor.tokenizer.id_to_bytes(token_id)
        return raw.decode("utf-8", errors="replace"), raw

    # --- the door -------------------------------------------------------------------------------------------------

    @property
    def num_inside(self) -> int:
        """Admitted sequences, running or waiting; a request for n choices counts n times."""
        return sum(ticket.weight for ticket in self._tickets)

    @property
    def capacity(self) -> int:
        held = (self.engine.state.max_num_seqs or ASSUMED_MAX_NUM_SEQS) * (1 + WAITING_PER_RUNNING)
        limit = self.settings.server.limit_concurrency
        return held if limit is None else min(held, limit)

    def health(self) -> Health:
        """What an operator's probe should hear now."""
        state = self.engine.state
        phase = state.phase
        if self._closed:
            return Health("draining", phase == "ready", False, "the server is shutting down")
        if self._loads_on_demand and self._awaits_first_load():
            return Health("ok", False, True, state.error)  # of the last attempt: the next request makes another
        if phase == "ready":
            warmed = self._warmed_restarts == state.num_restarts or self._loads_on_demand
            return Health("ok" if warmed else "loading", True, warmed, "" if warmed else "warming up")
        if phase == "off" or phase == "loading":
            return Health("loading", False, False, state.stage)
        return Health(phase, False, False, state.error, state.gave_up)

    def _awaits_first_load(self) -> bool:
        """True also when a first load has failed and may be tried again; never for an engine that crashed later."""
        state = self.engine.state
        return state.phase in ("off", "loading", "dead") and not (state.was_ready or state.gave_up)

    @property
    def _loads_on_demand(self) -> bool:
        return self.settings.engine.lazy_load

    def check_open(self, weight: int = 1) -> None:
        """Raise NotReady or Overloaded if a request would not be let in now."""
        self._check_ready()
        self._check_room(weight)

    def _check_ready(self) -> None:
        health = self.health()
        if not health.ready:
            self.metrics.refused(health.status)
            raise NotReady(_not_ready_words(health), retry_after_seconds=2.0 if health.status != "draining" else 10.0)

    def _check_room(self, weight: int) -> None:
        inside, capacity = self.num_inside, self.capacity
        inside += self.tell_inside(inside)
        if inside + weight > capacity:
            self.metrics.refused("full")
            raise Overloaded(
                f"The server already holds {inside} requests, running and waiting; its limit is {capacity}. "
                "Come back after the time in Retry-After, or raise --max-num-seqs or --limit-concurrency.",
                retry_after_seconds=self._retry_after_seconds(),
            )

    def _retry_after_seconds(self) -> float:
        """About the time until a place is free: the queue ahead, in units of what recent requests took."""
        slots = self.engine.state.max_num_seqs or ASSUMED_MAX_NUM_SEQS
        return min(30.0, max(1.0, self._mean_seconds * (self.num_inside / slots - 1)))

    @contextmanager
    def admit(self, weight: int = 1) -> Iterator[Ticket]:
        """Hold `weight` places for as long as the block runs. Raises NotReady or Overloaded; NotReady also when the
        block is ended by the drain."""
        self.check_open(weight)
        ticket = Ticket(weight, asyncio.current_task())
        started = time.monotonic()
        ticket.work.admitted, ticket.work.cancel = True, partial(self._cancel, ticket)
        self._tickets.add(ticket)
        self._idle.clear()
        try:
            self._check_room(0)  # again, now that the other web processes can see it
            with _ended_kindly(ticket):
                yield ticket
        finally:
            ticket.work.cancel = None
            self._tickets.discard(ticket)
            self.tell_inside(self.num_inside)
            self._mean_seconds += 0.1 * (time.monotonic() - started - self._mean_seconds)
            if not self._tickets:
                self._idle.set()

    def _cancel(self, ticket: Ticket) -> bool:
        """End one request for its operator; False when its work is done already."""
        if ticket.aborted or ticket.task is None or ticket.task.done():
            return False
        ticket.aborted, ticket.reason = True, CancelledByOperator("The operator of this server has ended this request.")
        return ticket.task.cancel()

    def widen(self, ticket: Ticket, weight: int) -> None:
        """Let a request that is inside hold `weight` places. Raises NotReady (not for the drain: who is inside goes
        on) and Overloaded."""
        if not self._closed:
            self._check_ready()
        if weight > ticket.weight:
            self._check_room(weight - ticket.weight)
        ticket.weight = weight
        self.tell_inside(self.num_inside)

    # --- the row --------------------------------------------------------------------------------------------------

    async def stream(
        self,
        chat: Chat,
        params: SamplingParams,
        n: int = 1,
        ticket: Ticket | None = None,
        trace: Trace | None = None,
        *,
        running_usage: bool = False,
    ) -> AsyncGenerator[_Piece, None]:
        """Admit a chat and yield (choice index, piece of answer) until every choice has finished.

        A caller that was admitted before gives its ticket, of weight n, and gives the places back itself.
        Each choice's last piece carries `finish` and `usage`; with `running_usage` every one carries the usage so far.
        Closing the generator frees everything. Everything
        that is wrong with the request is raised before the first piece: InvalidRequest and its family, TooLarge,
        Overloaded, NotReady; EngineDied may come at any time. A `trace` is filled in on the way.
        """
        with self.admit(n) if ticket is None else _in_this_task(ticket) as ticket:
            watch = _Watch(time.perf_counter(), n, work=ticket.work)
            watch.work.opening = self._opening(chat)
            async with aclosing(await self._answer(chat, params, watch, running_usage, trace)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _answer(
        self,
        chat: Chat,
        params: SamplingParams,
        watch: _Watch,
        running_usage: bool = False,
        trace: Trace | None = None,
    ) -> AsyncGenerator[_Piece, None]:
        """The pieces of an answer, once its pictures and prompt are ready; not a generator itself, because every
        token pays for each one that it passes through."""
        self._check_text_length(chat)
        params = await self._hold_to(chat, params)
        images = await self._load(chat.images, watch)
        prompt = await self._build(chat, images)
        params = self._fit(prompt, params)
        trace = trace or Trace()
        trace.prompt_token_ids = prompt.token_ids
        readers = [_Reader(self.processor, chat, prompt, params, running_usage) for _ in range(watch.n)]
        traces = [trace, *(Trace() for _ in readers[1:])]
        jobs = enumerate(zip(readers, traces, strict=True))
        choices = [self._choice(i, one, prompt, _nth(params, i), replace(watch), kept) for i, (one, kept) in jobs]
        return choices[0] if watch.n == 1 else _merge(choices)

    async def _load(self, parts: Sequence[ImagePart], watch: _Watch) -> Sequence[PixelPatches]:
        if not parts:
            return ()
        log_settings = self.settings.log
        wants_hashes = watch.counted and log_settings.access_log and log_settings.log_image_hash
        times = watch.work.pictures = PictureTimes(hashes=[] if wants_hashes else None)
        images: Sequence[PixelPatches] = ()
        try:
            images = await self._loader.load(parts, partial(self._check_picture_sizes, parts), times)
        finally:
            if watch.counted:
                self.metrics.pictures(times, images)
        watch.work.picture_sizes = tuple(image.source_size for image in images)
        return images

    async def _hold_to(self, chat: Chat, params: SamplingParams) -> SamplingParams:
        """Refuses a structure that cannot be enforced; a thought before the answer is not held to it."""
        structure = params.structure
        if structure is None:
            return params
        await self._trials.check(structure)
        after = self.processor.tokenizer.control_id(END_THINK) if chat.enable_thinking else None
        return replace(params, structure=replace(structure, after_token=after))

    def _opening(self, chat: Chat) -> str:
        """What the log may show of the last question."""
        wanted = self.settings.log.log_prompt_chars if self.settings.log.access_log else 0
        asked = next((message for message in reversed(chat.messages) if message.role == "user"), None)
        if not wanted or asked is None:
            return ""
        return opening_of([part.text for part in asked.parts if isinstance(part, TextPart)], wanted)

    def _check_picture_sizes(self, parts: Sequence[ImagePart], sizes: Sequence[tuple[int, int]]) -> None:
        """Known from the headers alone: pictures that cannot fit are refused before any of them is decoded."""
        limit = self.engine.state.max_model_len
        pairs = zip(parts, sizes, strict=True)
        tokens = sum(self._loader.num_image_tokens(size, part.max_pixels) for part, size in pairs)
        if limit and tokens >= limit:
            raise ContextLengthExceeded(
                f"The {len(sizes)} pictures become {tokens} tokens, the context holds {limit}; send fewer or smaller "
                "ones, ask for less detail, or start the server with a smaller --max-image-size or a larger "
                "--max-model-len.",
                param="messages",
            )

    async def _build(self, chat: Chat, images: Sequence[PixelPatches]) -> Prompt:
        if _text_chars(chat) > LONG_TEXT_CHARS:
            return await asyncio.to_thread(self.processor.build, chat, images)
        return self.processor.build(chat, images)

    def _check_text_length(self, chat: Chat) -> None:
        limit = self.engine.state.max_model_len
        chars = _text_chars(chat)
        if limit and chars > limit * MAX_CHARS_PER_TOKEN:
            raise ContextLengthExceeded(
                f"The messages hold {chars} characters of text, far more than the context of {limit} tokens can "
                "take; shorten them.",
                param="messages",
            )

    def _fit(self, prompt: Prompt, params: SamplingParams) -> SamplingParams:
        """Bound the answer by what the context leaves. Raises ContextLengthExceeded when nothing is left."""
        limit = self.engine.state.max_model_len
        if not limit:  # not loaded yet; the engine checks again
            return params
        left = limit - prompt.num_tokens
        if left < max(1, params.min_tokens):
            raise ContextLengthExceeded(
                f"The prompt has {prompt.num_tokens} tokens ({prompt.num_image_tokens} of them for pictures); with an "
                f"answer of at least {max(1, params.min_tokens)} that is over the context of {limit} tokens. Shorten "
                "the messages, send fewer or smaller pictures, or start the server with a larger --max-model-len.",
                param="messages",
            )
        return params if params.max_tokens <= left else replace(params, max_tokens=left)

    async def _choice(
        self, index: int, reader: _Reader, prompt: Prompt, params: SamplingParams, watch: _Watch, trace: Trace
    ) -> AsyncGenerator[_Piece, None]:
        """One sequence through the engine. The id is our own: what callers send never becomes a key."""
        tokens = cast(AsyncGenerator[TokenOut, None], self.engine.generate(prompt, params, secrets.token_hex(12)))
        failed = False
        try:
            async with aclosing(tokens):
                async for out in tokens:
                    if watch.first_token is None:
                        watch.first_token, watch.times = time.perf_counter(), out.times
                        watch.work.has_begun(watch.first_token, out.times)
                    trace.output_token_ids += out.token_ids
                    delta = reader.read(out)
                    if delta is not None:
                        if delta.finish is not None:
                            watch.ended, watch.finish, watch.usage = time.perf_counter(), delta.finish, delta.usage
                            watch.work.has_ended(watch.ended, delta.finish)
                        yield index, delta
                        if delta.finish is not None:
                            return
        except Exception:
            failed = True
            raise
        finally:
            watch.work.usages.append(watch.usage or reader.usage())
            if watch.counted:
                self._count(watch, params, failed)

    def _count(self, watch: _Watch, params: SamplingParams, failed: bool) -> None:
        if watch.finish is None:
            self.metrics.left("error" if failed else "abort")
            return
        assert watch.usage is not None and watch.first_token is not None
        self.metrics.answered(
            watch.finish,
            watch.usage,
            params,
            watch.n,
            first_token=watch.first_token - watch.began,
            whole=watch.ended - watch.began,
            times=watch.times,
        )


class _Reader:
    """From one sequence's tokens to what its caller may see, with the count of both."""

    def __init__(
        self, processor: PromptProcessor, chat: Chat, prompt: Prompt, params: SamplingParams, running_usage: bool
    ) -> None:
        eos = () if params.ignore_eos else processor.eos_token_ids
        marks = MARKS if chat.enable_thinking or chat.tools else {}
        shown = {name: name for name in processor.tokenizer.control_ids} if params.keep_control else {}
        self._text = TextStream(
            processor.tokenizer,
            stop=params.stop,
            stop_token_ids={*eos, *params.stop_token_ids},
            include_stop=params.include_stop,
            keep_control={**shown, **dict.fromkeys(MARKS, ""), **marks},
            min_tokens=params.min_tokens,
        )
        most = None if chat.parallel_tool_calls else 1
        self._reply = ReplySplitter(thinking=chat.enable_thinking, tools=chat.tools, max_calls=most)
        self._thinking = chat.enable_thinking
        self._thought_end_ids = processor.thought_end_ids
        self._prompt = prompt
        self._patch_size = processor.geometry.patch_size
        self._running_usage = running_usage
        self._answer: list[str] | None = [] if prompt.spans else None  # where boxes are looked for
        self._completion_tokens = 0
        self._reasoning_tokens = 0
        self._cached_tokens = 0
        self._logprobs: list[TokenLogprob] = []

    def read(self, out: TokenOut) -> Delta | None:
        """What one step adds, or None when that is nothing yet (half a character, the beginning of a stop string).
        Log probabilities wait for the text they belong to."""
        before = self._text.num_tokens
        reasoning, content, calls = self._reply.feed(self._text.feed(out))
        # What the engine made beyond a stop string is nobody's: how much depends on how many steps came at once.
        num_used = self._text.num_tokens - before
        self._completion_tokens += num_used
        self._cached_tokens = max(self._cached_tokens, out.num_cached_tokens)
        self._logprobs += out.logprobs[:num_used]
        if self._thinking:
            self._count_thought(out.token_ids[:num_used])
        finish = FinishReason.STOP if self._text.stopped else out.finish
        if finish is None and self._reply.is_over:
            finish = FinishReason.STOP
        if finish is not None:
            rest = self._reply.feed(self._text.flush())
            tail = self._reply.flush(ended=finish is FinishReason.STOP and not self._text.found_stop)
            reasoning += rest.reasoning + tail.reasoning
            content += rest.content + tail.content
            calls += rest.calls + tail.calls
            if self._reply.calls_are_complete:
                finish = FinishReason.TOOL_CALLS
        if not (content or reasoning or calls or finish):
            return None
        if self._answer is not None:
            self._answer.append(content)
        logprobs, self._logprobs = tuple(self._logprobs), []
        return Delta(
            text=content,
            reasoning=reasoning,
            tool_calls=calls,
            boxes=self._boxes() if finish else (),
            logprobs=logprobs,
            finish=finish,
            usage=self.usage(images=self._images() if finish else ()) if finish or self._running_usage else None,
        )

    def _count_thought(self, token_ids: Sequence[int]) -> None:
        """Tokens up to the one that ends the thought."""
        for token_id in token_ids:
            self._reasoning_tokens += 1
            if token_id in self._thought_end_ids:
                self._thinking = False
                return

    def _boxes(self) -> tuple[Box, ...]:
        if self._answer is None:
            return ()
        return find_boxes("".join(self._answer), [span.image.source_size for span in self._prompt.spans])

    def _images(self) -> tuple[ImageUse, ...]:
        side = self._patch_size
        pictures = [span.image for span in self._prompt.spans]
        return tuple(
            ImageUse(
                width=picture.grid.w * side,
                height=picture.grid.h * side,
                source_width=picture.source_size[1],
                source_height=picture.source_size[0],
                tokens=picture.grid.num_tokens,
            )
            for picture in pictures
        )

    def usage(self, images: tuple[ImageUse, ...] = ()) -> Usage:
        """So far."""
        return Usage(
            prompt_tokens=self._prompt.num_tokens,
            completion_tokens=self._completion_tokens,
            cached_tokens=self._cached_tokens,
            image_tokens=self._prompt.num_image_tokens,
            reasoning_tokens=self._reasoning_tokens,
            images=images,
        )


@contextmanager
def _in_this_task(ticket: Ticket) -> Iterator[Ticket]:
    """From here on this task does the ticket's work: it is the one to cancel."""
    ticket.task = asyncio.current_task()
    with _ended_kindly(ticket):
        if ticket.aborted:
            raise ticket.reason or _grace_is_over()
        yield ticket


@contextmanager
def _ended_kindly(ticket: Ticket) -> Iterator[None]:
    """A cancellation by the drain becomes NotReady, one by the operator CancelledByOperator, and no other anything."""
    try:
        yield
    except asyncio.CancelledError:
        if not ticket.aborted:
            raise
        if ticket.task is not None:
            ticket.task.uncancel()
        raise ticket.reason or _grace_is_over() from None


def _grace_is_over() -> NotReady:
    return NotReady("The server is shutting down and its grace time is over; send the request again.")


def _nth(params: SamplingParams, index: int) -> SamplingParams:
    """A given seed is advanced by one for each choice, or they would all be alike."""
    return params if params.seed is None or index == 0 else replace(params, seed=params.seed + index)


async def _merge(choices: Sequence[AsyncGenerator[_Piece, None]]) -> AsyncGenerator[_Piece, None]:
    """Several choices side by side; the first error ends them all."""
    queue: asyncio.Queue[_Piece | _Finished] = asyncio.Queue(maxsize=4 * len(choices))
    tasks = [asyncio.create_task(_pour(pieces, queue)) for pieces in choices]
    running = len(choices)
    try:
        while running:
            item = await queue.get()
            if not isinstance(item, _Finished):
                yield item
                continue
            running -= 1
            if item.error is not None:
                raise item.error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pour(pieces: AsyncGenerator[_Piece, None], queue: asyncio.Queue[_Piece | _Finished]) -> None:
    error: Exception | None = None
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                await queue.put(piece)
    except Exception as caught:
        error = caught
    await queue.put(_Finished(error))


def _text_chars(chat: Chat) -> int:
    said = sum(len(part.text) for message in chat.messages for part in message.parts if isinstance(part, TextPart))
    thought = sum(len(message.reasoning or "") for message in chat.messages)
    calls = [call for message in chat.messages for call in message.tool_calls]
    return said + thought + (len(repr((chat.tools, calls))) if chat.tools or calls else 0)


def _not_ready_words(health: Health) -> str:
    match health.status:
        case "draining":
            return "The server is shutting down and takes no new requests; send it to another instance or later."
        case "loading":
            return f"The model is loading ({health.detail or 'starting'}); come back after the time in Retry-After."
        case "stalled":
            return "The engine has stopped making progress; come back after the time in Retry-After."
        case _ if health.gave_up:
            return "The engine has failed and is not started again; the server has to be restarted by its operator."
        case _:
            return "The engine is being restarted after a failure; come back after the time in Retry-After."
