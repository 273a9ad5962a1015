"""Our logits against transformers' on random small checkpoints, fp32: at most 1e-4 apart, always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from flashweb.model.attention import KVCache
from flashweb.model.glm4v import Glm4v
from flashweb.model.inputs import ForwardInputs
from flashweb.types import Grid
from tests.parity.reference import (
    IMAGE_TOKEN,
    make_checkpoint,
    mrope_positions,
    random_picture,
    random_prompt,
    reference_greedy,
    reference_logits,
)

TOLERANCE = 1e-4
BLOCK = 4

SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "tied": {"tied": True},
    "v4-config": {"style": "v4"},
    "one-kv-head-wide-heads": {
        "text": {
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "num_hidden_layers": 1,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 500000.0,
                "partial_rotary_factor": 0.5,
                "mrope_section": [2, 3, 3],
            },
        },
        "vision": {"depth": 1, "hidden_size": 96, "num_heads": 1, "image_size": 56},
    },
    "no-gqa-deep-whole-rotary": {
        "text": {
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "num_hidden_layers": 6,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 1.0,
                "mrope_section": [2, 3, 3],
            },
        },
        "vision": {"depth": 4, "num_heads": 4, "hidden_size": 64, "image_size": 336},
    },
}


@dataclass
class Request:
    """One sequence driven by hand: what the engine's runner does, in a dozen lines."""

    token_ids: list[int]
    patches: Sequence[NDArray[np.uint8]] = ()
    grids: Sequence[Grid] = ()
    table: list[int] = field(default_factory=list)
    done: int = 0

    def positions(self) -> NDArray[np.int64]:
        return mrope_positions(self.token_ids, self.grids)[0]


