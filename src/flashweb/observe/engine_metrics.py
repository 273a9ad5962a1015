"""`EngineCollector`: the engine's state and its last `Stats` as Prometheus families.

A restarted engine begins to count at 0, which Prometheus knows from every process that restarts. The counts include
the one small request that warms an engine up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from flashweb.engine.face import EnginePhase, EngineState
from flashweb.engine.protocol import Counts
from flashweb.engine.tally import INTER_TOKEN_EDGES, STEP_TOKENS_EDGES

_BASE = ("model_name", "engine")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the web process adds."""

    version: str
    is_ready: bool
    start_seconds: tuple[tuple[str, float], ...] = ()  # the stages of the start, in order


class EngineCollector(Collector):
    def __init__(self, state: EngineState, facts: ServerFacts, model_name: str, engine: str) -> None:
        self._state = state
        self._facts = facts
        self._labels = (model_name, engine)

    def collect(self) -> Iterator[Metric]:
        yield from self._life()
        yield from self._load()
        yield from self._work()
        yield from self._pictures()
        yield from self._start()

    def _life(self) -> Iterator[Metric]:
        state, phases = self._state, get_args(EnginePhase)
        yield self._gauge("flashweb:ready", "1 when a request would be answered now.", self._facts.is_ready)
        yield self._gauge("flashweb:engine_up", "1 while the engine works.", state.phase == "ready")
        yield self._each_gauge(
            "flashweb:engine_state",
            "1 for the state the engine is in.",
            "state",
            {phase: phase == state.phase for phase in phases},
        )
        yield self._counter(
            "flashweb:engine_restarts", "Times the engine was started again after it had died.", state.num_restarts
        )

    def _load(self) -> Iterator[Metric]:
        state = self._state
        used = state.num_blocks - state.num_free_blocks
        yield self._gauge("vllm:num_requests_running", "Sequences in the engine's steps.", state.num_running)
        yield self._gauge("vllm:num_requests_waiting", "Sequences waiting for a place.", state.num_waiting)
        yield self._gauge(
            "vllm:kv_cache_usage_perc",
            "Share of the KV cache's blocks in use, 0 to 1.",
            used / state.num_blocks if state.num_blocks else 0.0,
        )

    def _work(self) -> Iterator[Metric]:
        state, stats = self._state, self._state.stats
        yield self._counter(
            "vllm:prompt_tokens", "Tokens of prompts that were computed or found.", stats.num_prompt_tokens
        )
        yield self._counter(
            "vllm:prompt_tokens_cached", "Tokens of prompts that the prefix cache knew.", stats.prefix_hits
        )
        yield self._counter("vllm:generation_tokens", "Tokens of answers.", stats.num_answer_tokens)
        yield self._counter(
            "vllm:prefix_cache_queries", "Prompt tokens looked up in the prefix cache.", stats.prefix_queries
        )
        yield self._counter("vllm:prefix_cache_hits", "Prompt tokens found in the prefix cache.", stats.prefix_hits)
        yield self._counter("vllm:num_preemptions", "Times a sequence gave its blocks back.", stats.num_preemptions)
        yield self._histogram(
            "vllm:inter_token_latency_seconds",
            "Between two steps that brought a sequence tokens.",
            INTER_TOKEN_EDGES,
            stats.inter_token,
        )
        yield self._histogram(
            "vllm:iteration_tokens_total", "Tokens computed in a step.", STEP_TOKENS_EDGES, stats.step_tokens
        )
        yield self._counter("flashweb:engine_steps", "Steps that the engine began.", state.num_steps)
        yield self._counter("vllm:spec_decode_num_drafts", "Speculation: drafts verified.", stats.num_verifications)
        yield self._counter(
            "vllm:spec_decode_num_draft_tokens", "Speculation: tokens of drafts.", stats.num_draft_tokens
        )
        yield self._counter(
            "vllm:spec_decode_num_accepted_tokens",
            "Speculation: drafted tokens that were right.",
            stats.num_accepted_tokens,
        )
        places = CounterMetricFamily(
            "vllm:spec_decode_num_accepted_tokens_per_pos",
            "Speculation: those, by place in the draft.",
            labels=(*_BASE, "position"),
        )
        for place, number in enumerate(stats.accepted_at):
            places.add_metric((*self._labels, str(place)), number)
        yield places

    def _pictures(self) -> Iterator[Metric]:
        stats = self._state.stats
        yield self._counter(
            "flashweb:encoder_cache_queries", "Pictures whose features were looked up.", stats.encoder_queries
        )
        yield self._counter("flashweb:encoder_cache_hits", "Pictures whose features were found.", stats.encoder_hits)
        yield self._gauge("flashweb:encoder_cache_entries", "Pictures whose features are kept.", stats.num_encoded)
        yield self._gauge("flashweb:encoder_cache_bytes", "Memory of the features kept.", stats.encoder_bytes)

    def _start(self) -> Iterator[Metric]:
        """What an engine is, and how its start went; nothing but the names while there is none."""
        state, made = self._state, self._state.made
        yield self._gauge(
            "flashweb:engine_peak_memory_bytes", "The engine's highest memory so far.", state.peak_memory_bytes
        )
        yield self._gauge(
            "flashweb:engine_weight_bytes", "Memory of the model's weights.", made.weight_bytes if made else 0
        )
        yield self._gauge(
            "flashweb:engine_kv_cache_bytes", "Memory of the KV cache.", made.kv_cache_bytes if made else 0
        )
        stages = dict(self._facts.start_seconds)
        yield self._each_gauge("flashweb:startup_seconds", "Seconds of the last start, by stage.", "stage", stages)
        facts = {"version": self._facts.version, "device": "", "dtype": "", "quantization": "", "max_model_len": ""}
        sizes = {"block_size": "", "num_gpu_blocks": "", "kv_cache_bytes": "", "max_num_seqs": ""}
        if made is not None:
            facts |= {"device": made.device, "dtype": made.dtype, "quantization": made.quantization}
            facts |= {"max_model_len": str(made.max_model_len)}
            sizes = {"block_size": str(made.block_size), "num_gpu_blocks": str(made.num_blocks)}
            sizes |= {"kv_cache_bytes": str(made.kv_cache_bytes), "max_num_seqs": str(made.max_num_seqs)}
        yield self._info("flashweb:model_info", "The model that answers.", facts)
        yield self._info("vllm:cache_config_info", "The KV cache's sizes.", sizes)

    # --- families -------------------------------------------------------------------------------------------------

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=_BASE)
        family.add_metric(self._labels, float(value))
        return family

    def _each_gauge(self, name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=(*_BASE, label))
        for value, number in values.items():
            family.add_metric((*self._labels, value), float(number))
        return family

    def _counter(self, name: str, text: str, value: float) -> Metric:
        family = CounterMetricFamily(name, text, labels=_BASE)
        family.add_metric(self._labels, float(value))
        return family

    def _histogram(self, name: str, text: str, edges: Sequence[float], counts: Counts) -> Metric:
        family = HistogramMetricFamily(name, text, labels=_BASE)
        numbers = counts.numbers or (0,) * (len(edges) + 1)
        names = [*map(floatToGoString, edges), "+Inf"]
        buckets = [(name, float(number)) for name, number in zip(names, accumulate(numbers), strict=True)]
        family.add_metric(self._labels, buckets, counts.total)
        return family

    def _info(self, name: str, text: str, facts: Mapping[str, str]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=(*_BASE, *facts))
        if self._state.made is not None:
            family.add_metric((*self._labels, *facts.values()), 1.0)
        return family
