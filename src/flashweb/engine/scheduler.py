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
from dataclasses import replace
from typing import Any, Literal

from flashweb.engine.block_manager import BlockManager
from flashweb.engine.encoder_cache import EncoderCache, PixelsNeeded
from flashweb.engine.protocol import Failed, Started, Token
from flashweb.engine.sequence import Picture, Sequence
from flashweb.engine.step import Batch, Chunk, Limits, Result, Sampled, TokenLogprobs
from flashweb.engine.tally import EngineTally
from flashweb.engine.tower import Tower
from flashweb.engine.turns import LATELY_SECONDS, Share, Turn
from flashweb.errors import FlashwebError, Overloaded


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
        self._tower = Tower(lambda: self.limits, encoder, blocks.block_size)
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
        self._tower.let_go(seq)
        self._tower.forget_slices(seq)
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
            count = self._tower.claim(seq, count, batch)
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
            if self._tower.must_wait(seq, len(matched) * self.blocks.block_size, batch):
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
        self._tower.let_go(seq)
        self.blocks.free(seq)
        seq.num_preemptions += 1
        insort(self._waiting, seq, key=_rank)
        self.num_preemptions += 1
        return seq

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
                    self._tower.let_go_of_finished(seq)
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


def failure(request_id: str, error: Exception) -> Failed:
    """An error as the message that tells its request. Foreign exceptions become a plain internal error."""
    if isinstance(error, FlashwebError):
        return Failed(request_id, error.code or "invalid_request", error.message)
    return Failed(request_id, "internal_error", f"the engine could not compute this request ({type(error).__name__})")
