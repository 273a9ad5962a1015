"""`Scheduler`: what each step computes. Pure Python: no torch, no I/O, no clock but the one it is given, which
is read for the books (`tally.py`) and for background work's share (`turns.py`).

A step is filled in this order: one token for every decoding sequence; the next chunk of every prompt already begun;
new sequences, first come first served, whose whole prompt gets its blocks at admission. Two budgets bound a step, so
that nobody's next token waits for everybody's prompts and pictures: new tokens, and vision patches (one picture
always fits, however large). A prompt that has the step to itself may take more tokens at once.

A step may be scheduled before the tokens of the one before it are known (`advance`, then `commit` one step later):
a sequence whose token is pending is computed on with the token where it is, on the device. What turns out to have
been its end makes that one step's work for it void; a length limit is known before and makes none.

Where few sequences run and one of them repeats itself, the tokens that should follow are computed with its newest one
(drafts, `speculation.py`). They stand in the chunk only: a sequence's own tokens are never guesses. The right ones
count as computed at `commit`; the slots of the others are written again. Until then such a sequence waits.

When blocks run out, the youngest sequence gives all of its own back and waits at the front of the queue; it is
computed again later and goes on with the same tokens. The oldest is never touched, so there is always progress.

Background sequences (batches, jobs) come after all others in every queue, however long they have been here. They give
way twice: beside callers they are left out of the steps (`turns.py` says which), so that a first token comes as if they
were not there, and the youngest of them goes back to the queue when a caller lacks a place or blocks.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence as Ordered
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from flashweb.engine.block_manager import BlockManager
from flashweb.engine.encoder_cache import EncoderCache, PixelsNeeded
from flashweb.engine.protocol import Failed, Started, Token
from flashweb.engine.sequence import Picture, Sequence
from flashweb.engine.tally import EngineTally
from flashweb.engine.turns import LATELY_SECONDS, Share, Turn
from flashweb.errors import FlashwebError, Overloaded

TokenLogprobs: TypeAlias = tuple[float, tuple[tuple[int, float], ...]]


@dataclass(frozen=True, slots=True)
class Limits:
    """The engine's sizes, all decided (see `memory.decide_limits`)."""

    max_model_len: int  # tokens of prompt + answer
    max_num_seqs: int  # sequences running at once
    max_num_batched_tokens: int  # new tokens per step
    max_num_batched_patches: int  # vision patches per step, unless a single picture has more
    max_waiting: int  # sequences queued behind the running ones
    max_waiting_bytes: int  # pixels held by all sequences
    max_speculating: int = 0  # with more sequences running there are no drafts
    # New tokens of a prompt that has a step to itself, where that may be more than otherwise: nobody waits for it.
    max_lone_tokens: int | None = None
    # What a step that also decodes may have beside it, so that no stream waits long; None: as much as any other step.
    max_tokens_beside: int | None = None  # of prompts
    max_patches_beside: int | None = None  # of the tower: larger pictures are encoded in slices, a slice a step
    # The same of background work beside callers, whatever is preferred.
    max_background_tokens: int = 128
    max_background_patches: int = 256
    background_rides: bool = False  # rows are nearly free where weights are read once for all: beside decoding callers

    @property
    def most_tokens(self) -> int:
        """New tokens of the largest step there can be."""
        return max(self.max_num_batched_tokens, self.max_lone_tokens or 0)


