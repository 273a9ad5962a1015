"""The sampler: filters and penalties by their definitions, rows that cannot touch each other, noise from the seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flashweb.engine import sampler
from flashweb.engine.constraint import MaskRows
from flashweb.engine.sampler import uniform
from flashweb.engine.sequence import Sequence, SequenceRules
from flashweb.engine.step import Row, Sampled
from tests.engine.fake_model import PATCH_VALUES, VOCAB, request

RULES = SequenceRules(max_model_len=4096, vocab_size=VOCAB, patch_values=PATCH_VALUES)


def sequence(prompt: list[int] | None = None, answer: tuple[int, ...] = (), **params: Any) -> Sequence:
    seq = Sequence.from_submit(request("r", prompt or [2, 3], **{"max_tokens": 100, **params}), RULES)
    for token in answer:
        seq.append(token)
    return seq


def sample(logits: torch.Tensor, seqs: list[Sequence]) -> list[Row]:
    """What is read, after a look at what the next step would go on with: the same tokens."""
    chosen = sampler.sample(logits, seqs)
    results = chosen.read()
    for token, result in zip(chosen.tokens.tolist(), results, strict=True):
        assert 0 <= token < logits.shape[1]
        assert not isinstance(result, Sampled) or token == result.token_id
    return results


def logits_of(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32)


def tokens(results: list[Any]) -> list[int]:
    assert all(isinstance(r, Sampled) for r in results), results
    return [r.token_id for r in results]


def frequencies(row: torch.Tensor, num: int = 4000, **params: Any) -> np.ndarray:  # type: ignore[type-arg]
    """How often each token is drawn, over many seeds."""
    seqs = [sequence(seed=n, **params) for n in range(num)]
    drawn = tokens(sample(row.expand(num, -1).contiguous(), seqs))
    return np.bincount(drawn, minlength=len(row)) / num


RANDOM_ROW = torch.from_numpy(np.random.default_rng(5).normal(scale=2.0, size=VOCAB).astype(np.float32))


def expected_distribution(row: torch.Tensor, temperature: float, top_k: int, top_p: float, min_p: float) -> Any:
    """By the definitions, one after the other, in float64."""
    p = np.exp((row.double().numpy() - row.max().item()) / temperature)
    order = np.argsort(-p)
    if top_k:
        p[order[top_k:]] = 0.0
    p /= p.sum()
    if top_p < 1.0:
        before = np.cumsum(p[order]) - p[order]
        p[order[before >= top_p]] = 0.0
    p[p < min_p * p.max()] = 0.0
    return p / p.sum()


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "min_p"),
    [(1.0, 0, 1.0, 0.0), (0.7, 5, 1.0, 0.0), (1.3, 0, 0.8, 0.0), (1.0, 0, 1.0, 0.2), (2.0, 20, 0.9, 0.05)],
)
def test_draws_follow_the_distribution_of_the_definitions(
    temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    seen = frequencies(RANDOM_ROW, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    wanted = expected_distribution(RANDOM_ROW, temperature, top_k, top_p, min_p)
    assert set(np.nonzero(seen)[0]) <= set(np.nonzero(wanted)[0])
    assert np.abs(seen - wanted).max() < 4 * math.sqrt(0.25 / 4000)  # four standard deviations at the widest


def test_top_p_looks_at_the_whole_vocabulary_when_the_first_candidates_do_not_reach_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flat = torch.zeros(VOCAB)
    flat[:4] = 0.5
    wide = frequencies(flat, num=2000, temperature=1.0, top_p=0.95)
    monkeypatch.setattr(sampler, "NUM_CANDIDATES", 2)
    narrow = frequencies(flat, num=2000, temperature=1.0, top_p=0.95)
    assert (wide == narrow).all() and (wide > 0).sum() > 40


def test_greedy_takes_the_largest_and_leaves_padding_alone() -> None:
    seqs = [sequence(), sequence(), sequence(temperature=1e-9)]
    assert tokens(sample(logits_of([0, 3, 1], [5, 0, -math.inf], [1, 2, 9]), seqs)) == [1, 0, 2]


def test_the_same_seed_draws_the_same_in_any_company() -> None:
    victim = {"seed": 11, "temperature": 1.0, "top_p": 0.9}
    alone = tokens(sample(RANDOM_ROW.unsqueeze(0), [sequence(**victim)]))
    noisy = [
        sequence(seed=n, temperature=0.5 + n / 10, top_k=n % 7, min_p=n / 50, presence_penalty=n / 9) for n in range(31)
    ]
    rows = torch.randn(32, VOCAB, generator=torch.Generator().manual_seed(0))
    for place in (0, 13, 31):
        crowd = [*noisy[:place], sequence(**victim), *noisy[place:]]
        rows[place] = RANDOM_ROW
        assert tokens(sample(rows, crowd))[place] == alone[0]


def test_the_noise_changes_with_the_token_index_and_is_uniform() -> None:
    values = [uniform(3, n) for n in range(2000)] + [uniform(n, 0) for n in range(2000)]
    assert len(set(values)) == 3999  # (3, 0) comes twice
    assert all(0.0 <= v < 1.0 for v in values)
    assert abs(np.mean(values) - 0.5) < 0.02 and abs(np.var(values) - 1 / 12) < 0.005


def test_every_token_of_an_answer_is_drawn_anew() -> None:
    seqs = [sequence(answer=(5,) * n, seed=3, temperature=1.0) for n in range(30)]
    assert len(set(tokens(sample(torch.zeros(30, VOCAB), seqs)))) > 10


def test_repetition_penalty_divides_positive_and_multiplies_negative_logits_of_prompt_and_answer() -> None:
    seq = sequence(prompt=[2], answer=(1, 3), repetition_penalty=2.0)
    row = logits_of([0.9, 1.7, -0.4, -3.0, 0.8])  # becomes 0.9, 0.85, -0.8, -6.0, 0.8
    assert tokens(sample(row, [seq])) == [0]
    assert row.tolist() == logits_of([0.9, 1.7, -0.4, -3.0, 0.8]).tolist(), "the caller's logits are not touched"


def test_presence_counts_once_and_frequency_every_time_and_only_the_answer() -> None:
    row = logits_of([1.0, 2.0, 1.4])
    assert tokens(sample(row, [sequence(answer=(1, 1), presence_penalty=0.5)])) == [1]  # 1.5
    assert tokens(sample(row, [sequence(answer=(1, 1), frequency_penalty=0.4)])) == [2]  # 1.2
    assert tokens(sample(row, [sequence(prompt=[1, 1], frequency_penalty=2.0)])) == [1]


def test_logit_bias_moves_and_bans_tokens_and_banning_all_fails_that_row_alone() -> None:
    row = logits_of([0, 1, 2]).expand(4, -1).contiguous()
    banned = dict.fromkeys(range(3), -math.inf)
    results = sample(
        row,
        [sequence(logit_bias={0: 5.0}), sequence(logit_bias={2: -math.inf}), sequence(logit_bias=banned), sequence()],
    )
    assert tokens([results[0], results[1], results[3]]) == [0, 1, 2]
    assert isinstance(results[2], Exception) and "logit_bias" in str(results[2])


def test_a_nan_or_infinite_row_fails_alone() -> None:
    row = logits_of([0, 1, 2]).expand(5, -1).clone()
    row[1, 0] = math.nan
    row[3, 1] = math.inf
    drawing = {"temperature": 1.0, "top_p": 0.5, "logprobs": 1}
    results = sample(row, [sequence(), sequence(), sequence(**drawing), sequence(**drawing), sequence()])
    assert [isinstance(r, Exception) for r in results] == [False, True, False, True, False]


@given(st.integers(1, 9), st.integers(1, 300), st.integers(0, 1 << 30))
def test_the_largest_is_the_first_of_equals_as_torch_has_it(num_rows: int, width: int, seed: int) -> None:
    numbers = np.random.default_rng(seed).integers(0, 4, (num_rows, width)).astype(np.float32)
    numbers[0, ::7] = [math.nan, -math.inf, 3.0][seed % 3]
    highest, places = sampler.largest_of(torch.from_numpy(numbers))
    expected = torch.from_numpy(numbers).max(dim=-1)
    assert torch.equal(places, expected.indices)
    assert torch.equal(highest.nan_to_num(9.0), expected.values.nan_to_num(9.0))


@pytest.mark.parametrize("company", [0, 3])
@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("width", [VOCAB, VOCAB - 5])
def test_a_mask_takes_away_from_its_own_rows_alone(company: int, settled: bool, width: int) -> None:
    """Rows of constrained sequences among others, some of them settled before; also logits shorter than the mask."""
    rng = np.random.default_rng(company)
    wanted = [np.flatnonzero(rng.random(width) < 0.1).tolist() or [1] for _ in range(3)]
    bits = np.zeros((3, -(-VOCAB // 32)), dtype=np.int32)
    for row, permitted in enumerate(wanted):
        for token in permitted:
            bits.view(np.uint32)[row, token // 32] |= np.uint32(1 << token % 32)
    masks = MaskRows(bits, {}, frozenset({0, 2} if settled else ()), (2,) if settled else ())
    held = [sequence(temperature=0.0 if settled and i != 1 else 1.0, seed=i) for i in range(3)]
    for seq in held:
        seq.constraint = object()  # type: ignore[assignment]  # its masks are made already
    seqs = [seq for one in held for seq in (one, *(sequence() for _ in range(company)))]
    logits = torch.from_numpy(rng.normal(size=(len(seqs), width)).astype(np.float32))
    chosen = tokens(sampler.sample(logits, seqs, masks=masks).read())
    for row, seq in enumerate(seqs):
        if seq.constraint is None:
            assert chosen[row] == int(logits[row].argmax())
        elif settled and seq is held[0]:
            assert chosen[row] == int(logits[row].argmax()), "its largest is allowed, whatever its mask says"
        else:
            index = held.index(seq)
            assert chosen[row] in wanted[index]
            if settled and seq is held[2]:
                assert chosen[row] == max(wanted[index], key=lambda token: float(logits[row, token]))


def test_stop_tokens_wait_for_min_tokens_and_bans_survive_it() -> None:
    row = logits_of([0.0, 1.0, 9.0])
    held = {"stop_token_ids": (2,), "min_tokens": 3}
    assert tokens(sample(row, [sequence(**held)])) == [1]
    assert tokens(sample(row, [sequence(answer=(1,), **held)])) == [1]
    assert tokens(sample(row, [sequence(answer=(1, 1), **held)])) == [1]
    assert tokens(sample(row, [sequence(answer=(1, 1, 1), **held)])) == [2]  # three tokens came before it
    banned = sequence(logit_bias={2: -math.inf}, **held)
    assert tokens(sample(row, [banned])) == [1]


def test_logprobs_are_the_models_own_whatever_the_sampling() -> None:
    row = RANDOM_ROW.unsqueeze(0).expand(3, -1).contiguous()
    wanted = torch.log_softmax(RANDOM_ROW.double(), -1)
    seqs = [sequence(logprobs=0), sequence(), sequence(logprobs=3, temperature=1.5, top_k=2, logit_bias={7: 4.0})]
    results = sample(row, seqs)
    assert results[1].logprobs is None  # type: ignore[union-attr]
    for result, count in ((results[0], 0), (results[2], 3)):
        assert isinstance(result, Sampled) and result.logprobs is not None
        chosen, top = result.logprobs
        assert chosen == pytest.approx(wanted[result.token_id].item(), abs=1e-5)
        assert [t for t, _ in top] == wanted.argsort(descending=True)[:count].tolist()
        assert [v for _, v in top] == pytest.approx(wanted.sort(descending=True).values[:count].tolist(), abs=1e-5)


PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0.0, 5.0),
        "top_p": st.floats(0.01, 1.0),
        "top_k": st.integers(0, 2 * VOCAB),
        "min_p": st.floats(0.0, 1.0),
        "repetition_penalty": st.floats(0.1, 5.0),
        "presence_penalty": st.floats(-3.0, 3.0),
        "frequency_penalty": st.floats(-3.0, 3.0),
        "logit_bias": st.dictionaries(st.integers(0, VOCAB - 1), st.floats(-100, 100), max_size=5),
        "logprobs": st.integers(0, 5),
        "seed": st.integers(0, 2**64 - 1),
    },
)


@given(rows=st.lists(st.tuples(PARAMS, st.integers(0, 10_000)), min_size=1, max_size=12))
def test_any_row_gives_the_same_token_alone_as_in_its_batch(rows: list[tuple[dict[str, Any], int]]) -> None:
    params = [{"seed": 1, **p} for p, _ in rows]
    logits = torch.stack(
        [torch.from_numpy(np.random.default_rng(n).normal(size=VOCAB).astype(np.float32)) for _, n in rows]
    )
    together = tokens(sample(logits, [sequence(answer=(5, 5, 6), **p) for p in params]))
    alone = [
        tokens(sample(logits[i : i + 1], [sequence(answer=(5, 5, 6), **p)]))[0] for i, p in enumerate(params)
    ]  # fmt: skip
    assert together == alone


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 10**6), st.floats(0.1, 8.0), st.integers(1, 200), st.floats(0.01, 1.0)),
        min_size=1, max_size=5,
    )
)  # fmt: skip
def test_both_ways_to_find_the_threshold_keep_the_same_tokens(rows: list[tuple[int, float, int, float]]) -> None:
    width = 200
    logits = [np.random.default_rng(seed).normal(scale=scale, size=width) for seed, scale, _, _ in rows]
    scaled = torch.tensor(np.array(logits), dtype=torch.float32)
    scaled -= scaled.max(dim=1, keepdim=True).values
    top_k, top_p = [k for _, _, k, _ in rows], torch.tensor([[p] for *_, p in rows])
    sorted_way = sampler._by_candidates(scaled, top_k, top_p)
    for row, one, other in zip(scaled, sorted_way, sampler._by_bisection(scaled, top_k, top_p), strict=True):
        kept, found = row >= one, row >= other
        assert found.any()
        at_issue = row[kept ^ found].exp().sum() / row.exp().sum()
        one_more = (kept ^ found).sum() <= 1  # sums in another order may differ by one token at the edge
        assert one_more or at_issue < 1e-6, "or by tokens too unlikely to be felt by a sum"


def test_the_bisection_finds_the_exact_edge() -> None:
    scaled = torch.tensor([[0.0, -1.0, -2.0, -3.0], [-0.0, -0.0, -5.0, -math.inf]])
    mass = scaled[0].exp().sum().item()
    just_two = (1 + math.exp(-1)) / mass
    for p, expected in ((just_two - 1e-4, -1.0), (just_two + 1e-4, -2.0), (1e-6, 0.0), (0.9999, -3.0)):
        found = sampler._by_bisection(scaled, [4, 4], torch.tensor([[p], [0.4]]))
        assert found.tolist() == [expected, 0.0]
    assert sampler._by_bisection(scaled, [2, 3], torch.tensor([[1.0], [1.0]])).tolist() == [-1.0, -5.0]
    unlikely = torch.tensor([[0.0, -60.0, -70.0]])
    assert sampler._by_bisection(unlikely, [2], torch.tensor([[1.0]])).tolist() == [-60.0], "top_p of 1 is off"