def run_step(model: Glm4v, cache: KVCache, work: Sequence[tuple[Request, int]]) -> list[torch.Tensor]:
    """Feeds each request its next n tokens in one forward; returns logits of all those tokens per request."""
    ids, slots, positions, rows, features = [], [], [], [], []
    for request, n in work:
        span = range(request.done, request.done + n)
        pictures = model.encode_images([torch.from_numpy(p) for p in request.patches], list(request.grids))
        flat = torch.cat(pictures) if pictures else None
        image_index = np.cumsum([t == IMAGE_TOKEN for t in request.token_ids]) - 1
        all_positions = request.positions()
        for k in span:
            if request.token_ids[k] == IMAGE_TOKEN:
                assert flat is not None
                rows.append(len(ids))
                features.append(flat[image_index[k]])
            ids.append(request.token_ids[k])
            slots.append(request.table[k // BLOCK] * BLOCK + k % BLOCK)
            positions.append(all_positions[:, k])
        request.done += n
    inputs = ForwardInputs(
        token_ids=torch.tensor(ids),
        positions=torch.from_numpy(np.stack(positions, axis=1)),
        slots=torch.tensor(slots),
        query_lens=[n for _, n in work],
        context_lens=[r.done for r, _ in work],
        block_tables=[r.table for r, _ in work],
        block_size=BLOCK,
        last_rows=torch.arange(len(ids)),
        image_features=torch.stack(features) if features else None,
        image_rows=torch.tensor(rows) if rows else None,
    )
    logits = model.logits(model.forward(inputs, cache))
    return list(logits.split([n for _, n in work]))


def blocks_for(num_tokens: int, start: int = 0) -> list[int]:
    return list(range(start, start + -(-num_tokens // BLOCK)))


def three_pictures(seed: int = 0) -> Request:
    pictures = [random_picture(size, seed + i) for i, size in enumerate(((4, 6), (8, 2), (6, 6)))]
    patches, grids = zip(*pictures, strict=True)
    return Request(random_prompt([5, grids[0], 7, grids[1], grids[2], 6], seed), patches, grids)


def one_picture(seed: int = 0, size: tuple[int, int] = (8, 10)) -> Request:
    patches, grid = random_picture(size, seed)
    return Request(random_prompt([4, grid, 9], seed), [patches], [grid])


def text_only(seed: int = 0, n: int = 37) -> Request:
    return Request(random_prompt([n], seed))


MAKERS = {"text": text_only, "one picture": one_picture, "three pictures": three_pictures}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Glm4v:
    return Glm4v.load(folder)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.shape == theirs.shape
    assert theirs.abs().max() > 0.5, "the reference's logits are too small to prove anything"
    assert (ours - theirs).abs().max().item() <= TOLERANCE


@pytest.mark.parametrize("shape", SHAPES)
def test_prefill_and_32_decode_steps_equal_the_reference(shape: str, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, **SHAPES[shape])
    model = Glm4v.load(folder)
    for make in MAKERS.values():
        request = make()
        prompt_len = len(request.token_ids)
        request.token_ids += reference_greedy(folder, request.token_ids, request.patches, request.grids, 32)
        request.table = blocks_for(len(request.token_ids))
        theirs = reference_logits(folder, request.token_ids, request.patches, request.grids)
        cache = model.new_kv_cache(64, BLOCK)
        ours = run_step(model, cache, [(request, prompt_len)])
        ours += [run_step(model, cache, [(request, 1)])[0] for _ in range(32)]
        assert_close(torch.cat(ours), theirs)
        greedy = torch.cat(ours)[prompt_len - 1 : -1].argmax(-1).tolist()
        assert greedy == request.token_ids[prompt_len:]


@pytest.mark.parametrize("chunk", [1, 3, 7, 13, 64])
@pytest.mark.parametrize("kind", MAKERS)
def test_chunked_prefill_equals_the_reference(kind: str, chunk: int, folder: Path, model: Glm4v) -> None:
    request = MAKERS[kind]()
    n = len(request.token_ids)
    request.table = blocks_for(n)
    cache = model.new_kv_cache(64, BLOCK)
    ours = [run_step(model, cache, [(request, min(chunk, n - k))])[0] for k in range(0, n, chunk)]
    assert_close(torch.cat(ours), reference_logits(folder, request.token_ids, request.patches, request.grids))


def test_scattered_blocks_equal_the_reference(folder: Path, model: Glm4v) -> None:
    request = three_pictures(3)
    n = len(request.token_ids)
    request.table = np.random.default_rng(0).permutation(64)[: -(-n // BLOCK)].tolist()
    cache = model.new_kv_cache(64, BLOCK)
    ours = [run_step(model, cache, [(request, k)])[0] for k in (n - 12, 5, 1, 1, 1, 4)]
    assert_close(torch.cat(ours), reference_logits(folder, request.token_ids, request.patches, request.grids))


def test_a_batch_of_16_mixed_requests_equals_the_reference(folder: Path, model: Glm4v) -> None:
    """Whole prompts, chunks of prompts and decode steps side by side; every other table is scattered."""
    requests = [list(MAKERS.values())[i % 3](100 + i) for i in range(16)]
    free = np.random.default_rng(1).permutation(range(400, 800)).tolist()
    start = 0
    for i, request in enumerate(requests):
        used = blocks_for(len(request.token_ids), start)
        start += len(used)
        request.table = used if i % 2 else [free.pop() for _ in used]
    cache = model.new_kv_cache(800, BLOCK)
    ours: list[list[torch.Tensor]] = [[] for _ in requests]
    rng = np.random.default_rng(2)
    while any(r.done < len(r.token_ids) for r in requests):
        work = []
        for request in requests:
            left = len(request.token_ids) - request.done
            if left:
                work.append((request, min(left, int(rng.choice([1, 1, 2, 9, 30])))))
        for (request, _), logits in zip(work, run_step(model, cache, work), strict=True):
            ours[requests.index(request)].append(logits)
    for request, pieces in zip(requests, ours, strict=True):
        assert_close(torch.cat(pieces), reference_logits(folder, request.token_ids, request.patches, request.grids))
