"""Logits to tokens. Pure functions over rows: every row is one sequence, and no row can see or change another.

Randomness is one uniform number per token, made from the request's seed and the token's index alone (no shared
generator), and turned into a token by inverting the row's cumulative distribution in vocabulary order. So a seeded
answer is the same alone, in any batch, and after preemption. Filters are thresholds on logits (ties at the threshold
are kept), which makes them independent of how a sort orders equal values.

Order of processing: repetition penalty, presence and frequency penalty, logit bias, stop tokens held back until
min_tokens, tokens that a structured answer does not allow, all but a forced one (a thought's end); then temperature,
top-k, top-p (over what top-k left), min-p. Log-probabilities are the model's own, before any of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flashweb.engine.constraint import MaskRows
from flashweb.engine.sequence import Sequence
from flashweb.engine.step import Row, Sampled, TokenLogprobs
from flashweb.errors import FlashwebError

MIN_TEMPERATURE = 1e-5  # below it the distribution is a single token, and the division would overflow
INFINITY_BITS = 0x7F800000  # of a float32
NUM_CANDIDATES = 512  # largest logits first looked at for top-p; the whole vocabulary when their mass does not do


@dataclass(frozen=True, slots=True)
class Sampling:
    """Chosen tokens: on the device at once, for the next step to go on with, and as results when they are read."""

    tokens: Tensor  # int64 [rows]; any id where a row is broken
    read: Callable[[], list[Row]]


def sample(
    logits: Tensor,
    seqs: Ordered[Sequence],
    largest: tuple[Tensor, Tensor] | None = None,
    places: Ordered[int] | None = None,
    masks: MaskRows | None = None,
) -> Sampling:
    """The next token of each row, or the error of that row alone. Nothing waits for the device before `read`.

    logits: float32 [len(seqs), vocabulary], padding rows of the vocabulary already cut off; `largest` is their
    `max(dim=-1)` where it is known. `places`: the rows' places in their answers, where those are not the sequences'
    next ones. `masks`: what the rows of constrained sequences allow, in their order.
    """
    if places is None:
        places = [seq.num_answer_tokens for seq in seqs]
    # A NaN anywhere in the row comes out as the maximum.
    highest, tokens = largest_of(logits) if largest is None else largest
    settled: set[int] = set()
    if masks is not None and masks.settled:
        constrained = [row for row, seq in enumerate(seqs) if seq.constraint is not None]
        settled = {constrained[index] for index in masks.settled}
        tokens = _largest_allowed(logits, tokens, {constrained[index]: index for index in masks.refused}, masks)
    peaks = highest  # of what was chosen from
    processed = [
        i
        for i, (seq, place) in enumerate(zip(seqs, places, strict=True))
        if i not in settled and (seq.constraint is not None or not takes_the_largest(seq, place))
    ]
    if processed:
        rows = on_device(processed, torch.int64, logits.device)
        work = logits.clone() if len(processed) == len(seqs) else logits.index_select(0, rows)
        own = [seqs[i] for i in processed]
        picked, picked_from = _process(work, own, [places[i] for i in processed], masks)
        tokens, peaks = tokens.index_copy(0, rows, picked), highest.index_copy(0, rows, picked_from)
    numbers = to_host(torch.stack((highest.double(), peaks.double(), tokens.double())))  # exact: ids are below 2^53
    logprobs = _logprobs(logits, seqs, tokens)

    dead = _dead_rows(seqs, masks)

    def read() -> list[Row]:
        rows = enumerate(zip(*numbers().tolist(), logprobs(), strict=True))
        return [
            Sampled(int(token), logprob)
            if math.isfinite(peak) and math.isfinite(choice) and row not in dead
            else _broken(peak, dead.get(row))
            for row, (peak, choice, token, logprob) in rows
        ]

    return Sampling(tokens, read)


def largest_of(logits: Tensor) -> tuple[Tensor, Tensor]:
    """`max(dim=-1)`, of equal ones the first; with numpy, which on a CPU does it in an eighth of the time: torch wakes
    its threads for it."""
    if logits.device.type != "cpu":
        highest, tokens = logits.max(dim=-1)
        return highest, tokens
    numbers = logits.numpy()
    places = numbers.argmax(axis=1)
    return torch.from_numpy(np.take_along_axis(numbers, places[:, None], axis=1)[:, 0]), torch.from_numpy(places)


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


def on_device(values: Ordered[float] | Ordered[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers as a tensor there, without waiting for what the device is doing."""
    tensor = torch.tensor(values, dtype=dtype)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def to_device(values: NDArray[np.int32], device: torch.device) -> Tensor:
    """An array as a tensor there, without waiting for what the device is doing."""
    tensor = torch.from_numpy(values)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def uniform(seed: int, index: int) -> float:
    """A number in [0, 1) that depends on the request's seed and the token's index only."""
    digest = blake2b(index.to_bytes(8, "little"), digest_size=8, key=seed.to_bytes(8, "little")).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def _dead_rows(seqs: Ordered[Sequence], masks: MaskRows | None) -> dict[int, FlashwebError]:
    """By row, the errors of constrained sequences that cannot go on."""
    if masks is None or not masks.errors:
        return {}
    constrained = [row for row, seq in enumerate(seqs) if seq.constraint is not None]
    return {constrained[index]: error for index, error in masks.errors.items()}


