"""`Sequence`: everything the engine tracks about one request. Primitive counters are stored, the rest is derived.

Made by `Sequence.from_submit`, which trusts nothing in a message: whatever could make a later step fail (a token id
outside the vocabulary, spans that overlap, a NaN temperature) is refused here, where only its own request suffers.
Knows nothing of torch, scheduling or who asked.
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flashweb.engine.constraint import Constraint
from flashweb.engine.protocol import Submit, WireImage, WireSampling
from flashweb.engine.speculation import MAX_DRAFTS, Speculation
from flashweb.engine.thought import Thought
from flashweb.errors import ContextLengthExceeded, InvalidRequest
from flashweb.types import Grid

PENDING = -1  # stands in `token_ids` for a token that was sampled but has not been read from the device yet
MIN_REPETITION_PENALTY = 0.01  # logits are divided by it: far below, one penalised token overflows to infinity
MAX_LOGPROBS = 64
MAX_LOGIT_BIAS = 4096
MAX_STOP_TOKEN_IDS = 1024
MAX_PICTURES = 4096


@dataclass(frozen=True, slots=True)
class SequenceRules:
    """What a request is checked against: facts of the checkpoint and of the KV cache."""

    max_model_len: int
    vocab_size: int  # ids a prompt may contain
    patch_values: int  # uint8 values per patch row
    eos_token_ids: tuple[int, ...] = ()
    thought_end_ids: tuple[int, ...] = ()
    thought_close_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a prompt: tokens [start, end) are its features, in order."""

    start: int
    end: int
    digest: bytes
    grid: Grid
    # [grid.num_patches, patch_values], or twice as many columns: two frames. None: the encoder cache has its features.
    patches: NDArray[np.uint8] | None


