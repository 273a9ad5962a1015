"""`EngineCore`: scheduler, runner and caches wired together. `step()` is the spine of the engine.

    core = EngineCore(model, config)
    core.submit(message)
    while core.has_work:
        news = core.step()

Runs in the caller's thread and process: `worker.py` puts it behind a socket, tests and offline benchmarks use it as
it is. Knows nothing of sockets, text or HTTP.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from flashweb.engine.block_manager import BlockManager
from flashweb.engine.config import EngineConfig
from flashweb.engine.constraint import Grammars
from flashweb.engine.encoder_cache import EncoderCache
from flashweb.engine.memory import Card, MemoryPlan, measure_free_bytes, peak_memory_bytes, plan_memory, step_limits
from flashweb.engine.protocol import Failed, Ready, Stats, Submit, Token, WireImage, WireSampling
from flashweb.engine.runner import Encoding, Launched, Left, ModelRunner
from flashweb.engine.scheduler import Scheduler
from flashweb.engine.sequence import Sequence, SequenceRules
from flashweb.engine.start_clock import StartClock
from flashweb.engine.step import Batch, Chunk, Result, Row, accept
from flashweb.engine.tally import EngineTally
from flashweb.errors import InvalidRequest
from flashweb.model.footprint import graph_bytes
from flashweb.model.layers import fused_kernels
from flashweb.types import Grid

logger = logging.getLogger(__name__)

TRIAL_ID = "\x00trial"
WARM_UP_GRID = Grid(1, 16, 16)  # 224 x 224 px
USUAL_GRID = Grid(1, 74, 74)  # 1036 x 1036 px
GREEDY = WireSampling(
    max_tokens=2, min_tokens=0, temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, repetition_penalty=1.0,
    presence_penalty=0.0, frequency_penalty=0.0, seed=0, logit_bias={}, logprobs=None, stop_token_ids=(),
    ignore_eos=True,
)  # fmt: skip


class EngineCore:
    def __init__(self, model: Any, config: EngineConfig, clock: StartClock | None = None) -> None:
        """`model` is a `flashweb.model.Glm4v` or anything with the same face; `clock` is told the stages of the start.
        Raises ConfigError."""
        self.clock = clock = clock or StartClock()
        self.model = model
        self.config = config
        text, vision = model.config.text, model.config.vision
        graphs = config.cuda_graphs and model.device.type == "cuda"
        # Before the plan, which gives all the memory that is left to the KV cache.
        tower = model.new_tower_graphs(_largest_captured(model, config)) if graphs else None
        if graphs:
            clock.done("tower graphs")
        plan = _plan(model, config, tower.num_bytes if tower is not None else 0, graphs)
        self.plan = plan
        if model.device.type == "cuda":
            clock.done("memory trial")
        self.rules = SequenceRules(
            plan.limits.max_model_len, text.vocab_size, vision.patch_values, tuple(config.eos_token_ids),
            tuple(config.thought_end_ids), tuple(config.thought_close_ids),
        )  # fmt: skip
        self.blocks = BlockManager(plan.num_blocks, config.block_size, config.enable_prefix_cache)
        self.encoder: EncoderCache[Tensor] = EncoderCache(plan.encoder_cache_bytes)
        self.scheduler = Scheduler(plan.limits, self.blocks, self.encoder, time.monotonic)
        self.runner = ModelRunner(model, plan.num_blocks, config.block_size, self.encoder, config.num_real_tokens)
        self.runner.tower = tower
        clock.done("KV cache")
        if graphs:
            limits, cache = plan.limits, self.runner.cache
            self.runner.decoder = model.new_decoder(cache, limits.max_num_seqs, limits.max_model_len)
            clock.done("decode graphs")
            self.runner.prompts = model.new_prefill_graphs(
                cache, limits.most_tokens, limits.max_num_seqs, limits.max_model_len
            )
            clock.done("prompt graphs")
        self.num_steps = 0
        self.grammars = Grammars.of_checkpoint(config.model, config.eos_token_ids)
        # Overlapped: a step is launched before the tokens of the one before it are read, so that the device never
        # waits for the host. On a CPU both are the same processor and there is nothing to gain.
        self.overlap = model.device.type != "cpu" if config.overlap is None else config.overlap
        self._under_way: tuple[Batch, Launched] | None = None
        self._encodings: list[tuple[Batch, Encoding]] = []  # whose time is not booked yet

    @property
    def has_work(self) -> bool:
        return self.scheduler.has_work or self._under_way is not None

    def submit(self, message: Submit) -> None:
        """Queues a request. Raises InvalidRequest, ContextLengthExceeded, Overloaded, PixelsNeeded."""
        if message.request_id in self.scheduler:
            raise InvalidRequest(f"request id {message.request_id!r} is in use; every request needs its own")
        seq = Sequence.from_submit(message, self.rules)
        if message.sampling.structure is not None:
            seq.constraint = self.grammars.constraint(message.sampling.structure, self.rules.thought_end_ids)
        self.scheduler.add(seq)

    def abort(self, request_id: str) -> bool:
        """Ends a request early and frees all it holds; False when there is none of that name (it may have ended)."""
        return self.scheduler.abort(request_id)

    def step(self, is_urgent: Callable[[], bool] | None = None) -> list[Token | Failed]:
        """Launches one step and reads one (overlapped: the step before, else the same): the new tokens, and the
        requests that cannot go on. Raises DeviceLost.

        A step that no caller waits for is left in the middle of its pictures once `is_urgent` says that somebody has
        come, where the processor that asks is the one that computes.
        """
        news: list[Token | Failed] = []
        if self._under_way is not None and self.scheduler.wants_tokens:
            before, self._under_way = self._under_way, None
            news = self._finish(*before)
        batch, launched = self.scheduler.schedule(), None
        if not batch.is_empty:
            can_leave = not self.overlap and batch.is_background
            try:
                launched = batch, self.runner.launch(batch, is_urgent if can_leave else None)
            except Left:
                self.scheduler.leave(batch)
                return news
            if launched[1].encoding is not None:
                self._encodings.append((batch, launched[1].encoding))
            self.scheduler.advance(batch)
            self.num_steps += 1
        if self.overlap:
            launched, self._under_way = self._under_way, launched
        if launched is not None:
            news += self._finish(*launched)
        if self._under_way is not None:
            self._under_way[1].sample()  # where that had to wait for the tokens just read
        return news

    def _finish(self, batch: Batch, step: Launched) -> list[Token | Failed]:
        results = [self._accept(chunk, rows) for chunk, rows in zip(batch.chunks, step.read(), strict=True)]
        if self._encodings:
            self._book_encodings()
        return self.scheduler.commit(batch, results)

    def _book_encodings(self) -> None:
        """The tower's time, where it is known by now, to those it worked for, by the size of their pictures. Who has
        a token read knows all of its own: the device works in order."""
        while self._encodings and (seconds := self._encodings[0][1].seconds()) is not None:
            batch, _ = self._encodings.pop(0)
            for index, owner in enumerate(batch.owners):
                patches = batch.pictures[index].grid.num_patches if batch.pictures else 1
                owner.encode_seconds += seconds * patches / (batch.num_patches or 1)

    def _accept(self, chunk: Chunk, rows: list[Row]) -> Result:
        result = accept(rows, chunk.drafts)
        if isinstance(result, Exception):
            self._clean_up_after(chunk.seq, result)
        elif chunk.drafts and any(isinstance(row, Exception) for row in rows):
            self._clean_up_behind(chunk, len(result))
        return result

    def _clean_up_after(self, seq: Sequence, error: Exception) -> None:
        logger.error("request %s failed: %r", seq.request_id, error, exc_info=error)
        self.runner.wipe(self.blocks.blocks_to_wipe(seq))

    def _clean_up_behind(self, chunk: Chunk, num_computed: int) -> None:
        """A draft that broke left what it came to in slots that nobody may read, not even multiplied by 0."""
        seq, size = chunk.seq, self.config.block_size
        if chunk.life == seq.num_preemptions and seq.block_table:
            places = range(chunk.start + num_computed, chunk.end)
            self.runner.wipe_slots([seq.block_table[place // size] * size + place % size for place in places])

    def warm_up(self) -> float:
        """Computes a picture and two tokens through the whole path; the seconds it took. On an accelerator a picture
        of a usual real size too, which has a graph or kernels of its own to be loaded.

        Raises RuntimeError when the model cannot answer: better at start than in front of the first caller.
        """
        began = time.perf_counter()
        usual = [self._largest_grid(USUAL_GRID)] if self.model.device.type != "cpu" else []
        for grid in [self._largest_grid(WARM_UP_GRID), *usual]:
            num_tokens = min(grid.num_tokens + self.config.block_size, self.rules.max_model_len - 2)
            self._try(_trial_request(self.rules, num_tokens, grid))
        self.num_steps = 0
        self.blocks.prefix_queries = self.blocks.prefix_hits = 0
        self.encoder.queries = self.encoder.hits = 0
        self.scheduler.tally = EngineTally()
        self.scheduler.take_started()
        self.clock.done("warm-up")
        return time.perf_counter() - began

    def _try(self, request: Submit) -> None:
        self.submit(request)
        try:
            while self.has_work:
                for news in self.step():
                    if isinstance(news, Failed):
                        raise RuntimeError(f"the model cannot compute the warm-up request: {news.message}")
        finally:
            self.abort(TRIAL_ID)

    def _largest_grid(self, wanted: Grid) -> Grid:
        """A square picture of the wanted size, or the largest that a sequence and the checkpoint's pictures allow."""
        most = min(wanted.num_patches, 4 * (self.rules.max_model_len - 2), self.config.max_image_patches)
        side = 2 * max(1, math.isqrt(most // 4))
        return Grid(1, side, side)

    def ready(self) -> Ready:
        plan, model = self.plan, self.model
        return Ready(
            max_model_len=plan.limits.max_model_len,
            num_blocks=plan.num_blocks,
            block_size=self.config.block_size,
            max_num_seqs=plan.limits.max_num_seqs,
            dtype=str(getattr(model, "dtype", "")).removeprefix("torch."),
            device=str(model.device),
            weight_bytes=int(getattr(model, "weight_bytes", 0)),
            kv_cache_bytes=plan.kv_cache_bytes,
            quantization=model.quantization if hasattr(model, "quantization") else "none",
            start_seconds=self.clock.stages,
        )

    def stats(self) -> Stats:
        """Safe to call from another thread: single reads of plain numbers."""
        tally = self.scheduler.tally
        return Stats(
            num_steps=self.num_steps,
            num_running=self.scheduler.num_running,
            num_waiting=self.scheduler.num_waiting,
            num_free_blocks=self.blocks.num_free_blocks,
            num_blocks=self.blocks.num_blocks,
            num_preemptions=self.scheduler.num_preemptions,
            prefix_queries=self.blocks.prefix_queries,
            prefix_hits=self.blocks.prefix_hits,
            encoder_queries=self.encoder.queries,
            encoder_hits=self.encoder.hits,
            encoder_bytes=self.encoder.num_bytes,
            num_verifications=self.scheduler.num_verifications,
            num_draft_tokens=self.scheduler.num_draft_tokens,
            num_accepted_tokens=self.scheduler.num_accepted_tokens,
            peak_memory_bytes=peak_memory_bytes(self.model.device),
            num_encoded=len(self.encoder),
            num_prompt_tokens=tally.num_prompt_tokens,
            num_answer_tokens=tally.num_answer_tokens,
            accepted_at=tuple(tally.accepted_at),
            inter_token=tally.inter_token.counts(),
            step_tokens=tally.step_tokens.counts(),
        )

    def check_integrity(self) -> None:
        """Raises AssertionError when blocks, pins or queues do not add up. For tests and for idle moments."""
        self.scheduler.check_integrity()
        if not self.has_work:
            assert self.blocks.num_free_blocks == self.blocks.num_blocks, "idle, but blocks are held"


def _largest_captured(model: Any, config: EngineConfig) -> Grid | None:
    """The largest picture that the tower's graphs make room for: the usual size, where a step's patches and a sequence
    allow it and the card is not a small one, whose steps have fewer patches. None: small pictures only."""
    step = step_limits(config, "cuda", Card.of(config, model.device).share_bytes)
    longest = min(config.max_model_len or math.inf, model.config.text.max_position_embeddings)
    most = min(step.max_num_batched_patches, config.max_image_patches, 4 * (longest - 2))
    return USUAL_GRID if USUAL_GRID.num_patches <= most else None


def _plan(model: Any, config: EngineConfig, tower_bytes: int, graphs: bool) -> MemoryPlan:
    """`tower_bytes`: what the tower's graphs keep; `graphs`: whether the decoder's will be captured too. The measured
    peak of a step shows neither."""
    device: torch.device = model.device
    free_bytes = share_bytes = None
    if device.type == "cuda":
        share_bytes = Card.of(config, device).share_bytes
    if share_bytes is not None and config.kv_cache_bytes is None:
        taken = _peak_bytes(model, config, share_bytes) + tower_bytes
        if graphs:
            step, text, item_bytes = step_limits(config, "cuda", share_bytes), model.config.text, model.dtype.itemsize
            taken += graph_bytes(text, item_bytes, num_tokens=step.most_tokens, max_num_seqs=step.max_num_seqs)
        free_bytes = measure_free_bytes(config, device, taken)
    return plan_memory(
        config,
        kv_bytes_per_token=model.kv_bytes_per_token(),
        checkpoint_len=model.config.text.max_position_embeddings,
        device_type=device.type,
        free_bytes=free_bytes,
        share_bytes=share_bytes,
    )


def _peak_bytes(model: Any, config: EngineConfig, share_bytes: int | None = None) -> int:
    """The CUDA allocator's peak over the largest step: weights, activations, and the tower's largest batch.

    Measured by encoding the largest picture, then running such a step through a core with a KV cache just large
    enough for it (which counts as activations: a margin). Reckoned on top: the float32 logits of a full house ten
    times (raw, penalised, scaled, weights, float64 sums, sorted, masks), and, without our kernels, one layer's keys
    and values over the longest past, read and with heads repeated (`model/attention.py`), which a fresh cache cannot
    show.
    Raises RuntimeError when the step cannot be computed.
    """
    step = step_limits(config, "cuda", share_bytes)
    num_tokens = min(step.most_tokens, model.config.text.max_position_embeddings - 1)
    trial = msgspec.structs.replace(
        config,
        kv_cache_bytes=model.kv_bytes_per_token() * (num_tokens + 2 * config.block_size),
        max_model_len=None,
        max_num_seqs=1,
        overlap=False,
        cuda_graphs=False,
    )
    torch.cuda.reset_peak_memory_stats(model.device)
    _encode_largest_picture(model, config, step.max_num_batched_patches)
    core = EngineCore(model, trial)
    side = 2 * math.isqrt(min(step.max_num_batched_patches // 4, num_tokens))
    core.submit(_trial_request(core.rules, max(num_tokens, side * side // 4), Grid(1, side, side)))
    for news in core.step():
        if isinstance(news, Failed):
            raise RuntimeError(
                f"the model cannot compute a step of {num_tokens} tokens and {side * side} patches ({news.message}); "
                "lower max_num_batched_tokens or max_num_batched_patches if memory is short"
            )
    del core
    torch.cuda.empty_cache()
    text = model.config.text
    logits = 10 * 4 * step.max_num_seqs * text.vocab_size
    longest = min(config.max_model_len or text.max_position_embeddings, text.max_position_embeddings)
    item_bytes = getattr(model, "dtype", torch.float32).itemsize
    past = 2 * (text.num_heads + text.num_kv_heads) * text.head_dim * item_bytes * longest
    if fused_kernels(model.device.type) is not None:
        past = 0  # they read the cache where it lies
    return int(torch.cuda.max_memory_allocated(model.device)) + int(logits + past)


@torch.inference_mode()
def _encode_largest_picture(model: Any, config: EngineConfig, max_num_batched_patches: int) -> None:
    """One square picture of the largest size a step can meet: a picture always fits, however small the budget."""
    side = 2 * math.isqrt(max(max_num_batched_patches, config.max_image_patches) // 4)
    patches = torch.zeros((side * side, model.config.vision.patch_values), dtype=torch.uint8, device=model.device)
    model.encode_images([patches], [Grid(1, side, side)])


def _trial_request(rules: SequenceRules, num_tokens: int, grid: Grid) -> Submit:
    """A greedy request of `num_tokens` that begins with one picture, a plain gradient."""
    num_values = grid.num_patches * rules.patch_values
    pixels = (np.arange(num_values) % 251).astype(np.uint8)
    # Plain positions, not a picture's: this checks that every part computes, not what it says.
    positions = np.tile(np.arange(num_tokens, dtype=np.int32), (3, 1))
    digest = repr(grid).encode().ljust(32)
    image = WireImage(0, (grid.t, grid.h, grid.w), digest, pixels.data)
    return Submit(TRIAL_ID, (0,) * num_tokens, positions.tobytes(), 0, (image,), GREEDY)
