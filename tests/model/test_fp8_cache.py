"""Keys and values kept in e4m3: rounded as the format says, by torch and by the kernels to the same bits, and read back
by every path alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.triton_device import DEVICE, INTERPRETED  # first: decides whether Triton compiles

# isort: split

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Token
from flashweb.model import fused_layers, glm4v
from flashweb.model.attention import AttentionPlan, KVCache, attend
from flashweb.model.decode_graphs import DecodeGraphs
from flashweb.model.fp8_cache import Fp8KVCache, dequantise_heads, quantise_heads
from flashweb.model.glm4v import Glm4v
from flashweb.model.kernels import decode_attention, e4m3, fused
from flashweb.model.prefill_graphs import PrefillGraphs
from tests.model.test_attention import BLOCK, HEAD_DIM, decode_inputs
from tests.model.test_decode_attention import World, assert_close, lengths_of_pieces
from tests.model.test_decode_graphs import TEXT
from tests.model.test_prefill_attention import Case
from tests.model.test_prefill_graphs import MAX_CONTEXT, NUM_BLOCKS, STEPS, logits_of, step
from tests.parity.reference import make_checkpoint
from tests.parity.test_engine_parity import ask

CPU = torch.device("cpu")
NATIVE = pytest.mark.parametrize("native", [True, False], ids=["converted by the card", "converted by arithmetic"])


def convert_with(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    """Which of the two ways of reading e4m3 the kernels take."""
    if native and not e4m3.reads_natively(DEVICE):
        pytest.skip("this card has no conversion of its own")
    monkeypatch.setattr(e4m3, "reads_natively", lambda _: native)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-(2.0**120), 2.0**120, width=32), min_size=8, max_size=8))
def test_a_scale_is_the_power_of_two_that_puts_the_largest_number_in_the_last_octave(head: list[float]) -> None:
    x = torch.tensor([head])
    values, scale = quantise_heads(x)
    assert float(scale.frexp().mantissa) == 0.5
    largest = float(x.abs().max() / scale)
    assert largest <= 448 and (largest > 224 or float(scale) == 2.0**-100)
    read = dequantise_heads(values, scale, torch.float32)
    assert ((read - x).abs() <= torch.maximum(x.abs() / 16, scale[:, None] * 2.0**-10)).all()


def test_what_is_rounded_stays_as_it_is_when_it_is_rounded_again() -> None:
    torch.manual_seed(0)
    values, scale = quantise_heads(torch.randn(5, 64) * torch.logspace(-8, 8, 5)[:, None])
    again = quantise_heads(dequantise_heads(values, scale, torch.bfloat16))
    assert torch.equal(again[0], values) and torch.equal(again[1], scale)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_one_number_that_is_not_finite_makes_its_whole_head_nan(bad: float) -> None:
    x = torch.ones(2, 16)
    x[0, 3] = bad
    read = dequantise_heads(*quantise_heads(x), torch.float32)
    assert read[0].isnan().all() and torch.equal(read[1], x[1])


# Each of the heads is a case of its own for the rounding: ties, subnormals, the edges of the octaves, far apart ones.
def difficult_heads(count: int, head_dim: int, dtype: torch.dtype) -> torch.Tensor:
    every = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    every = every[every.isfinite()].sort().values
    ties = (every[1:] + every[:-1]) / 2
    x = torch.randn(count, head_dim) * torch.logspace(-12, 9, count)[:, None]
    for row, special in enumerate((every, ties, ties.nextafter(torch.tensor(1e9)), ties * 2.0**-90, every * 2.0**-99)):
        at = torch.randint(len(special), (head_dim - 1,))
        x[row] = torch.cat((special[at], special.abs().max()[None]))
    x[5] = 0
    x[6, :2] = torch.tensor([1.75, 1.7500001])
    return x.to(dtype)


@pytest.mark.parametrize(
    ("num_tokens", "dtype"),
    [
        (3, torch.float32),
        (3, torch.bfloat16),
        pytest.param(fused.FEW_TOKENS + 1, torch.bfloat16, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of the numbers that are not finite
def test_the_kernel_that_stores_rounds_to_the_references_bits(num_tokens: int, dtype: torch.dtype) -> None:
    torch.manual_seed(num_tokens)
    heads, kv_heads, head_dim = 3, 5, 64
    qkv = torch.randn(num_tokens, heads + 2 * kv_heads, head_dim).to(dtype)
    qkv[1, heads:] = difficult_heads(2 * kv_heads, head_dim, dtype)
    qkv[0, heads + 1, 5], qkv[0, heads + 7, 5] = float("nan"), float("inf")
    qkv = qkv.flatten(1).to(DEVICE)
    rotation = torch.tensor([1.0, 0.0], dtype=dtype, device=DEVICE).expand(num_tokens, 8, 2).contiguous()
    slots = torch.randperm(num_tokens + 9, device=DEVICE)[:num_tokens]
    slots[2::3] = -1
    shape = (3, 2 * kv_heads, num_tokens + 9, head_dim)
    values, scales = (torch.full(s, 7, dtype=d, device=DEVICE) for s, d in ((shape, torch.uint8), (shape[:3], dtype)))
    scales = scales.float()
    wanted, wanted_scales = values.clone(), scales.clone()
    queries = fused.reference_bias_rotate_store(qkv, None, rotation, slots, wanted[1], wanted_scales[1])
    found = fused.bias_rotate_store(qkv, None, rotation, slots, values[1], scales=scales[1])
    torch.testing.assert_close(found, queries, rtol=0, atol=0)
    torch.testing.assert_close(scales, wanted_scales, rtol=0, atol=0, equal_nan=True)
    finite = wanted_scales.isfinite()
    assert (~finite).sum() == 2
    assert torch.equal(values[finite], wanted[finite])


@NATIVE
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_byte_is_read_as_the_number_it_stands_for(
    native: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context of one token is its value."""
    convert_with(monkeypatch, native)
    numbers = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    numbers = torch.where(numbers.isfinite(), numbers, 0).to(DEVICE)
    values, scales = torch.zeros(8, 16, 64, device=DEVICE), torch.full((8, 16), 0.5, device=DEVICE)
    values[4:, 0] = numbers.view(4, 64)
    kept = values.to(torch.float8_e4m3fn).view(torch.uint8)
    query, out = torch.zeros(1, 4, 64, dtype=dtype, device=DEVICE), torch.empty(1, 256, dtype=dtype, device=DEVICE)
    one, table = torch.ones(1, dtype=torch.int32, device=DEVICE), torch.zeros(1, 1, dtype=torch.int32, device=DEVICE)
    plan = decode_attention.DecodeWorkspace.allocate(1, 4, 4, 64, kept.dtype, DEVICE, 1, dtype).plan(one)
    decode_attention.paged_decode(query, kept, table, plan, 16, out, scales)
    torch.testing.assert_close(out[0].float(), numbers / 2, rtol=0, atol=0)