def _largest_allowed(logits: Tensor, tokens: Tensor, refused: dict[int, int], masks: MaskRows) -> Tensor:
    """`tokens`, with the largest that is allowed in rows whose own is not. refused: row -> place of its mask. A dead
    row is an error elsewhere."""
    if not refused:
        return tokens
    numbers, chosen = logits.numpy(), tokens.numpy().copy()
    for row, index in refused.items():
        allowed = np.unpackbits(masks.bits[index].view(np.uint8), count=logits.shape[1], bitorder="little")
        chosen[row] = np.where(allowed, numbers[row], -np.inf).argmax()
    return torch.from_numpy(chosen)


def _broken(peak: float, dead_end: FlashwebError | None) -> FlashwebError:
    if math.isfinite(peak):
        if dead_end is not None:
            return dead_end
        text = "its logit_bias, penalties and structure leave no token to choose from"
    else:
        text = f"the model computed {peak} instead of numbers for it"
    return FlashwebError(f"this request cannot go on: {text}", code="internal_error")


def takes_the_largest(seq: Sequence, place: int) -> bool:
    """Whether the largest raw logit is the choice, or of a structured answer the largest that is allowed."""
    s = seq.sampling
    return (
        s.temperature < MIN_TEMPERATURE
        and s.repetition_penalty == 1.0
        and s.presence_penalty == 0.0
        and s.frequency_penalty == 0.0
        and not s.logit_bias
        and not holds_back_stops(seq, place)
        and seq.forced_token(place) is None
    )


def holds_back_stops(seq: Sequence, place: int) -> bool:
    # A stop token does not count itself: min_tokens others come before it.
    return place < seq.sampling.min_tokens and bool(seq.stop_token_ids)


def _process(
    work: Tensor, seqs: Ordered[Sequence], places: Ordered[int], masks: MaskRows | None
) -> tuple[Tensor, Tensor]:
    """(tokens int64, the largest logit each was chosen from) of rows that need more than the raw maximum; where that
    is not finite nothing can be chosen. `work` is a copy of the rows and is written to; `places` are the tokens'
    places in their answers."""
    _penalise_repetition(work, seqs)
    _penalise_presence(work, seqs)
    _bias(work, seqs, places)
    if masks is not None and len(masks.settled) < len(masks.bits):
        _mask(work, [row for row, seq in enumerate(seqs) if seq.constraint is not None], masks)
    _force(work, seqs, places)
    highest, picked = largest_of(work)
    drawing = [i for i, seq in enumerate(seqs) if seq.sampling.temperature >= MIN_TEMPERATURE]
    if drawing:
        rows = on_device(drawing, torch.int64, work.device)
        drawn = _draw(work.index_select(0, rows), [seqs[i] for i in drawing], [places[i] for i in drawing])
        picked = picked.index_copy(0, rows, drawn)
    return picked, highest