@dataclass(slots=True, eq=False)
class Sequence:
    request_id: str
    token_ids: list[int]  # prompt, then answer
    num_prompt_tokens: int
    positions: NDArray[np.int32]  # [3, num_prompt_tokens]
    position_delta: int
    pictures: tuple[Picture, ...]
    sampling: WireSampling
    stop_token_ids: frozenset[int]
    max_new_tokens: int
    seed: int  # the request's own, or drawn once: the same noise after preemption
    arrival: int = 0  # order of submission, given by the scheduler
    block_table: list[int] = field(default_factory=list)
    block_hashes: list[bytes] = field(default_factory=list)  # of full blocks; outlive preemption
    num_matched_blocks: int = 0  # leading blocks that came from the prefix cache at the last admission
    num_registered_blocks: int = 0  # leading blocks already offered to the prefix cache
    num_computed_tokens: int = 0  # tokens whose keys and values are in the cache
    num_cached_tokens: int = 0  # prompt tokens that the prefix cache answered at first admission
    was_admitted: bool = False
    num_preemptions: int = 0  # how often its blocks were taken back: what was computed before counts no more
    pinned: set[bytes] = field(default_factory=set)  # digests held in the encoder cache while their tokens are computed
    num_drafts: int = 0  # tokens guessed in the step under way: how many are right is known after it
    speculation: Speculation = field(default_factory=Speculation)
    thought: Thought | None = None  # with a budget of tokens
    constraint: Constraint | None = None  # what the answer must match
    # For the books, by the scheduler's clock, in seconds.
    arrived_at: float = 0.0
    admitted_at: float = 0.0  # for the first time
    last_token_at: float | None = None
    encode_seconds: float = 0.0  # the tower's work for its pictures
    _answer_counts: Counter[int] | None = None

    @classmethod
    def from_submit(cls, message: Submit, rules: SequenceRules) -> Sequence:
        """Checks a message and makes the sequence. Raises InvalidRequest, ContextLengthExceeded."""
        num_tokens = len(message.token_ids)
        if num_tokens == 0:
            raise InvalidRequest("the prompt has no tokens; send at least one")
        if num_tokens >= rules.max_model_len:
            raise ContextLengthExceeded(
                f"the prompt has {num_tokens} tokens; the context holds {rules.max_model_len}, at least one of them "
                "for the answer: shorten the text or send fewer or smaller pictures"
            )
        _check_sampling(message.sampling, rules.vocab_size)
        low, high = min(message.token_ids), max(message.token_ids)
        if low < 0 or high >= rules.vocab_size:
            raise InvalidRequest(
                f"token id {low if low < 0 else high} is outside the vocabulary of {rules.vocab_size} tokens"
            )
        sampling = message.sampling
        eos = () if sampling.ignore_eos else rules.eos_token_ids
        # A structured answer begins right behind the token that ends the thought: no line break is forced before it.
        close = rules.thought_close_ids if sampling.structure is None else rules.thought_close_ids[:1]
        return cls(
            request_id=message.request_id,
            token_ids=list(message.token_ids),
            num_prompt_tokens=num_tokens,
            positions=_read_positions(message, num_tokens),
            position_delta=message.position_delta,
            pictures=_read_pictures(message.images, num_tokens, rules.patch_values),
            sampling=sampling,
            stop_token_ids=frozenset(sampling.stop_token_ids) | frozenset(eos),
            max_new_tokens=min(sampling.max_tokens, rules.max_model_len - num_tokens),
            seed=secrets.randbits(64) if sampling.seed is None else sampling.seed & (2**64 - 1),
            thought=Thought.from_budget(sampling.thinking_budget, rules.thought_end_ids, close),
        )

    @property
    def is_background(self) -> bool:
        return self.sampling.background

    @property
    def rank(self) -> tuple[bool, int]:
        """Its place in every queue: callers who wait before background work, then by arrival."""
        return self.sampling.background, self.arrival

    @property
    def num_tokens(self) -> int:
        return len(self.token_ids)

    @property
    def num_answer_tokens(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens

    @property
    def num_uncomputed_tokens(self) -> int:
        return len(self.token_ids) - self.num_computed_tokens

    @property
    def is_decoding(self) -> bool:
        """Only its newest token is missing from the cache, and that one is an answer's: the rest of a prompt may be a
        single token too, and still need its picture."""
        return (
            len(self.token_ids) - self.num_computed_tokens == 1 and self.num_computed_tokens >= self.num_prompt_tokens
        )

    @property
    def num_pixel_bytes(self) -> int:
        return sum(p.patches.nbytes for p in self.pictures if p.patches is not None)

    @property
    def pixelless(self) -> set[bytes]:
        """Digests of pictures that came without pixels: pinned in the encoder cache from `Scheduler.add` to the end."""
        return {p.digest for p in self.pictures if p.patches is None}

    @property
    def answer_counts(self) -> Counter[int]:
        """How often each token stands in the answer; kept up to date from the first time it is asked for."""
        if self._answer_counts is None:
            self._answer_counts = Counter(self.token_ids[self.num_prompt_tokens :])
        return self._answer_counts

    @property
    def is_pending(self) -> bool:
        """Whether its newest token has been sampled but not read: it can be computed on, but not looked at."""
        return self.token_ids[-1] == PENDING

    @property
    def needs_known_tokens(self) -> bool:
        """Whether the choice of a token depends on the ones before it beyond what the model sees."""
        s = self.sampling
        if self.thought is not None and self.thought.may_close(self.num_answer_tokens):
            return True
        return s.repetition_penalty != 1.0 or s.presence_penalty != 0.0 or s.frequency_penalty != 0.0

    @property
    def can_speculate(self) -> bool:
        """Whether a guessed token can be verified by its own row of logits alone, with the noise of its own place."""
        if self.thought is not None and self.thought.may_close(self.num_answer_tokens, ahead=MAX_DRAFTS):
            return False
        return not self.needs_known_tokens and self.num_answer_tokens >= self.sampling.min_tokens

    def forced_token(self, place: int) -> int | None:
        """The token that must stand at a place of the answer, whatever the model says. Everything before it must be
        known (`needs_known_tokens`)."""
        return None if self.thought is None else self.thought.forced(place)

    def append_pending(self) -> None:
        """A token will come: it has a place, a position and a slot, but no value yet."""
        assert len(self.token_ids) < 2 or self.token_ids[-2] != PENDING, "a third token cannot be under way"
        self.token_ids.append(PENDING)

    def append(self, token_id: int) -> int:
        """The next token of the answer: it takes the oldest pending place. The answer's length up to it."""
        place = len(self.token_ids) - self.token_ids[-2:].count(PENDING)
        self.token_ids[place : place + 1] = [token_id]
        if self._answer_counts is not None:
            self._answer_counts[token_id] += 1
        if self.thought is not None:
            self.thought.see(token_id, place - self.num_prompt_tokens)
        return place + 1 - self.num_prompt_tokens

    def position_bytes(self, start: int, end: int, block_size: int) -> bytes:
        """The three axes' positions of tokens [start, end), whole blocks: 12 bytes a token, block after block (part of
        a block's identity)."""
        positions = self.positions[:, start:end]
        if end > self.num_prompt_tokens:
            # The same bytes as if the decoded tokens had come in a prompt: the next turn's does bring them.
            first = max(start, self.num_prompt_tokens)
            decoded = np.tile(np.arange(first, end, dtype=np.int32) + np.int32(self.position_delta), (3, 1))
            positions = np.concatenate((positions, decoded), axis=1)
        return positions.reshape(3, -1, block_size).swapaxes(0, 1).tobytes()

    def pictures_in(self, start: int, end: int) -> list[Picture]:
        """Pictures with at least one token in [start, end), in order."""
        return [p for p in self.pictures if p.start < end and p.end > start]


def _read_positions(message: Submit, num_tokens: int) -> NDArray[np.int32]:
    if len(message.positions) != 12 * num_tokens:
        raise InvalidRequest(f"{len(message.positions)} bytes of positions for {num_tokens} tokens; 12 each are needed")
    positions = np.frombuffer(message.positions, dtype=np.int32).reshape(3, num_tokens)
    # A picture of h x w tokens advances the positions by max(h, w) <= h * w: they never run ahead of the tokens.
    if positions.min() < 0 or positions.max() >= num_tokens or not -num_tokens < message.position_delta <= 0:
        raise InvalidRequest(
            f"positions run from {positions.min()} to {positions.max()} with delta {message.position_delta}; "
            f"for {num_tokens} tokens they must lie in 0..{num_tokens - 1} and the delta in {1 - num_tokens}..0"
        )
    return positions


def _read_pictures(images: tuple[WireImage, ...], num_tokens: int, patch_values: int) -> tuple[Picture, ...]:
    if len(images) > MAX_PICTURES:
        raise InvalidRequest(f"{len(images)} pictures in one prompt; at most {MAX_PICTURES} are allowed")
    pictures = []
    free_from = 0
    for image in images:
        grid = Grid(*image.grid)
        if min(image.grid) < 1 or grid.h % 2 or grid.w % 2:
            raise InvalidRequest(f"a picture's grid is {image.grid}; t must be positive, h and w positive and even")
        end = image.start + grid.num_tokens
        if image.start < free_from or end > num_tokens:
            raise InvalidRequest(
                f"a picture's tokens {image.start}..{end} overlap another picture or leave the {num_tokens} tokens"
            )
        pictures.append(Picture(image.start, end, image.digest, grid, _read_patches(image, grid, patch_values)))
        free_from = end
    return tuple(pictures)


def _read_patches(image: WireImage, grid: Grid, patch_values: int) -> NDArray[np.uint8] | None:
    num_bytes = grid.num_patches * patch_values
    if len(image.digest) != 32:
        raise InvalidRequest(f"a picture came with a digest of {len(image.digest)} bytes; 32 are needed")
    if image.patches is None:
        return None
    if len(image.patches) not in (num_bytes, 2 * num_bytes):
        raise InvalidRequest(
            f"a picture of {grid.num_patches} patches came with {len(image.patches)} bytes; {num_bytes} are needed, or "
            "twice as many for two frames"
        )
    return np.frombuffer(image.patches, dtype=np.uint8).reshape(grid.num_patches, -1)


def _check_sampling(s: WireSampling, vocab_size: int) -> None:
    """Raises InvalidRequest unless every value is one the sampler can work with."""

    def need(ok: bool, name: str, value: object, rule: str) -> None:
        if not ok:
            raise InvalidRequest(f"{name} is {value}; it must be {rule}", param=name)

    need(s.max_tokens >= 1, "max_tokens", s.max_tokens, "at least 1")
    need(0 <= s.min_tokens <= s.max_tokens, "min_tokens", s.min_tokens, f"from 0 to max_tokens ({s.max_tokens})")
    need(0.0 <= s.temperature < math.inf, "temperature", s.temperature, "a finite number, 0 or more")
    need(0.0 < s.top_p <= 1.0, "top_p", s.top_p, "above 0 and at most 1")
    need(s.top_k >= 0, "top_k", s.top_k, "0 (off) or more")
    need(0.0 <= s.min_p <= 1.0, "min_p", s.min_p, "from 0 to 1")
    need(
        MIN_REPETITION_PENALTY <= s.repetition_penalty < math.inf,
        "repetition_penalty", s.repetition_penalty, f"a finite number, {MIN_REPETITION_PENALTY} or more",
    )  # fmt: skip
    for name in ("presence_penalty", "frequency_penalty"):
        need(math.isfinite(getattr(s, name)), name, getattr(s, name), "a finite number")
    need(s.logprobs is None or 0 <= s.logprobs <= MAX_LOGPROBS, "logprobs", s.logprobs, f"from 0 to {MAX_LOGPROBS}")
    budget = s.thinking_budget
    need(budget is None or budget >= 0, "thinking_budget", budget, "0 or more tokens")
    need(len(s.logit_bias) <= MAX_LOGIT_BIAS, "logit_bias", f"{len(s.logit_bias)} entries", f"<= {MAX_LOGIT_BIAS}")
    need(
        len(s.stop_token_ids) <= MAX_STOP_TOKEN_IDS,
        "stop_token_ids", f"{len(s.stop_token_ids)} entries", f"at most {MAX_STOP_TOKEN_IDS}",
    )  # fmt: skip
    for token, bias in s.logit_bias.items():
        need(0 <= token < vocab_size, "logit_bias", f"for token {token}", f"for a token id below {vocab_size}")
        need(not math.isnan(bias) and bias != math.inf, "logit_bias", bias, "a number or -Infinity")
