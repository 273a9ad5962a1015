"""Decode steps as the GPU computes them equal the plain network's: the same kernels, in Triton's interpreter here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.model.triton_device import DEVICE, INTERPRETED  # before anything with kernels

# isort: split

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.model.decode_graphs import DecodeGraphs
from flashweb.model.glm4v import Glm4v
from flashweb.model.inputs import ForwardInputs
from tests.parity.reference import make_checkpoint
from tests.parity.test_engine_parity import answers_of, ask

BLOCK, NUM_BLOCKS, MAX_CONTEXT = 16, 24, 96
TEXT = {
    "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
    "intermediate_size": 96,
    "rope_parameters": {
        "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, "mrope_section": [1, 1, 2],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Glm4v:
    folder = make_checkpoint(tmp_path_factory.mktemp("checkpoint"), text=TEXT, vision={"out_hidden_size": 64})
    return Glm4v.load(Path(folder), dtype="float32", device=DEVICE)


class Crowd:
    """Sequences with a context each, on shuffled blocks, in two caches: the plain network's and the graphs'."""

    @torch.inference_mode()
    def __init__(self, model: Glm4v, lengths: list[int], max_batch: int, capture: bool) -> None:
        self.model = model
        self.rng = np.random.default_rng(7)
        self.plain, self.ours = (model.new_kv_cache(NUM_BLOCKS, BLOCK) for _ in range(2))
        filled = torch.randn_like(self.plain.storage)
        self.plain.storage.copy_(filled)
        self.ours.storage.copy_(filled)
        blocks = self.rng.permutation(NUM_BLOCKS).tolist()
        self.tables = [[blocks.pop() for _ in range(-(-(n + 12) // BLOCK))] for n in lengths]
        self.lengths = list(lengths)
        self.graphs = DecodeGraphs(
            model.text, self.ours, model.num_real_tokens, max_batch, MAX_CONTEXT, capture=capture, num_sms=1
        )

    @torch.inference_mode()
    def step(self, tokens: list[int], refer: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of both for one more token each; `refer`: given to the graphs as -1 - row of the step before."""
        positions = self.rng.integers(0, 90, (3, len(tokens)))
        slots = [t[n // BLOCK] * BLOCK + n % BLOCK for t, n in zip(self.tables, self.lengths, strict=True)]
        self.lengths = [n + 1 for n in self.lengths]
        inputs = ForwardInputs(
            token_ids=torch.tensor(tokens, device=DEVICE), positions=torch.from_numpy(positions).to(DEVICE),
            slots=torch.tensor(slots, device=DEVICE), query_lens=[1] * len(tokens), context_lens=self.lengths,
            block_tables=self.tables, block_size=BLOCK, last_rows=torch.arange(len(tokens), device=DEVICE),
        )  # fmt: skip
        wanted = self.model.logits(self.model.forward(inputs, self.plain))
        numbers = np.array([refer, *positions.tolist(), slots, self.lengths])
        width = max(map(len, self.tables))
        tables = np.array([t + [-1] * (width - len(t)) for t in self.tables], np.int32)
        logits, highest, chosen = self.graphs.launch(numbers, tables)
        assert chosen.tolist() == logits.argmax(1).tolist()
        torch.testing.assert_close(highest, logits.max(1).values, rtol=0, atol=0, equal_nan=True)
        return wanted, logits.clone()


@pytest.mark.parametrize(("lengths", "max_batch"), [([5], 1), ([0, 15, 16, 33, 60], 8), ([3, 70, 20], 3)])
def test_a_decode_step_gives_the_plain_networks_logits(model: Glm4v, lengths: list[int], max_batch: int) -> None:
    crowd = Crowd(model, lengths, max_batch, capture=not INTERPRETED)
    tokens = crowd.rng.integers(8, 60, len(lengths)).tolist()
    refer = list(tokens)
    for _ in range(2):
        wanted, found = crowd.step(tokens, refer)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
        tokens = wanted.argmax(1).tolist()  # and the graphs take them from where the step left them
        refer = [-1 - row for row in range(len(tokens))]
    torch.testing.assert_close(crowd.ours.storage, crowd.plain.storage, rtol=1e-4, atol=1e-4)


def test_a_batch_is_padded_to_the_next_size_and_padding_touches_nothing(model: Glm4v) -> None:
    crowd = Crowd(model, [4, 9, 17], 8, capture=False)
    assert crowd.graphs.sizes == [1, 2, 4, 8] and crowd.graphs.size_for(3) == 4
    before = crowd.ours.storage.clone()
    crowd.step([9, 10, 11], [9, 10, 11])
    changed = (crowd.ours.storage != before).any(dim=-1).any(dim=0).any(dim=0).nonzero().flatten().tolist()
    slots = [t[n // BLOCK] * BLOCK + n % BLOCK for t, n in zip(crowd.tables, (4, 9, 17), strict=True)]
    assert sorted(changed) == sorted(slots)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_row_of_nan_stays_alone(model: Glm4v) -> None:
    crowd = Crowd(model, [4, 9], 2, capture=False)
    first = crowd.tables[0][0] * BLOCK
    with torch.inference_mode():
        for cache in (crowd.plain, crowd.ours):
            cache.storage[:, :, first] = float("nan")
    wanted, found = crowd.step([9, 10], [9, 10])
    assert found[0].isnan().any()
    torch.testing.assert_close(found[1], wanted[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.8, "top_p": 0.9, "seed": 3}], ids=["greedy", "seeded"])
def test_the_engine_answers_the_same_with_decode_steps_in_one_launch(
    model: Glm4v, sampling: dict[str, float | int]
) -> None:
    def answers(with_graphs: bool) -> dict[str, list[int]]:
        core = EngineCore(model, EngineConfig(block_size=BLOCK, max_num_seqs=3, kv_cache_bytes=1 << 18, overlap=True))
        if with_graphs:
            core.runner.decoder = DecodeGraphs(
                model.text, core.runner.cache, model.num_real_tokens, 3, core.rules.max_model_len,
                capture=not INTERPRETED, num_sms=1,
            )  # fmt: skip
        for n in range(4):
            core.submit(ask(f"r{n}", [6 + 9 * n], content=n, max_tokens=3 + n, **sampling))
        return answers_of(core)

    assert answers(True) == answers(False)


def test_a_decode_step_computed_chunk_by_chunk_goes_on_with_the_right_tokens(
    model: Glm4v, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that fails as a whole is computed alone for each sequence; the pending tokens of all must survive that."""

    def answers(fail_at: int) -> dict[str, list[int]]:
        core = EngineCore(model, EngineConfig(block_size=BLOCK, max_num_seqs=3, kv_cache_bytes=1 << 18, overlap=True))
        graphs = DecodeGraphs(
            model.text, core.runner.cache, model.num_real_tokens, 3, core.rules.max_model_len,
            capture=not INTERPRETED, num_sms=1,
        )  # fmt: skip
        core.runner.decoder, launch, count = graphs, graphs.launch, 0

        def failing(numbers: np.ndarray, tables: np.ndarray) -> object:
            nonlocal count
            count += numbers.shape[1] > 1
            outcome = launch(numbers, tables)
            if numbers.shape[1] > 1 and count == fail_at:
                raise RuntimeError("after the tokens were overwritten")
            return outcome

        monkeypatch.setattr(graphs, "launch", failing)
        for n in range(3):
            core.submit(ask(f"r{n}", [6 + 9 * n], content=n, max_tokens=5))
        return answers_of(core)

    assert answers(fail_at=2) == answers(fail_at=0)