@NATIVE
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_decode_over_an_fp8_cache_gives_the_reference(
    dtype: torch.dtype, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_with(monkeypatch, native)
    torch.manual_seed(0)
    world = World([600, 1, 0, 17], heads=6, kv_heads=2, head_dim=64, dtype=dtype, fp8=True)
    there = torch.tensor([0, 1, 3], device=DEVICE)
    assert_close(world.decode(num_sms=6)[there], world.expected()[there])
    assert len(lengths_of_pieces(world)[0]) > 1, "the long context is in one piece"


@NATIVE
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_prefill_over_an_fp8_cache_gives_the_reference(
    dtype: torch.dtype, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_with(monkeypatch, native)
    Case([(1, 0), (17, 0), (9, 33), (3, 100)], 6, 2, 32, dtype, fp8=True).check()


def filled(kind: type[KVCache], lengths: list[int]) -> KVCache:
    cache = kind(2, 64, BLOCK, 2, HEAD_DIM, torch.float32, CPU)
    for layer in range(2):
        cache.store(layer, torch.arange(sum(lengths) + 8), torch.randn(4, sum(lengths) + 8, HEAD_DIM))
    return cache


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("lengths", [[9], [9, 21, 8], [4, 40, 4]])
def test_attend_reads_what_was_stored_through_a_window_too(lengths: list[int], pad: bool) -> None:
    """Two steps: the second is served by a window where there are several sequences. A plain cache of the rounded
    numbers gives the same bits."""
    torch.manual_seed(0)
    fp8 = filled(Fp8KVCache, lengths)
    plain = KVCache(2, 64, BLOCK, 2, HEAD_DIM, torch.float32, CPU)
    plain.storage.copy_(fp8.gather(torch.arange(64 * BLOCK)))
    for ahead in range(3):
        inputs = decode_inputs([n + ahead for n in lengths], room=3)
        query, new = torch.randn(len(lengths), 4, HEAD_DIM), torch.randn(len(lengths), 4, HEAD_DIM)
        rounded = dequantise_heads(*quantise_heads(new), torch.float32)
        outs = []
        for cache, key_value in ((fp8, new), (plain, rounded)):
            plan = AttentionPlan.of(inputs, cache, pad_decode=pad)
            outs.append(attend(query, key_value, plan, 1))
            plan.done()
        assert (plan.window is not None) == (ahead > 0 and lengths == [9, 21, 8] and not pad)
        torch.testing.assert_close(outs[0], outs[1], rtol=1e-6, atol=1e-6)


def test_wiping_removes_a_scale_of_nan_too() -> None:
    cache = Fp8KVCache(1, 4, BLOCK, 1, HEAD_DIM, torch.float32, CPU)
    cache.store(0, torch.arange(16), torch.full((2, 16, HEAD_DIM), float("nan")))
    cache.wipe([0, 2])
    cache.wipe_slots([5])
    wiped = cache.gather(torch.arange(16), 0).eq(0).all(-1).all(0).nonzero().flatten().tolist()
    assert wiped == [0, 1, 2, 3, 5, 8, 9, 10, 11]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), text=TEXT, vision={"out_hidden_size": 64})