def _penalise_repetition(work: Tensor, seqs: Ordered[Sequence]) -> None:
    """Divides positive and multiplies negative logits of tokens seen in prompt or answer (Keskar et al. 2019)."""
    cells = [
        (row, token, seq.sampling.repetition_penalty)
        for row, seq in enumerate(seqs)
        if seq.sampling.repetition_penalty != 1.0
        for token in set(seq.token_ids)
        if 0 <= token < work.shape[1]  # not of a token under way: this row's own may be booked already
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


def _bias(work: Tensor, seqs: Ordered[Sequence], places: Ordered[int]) -> None:
    cells = [
        (row, token, bias)
        for row, seq in enumerate(seqs)
        for token, bias in seq.sampling.logit_bias.items()
        if token < work.shape[1]
    ]
    cells += [
        (row, token, -math.inf)
        for row, seq in enumerate(seqs)
        if holds_back_stops(seq, places[row]) and seq.constraint is None  # whose mask knows whether there are others
        for token in seq.stop_token_ids
        if 0 <= token < work.shape[1] and seq.sampling.logit_bias.get(token) != -math.inf
    ]
    if cells:
        rows, columns, bias_values = _columns(cells, work.device)
        work.index_put_((rows, columns), bias_values, accumulate=True)


def _mask(work: Tensor, rows: list[int], masks: MaskRows) -> None:
    """Takes away what is not allowed. `rows`: those of `work` that the masks are for, in order. A row without any
    token left is an error elsewhere, and chooses from all of them here."""
    kept = masks.bits
    if masks.settled:
        kept = kept[[index for index in range(len(kept)) if index not in masks.settled]]
    if work.device.type == "cpu":
        _mask_in_place(work.numpy(), rows, kept)
        return
    bits = to_device(kept, work.device).view(torch.uint8)
    shifts = torch.arange(8, dtype=torch.uint8, device=work.device)
    allowed = ((bits.unsqueeze(-1) >> shifts) & 1).flatten(1).bool()[:, : work.shape[1]]
    if allowed.shape[1] < work.shape[1]:
        allowed = torch.nn.functional.pad(allowed, (0, work.shape[1] - allowed.shape[1]))
    if len(rows) == len(work):
        work.masked_fill_(~allowed, -math.inf)
    else:
        places = on_device(rows, torch.int64, work.device)
        work[places] = work.index_select(0, places).masked_fill_(~allowed, -math.inf)


def _mask_in_place(work: NDArray[np.float32], rows: list[int], bits: NDArray[np.int32]) -> None:
    """With numpy, which on a CPU does it in an eighth of the time of torch's operations."""
    taken_away = np.unpackbits(bits.view(np.uint8), axis=1, count=work.shape[1], bitorder="little") == 0
    if len(rows) == len(work):
        np.copyto(work, -np.inf, where=taken_away)
    else:
        for row, places in zip(rows, taken_away, strict=True):
            np.copyto(work[row], -np.inf, where=places)


def _force(work: Tensor, seqs: Ordered[Sequence], places: Ordered[int]) -> None:
    """Leaves a row one token where it has no choice."""
    forced = [(row, seq.forced_token(place)) for row, (seq, place) in enumerate(zip(seqs, places, strict=True))]
    cells = [(row, token, 0.0) for row, token in forced if token is not None]
    if cells:
        rows, columns, values = _columns(cells, work.device)
        work[rows] = -math.inf
        work[rows, columns] = values


def _columns(cells: list[tuple[int, int, float]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns, values = zip(*cells, strict=True)
    return (
        on_device(rows, torch.int64, device),
        on_device(columns, torch.int64, device),
        on_device(values, torch.float32, device),
    )


def _draw(work: Tensor, seqs: Ordered[Sequence], places: Ordered[int]) -> Tensor:
    """Draws one token per row. work: float32 [rows, vocabulary], penalties and biases applied."""
    device = work.device
    temperature = on_device([s.sampling.temperature for s in seqs], torch.float32, device).unsqueeze(1)
    scaled = (work - work.max(dim=-1, keepdim=True).values) / temperature  # <= 0, so exp cannot overflow
    threshold = _thresholds(scaled, seqs)
    weights = scaled.exp().masked_fill_(scaled < threshold.unsqueeze(1), 0.0)
    cumulative = weights.cumsum(dim=-1, dtype=torch.float64)
    numbers = [uniform(s.seed, place) for s, place in zip(seqs, places, strict=True)]
    noise = on_device(numbers, torch.float64, device)
    total = cumulative[:, -1]
    # Strictly below the total, so that the first larger sum exists and belongs to a token of positive weight.
    target = torch.minimum(noise * total, torch.nextafter(total, torch.zeros_like(total)))
    picked = torch.searchsorted(cumulative, target.unsqueeze(1), right=True).squeeze(1)
    return picked.clamp_(max=work.shape[1] - 1)


def _thresholds(scaled: Tensor, seqs: Ordered[Sequence]) -> Tensor:
    """The smallest scaled logit that each row may choose. scaled: [rows, vocabulary], maximum 0."""
    floor = [math.log(s.sampling.min_p) if s.sampling.min_p > 0.0 else -math.inf for s in seqs]
    threshold = on_device(floor, torch.float32, scaled.device)
    filtered = [i for i, s in enumerate(seqs) if s.sampling.top_k or s.sampling.top_p < 1.0]
    if filtered:
        rows = on_device(filtered, torch.int64, scaled.device)
        lowest = _top_k_top_p(scaled.index_select(0, rows), [seqs[i] for i in filtered])
        threshold = threshold.index_copy(0, rows, torch.maximum(threshold.index_select(0, rows), lowest))
    return threshold


def _top_k_top_p(scaled: Tensor, seqs: Ordered[Sequence]) -> Tensor:
    """The smallest logit inside both top-k and top-p, per row."""
    vocabulary = scaled.shape[1]
    top_k = [min(s.sampling.top_k or vocabulary, vocabulary) for s in seqs]
    top_p = on_device([s.sampling.top_p for s in seqs], torch.float32, scaled.device).unsqueeze(1)
    return (_by_candidates if scaled.device.type == "cpu" else _by_bisection)(scaled, top_k, top_p)


def _by_candidates(scaled: Tensor, top_k: list[int], p: Tensor) -> Tensor:
    """Sorts the largest logits, all of them only where these few do not make up the mass."""
    vocabulary = scaled.shape[1]
    # Rows with top-k need that many candidates; rows without are tried with a bounded number first.
    width = min(vocabulary, max(NUM_CANDIDATES if k == vocabulary else k for k in top_k))
    k = torch.tensor(top_k).unsqueeze(1)
    whole = scaled.exp().sum(dim=-1, keepdim=True)
    while True:
        values = scaled.topk(width, dim=-1).values  # largest first
        inside = torch.arange(width).unsqueeze(0) < k
        weights = values.exp() * inside
        total = torch.where(k < vocabulary, weights.sum(dim=-1, keepdim=True), whole)
        before = (weights.cumsum(dim=-1) - weights) / total  # mass ahead of each candidate
        inside &= (before < p) | (torch.arange(width).unsqueeze(0) == 0)
        cut = inside[:, -1:] & (k > width)  # this row might keep more than was looked at
        if width == vocabulary or not bool(cut.any()):
            return values.masked_fill(~inside, math.inf).min(dim=-1).values
        width = vocabulary


def _by_bisection(scaled: Tensor, top_k: list[int], p: Tensor) -> Tensor:
    """Finds the threshold bit by bit, with the same work for every row: an accelerator need not be asked how it went.

    The bits of a float of one sign are in the order of the floats, so 31 halvings find the exact value.
    """
    vocabulary, device = scaled.shape[1], scaled.device
    limited = [k for k in top_k if k < vocabulary]
    kth = torch.full_like(p, -math.inf)
    if limited:
        values = scaled.topk(max(limited), dim=-1).values
        last = on_device([min(k, len(values[0])) - 1 for k in top_k], torch.int64, device).unsqueeze(1)
        is_limited = on_device([k < vocabulary for k in top_k], torch.bool, device).unsqueeze(1)
        kth = torch.where(is_limited, values.gather(1, last), kth)
    weights = torch.where(scaled >= kth, scaled.exp(), 0.0)
    wanted = p * weights.sum(dim=-1, keepdim=True)
    distance = scaled.abs().view(torch.int32)  # from the largest logit, which is 0
    least = torch.full_like(p, -1, dtype=torch.int32)  # too near: not enough mass
    most = torch.full_like(least, INFINITY_BITS)
    for _ in range(32):
        middle = least + (most - least) // 2
        enough = torch.where(distance <= middle, weights, 0.0).sum(dim=-1, keepdim=True) >= wanted
        least, most = torch.where(enough, least, middle), torch.where(enough, middle, most)
    edge = torch.where(p < 1.0, -most.view(torch.float32), -math.inf)  # the last weights may be too small to be felt
    return torch.maximum(kth, edge).squeeze(1)


def _logprobs(logits: Tensor, seqs: Ordered[Sequence], tokens: Tensor) -> Callable[[], list[TokenLogprobs | None]]:
    """(log-probability of the chosen token, its best alternatives) for the rows that ask for them, when it is read."""
    asking = [(i, seq.sampling.logprobs) for i, seq in enumerate(seqs)]
    counts = {i: min(count, logits.shape[1]) for i, count in asking if count is not None}
    if not counts:
        return lambda: [None] * len(seqs)
    rows = on_device(list(counts), torch.int64, logits.device)
    asked = torch.log_softmax(logits.index_select(0, rows), dim=-1)
    chosen = asked.gather(1, tokens.index_select(0, rows).unsqueeze(1))
    best = asked.topk(max(counts.values()), dim=-1)
    numbers = to_host(torch.cat((chosen, best.values, best.indices.double()), dim=1))

    def read() -> list[TokenLogprobs | None]:
        result: list[TokenLogprobs | None] = [None] * len(seqs)
        for (row, count), (own, *others) in zip(counts.items(), numbers().tolist(), strict=True):
            half = len(others) // 2
            ids = (int(token) for token in others[half : half + count])
            result[row] = (own, tuple(zip(ids, others[:count], strict=True)))
        return result

    return read
