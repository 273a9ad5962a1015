"""Logits to tokens. Pure functions over rows: every row is one sequence, and no row can see or change another.

Randomness is one uniform number per token, made from the request's seed and the token's index alone (no shared
generator), and turned into a token by inverting the row's cumulative distribution in vocabulary order. So a seeded
answer is the same alone, in any batch, and after preemption. Filters are thresholds on logits (ties at the threshold
are kept), which makes them independent of how a sort orders equal values.

Order of processing: repetition penalty, presence and frequency penalty, logit bias, stop tokens held back until
min_tokens; then temperature, top-k, top-p (over what top-k left), min-p. Log-probabilities are the model's own,
before any of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from flashweb.engine.scheduler import Result, Sampled, TokenLogprobs
from flashweb.engine.sequence import Sequence
from flashweb.errors import FlashwebError

MIN_TEMPERATURE = 1e-5  # below it the distribution is a single token, and the division would overflow
NUM_CANDIDATES = 512  # largest logits first looked at for top-p; the whole vocabulary when their mass does not do


@dataclass(frozen=True, slots=True)
class Sampling:
    """Chosen tokens: on the device at once, for the next step to go on with, and as results when they are read."""

    tokens: Tensor  # int64 [rows]; any id where a row is broken
    read: Callable[[], list[Result]]


def sample(logits: Tensor, seqs: Ordered[Sequence], largest: tuple[Tensor, Tensor] | None = None) -> Sampling:
    """The next token of each row, or the error of that row alone.

    logits: float32 [len(seqs), vocabulary], padding rows of the vocabulary already cut off; `largest` is their
    `max(dim=-1)` where it is known. Where every row is plain greedy nothing waits for the device before `read`.
    """
    # A NaN anywhere in the row comes out as the maximum.
    highest, greedy = logits.max(dim=-1) if largest is None else largest
    if all(_is_plain(seq) and seq.sampling.logprobs is None for seq in seqs):
        numbers = to_host(torch.stack((highest.double(), greedy.double())))  # exact: ids are far below 2^53

        def read() -> list[Result]:
            peaks, tokens = numbers().tolist()
            nothing: list[TokenLogprobs | None] = [None] * len(seqs)
            return _results(seqs, [int(token) for token in tokens], peaks, nothing)

        return Sampling(greedy, read)
    tokens = greedy.tolist()
    if not all(_is_plain(seq) for seq in seqs):
        tokens = _process(logits, seqs, tokens)
    found = _results(seqs, tokens, highest.tolist(), _logprobs(logits, seqs, tokens))
    return Sampling(torch.tensor(tokens, device=logits.device).clamp_min_(0), lambda: found)


def to_host(values: Tensor) -> Callable[[], Tensor]:
    """Starts copying to the host; the function waits for the copy and gives it."""
    if values.device.type == "cpu":
        return lambda: values
    copy = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    copy.copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record()

    def wait() -> Tensor:
        arrived.synchronize()
        return copy

    return wait


def _results(
    seqs: Ordered[Sequence], tokens: list[int], peaks: list[float], logprobs: list[TokenLogprobs | None]
) -> list[Result]:
    return [
        Sampled(token, logprob) if math.isfinite(peak) and token >= 0 else _broken(peak, seq)
        for seq, token, peak, logprob in zip(seqs, tokens, peaks, logprobs, strict=True)
    ]


def uniform(seed: int, index: int) -> float:
    """A number in [0, 1) that depends on the request's seed and the token's index only."""
    digest = blake2b(index.to_bytes(8, "little"), digest_size=8, key=seed.to_bytes(8, "little")).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def _broken(peak: float, seq: Sequence) -> FlashwebError:
    if math.isfinite(peak):
        text = "its logit_bias and penalties leave no token to choose from"
    else:
        text = f"the model computed {peak} instead of numbers for it"
    return FlashwebError(f"this request cannot go on: {text}", code="internal_error")


def _is_plain(seq: Sequence) -> bool:
    """Whether the largest raw logit is the answer."""
    s = seq.sampling
    return (
        s.temperature < MIN_TEMPERATURE
        and s.repetition_penalty == 1.0
        and s.presence_penalty == 0.0
        and s.frequency_penalty == 0.0
        and not s.logit_bias
        and not _holds_back_stops(seq)
    )


def _holds_back_stops(seq: Sequence) -> bool:
    # A stop token does not count itself: min_tokens others come before it.
    return seq.num_answer_tokens < seq.sampling.min_tokens and bool(seq.stop_token_ids)


def _process(logits: Tensor, seqs: Ordered[Sequence], tokens: list[int]) -> list[int]:
    """Tokens of the rows that need more than the raw maximum, -1 where nothing can be chosen; the others unchanged."""
    rows = [i for i, seq in enumerate(seqs) if not _is_plain(seq)]
    chosen = [seqs[i] for i in rows]
    work = logits[rows]  # a copy: the raw logits stay for the log-probabilities
    _penalise_repetition(work, chosen)
    _penalise_presence(work, chosen)
    _bias(work, chosen)
    highest, greedy = work.max(dim=-1)
    picked = greedy.tolist()
    drawing = [i for i, seq in enumerate(chosen) if seq.sampling.temperature >= MIN_TEMPERATURE]
    if drawing:
        for i, token in zip(drawing, _draw(work[drawing], [chosen[i] for i in drawing]), strict=True):
            picked[i] = token
    result = list(tokens)
    for row, token, peak in zip(rows, picked, highest.tolist(), strict=True):
        result[row] = token if math.isfinite(peak) else -1
    return result


def _penalise_repetition(work: Tensor, seqs: Ordered[Sequence]) -> None:
    """Divides positive and multiplies negative logits of tokens seen in prompt or answer (Keskar et al. 2019)."""
    cells = [
        (row, token, seq.sampling.repetition_penalty)
        for row, seq in enumerate(seqs)
        if seq.sampling.repetition_penalty != 1.0
        for token in set(seq.token_ids)
        if token < work.shape[1]
    ]
    if cells:
        rows, columns, penalty = _columns(cells, work.device)
        values = work[rows, columns]
        work[rows, columns] = torch.where(values > 0, values / penalty, values * penalty)


def _penalise_presence(work: Tensor, seqs: Ordered[Sequence]) -> None:
    """Subtracts presence_penalty once and frequency_penalty per occurrence of tokens in the answer (OpenAI)."""
    cells = [
        (row, token, seq.sampling.presence_penalty + count * seq.sampling.frequency_penalty)
        for row, seq in enumerate(seqs)
        if seq.sampling.presence_penalty or seq.sampling.frequency_penalty
        for token, count in seq.answer_counts.items()
    ]
    if cells:
        rows, columns, penalty = _columns(cells, work.device)
        work[rows, columns] -= penalty


def _bias(work: Tensor, seqs: Ordered[Sequence]) -> None:
    cells = [
        (row, token, bias)
        for row, seq in enumerate(seqs)
        for token, bias in seq.sampling.logit_bias.items()
        if token < work.shape[1]
    ]
    cells += [
        (row, token, -math.inf)
        for row, seq in enumerate(seqs)
        if _holds_back_stops(seq)
        for token in seq.stop_token_ids
        if 0 <= token < work.shape[1] and seq.sampling.logit_bias.get(token) != -math.inf
    ]
    if cells:
        rows, columns, bias_values = _columns(cells, work.device)
        work.index_put_((rows, columns), bias_values, accumulate=True)


def _columns(cells: list[tuple[int, int, float]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns, values = zip(*cells, strict=True)
    return (
        torch.tensor(rows, device=device),
        torch.tensor(columns, device=device),
        torch.tensor(values, dtype=torch.float32, device=device),
    )


def _draw(work: Tensor, seqs: Ordered[Sequence]) -> list[int]:
    """Draws one token per row. work: float32 [rows, vocabulary], penalties and biases applied."""
    device = work.device
    temperature = torch.tensor([s.sampling.temperature for s in seqs], device=device).unsqueeze(1)
    scaled = (work - work.max(dim=-1, keepdim=True).values) / temperature  # <= 0, so exp cannot overflow
    threshold = _thresholds(scaled, seqs)
    weights = scaled.exp().masked_fill_(scaled < threshold.unsqueeze(1), 0.0)
    cumulative = weights.cumsum(dim=-1, dtype=torch.float64)
    noise = torch.tensor([uniform(s.seed, s.num_answer_tokens) for s in seqs], dtype=torch.float64, device=device)
    total = cumulative[:, -1]
    # Strictly below the total, so that the first larger sum exists and belongs to a token of positive weight.
    target = torch.minimum(noise * total, torch.nextafter(total, torch.zeros_like(total)))
    picked = torch.searchsorted(cumulative, target.unsqueeze(1), right=True).squeeze(1)
    return [int(i) for i in picked.clamp_(max=work.shape[1] - 1).tolist()]


def _thresholds(scaled: Tensor, seqs: Ordered[Sequence]) -> Tensor:
    """The smallest scaled logit that each row may choose. scaled: [rows, vocabulary], maximum 0."""
    floor = [math.log(s.sampling.min_p) if s.sampling.min_p > 0.0 else -math.inf for s in seqs]
    threshold = torch.tensor(floor, device=scaled.device)
    filtered = [i for i, s in enumerate(seqs) if s.sampling.top_k or s.sampling.top_p < 1.0]
    if filtered:
        lowest = _top_k_top_p(scaled[filtered], [seqs[i] for i in filtered])
        threshold[filtered] = torch.maximum(threshold[filtered], lowest)
    return threshold


def _top_k_top_p(scaled: Tensor, seqs: Ordered[Sequence]) -> Tensor:
    """The smallest logit inside both top-k and top-p, per row."""
    vocabulary = scaled.shape[1]
    top_k = [min(s.sampling.top_k or vocabulary, vocabulary) for s in seqs]
    # Rows with top-k need that many candidates; rows without are tried with a bounded number first.
    width = min(vocabulary, max(NUM_CANDIDATES if k == vocabulary else k for k in top_k))
    device = scaled.device
    k = torch.tensor(top_k, device=device).unsqueeze(1)
    p = torch.tensor([s.sampling.top_p for s in seqs], device=device).unsqueeze(1)
    whole = scaled.exp().sum(dim=-1, keepdim=True)
    while True:
        values = scaled.topk(width, dim=-1).values  # largest first
        inside = torch.arange(width, device=device).unsqueeze(0) < k
        weights = values.exp() * inside
        total = torch.where(k < vocabulary, weights.sum(dim=-1, keepdim=True), whole)
        before = (weights.cumsum(dim=-1) - weights) / total  # mass ahead of each candidate
        inside &= (before < p) | (torch.arange(width, device=device).unsqueeze(0) == 0)
        cut = inside[:, -1:] & (k > width)  # this row might keep more than was looked at
        if width == vocabulary or not bool(cut.any()):
            return values.masked_fill(~inside, math.inf).min(dim=-1).values
        width = vocabulary


def _logprobs(logits: Tensor, seqs: Ordered[Sequence], tokens: list[int]) -> list[TokenLogprobs | None]:
    """(log-probability of the chosen token, its best alternatives) for the rows that ask for them."""
    result: list[TokenLogprobs | None] = [None] * len(seqs)
    rows = [i for i, seq in enumerate(seqs) if seq.sampling.logprobs is not None]
    if not rows:
        return result
    asked = torch.log_softmax(logits[rows], dim=-1)
    chosen = asked[torch.arange(len(rows)), [max(tokens[i], 0) for i in rows]].tolist()
    width = min(max(seqs[i].sampling.logprobs or 0 for i in rows), logits.shape[1])
    best = asked.topk(width, dim=-1)
    values, ids = best.values.tolist(), best.indices.tolist()
    for n, row in enumerate(rows):
        count = seqs[row].sampling.logprobs or 0
        result[row] = (chosen[n], tuple(zip(ids[n][:count], values[n][:count], strict=True)))
    return result