@pytest.fixture(scope="module")
def models(folder: Path) -> tuple[Glm4v, Glm4v]:
    """The network by our kernels, and on the CPU in torch alone."""
    ours, plain = (Glm4v.load(folder, dtype="float32", device=d, kv_cache_dtype="fp8") for d in (DEVICE, CPU))
    if ours.text.fused is None:
        ours.text.fused = fused_layers.fused
    return ours, plain


# A prompt beside a single token, then a chunk that continues it beside a row that decodes.
@pytest.mark.parametrize(
    ("steps", "with_graphs"),
    [([([5, 1], [0, 0]), ([2, 1], [5, 1])], False), pytest.param(STEPS, True, marks=pytest.mark.slow)],
    ids=["launch by launch", "in one launch"],
)
@torch.inference_mode()
def test_prompts_and_decode_steps_by_the_kernels_give_the_plain_networks_logits(
    steps: list[tuple[list[int], list[int]]], with_graphs: bool, models: tuple[Glm4v, Glm4v]
) -> None:
    ours, plain = models
    caches = [m.new_kv_cache(NUM_BLOCKS, 16) for m in (plain, ours, ours)][: 2 + with_graphs]
    for number, (new, past) in enumerate(steps):
        here, there = (step(d, new, past, pictures=number == 0, seed=number) for d in (CPU, DEVICE))
        wanted = logits_of(plain, plain.forward(here, caches[0]), here)
        hiddens = [fused_layers.forward(ours.text, there, caches[1])]
        if with_graphs:
            graphs = PrefillGraphs(ours.text, caches[2], 64, 5, MAX_CONTEXT, capture=not INTERPRETED, num_sms=1)
            hiddens.append(graphs.forward(there))
        for hidden in hiddens:
            found = logits_of(ours, hidden, there)
            # A number near the middle of two may be rounded to the other, by the order of a sum before it.
            assert (found - wanted).abs().max() < 0.02 * wanted.abs().max()
            assert (found - wanted).abs().median() < 2e-4 * wanted.abs().max()
    for cache in caches[1:]:
        assert isinstance(cache, Fp8KVCache)
        same = cache.storage.cpu() == caches[0].storage
        assert same.float().mean() > 0.999


@pytest.mark.slow
def test_the_engine_answers_the_same_by_the_kernels(models: tuple[Glm4v, Glm4v]) -> None:
    ours, plain = models

    def answers(model: Glm4v, with_graphs: bool) -> dict[str, list[int]]:
        core = EngineCore(model, EngineConfig(block_size=16, max_num_seqs=3, kv_cache_bytes=1 << 17, overlap=True))
        assert isinstance(core.runner.cache, Fp8KVCache)
        if with_graphs:
            core.runner.decoder = DecodeGraphs(
                model.text, core.runner.cache, model.num_real_tokens, 3, core.rules.max_model_len,
                capture=not INTERPRETED, num_sms=1,
            )  # fmt: skip
        for n in range(3):
            core.submit(ask(f"r{n}", [6 + 9 * n], content=n, max_tokens=3 + n))
        told: dict[str, list[int]] = {}
        while core.has_work:
            for news in core.step():
                assert isinstance(news, Token), news
                told.setdefault(news.request_id, []).extend(news.token_ids)
        return told

    assert answers(ours, True) == answers(plain, False)


@pytest.mark.parametrize("dtype", [pytest.param(torch.float32, marks=pytest.mark.slow), torch.bfloat16])
def test_attention_over_an_fp8_cache_is_tried_before_it_is_trusted(
    models: tuple[Glm4v, Glm4v], dtype: torch.dtype
) -> None:
    error = fused_layers.attention_error(models[0].config.text, dtype, DEVICE, fp8_cache=True)
    assert error < (1e-4 if dtype == torch.float32 else glm4v.KERNEL_TOLERANCE / 2)


def test_the_cache_takes_the_bytes_that_are_planned_for(folder: Path) -> None:
    for dtype in ("float32", "bfloat16"):
        model = Glm4v.load(folder, dtype=dtype, kv_cache_dtype="fp8")
        assert model.new_kv_cache(10, 4).num_bytes == 40 * model.kv_bytes_per_token()
        assert model.kv_bytes_per_token() == 2 * 2 * 2 * (16 + 4)
