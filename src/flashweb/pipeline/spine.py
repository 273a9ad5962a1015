"""The spine: one request from chat to deltas, and the only file that knows the whole row.

    admit -> pictures -> prompt -> engine -> text

Leaving the `async with aclosing(...)` around the engine's tokens is the one way a request ends early.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import asdict, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from flashweb.engine import Engine, EngineState
from flashweb.media import BytesOf, Documents, MediaSettings, Videos
from flashweb.observe.work import opening_of
from flashweb.output import END_THINK
from flashweb.pipeline.choices import Piece, Watch, merge, nth
from flashweb.pipeline.context import check_clips, check_pages, check_pictures, check_text, fit, text_chars
from flashweb.pipeline.door import Door, Ticket, in_this_task
from flashweb.pipeline.health import Health, health_of
from flashweb.pipeline.life import Life
from flashweb.pipeline.reader import Reader
from flashweb.pipeline.result_store import build_store
from flashweb.pipeline.results import Reading, Results, identity_of
from flashweb.prompt import PromptProcessor
from flashweb.settings import Settings
from flashweb.structured.trial import Trials
from flashweb.types import (
    Chat,
    Clip,
    Grid,
    ImagePart,
    PictureTimes,
    PixelPatches,
    Prompt,
    SamplingParams,
    TextPart,
    TokenOut,
    Trace,
)

if TYPE_CHECKING:
    from flashweb.observe.metrics import Metrics

# Text longer than this is tokenised on a thread, so that other requests' streams keep moving meanwhile.
LONG_TEXT_CHARS = 16_000


class Loader(Protocol):
    bytes_of: BytesOf

    async def load(
        self,
        parts: Sequence[ImagePart],
        check_sizes: Callable[[Sequence[tuple[int, int]]], None] | None = None,
        times: PictureTimes | None = None,
        *,
        background: bool = False,
    ) -> list[PixelPatches]: ...

    async def grids(self, parts: Sequence[ImagePart]) -> list[Grid]: ...

    def num_image_tokens(self, size: tuple[int, int], max_pixels: int = 0) -> int: ...

    def close(self) -> None: ...


class Pipeline:
    def __init__(
        self, settings: Settings, loader: Loader, processor: PromptProcessor, engine: Engine, model_name: str = ""
    ) -> None:
        """`model_name` is for the metrics' labels."""
        self.settings = settings
        self.processor = processor
        self.engine = engine
        self.model_name = model_name
        self.door = Door(engine, settings.server.limit_concurrency, self._health_of, self._refused)
        self._loader = loader
        self._trials = Trials(processor.folder, processor.eos_token_ids)
        media = MediaSettings.from_options(settings.media)
        self.documents = Documents(media, processor.geometry)
        self.videos = Videos(media, processor.video_geometry, processor.video_rule)
        self._life = Life(engine, settings.engine.lazy_load, self._answer_uncounted)
        self._results = self._build_results() if settings.results.result_cache else None

    def _build_results(self) -> Results:
        kept = self.settings.results
        store = build_store(kept, lambda num_bytes: self.metrics.results_hold(num_bytes))
        return Results(
            store,
            self._generate,
            identity_of(self.processor.folder, self.settings),
            lambda outcome: self.metrics.looked_up(outcome),
            sampled=kept.result_cache_sampled,
        )

    def read_files_by(self, bytes_of: BytesOf) -> None:
        """Where uploaded files are kept: pictures, documents and clips may be named by their ids from here on."""
        self._loader.bytes_of = self.documents.bytes_of = self.videos.bytes_of = bytes_of

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin loading and warming up in the background; `wait_ready` tells the end of it. Idempotent."""
        self._life.start()

    async def wait_ready(self) -> None:
        """Return when the first request can be served. Raises what kept the engine from starting."""
        while not self.health().ready:
            if self._life.start_error is not None:
                raise self._life.start_error
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Let nobody in any more; who is inside goes on."""
        self.door.close()

    async def drain(self, seconds: float) -> None:
        """Close, give running requests `seconds` to finish, then end the rest with NotReady."""
        await self.door.drain(seconds)

    async def stop(self) -> None:
        """End the engine. Idempotent; call `drain` first to be kind."""
        self.close()
        await self._life.end()
        await self.engine.stop()
        if self._results is not None:
            await self._results.close()
        await self._trials.close()
        await self.documents.close()
        await self.videos.close()
        self._loader.close()

    # --- what operators and callers ask ---------------------------------------------------------------------------

    def health(self) -> Health:
        """What an operator's probe should hear now."""
        return self._health_of(self.engine.state)

    def _health_of(self, state: EngineState) -> Health:
        return health_of(
            state,
            closed=self.door.is_closed,
            lazy=self.settings.engine.lazy_load,
            warmed_restarts=self._life.warmed_restarts,
        )

    @cached_property
    def metrics(self) -> Metrics:
        # Not above: the library takes a twentieth of a second to import, in which the engine could already be loading.
        from flashweb.observe.metrics import Metrics

        return Metrics(self.model_name)

    def _refused(self, reason: str) -> None:
        self.metrics.refused(reason)

    @property
    def start_seconds(self) -> tuple[tuple[str, float], ...]:
        """The stages of the last start and the seconds of each."""
        return self._life.start_seconds

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

    def text_of(self, token_ids: Iterable[int], *, keep_control: bool = True) -> str:
        """Tokens as text; control tokens by their names, or left out."""
        return self.processor.tokenizer.decode(token_ids, keep_control=keep_control)

    async def tokenize(self, text: str, *, prefix: bool = True) -> list[int]:
        """A text's tokens, behind those that every prompt begins with. Control tokens that it spells are plain text.
        Raises ContextLengthExceeded for one that is far too long to be looked at."""
        check_text(len(text), self.engine.state.max_model_len, param="prompt")
        encode = self.processor.tokenizer.encode
        ids = await asyncio.to_thread(encode, text) if len(text) > LONG_TEXT_CHARS else encode(text)
        return [*self.processor.prefix_ids, *ids] if prefix else ids

    async def prompt_ids(self, chat: Chat) -> list[int]:
        """The tokens of a chat's prompt, nothing being answered: of its pictures and clips only the headers are read,
        pages of its documents are drawn. More than the context holds are counted too. Raises what `stream` does for
        messages and pictures."""
        check_text(text_chars(chat), self.engine.state.max_model_len)
        if chat.documents:
            chat = await self.documents.open(chat)
        grids = await self._loader.grids(chat.images) if chat.images else ()
        clips = await self.videos.layouts(chat.videos) if chat.videos else ()
        if text_chars(chat) > LONG_TEXT_CHARS:
            return await asyncio.to_thread(self.processor.token_ids, chat, grids, clips)
        return self.processor.token_ids(chat, grids, clips)

    # --- the door -------------------------------------------------------------------------------------------------

    @property
    def num_inside(self) -> int:
        return self.door.num_inside

    @property
    def capacity(self) -> int:
        return self.door.capacity

    def check_open(self, weight: int = 1) -> None:
        """Raise NotReady or Overloaded if a request would not be let in now."""
        self.door.check_open(weight)

    def admit(self, weight: int = 1) -> AbstractContextManager[Ticket]:
        """Hold `weight` places for as long as the block runs (`Door.admit`). Raises NotReady or Overloaded."""
        return self.door.admit(weight)

    def widen(self, ticket: Ticket, weight: int) -> None:
        """Let a request that is inside hold `weight` places (`Door.widen`). Raises NotReady and Overloaded."""
        self.door.widen(ticket, weight)

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
    ) -> AsyncGenerator[Piece, None]:
        """Admit a chat and yield (choice index, piece of answer) until every choice has finished.

        A caller that was admitted before gives its ticket, of weight n, and gives the places back itself.
        Each choice's last piece carries `finish` and `usage`; with `running_usage` every one carries the usage so far.
        Closing the generator frees everything. What is wrong with the request is raised before the first piece:
        InvalidRequest and its family, TooLarge, Overloaded, NotReady; EngineDied may come at any time. A `trace` is
        filled in on the way.
        """
        with self.admit(n) if ticket is None else in_this_task(ticket) as ticket:
            watch = Watch(time.perf_counter(), n, work=ticket.work)
            watch.work.opening = self._opening(chat)
            async with aclosing(await self._answer(chat, params, watch, running_usage, trace)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _answer(
        self,
        chat: Chat,
        params: SamplingParams,
        watch: Watch,
        running_usage: bool = False,
        trace: Trace | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """The pieces of an answer, once its pictures and prompt are ready; not a generator itself, because every
        token pays for each one that it passes through."""
        limit = self.engine.state.max_model_len
        check_text(text_chars(chat), limit)
        params = await self._hold_to(chat, params)
        chat, images, clips = await self._load(chat, watch)
        prompt = await self._build(chat, images, clips)
        params = fit(prompt, params, limit or self.engine.state.max_model_len)
        if watch.work.background:
            params = replace(params, background=True)
        if trace is not None:
            trace.prompt_token_ids = prompt.token_ids
        readers = [Reader(self.processor, chat, prompt, params, running_usage) for _ in range(watch.n)]
        if watch.n == 1:
            kept = self._reading(chat, prompt, params, 0, watch)
            return self._choice(0, readers[0], prompt, params, watch, trace, kept)
        choices = []
        for index, reader in enumerate(readers):
            own = nth(params, index)
            kept = self._reading(chat, prompt, own, index, watch)
            noted = None if index else trace
            choices.append(self._choice(index, reader, prompt, own, replace(watch), noted, kept))
        return merge(choices)

    def _reading(self, chat: Chat, prompt: Prompt, params: SamplingParams, index: int, watch: Watch) -> Reading | None:
        if self._results is None or not watch.counted:
            return None
        return self._results.reading(chat, prompt, params, index, watch.work.caching)

    async def _answer_uncounted(self, chat: Chat, params: SamplingParams) -> None:
        async for _ in await self._answer(chat, params, Watch(time.perf_counter(), counted=False)):
            pass

    async def _hold_to(self, chat: Chat, params: SamplingParams) -> SamplingParams:
        """Refuses a structure that cannot be enforced; a thought before the answer is not held to it."""
        structure = params.structure
        if structure is None:
            return params
        await self._trials.check(structure)
        after = self.processor.tokenizer.control_id(END_THINK) if chat.enable_thinking else None
        return replace(params, structure=replace(structure, after_token=after))

    async def _load(self, chat: Chat, watch: Watch) -> tuple[Chat, Sequence[PixelPatches], Sequence[Clip]]:
        """The pictures and clips of a chat, and the chat with what its documents became."""
        parts, documents, videos = chat.images, chat.documents, chat.videos
        if not parts and not documents and not videos:
            return chat, (), ()
        log_settings = self.settings.log
        wants_hashes = watch.counted and log_settings.access_log and log_settings.log_image_hash
        times = watch.work.pictures = PictureTimes(hashes=[] if wants_hashes else None)
        images: Sequence[PixelPatches] = ()
        try:
            if documents:
                chat = await self.documents.open(chat, self._check_page_sizes, times)
                check_text(text_chars(chat), self.engine.state.max_model_len)
                parts = chat.images
            check = partial(self._check_picture_sizes, parts)
            images = await self._loader.load(parts, check, times, background=watch.work.background)
            clips = await self.videos.open(videos, self._check_clip_tokens, times) if videos else ()
        finally:
            if watch.counted:
                self.metrics.pictures(times, images)
        watch.work.picture_sizes = tuple(image.source_size for image in images)
        return chat, images, clips

    def _check_picture_sizes(self, parts: Sequence[ImagePart], sizes: Sequence[tuple[int, int]]) -> None:
        pairs = zip(parts, sizes, strict=True)
        tokens = [self._loader.num_image_tokens(size, part.max_pixels) for part, size in pairs]
        check_pictures(tokens, self.engine.state.max_model_len)

    def _check_page_sizes(self, sizes: Sequence[tuple[int, int]]) -> None:
        """Of a request's documents, in the size the model sees, before any page is drawn."""
        check_pages([self._loader.num_image_tokens(size) for size in sizes], self.engine.state.max_model_len)

    def _check_clip_tokens(self, tokens: Sequence[int]) -> None:
        check_clips(tokens, self.engine.state.max_model_len)

    async def _build(self, chat: Chat, images: Sequence[PixelPatches], clips: Sequence[Clip]) -> Prompt:
        if text_chars(chat) > LONG_TEXT_CHARS:
            return await asyncio.to_thread(self.processor.build, chat, images, clips)
        return self.processor.build(chat, images, clips)

    def _opening(self, chat: Chat) -> str:
        """What the log may show of the last question."""
        wanted = self.settings.log.log_prompt_chars if self.settings.log.access_log else 0
        asked = next((message for message in reversed(chat.messages) if message.role == "user"), None)
        if not wanted or asked is None:
            return ""
        return opening_of([part.text for part in asked.parts if isinstance(part, TextPart)], wanted)

    def _generate(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[TokenOut, None]:
        """One sequence through the engine. The id is our own: what callers send never becomes a key."""
        return cast(AsyncGenerator[TokenOut, None], self.engine.generate(prompt, params, secrets.token_hex(12)))

    async def _choice(
        self,
        index: int,
        reader: Reader,
        prompt: Prompt,
        params: SamplingParams,
        watch: Watch,
        trace: Trace | None,
        kept: Reading | None,
    ) -> AsyncGenerator[Piece, None]:
        """One sequence, of the engine or of what is `kept`, read."""
        tokens = self._generate(prompt, params) if kept is None else kept.tokens()
        failed = False
        try:
            async with aclosing(tokens):
                async for out in tokens:
                    if watch.first_token is None:
                        watch.first_token, watch.times = time.perf_counter(), out.times
                        watch.work.has_begun(watch.first_token, out.times)
                    if trace is not None:
                        trace.output_token_ids += out.token_ids
                    delta = reader.read(out)
                    if delta is not None:
                        if delta.finish is not None:
                            watch.ended, watch.finish, watch.usage = time.perf_counter(), delta.finish, delta.usage
                            watch.work.has_ended(watch.ended, delta.finish)
                            if kept is not None:
                                kept.is_whole()
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

    def _count(self, watch: Watch, params: SamplingParams, failed: bool) -> None:
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