@dataclass(frozen=True, slots=True)
class Slice:
    """One of `of` parts of the tower's blocks for one picture; the last one gives its features."""

    picture: Picture
    of: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens [start, end) of one sequence, computed in this step; `samples` when the next token comes out of it.

    The last of them may be `drafts`, guesses behind the sequence's newest token: then every row from that token on
    is sampled from.
    """

    seq: Sequence
    start: int
    end: int
    samples: bool
    life: int  # the sequence's num_preemptions when this was scheduled
    drafts: tuple[int, ...] = ()

    @property
    def num_sampled(self) -> int:
        """Rows that the next tokens are sampled from, the last ones."""
        return 1 + len(self.drafts) if self.samples else 0

    @property
    def place(self) -> int:
        """Of the first token sampled, in its answer."""
        return self.end - len(self.drafts) - self.seq.num_prompt_tokens


@dataclass(slots=True)
class Batch:
    """One step: chunks in order, the pictures that the tower must encode first, and a slice of one that is not needed
    in this step yet, which may be all there is. `owners`: the sequences that the tower works for, one per picture, or
    the slice's one."""

    chunks: list[Chunk] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    slice: Slice | None = None
    owners: list[Sequence] = field(default_factory=list)
    num_tokens: int = 0
    num_decoded: int = 0  # of these, of sequences that decode
    num_patches: int = 0
    turn: Turn = Turn.EVERYBODY
    began_at: float = 0.0  # by the scheduler's clock
    has_background: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.chunks and self.slice is None

    @property
    def is_background(self) -> bool:
        """Whether no caller waits for it."""
        return self.has_background and all(chunk.seq.is_background for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class Sampled:
    token_id: int
    logprobs: TokenLogprobs | None = None


# What a row was sampled to, or the error that concerns its sequence alone.
Row: TypeAlias = Sampled | Exception
# What a chunk came to: a token, several where drafts were right, none yet where a prompt is not finished, or an error.
Result: TypeAlias = tuple[Sampled, ...] | Exception


class Scheduler:
    def __init__(
        self, limits: Limits, blocks: BlockManager, encoder: EncoderCache[Any], clock: Callable[[], float]
    ) -> None:
        """`clock`: seconds that only grow."""
        assert limits.max_num_batched_tokens >= limits.max_num_seqs, "every decoding sequence must fit into a step"
        assert blocks.num_blocks_for(limits.max_model_len) <= blocks.num_blocks, "the longest sequence must fit alone"
        self.limits = limits
        self.blocks = blocks
        self.encoder = encoder
        self.num_preemptions = 0
        self.num_verifications = 0  # chunks with drafts
        self.num_draft_tokens = 0
        self.num_accepted_tokens = 0  # of these
        self.tally = EngineTally()
        self._clock = clock
        self._started: list[Started] = []  # since they were asked for
        self._sequences: dict[str, Sequence] = {}
        self._waiting: list[Sequence] = []  # by rank: oldest first, background last
        self._running: list[Sequence] = []  # the same
        self._num_arrivals = 0
        self._num_pixel_bytes = 0
        self._slices_left: dict[bytes, int] = {}  # of pictures that have been begun, by digest
        self._share = Share()
        self._committed_at = float("-inf")
        self._caller_at = float("-inf")  # when a step for a caller was last over

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._sequences

    @property
    def has_work(self) -> bool:
        return bool(self._sequences)

    # --- coming and going --------------------------------------------------------------------------------------------

    def add(self, seq: Sequence) -> None:
        """Queues a sequence. Raises Overloaded when the queue is full, PixelsNeeded; asserts that its id is new.

        The features of pictures without pixels are pinned from here to the end of the sequence: it can be preempted
        and computed again at any time.
        """
        assert seq.request_id not in self._sequences, f"request id {seq.request_id} is in use"
        most = self.limits.max_num_seqs + self.limits.max_waiting
        if len(self._sequences) >= most:
            raise Overloaded(
                f"{self.num_running} requests are running and {self.num_waiting} waiting; the limit is {most} in all: "
                "try again shortly"
            )
        seq.pictures = tuple(self._with_pixels_if_needed(picture) for picture in seq.pictures)
        num_bytes = seq.num_pixel_bytes
        if self._num_pixel_bytes and self._num_pixel_bytes + num_bytes > self.limits.max_waiting_bytes:
            raise Overloaded(
                f"pictures of {self._num_pixel_bytes} bytes are already queued; another {num_bytes} would pass the "
                f"limit of {self.limits.max_waiting_bytes}: try again shortly"
            )
        self._num_pixel_bytes += num_bytes
        self._num_arrivals += 1
        seq.arrival = self._num_arrivals
        seq.arrived_at = self._clock()
        for digest in seq.pixelless:
            self.encoder.pin(digest)
        self._sequences[seq.request_id] = seq
        insort(self._waiting, seq, key=_rank)

    def _with_pixels_if_needed(self, picture: Picture) -> Picture:
        """A picture without pixels or features gets the pixels of a sequence that brought them. Raises PixelsNeeded."""
        if picture.patches is not None or picture.digest in self.encoder:
            return picture
        for seq in self._sequences.values():
            for other in seq.pictures:
                if other.digest == picture.digest and other.grid == picture.grid and other.patches is not None:
                    return replace(picture, patches=other.patches)
        raise PixelsNeeded

    def abort(self, request_id: str) -> bool:
        """Forgets a sequence, whatever it is doing, and frees all it holds. False when there is none of that name."""
        seq = self._sequences.get(request_id)
        if seq is None:
            return False
        self._remove(seq)
        return True

    def abort_all(self) -> None:
        for request_id in list(self._sequences):
            self.abort(request_id)

    def _remove(self, seq: Sequence, forget: bool = False) -> None:
        del self._sequences[seq.request_id]
        self._num_pixel_bytes -= seq.num_pixel_bytes
        (self._running if seq.block_table else self._waiting).remove(seq)
        self._unpin(seq, seq.pinned.copy())
        for picture in seq.pictures:
            self._slices_left.pop(picture.digest, None)
        for digest in seq.pixelless:
            self.encoder.unpin(digest)
        self.blocks.free(seq, forget)
        if forget:
            for picture in seq.pictures:
                self.encoder.forget(picture.digest)

    # --- one step ----------------------------------------------------------------------------------------------------

    def schedule(self) -> Batch:
        """The next step; an empty batch when there is nothing to do."""
        self._make_room()
        batch = Batch()
        if self._has_background:
            batch.began_at = self._clock()
            batch.turn = self._turn(batch.began_at)
        self._schedule_decodes(batch)
        self._schedule_prompts(batch)
        if batch.turn is Turn.BESIDE and not batch.has_background:  # what there is of it waits for a place
            batch.turn = Turn.CALLERS
            self._schedule_prompts(batch)
        elif batch.turn is Turn.CALLERS and batch.is_empty:  # they wait for tokens under way
            batch.turn = Turn.BESIDE
            self._schedule_decodes(batch)
            self._schedule_prompts(batch)
        if batch.is_empty:
            stuck = self._sequences and not any(seq.is_pending for seq in self._sequences.values())
            assert not stuck, "work is waiting but nothing can be scheduled"
        elif batch.has_background:
            self._share.begin()
        return batch

    def leave(self, batch: Batch) -> None:
        """A scheduled step was given up before it was advanced: nothing of it counts but its time."""
        self._end(batch, self._clock())

    def _end(self, batch: Batch, now: float) -> None:
        if batch.has_background:
            self._share.end(now, now - max(batch.began_at, self._committed_at))
        if not batch.is_background:
            self._caller_at = now
        self._committed_at = now

    def _turn(self, now: float) -> Turn:
        """Where there is background work."""
        if not self._has_caller:
            is_lately = now - self._caller_at < LATELY_SECONDS
            return Turn.BESIDE if is_lately and self.limits.background_rides else Turn.EVERYBODY
        if self._share.is_due(now) or (self.limits.background_rides and not self._has_prompt_of_caller):
            return Turn.BESIDE
        return Turn.CALLERS

    # Both queues have callers in front and background work at the end.

    @property
    def _has_caller(self) -> bool:
        return any(queue and not queue[0].is_background for queue in (self._running, self._waiting))

    @property
    def _has_background(self) -> bool:
        return any(queue and queue[-1].is_background for queue in (self._running, self._waiting))

    @property
    def _has_prompt_of_caller(self) -> bool:
        waiting = bool(self._waiting) and not self._waiting[0].is_background
        return waiting or any(not (seq.is_background or seq.is_decoding) for seq in self._running)

    def _make_room(self) -> None:
        """Takes places and blocks of background sequences, the youngest first, for the next caller that lacks them."""
        if not self._waiting or self._waiting[0].is_background:
            return
        seq = self._waiting[0]
        while self._running and self._running[-1].is_background and not self._has_room_for(seq):
            self._preempt_youngest()

    def _has_room_for(self, seq: Sequence) -> bool:
        if len(self._running) >= self.limits.max_num_seqs:
            return False
        return self.blocks.can_allocate(seq, self.blocks.match(seq), keep_free=len(self._running))

    def _schedule_prompts(self, batch: Batch) -> None:
        for seq in self._running:
            if not seq.is_decoding and self._is_turn_of(seq, batch):
                self._schedule_prefill(seq, batch)
        self._admit(batch)

    @staticmethod
    def _is_turn_of(seq: Sequence, batch: Batch) -> bool:
        """Whether a sequence's prompt may be in the step."""
        return batch.turn is Turn.EVERYBODY or seq.is_background is (batch.turn is Turn.BESIDE)

    def _schedule_decodes(self, batch: Batch) -> None:
        self._put_decodes(batch)
        batch.num_decoded = batch.num_tokens

    def _put_decodes(self, batch: Batch) -> None:
        index = 0
        while index < len(self._running):
            seq = self._running[index]
            index += 1
            if seq.is_background and batch.turn is Turn.CALLERS:  # as are all behind it
                return
            if not seq.is_decoding or self._must_wait_for_token(seq):
                continue
            # Victims are always behind `seq` or `seq` itself, so nothing already scheduled is taken away.
            while not self.blocks.append_slot(seq):
                if self._preempt_youngest() is seq:
                    return
            drafts = self._draft(seq, batch, num_behind=len(self._running) - index) if self._speculates else ()
            self._put(batch, seq, 1, drafts)

    @staticmethod
    def _must_wait_for_token(seq: Sequence) -> bool:
        """Whether the pending token must be known first: it is the last one, or the next choice depends on it."""
        return seq.is_pending and (
            seq.needs_known_tokens or seq.num_drafts > 0 or seq.num_answer_tokens >= seq.max_new_tokens
        )

    @property
    def _speculates(self) -> bool:
        """By the number of sequences whose rows are in the steps to come."""
        running = self._running
        if self._has_caller and not self.limits.background_rides:
            running = [seq for seq in running if not seq.is_background]
        return len(running) <= self.limits.max_speculating

    @property
    def wants_tokens(self) -> bool:
        """Whether the step under way had better be read before the next is scheduled: it verifies drafts, or a
        sequence repeats itself and could be drafted if its newest token were known."""
        return self._speculates and any(
            seq.num_drafts > 0 or seq.speculation.is_repeating(seq.token_ids, seq.num_tokens - 1)
            for seq in self._running
            if seq.is_pending and seq.can_speculate
        )

    def _draft(self, seq: Sequence, batch: Batch, num_behind: int) -> tuple[int, ...]:
        """Tokens guessed behind the newest one of a decoding sequence; none takes a slot or a place in the step that
        the sequences behind it need, and none is beyond the answer's last."""
        if seq.is_pending or not seq.can_speculate:
            return ()
        room = self.limits.max_num_batched_tokens - batch.num_tokens - 1 - num_behind
        most = min(room, seq.max_new_tokens - seq.num_answer_tokens - 1)
        drafts = seq.speculation.drafts(seq.token_ids, seq.num_tokens, most)
        if drafts and seq.constraint is not None:
            drafts = drafts[: seq.constraint.num_allowed(drafts)]
        return drafts[: self.blocks.reserve(seq, len(drafts), keep_free=len(self._running))] if drafts else ()

    def _schedule_prefill(self, seq: Sequence, batch: Batch) -> None:
        count = min(seq.num_uncomputed_tokens, self._room(batch))
        if count > 0:
            count = self._claim_pictures(seq, count, batch)
        if count > 0:
            self._put(batch, seq, count)

    def _room(self, batch: Batch) -> int:
        """Prompt tokens that a step can still take."""
        limits = self.limits
        if batch.slice is not None:
            return 0
        most = limits.max_num_batched_tokens
        if limits.max_lone_tokens is not None and not batch.chunks and not self._is_somebody_decoding:
            most = limits.max_lone_tokens
        if batch.num_decoded and limits.max_tokens_beside is not None:
            most = min(most, batch.num_decoded + limits.max_tokens_beside)
        if batch.turn is Turn.BESIDE:
            most = min(most, batch.num_decoded + limits.max_background_tokens)
        return most - batch.num_tokens

    @property
    def _is_somebody_decoding(self) -> bool:
        return any(seq.is_decoding and not seq.is_background for seq in self._running)

    def _admit(self, batch: Batch) -> None:
        while self._waiting and len(self._running) < self.limits.max_num_seqs and self._room(batch) > 0:
            seq = self._waiting[0]
            if not self._is_turn_of(seq, batch):
                return
            if seq.is_pending:  # preempted a moment ago: its newest token is known after this step
                return
            matched = self.blocks.match(seq)
            if self._must_wait_for_tower(seq, len(matched) * self.blocks.block_size, batch):
                return
            # Every running sequence may soon want a block: taking their last would preempt right after admitting.
            if not self.blocks.allocate(seq, matched, keep_free=len(self._running)):
                return
            del self._waiting[0]
            self._count_prefix(seq)
            insort(self._running, seq, key=_rank)
            self._schedule_prefill(seq, batch)

    @staticmethod
    def _put(batch: Batch, seq: Sequence, count: int, drafts: tuple[int, ...] = ()) -> None:
        start = seq.num_computed_tokens
        end = start + count + len(drafts)
        batch.chunks.append(Chunk(seq, start, end, start + count == seq.num_tokens, seq.num_preemptions, drafts))
        batch.num_tokens += end - start
        batch.has_background |= seq.is_background

    def _count_prefix(self, seq: Sequence) -> None:
        if seq.was_admitted:
            return
        seq.was_admitted = True
        seq.admitted_at = self._clock()
        seq.num_cached_tokens = seq.num_computed_tokens
        self.blocks.prefix_queries += seq.num_prompt_tokens
        self.blocks.prefix_hits += seq.num_cached_tokens

    def _preempt_youngest(self) -> Sequence:
        seq = self._running.pop()
        self._unpin(seq, seq.pinned.copy())
        self.blocks.free(seq)
        seq.num_preemptions += 1
        insort(self._waiting, seq, key=_rank)
        self.num_preemptions += 1
        return seq

    # --- pictures ----------------------------------------------------------------------------------------------------

    def _claim_pictures(self, seq: Sequence, count: int, batch: Batch) -> int:
        """Pins what the next `count` tokens of `seq` need and plans what has to be encoded; the number of tokens
        that can really be computed, cut before a picture for which this step's tower budget is too small."""
        start = seq.num_computed_tokens
        for picture in seq.pictures_in(start, start + count):
            known = self._is_known(picture, batch)
            if known and picture.digest in seq.pinned:
                continue
            if not known and (self._is_sliced(seq, picture, batch) or not self._fits_tower(picture, batch)):
                return max(0, picture.start - start)
            self._pin(seq, picture, known)
            if not known:
                batch.pictures.append(picture)
                batch.owners.append(seq)
                batch.num_patches += picture.grid.num_patches
        return count

    def _pin(self, seq: Sequence, picture: Picture, known: bool) -> None:
        if picture.digest in seq.pinned:
            return
        self.encoder.queries += 1
        self.encoder.hits += known
        self.encoder.pin(picture.digest)
        seq.pinned.add(picture.digest)

    def _is_sliced(self, seq: Sequence, picture: Picture, batch: Batch) -> bool:
        """Whether a picture is not encoded whole in this step, because sequences that decode would wait too long: then
        one more slice of it is, if the step has nothing else beside its decoding rows."""
        of = self._num_slices(picture, batch)
        if of == 1:
            self._slices_left.pop(picture.digest, None)
            return False
        if self._can_take_slice(batch):
            self._pin(seq, picture, known=False)
            batch.slice = Slice(picture, of)
            batch.owners.append(seq)
            batch.has_background |= seq.is_background
            left = self._slices_left.get(picture.digest, of) - 1
            self._slices_left[picture.digest] = left
            if left == 0:
                del self._slices_left[picture.digest]
        return True

    def _num_slices(self, picture: Picture, batch: Batch) -> int:
        """How many steps a picture's tower takes beside those who wait for this one."""
        most = self._most_patches_beside(batch)
        return -(-picture.grid.num_patches // most) if most is not None else 1

    def _most_patches_beside(self, batch: Batch) -> int | None:
        most = self.limits.max_patches_beside if batch.num_decoded else None
        if batch.turn is Turn.BESIDE:
            most = min(most or self.limits.max_background_patches, self.limits.max_background_patches)
        return most

    @staticmethod
    def _can_take_slice(batch: Batch) -> bool:
        return batch.num_tokens == batch.num_decoded and batch.slice is None and not batch.pictures

    def _is_known(self, picture: Picture, batch: Batch) -> bool:
        """Whether its features are here, or will be when this step needs them. Without pixels they are pinned."""
        if picture.patches is None or picture.digest in self.encoder:
            return True
        return any(p.digest == picture.digest for p in batch.pictures)

    def _fits_tower(self, picture: Picture, batch: Batch) -> bool:
        with_it = batch.num_patches + picture.grid.num_patches
        most = self.limits.max_background_patches if batch.turn is Turn.BESIDE else self.limits.max_num_batched_patches
        return batch.num_patches == 0 or with_it <= most

    def _must_wait_for_tower(self, seq: Sequence, num_cached: int, batch: Batch) -> bool:
        """Whether a new sequence could compute less than a block now because its picture does not fit into the
        step: then it is better admitted in the next one, when the prefix cache may know more."""
        for picture in seq.pictures_in(num_cached, num_cached + self.blocks.block_size):
            if self._is_known(picture, batch):
                continue
            if self._num_slices(picture, batch) > 1:
                return not self._can_take_slice(batch)
            return not self._fits_tower(picture, batch)
        return False

    def _unpin(self, seq: Sequence, digests: set[bytes]) -> None:
        for digest in digests:
            self.encoder.unpin(digest)
        seq.pinned -= digests

    def _unpin_finished(self, seq: Sequence) -> None:
        """Lets go of pictures whose last token has been computed."""
        needed = {p.digest for p in seq.pictures if p.end > seq.num_computed_tokens}
        self._unpin(seq, seq.pinned - needed)

    # --- what came of it ---------------------------------------------------------------------------------------------

    def advance(self, batch: Batch) -> None:
        """Books that a step is under way: its tokens count as computed, the sampled ones are pending."""
        for chunk in batch.chunks:
            chunk.seq.num_computed_tokens = chunk.end - len(chunk.drafts)
            chunk.seq.num_drafts = len(chunk.drafts)
            if chunk.samples:
                chunk.seq.append_pending()

    def commit(self, batch: Batch, results: Ordered[Result]) -> list[Token | Failed]:
        """Books what an advanced step came to: one result per chunk, in order; the news for the requests."""
        news: list[Token | Failed] = []
        now = self._clock()
        before: dict[float, int] = {}  # moments of the tokens before these, and of how many sequences
        for chunk, result in zip(batch.chunks, results, strict=True):
            seq = chunk.seq
            if self._sequences.get(seq.request_id) is not seq:
                continue  # it ended while this was under way
            if isinstance(result, Exception):
                self._remove(seq, forget=True)
                news.append(failure(seq.request_id, result))
                continue
            assert bool(result) is chunk.samples, "a finished prompt must give a token"
            token = self._append(seq, result) if result else None
            num_accepted = self._count_drafts(chunk, token) if token and chunk.drafts else 0
            if chunk.life == seq.num_preemptions:
                seq.num_computed_tokens += num_accepted
                if seq.pinned:
                    self._unpin_finished(seq)
                self.blocks.register(seq, chunk.end - len(chunk.drafts) + num_accepted)
            if token is not None:
                news.append(token)
                self.tally.num_answer_tokens += len(token.token_ids)
                if (last := seq.last_token_at) is None:
                    self._note_start(seq, now)
                else:
                    before[last] = before.get(last, 0) + 1
                seq.last_token_at = now
                if token.finish:
                    self._remove(seq)
        self._end(batch, now)
        self.tally.add_gaps(now, before)
        self.tally.step_tokens.add(batch.num_tokens)
        return news

    def _note_start(self, seq: Sequence, now: float) -> None:
        self.tally.num_prompt_tokens += seq.num_prompt_tokens
        queue, prefill = seq.admitted_at - seq.arrived_at, now - seq.admitted_at
        self._started.append(Started(seq.request_id, queue, prefill, seq.encode_seconds))

    def take_started(self) -> tuple[Started, ...]:
        """The sequences that got their first token since the last call."""
        if not self._started:
            return ()
        started, self._started = self._started, []
        return tuple(started)

    def _count_drafts(self, chunk: Chunk, token: Token) -> int:
        """Books how many drafts were right: all but the last of the tokens that came."""
        num_accepted = len(token.token_ids) - 1
        self.num_verifications += 1
        self.num_draft_tokens += len(chunk.drafts)
        self.num_accepted_tokens += num_accepted
        self.tally.add_accepted(range(num_accepted))
        chunk.seq.num_drafts = 0
        chunk.seq.speculation.learn(num_accepted, chunk.seq.num_tokens)
        return num_accepted

    @staticmethod
    def _append(seq: Sequence, sampled: tuple[Sampled, ...]) -> Token:
        """The tokens up to the one that ends the answer."""
        token_ids: list[int] = []
        logprobs: list[TokenLogprobs] = []
        finish: Literal["stop", "length"] | None = None
        for one in sampled:
            length = seq.append(one.token_id)
            token_ids.append(one.token_id)
            if one.logprobs is not None:
                logprobs.append(one.logprobs)
            if seq.constraint is not None:
                seq.constraint.accept(one.token_id)
            if one.token_id in seq.stop_token_ids and length > seq.sampling.min_tokens:
                finish = "stop"
            elif seq.constraint is not None and seq.constraint.is_complete:
                finish = "stop"  # whatever else was asked for: nothing can follow
            elif length >= seq.max_new_tokens:
                finish = "length"
            if finish:
                break
        return Token(seq.request_id, tuple(token_ids), finish, seq.num_cached_tokens, tuple(logprobs))

    def check_integrity(self) -> None:
        """Raises AssertionError unless queues, blocks and pins agree with each other."""
        assert set(self._sequences.values()) == set(self._waiting) | set(self._running)
        assert len(self._sequences) == len(self._waiting) + len(self._running)
        assert all(not seq.block_table and not seq.pinned for seq in self._waiting)
        assert all(seq.block_table for seq in self._running)
        for background in (False, True):
            queue = [seq for seq in (*self._running, *self._waiting) if seq.is_background is background]
            assert queue == sorted(queue, key=_rank), "somebody was overtaken"
        for queue in (self._running, self._waiting):
            assert queue == sorted(queue, key=_rank), "somebody waits behind background work"
        assert self._num_pixel_bytes == sum(seq.num_pixel_bytes for seq in self._sequences.values())
        self.blocks.check_integrity(self._running)
        pins = Counter(d for seq in self._running for d in seq.pinned)
        pins.update(d for seq in self._sequences.values() for d in seq.pixelless)
        self.encoder.check_integrity(pins)


def _rank(seq: Sequence) -> tuple[bool, int]:
    return seq.rank


def accept(rows: Ordered[Row], drafts: Ordered[int]) -> Result:
    """Of the rows behind a sequence's newest token and its drafts: tokens up to the first that is not as guessed.

    Each was sampled as it would have been without drafts, from what the network made of the right tokens before it.
    A row that broke behind the first does not count: without the draft it comes again, and says whether it is so.
    There is one row alone where a step was computed again without drafts.
    """
    tokens: list[Sampled] = []
    for row, draft in zip(rows, (*drafts, None), strict=False):
        if isinstance(row, Exception):
            return tuple(tokens) or row
        tokens.append(row)
        if row.token_id != draft:
            break
    return tuple(tokens)


def failure(request_id: str, error: Exception) -> Failed:
    """An error as the message that tells its request. Foreign exceptions become a plain internal error."""
    if isinstance(error, FlashwebError):
        return Failed(request_id, error.code or "invalid_request", error.message)
    return Failed(request_id, "internal_error", f"the engine could not compute this request ({type(error).__name__})")
