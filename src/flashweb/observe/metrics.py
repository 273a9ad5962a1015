"""`Metrics`: what `GET /metrics` shows, as Prometheus text in vLLM's vocabulary (docs/metrics.md lists all of it).

Two kinds of numbers. What requests and pictures came to is counted here, in the web process, once per request and never
per token. What the engine did is read from its last `Stats` when somebody asks (`engine_metrics.py`). With several web
processes in front of one engine the second kind is the same whichever is asked; the first is added up by
prometheus_client's multiprocess mode, when PROMETHEUS_MULTIPROC_DIR names a folder that all of them share: its files
outlive a worker, so that no counter ever falls, and need no engine to be alive.

Labels hold our own words only: no key, address, URL, path or prompt of a caller can become a series.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from flashweb.engine.face import EngineState
from flashweb.observe.engine_metrics import EngineCollector, ServerFacts
from flashweb.observe.histogram import Observed
from flashweb.observe.work import OUTCOMES, Outcome
from flashweb.types import EngineTimes, FinishReason, PictureTimes, PixelPatches, SamplingParams, Usage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client looks at it when it is imported
FINISHED = (*FinishReason, "abort", "error")
FETCHED = ("ok", "failed", "refused", "too_large", "cancelled")
TOLD = ("sent", "failed", "given_up")
REFUSED = ("full", "loading", "draining", "stalled", "dead", "stopped")
MOST_UNSETTLED = 64  # requests and answers whose values may wait for somebody to look
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})

# Seconds, and numbers of tokens: vLLM's edges, so that panels and alerts made for it fit.
FIRST_TOKEN = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0,
    640.0, 2560.0,
)  # fmt: skip
PER_TOKEN = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
LATENCY = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
)  # fmt: skip
TOKENS = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))
CHOICES = (1, 2, 5, 10, 20)
# Ours: a small picture takes a millisecond, a distant host its whole time limit.
STAGE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
HTTP = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

_BASE = ("model_name", "engine")


class Metrics:
    """One per server. Safe to use from any thread."""

    def __init__(self, model_name: str) -> None:
        # The age of a counter, as a series beside each: nobody asked for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._labels = (model_name, "0")
        self._histograms: list[Observed] = []
        self._num_unsettled = 0  # requests and answers since the last time
        # Where other processes show our values they must be there at once: they cannot ask us to settle.
        self._most_unsettled = 1 if MULTIPROCESS in os.environ else MOST_UNSETTLED
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str, **values: Sequence[str]) -> Counter:
            return Counter(name, text, (*_BASE, *values), registry=registry)

        def histogram(name: str, text: str, edges: Sequence[float]) -> Observed:
            return self._observed(Histogram(name, text, _BASE, buckets=edges, registry=registry).labels(*self._labels))

        def each(parent: Counter, values: Sequence[str]) -> dict[str, Counter]:
            """A series per value, there from the start: a rate over a series that appears with its first event
            misses that event."""
            return {value: parent.labels(*self._labels, value) for value in values}

        self._finished = each(
            counter("vllm:request_success", "Answers that ended, by how.", finished_reason=FINISHED), FINISHED
        )
        self._first_token = histogram(
            "vllm:time_to_first_token_seconds", "From a request to its answer's first token.", FIRST_TOKEN
        )
        self._per_token = histogram(
            "vllm:request_time_per_output_token_seconds", "Mean time of an answer's tokens after the first.", PER_TOKEN
        )
        self._whole = histogram("vllm:e2e_request_latency_seconds", "From a request to its answer's end.", LATENCY)
        self._queue = histogram(
            "vllm:request_queue_time_seconds", "Waiting in the engine for a place in its steps.", LATENCY
        )
        self._inference = histogram("vllm:request_inference_time_seconds", "Prefill and decode together.", LATENCY)
        self._prefill = histogram(
            "vllm:request_prefill_time_seconds", "From the first place in a step to the first token.", LATENCY
        )
        self._decode = histogram("vllm:request_decode_time_seconds", "From the first token to the last.", LATENCY)
        self._prompt_tokens = histogram("vllm:request_prompt_tokens", "Tokens of one prompt.", TOKENS)
        self._answer_tokens = histogram("vllm:request_generation_tokens", "Tokens of one answer.", TOKENS)
        self._computed = histogram(
            "vllm:request_prefill_kv_computed_tokens", "Prompt tokens that no cache had.", TOKENS
        )
        self._max_tokens = histogram(
            "vllm:request_params_max_tokens", "max_tokens asked for, as far as the context allows.", TOKENS
        )
        self._n = histogram("vllm:request_params_n", "Choices (n) asked for.", CHOICES)
        self._cache_queries = counter("vllm:mm_cache_queries", "Pictures looked up among those kept prepared.").labels(
            *self._labels
        )
        self._cache_hits = counter("vllm:mm_cache_hits", "Pictures found prepared.").labels(*self._labels)
        rejections = Counter(
            "vllm:admission_rejections",
            "Requests refused because the queue was full.",
            ("model_name", "reason"),
            registry=registry,
        )
        self._full = rejections.labels(model_name, "max_num_queued_reqs")
        self._refused = each(
            counter("flashweb:requests_refused", "Requests refused at the door, by why.", reason=REFUSED), REFUSED
        )
        self._fetch = histogram("flashweb:image_fetch_seconds", "Download of a remote picture.", STAGE)
        self._draw_page = histogram(
            "flashweb:document_page_draw_seconds", "A page of a document, drawn, with the wait for its turn.", STAGE
        )
        self._decode_picture = histogram("flashweb:image_decode_seconds", "A picture from its file to pixels.", STAGE)
        self._prepare = histogram(
            "flashweb:image_preprocess_seconds", "Resize of a picture and its cut into patches.", STAGE
        )
        self._encode = histogram(
            "flashweb:image_encode_seconds", "The vision tower's work for one request's pictures.", STAGE
        )
        self._fetched = each(
            counter("flashweb:image_fetch", "Downloads of pictures, by how they ended.", outcome=FETCHED), FETCHED
        )
        self._webhooks = each(
            counter("flashweb:webhooks", "Attempts to tell a receiver of an end, by outcome.", outcome=TOLD), TOLD
        )
        self._webhooks_pending = Gauge(
            *("flashweb:webhooks_pending", "Ends that are still to be told.", _BASE),
            registry=registry,
            multiprocess_mode="mostrecent",
        ).labels(*self._labels)
        self._images = counter("flashweb:images", "Pictures that became part of a prompt.").labels(*self._labels)
        self._bytes = counter("flashweb:image_bytes", "Bytes of these pictures' files.").labels(*self._labels)
        self._pixels = counter("flashweb:image_pixels", "Pixels of these pictures as they were sent.").labels(
            *self._labels
        )
        self._tokens = counter("flashweb:image_tokens", "Prompt tokens that stand for these pictures.").labels(
            *self._labels
        )
        self._results = each(
            counter("flashweb:result_cache", "Look-ups of whole answers, by what they found.", outcome=OUTCOMES),
            OUTCOMES,
        )
        self._result_bytes = Gauge(
            "flashweb:result_cache_bytes",
            "Memory of whole answers that are kept.",
            _BASE,
            registry=registry,
            multiprocess_mode="livesum",
        ).labels(*self._labels)
        self._http_requests = Counter(
            "http_requests",
            "HTTP requests, by route, method and status.",
            ("handler", "method", "status"),
            registry=registry,
        )
        self._http_seconds = Histogram(
            "http_request_duration_seconds",
            "From a request's head to its answer's end.",
            ("handler", "method"),
            buckets=HTTP,
            registry=registry,
        )
        # The series there are, so that they need not be looked up by their labels: as few as routes and statuses.
        self._http: dict[tuple[str, str, int], tuple[Counter, Observed]] = {}
        self._http_observed: dict[tuple[str, str], Observed] = {}

    def _observed(self, series: Histogram) -> Observed:
        self._histograms.append(Observed(series))
        return self._histograms[-1]

    def _settle_in_time(self) -> None:
        self._num_unsettled += 1
        if self._num_unsettled >= self._most_unsettled:
            self._settle()

    def _settle(self) -> None:
        self._num_unsettled = 0
        for histogram in self._histograms:
            histogram.settle()

    # --- what happened --------------------------------------------------------------------------------------------

    def refused(self, reason: str) -> None:
        """`reason`: one of REFUSED."""
        self._refused[reason].inc()
        if reason == "full":
            self._full.inc()

    def webhook(self, outcome: str) -> None:
        """`outcome`: one of TOLD."""
        self._webhooks[outcome].inc()

    def webhooks_pending(self, num: int) -> None:
        self._webhooks_pending.set(num)

    def pictures(self, times: PictureTimes, pictures: Sequence[PixelPatches]) -> None:
        """One request's; no pictures when some of it failed: then only the stages that were gone through count."""
        for outcome, seconds in times.fetches:
            self._fetched[outcome].inc()
            self._fetch.observe(seconds)
        for seconds in times.draws:
            self._draw_page.observe(seconds)
        for seconds in times.decodes:
            self._decode_picture.observe(seconds)
        for seconds in times.preparations:
            self._prepare.observe(seconds)
        if pictures:
            self._cache_queries.inc(len(pictures))
            self._cache_hits.inc(len(pictures) - len(times.preparations))
            self._images.inc(len(pictures))
            self._bytes.inc(sum(times.file_bytes))
            self._pixels.inc(sum(picture.source_size[0] * picture.source_size[1] for picture in pictures))
            self._tokens.inc(sum(picture.grid.num_tokens for picture in pictures))

    def looked_up(self, outcome: Outcome) -> None:
        """Of one choice."""
        self._results[outcome].inc()

    def results_hold(self, num_bytes: int) -> None:
        """In this process."""
        self._result_bytes.set(num_bytes)

    def left(self, how: Literal["abort", "error"]) -> None:
        """An answer that did not come to its end; its times would say nothing."""
        self._finished[how].inc()

    def answered(
        self,
        how: FinishReason,
        usage: Usage,
        params: SamplingParams,
        n: int,
        *,
        first_token: float,
        whole: float,
        times: EngineTimes | None,
    ) -> None:
        """One choice of a request; `first_token` and `whole` in seconds from its beginning."""
        self._finished[how].inc()
        self._first_token.observe(first_token)
        self._whole.observe(whole)
        if usage.completion_tokens > 1:
            self._per_token.observe((whole - first_token) / (usage.completion_tokens - 1))
        self._prompt_tokens.observe(usage.prompt_tokens)
        self._answer_tokens.observe(usage.completion_tokens)
        self._computed.observe(usage.prompt_tokens - usage.cached_tokens)
        self._max_tokens.observe(params.max_tokens)
        self._n.observe(n)
        self._decode.observe(whole - first_token)
        if times is not None:
            self._queue.observe(times.queue)
            self._prefill.observe(times.prefill)
            self._inference.observe(times.prefill + whole - first_token)
            if times.encode:
                self._encode.observe(times.encode)
        self._settle_in_time()

    def http(self, handler: str, method: str, status: int, seconds: float) -> None:
        """`handler`: a route's pattern, never a path as it was sent."""
        method = method if method in METHODS else "OTHER"
        found = self._http.get((handler, method, status))
        if found is None:
            observed = self._http_observed.get((handler, method))
            if observed is None:
                observed = self._observed(self._http_seconds.labels(handler, method))
                self._http_observed[handler, method] = observed
            found = self._http_requests.labels(handler, method, str(status)), observed
            self._http[handler, method, status] = found
        found[0].inc()
        found[1].observe(seconds)
        self._settle_in_time()

    # --- what is shown --------------------------------------------------------------------------------------------

    def exposition(self, state: EngineState, facts: ServerFacts) -> bytes:
        """All of it as Prometheus text, format 0.0.4. Works whatever the engine's phase."""
        return b"".join(map(generate_latest, self.collectors(state, facts)))

    def collectors(self, state: EngineState, facts: ServerFacts) -> list[Collector]:
        self._settle()
        engine = EngineCollector(state, facts, *self._labels)
        if MULTIPROCESS in os.environ:  # process metrics would be those of whichever worker answers
            shared = CollectorRegistry()
            MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
            return [shared, engine]
        return [self._registry, engine, *_processes(state.process_id)]


def _processes(engine_pid: int | None) -> list[Collector]:
    """Processor time, memory and open files, as every Prometheus client names them; the engine's with a prefix."""
    found: list[Collector] = []
    pids: list[tuple[str, Callable[[], int | str]]] = [("", lambda: "self")]
    if engine_pid is not None:
        pids.append(("flashweb_engine", lambda: engine_pid))
    for namespace, pid in pids:
        registry = CollectorRegistry()
        ProcessCollector(namespace, pid, registry=registry)
        found.append(registry)
    return found
