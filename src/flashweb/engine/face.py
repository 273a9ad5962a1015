"""What the web side knows of any engine: the real one (`EngineClient`) and the fake one (`EchoEngine`) alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, Protocol

import msgspec

from flashweb.engine.protocol import NO_STATS, Ready, Stats
from flashweb.types import Prompt, SamplingParams, TokenOut

EnginePhase = Literal["off", "loading", "ready", "stalled", "dead", "stopped"]


class EngineState(msgspec.Struct, frozen=True):
    """A snapshot, made several times for each request: a struct costs a tenth of a frozen dataclass of this size.

    `off` is lazy load before the first request; `stalled` means work is waiting and steps (or heartbeats) have stopped;
    `dead` means the process is gone: a restart is on its way, unless `gave_up`.
    """

    phase: EnginePhase
    stage: str = ""  # while loading: import, weights, memory, warmup
    progress: float = 0.0  # of that stage, 0..1
    max_model_len: int = 0
    max_num_seqs: int = 0
    num_running: int = 0
    num_waiting: int = 0
    num_free_blocks: int = 0
    num_blocks: int = 0
    num_steps: int = 0
    num_preemptions: int = 0
    num_restarts: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    encoder_queries: int = 0
    encoder_hits: int = 0
    error: str = ""  # why it is dead, in words for the operator
    was_ready: bool = False  # at least once
    gave_up: bool = False  # dead for good: nothing but a new server helps
    start_seconds: tuple[tuple[str, float], ...] = ()  # the stages of the start, in order; empty while not ready
    peak_memory_bytes: int = 0  # CUDA: of torch's allocator; CPU: of the engine process's resident memory
    stats: Stats = NO_STATS  # the last that was heard, at most half a second old; zeros while it is not running
    made: Ready | None = None  # sizes, device and formats, as the engine said when it became ready; None while not
    process_id: int | None = None


class Engine(Protocol):
    async def start(self) -> None:
        """Begin loading and return at once when lazy, else return when ready. Raises CheckpointError, ConfigError."""

    async def stop(self) -> None:
        """Abort what is left and end the process. Idempotent."""

    def generate(self, prompt: Prompt, params: SamplingParams, request_id: str) -> AsyncIterator[TokenOut]:
        """Tokens of one request as they come; closing the iterator aborts it and frees its blocks.

        Raises ContextLengthExceeded, InvalidRequest, Overloaded, NotReady, EngineDied; FlashwebError for our faults.
        """

    @property
    def state(self) -> EngineState: ...
