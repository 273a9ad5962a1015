"""The small fused kernels and decode attention at GLM-4.6V-Flash's shapes, one layer of a step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from kernel_cases import Case, Prepared, num_copies, turning

from flashweb.model.footprint import SCALE_BYTES
from flashweb.model.fp8_cache import quantise_heads
from flashweb.model.fused_layers import PagedRead, StepLists
from flashweb.model.inputs import ForwardInputs
from flashweb.model.kernels import decode_attention, fused
from flashweb.model.kernels.prefill_attention import (
    BEST,
    OTHERS,
    PrefillPlan,
    paged_prefill,
    query_tiles,
    tokens_per_tile,
)
from flashweb.model.rope import axis_of_frequency, inverse_frequencies

HIDDEN, MLP, HEADS, KV_HEADS, HEAD_DIM, BLOCK_SIZE = 4096, 13696, 32, 2, 128, 16
SECTIONS, THETA, EPS = (8, 12, 12), 500000.0, 1e-5
QKV = (HEADS + 2 * KV_HEADS) * HEAD_DIM
DTYPE, VALUE = torch.bfloat16, torch.bfloat16.itemsize
SLOT_BYTES = 2 * KV_HEADS * HEAD_DIM * VALUE
FP8_SLOT_BYTES = 2 * KV_HEADS * (HEAD_DIM + SCALE_BYTES)
Cache = tuple[torch.Tensor, torch.Tensor | None]  # a layer, and its scales if it is in e4m3

BATCHES = (1, 8, 32, 64, 128, 256)
PREFILL_TOKENS = 2048
CONTEXTS = (1024, 4096, 16384)
# (new tokens, tokens before them) of every sequence of a step.
CHUNKS = {
    "1x325": [(325, 0)],
    "1x1024": [(1024, 0)],
    "1x414 after 1024": [(414, 1024)],
    "4x1438": [(1438, 0)] * 4,
    "960 after 4096": [(960, 4096)],
}
MIXED = [(1, 1499)] * 64 + [(960, 0)]


def cases() -> Iterator[Case]:
    for tokens in (*BATCHES, PREFILL_TOKENS):
        yield Case(f"add_norm {tokens}x{HIDDEN}", partial(add_norm, tokens))
        yield Case(f"rms_norm {tokens}x{HIDDEN}", partial(rms_norm, tokens))
        yield Case(f"silu_mul {tokens}x{MLP}", partial(silu_mul, tokens))
        yield Case(f"rotation_table {tokens}", partial(rotation_table, tokens))
        yield Case(f"bias_rotate_store {tokens}", partial(bias_rotate_store, tokens))
    for batch in BATCHES:
        yield Case(f"plan of decoding {batch}", partial(decode_plan, batch))
    for batch in BATCHES:
        for context in CONTEXTS:
            yield Case(f"paged_decode {batch}x{context}", partial(paged_decode, [context] * batch))
            yield Case(f"paged_decode fp8 {batch}x{context}", partial(paged_decode, [context] * batch, fp8=True))
    # Short contexts, unequal ones side by side, and what padding costs.
    yield Case("paged_decode 1x128", partial(paged_decode, [128]))
    yield Case("paged_decode 60x1500 + 196 empty", partial(paged_decode, [1500] * 60 + [0] * 196))
    for batch in BATCHES[1:]:
        name = f"paged_decode {batch - 1}x1024 + 1x{CONTEXTS[-1]}"
        yield Case(name, partial(paged_decode, [CONTEXTS[-1]] + [1024] * (batch - 1)))
    yield from attention_of_prompts()


def attention_of_prompts() -> Iterator[Case]:
    for what, chunks in CHUNKS.items():
        for plan in (BEST, *OTHERS):
            yield Case(f"prefill {what}, {named(plan)}", partial(paged_read, chunks, plan))
        yield Case(f"prefill fp8 {what}, {named(BEST)}", partial(paged_read, chunks, BEST, fp8=True))
    yield Case("mixed 64 decode x 1500 + 960 chunk", partial(paged_read, MIXED, None))
    yield Case("mixed 64 decode x 1500 alone", partial(paged_read, MIXED[:-1], None))
    yield Case("mixed 960 chunk alone", partial(paged_read, MIXED[-1:], None))


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=DTYPE, device="cuda")


def caches(count: int, slots: int, fp8: bool) -> list[Cache]:
    """Layers of a full cache, plain or in e4m3."""
    plain = (randn(2 * KV_HEADS, slots, HEAD_DIM) for _ in range(count))
    return [quantise_heads(layer) if fp8 else (layer, None) for layer in plain]


def named(plan: PrefillPlan) -> str:
    limit = "" if plan.registers is None else f" <={plan.registers}"
    return f"{plan.rows}x{plan.tile} {plan.warps}w {plan.stages}s{limit}"


# Activations come from the L2 cache in a real step too: the kernel before has just written them. So they are not
# turned over, and small ones may show more than memory's bandwidth.


def add_norm(tokens: int) -> Prepared:
    residual, y, out = randn(tokens, HIDDEN), randn(tokens, HIDDEN), randn(tokens, HIDDEN)
    weight, next_weight = randn(HIDDEN) * 1e-3, randn(HIDDEN)  # small: the residual grows with every launch
    num_bytes = (4 * tokens + 2) * HIDDEN * VALUE
    return Prepared(lambda: fused.add_norm(residual, y, weight, next_weight, EPS, out), num_bytes, 0)


def rms_norm(tokens: int) -> Prepared:
    x, weight, out = randn(tokens, HIDDEN), randn(HIDDEN), randn(tokens, HIDDEN)
    return Prepared(lambda: fused.rms_norm(x, weight, EPS, out), (2 * tokens + 1) * HIDDEN * VALUE, 0)


def silu_mul(tokens: int) -> Prepared:
    gate_up, out = randn(tokens, 2 * MLP), randn(tokens, MLP)
    return Prepared(lambda: fused.silu_mul(gate_up, out), 3 * tokens * MLP * VALUE, 0)


def rotation_table(tokens: int) -> Prepared:
    positions = torch.randint(0, 16384, (3, tokens), device="cuda")
    frequencies = inverse_frequencies(2 * sum(SECTIONS), THETA).cuda()
    axes = axis_of_frequency(SECTIONS).cuda()
    out = torch.empty(tokens, len(axes), 2, dtype=DTYPE, device="cuda")
    num_bytes = positions.nbytes + frequencies.nbytes + axes.nbytes + out.nbytes
    return Prepared(lambda: fused.rotation_table(positions, frequencies, axes, DTYPE, out), num_bytes, 0)


def bias_rotate_store(tokens: int) -> Prepared:
    qkv, bias, rotation = randn(tokens, QKV), randn(QKV) * 0, randn(tokens, sum(SECTIONS), 2)
    rotation[..., 0], rotation[..., 1] = 0.6, 0.8
    cache = torch.zeros(2 * KV_HEADS, 4 * tokens, HEAD_DIM, dtype=DTYPE, device="cuda")
    slots = torch.randperm(4 * tokens, device="cuda")[:tokens]
    out = torch.empty(tokens, HEADS, HEAD_DIM, dtype=DTYPE, device="cuda")
    num_bytes = 2 * qkv.nbytes + bias.nbytes + rotation.nbytes + slots.nbytes
    return Prepared(lambda: fused.bias_rotate_store(qkv, bias, rotation, slots, cache, out), num_bytes, 0)


def decode_plan(batch: int) -> Prepared:
    """Once a step, not once a layer."""
    device = torch.device("cuda")
    context_lens = torch.full((batch,), CONTEXTS[-1], dtype=torch.int32, device=device)
    workspace = decode_attention.DecodeWorkspace.allocate(batch, HEADS, KV_HEADS, HEAD_DIM, DTYPE, device)
    return Prepared(lambda: workspace.plan(context_lens), 4 * batch, 0)


def paged_decode(lengths: list[int], fp8: bool = False) -> Prepared:
    """Contexts on shuffled blocks; a launch takes the next of several caches, as a step takes the next layer."""
    batch, blocks = len(lengths), [-(-n // BLOCK_SIZE) for n in lengths]
    slot_bytes = FP8_SLOT_BYTES if fp8 else SLOT_BYTES
    num_bytes = sum(lengths) * slot_bytes + 2 * batch * HEADS * HEAD_DIM * VALUE
    layers = caches(num_copies(num_bytes), sum(blocks) * BLOCK_SIZE, fp8)
    free = torch.randperm(sum(blocks), dtype=torch.int32).split(blocks)
    tables = torch.zeros(batch, max(blocks), dtype=torch.int32)
    for row, table in enumerate(free):
        tables[row, : len(table)] = table
    tables, context_lens = tables.cuda(), torch.tensor(lengths, dtype=torch.int32, device="cuda")
    device, kept = torch.device("cuda"), layers[0][0].dtype
    workspace = decode_attention.DecodeWorkspace.allocate(batch, HEADS, KV_HEADS, HEAD_DIM, kept, device)
    plan = workspace.plan(context_lens)  # once a step, so not timed with every layer
    query, out = randn(batch, HEADS, HEAD_DIM), torch.empty(batch, HEADS * HEAD_DIM, dtype=DTYPE, device=device)

    def launch(layer: Cache) -> None:
        values, scales = layer
        decode_attention.paged_decode(query, values, tables, plan, BLOCK_SIZE, out, scales)

    return Prepared(turning(launch, layers), num_bytes, 4 * sum(lengths) * HEADS * HEAD_DIM)


def paged_read(chunks: list[tuple[int, int]], plan: PrefillPlan | None, fp8: bool = False) -> Prepared:
    """One layer's attention of a step as `fused_layers` computes it; with a plan, that of its prompts by that plan."""
    news, contexts = [new for new, _ in chunks], [new + past for new, past in chunks]
    blocks = [-(-n // BLOCK_SIZE) for n in contexts]
    device, total = torch.device("cuda"), sum(news)
    # Every row reads the keys up to its own; each key and value comes from memory once.
    pairs = sum(new * past + new * (new + 1) // 2 for new, past in chunks)
    slot_bytes = FP8_SLOT_BYTES if fp8 else SLOT_BYTES
    num_bytes = sum(contexts) * slot_bytes + 2 * total * HEADS * HEAD_DIM * VALUE
    layers = caches(num_copies(num_bytes), sum(blocks) * BLOCK_SIZE, fp8)
    nothing = torch.zeros(total, dtype=torch.int64, device=device)
    inputs = ForwardInputs(
        token_ids=nothing, positions=nothing.expand(3, -1), slots=nothing, query_lens=news, context_lens=contexts,
        block_tables=[table.tolist() for table in torch.randperm(sum(blocks)).split(blocks)], block_size=BLOCK_SIZE,
        last_rows=nothing,
    )  # fmt: skip
    lists = StepLists.of(inputs, HEADS, KV_HEADS)
    if plan is not None and plan.rows != BEST.rows:
        tiles = torch.from_numpy(query_tiles(news, tokens_per_tile(HEADS, KV_HEADS, plan.rows)))
        lists = replace(lists, tiles=tiles[tiles[:, 1].argsort(descending=True)].to(device))  # as `StepLists` does
    kept = layers[0][0].dtype
    workspace = decode_attention.DecodeWorkspace.allocate(total, HEADS, KV_HEADS, HEAD_DIM, kept, device)
    read = PagedRead.of(lists, workspace, BLOCK_SIZE)
    query, out = randn(total, HEADS, HEAD_DIM), torch.empty(total, HEADS * HEAD_DIM, dtype=DTYPE, device=device)

    def launch(layer: Cache) -> None:
        values, scales = layer
        if plan is None:
            read.attend(query, values, scales, out)
        else:
            where = lists.tables, lists.starts, lists.context_lens, lists.tiles
            paged_prefill(query, values, *where, BLOCK_SIZE, out, plan, scales)

    return Prepared(turning(launch, layers), num_bytes, 4 * pairs * HEADS * HEAD_DIM)
