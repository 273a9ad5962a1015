"""The exported checkpoint is the trained network: transformers' own Glm4v computes the same logits from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.augment import distorted_patches
from training.batches import BatchWriter, Budget, Use
from training.encoding import Encoder, Turn
from training.export import load_weights, write_folder, write_weights
from training.looks import Look
from training.network import Network, Packed, Shape, checkpoint_config, from_checkpoint, to_checkpoint
from training.page import Page
from training.tokenizer import padded_vocab_size, token_ids

transformers = pytest.importorskip("transformers")

SMALL = Shape(
    vocab_size=padded_vocab_size(), hidden=128, layers=3, heads=2, kv_heads=1, mlp=192, vision_hidden=192,
    vision_layers=2, merger_mlp=160,
)  # fmt: skip
BUDGET = Budget(
    visual=160, text=900, pictures=40, conversations=24, labels=300, glyphs=16, max_side=12, max_area=96, max_row=600,
    passes=1,
)  # fmt: skip


def random_page(rng: np.random.Generator, h: int, w: int) -> Page:
    return Page(rng.integers(0, 256, (28 * h, 28 * w, 3), dtype=np.uint8), [], [])


def packed_logits(network: Network, conversations: list[tuple[list[Page], list[Turn]]]) -> list[torch.Tensor]:
    """Logits of every position of every conversation, computed in one packed row."""
    buffer = bytearray(BUDGET.nbytes())
    writer = BatchWriter(BUDGET, Encoder(), buffer)
    for pages, turns in conversations:
        assert writer.add(pages, [Use(turns, [(Look(), np.eye(3)) for _ in pages])])
    rows = writer.num_rows[0]
    writer.close(__import__("random").Random(0))
    shared, passes = BUDGET.views(buffer)
    t = {name: torch.from_numpy(array.copy()) for name, array in {**shared, **passes[0]}.items()}
    patches = distorted_patches(
        t["pixels"], t["picture_offset"], t["picture_size"], t["patch_picture"], t["patch_yx"], t["look"],
        torch.randn(4 * BUDGET.visual, 588),
    )  # fmt: skip
    long = {name: t[name].long() for name in t if t[name].dtype == torch.int32}
    batch = Packed(
        patches=patches, patch_yx=long["patch_yx"], patch_grid=long["patch_grid"], vision_offsets=t["vision_offsets"],
        tokens=long["tokens"], positions=long["positions"], text_offsets=t["text_offsets"],
        image_slots=long["image_slots"], label_slots=long["label_slots"], labels=long["labels"],
        label_weights=t["label_weights"], glyph_token=long["glyph_token"], glyph_cell=long["glyph_cell"],
        glyph_label=long["glyph_label"], glyph_weights=t["glyph_weights"], max_patches=BUDGET.max_patches,
        max_tokens=BUDGET.max_row,
    )  # fmt: skip
    from training.network import PLAIN

    with torch.no_grad():
        x = network.decode(batch, network.encode(batch, PLAIN), PLAIN)
        logits = network.logits(network.norm(x))
    bounds = t["text_offsets"].tolist()
    return [logits[bounds[i] : bounds[i + 1]] for i in range(rows)]


def reference_inputs(pages: list[Page], turns: list[Turn], folder: Path) -> dict[str, torch.Tensor]:
    """What transformers computes on: ids from its own tokenizer and our template, pixels cut by its image processor."""
    from transformers import AutoTokenizer
    from transformers.models.glm46v.image_processing_pil_glm46v import Glm46VImageProcessorPil

    messages = []
    for turn in turns:
        parts = [{"type": "image"}] * len(turn.pictures) + [{"type": "text", "text": turn.question}]
        messages.append({"role": "user", "content": parts if turn.pictures_first else parts[::-1]})
        messages.append({"role": "assistant", "content": turn.answer})
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(messages, tokenize=False, enable_thinking=False) + "<|user|>"
    inputs: dict[str, torch.Tensor] = {}
    if pages:
        processor = Glm46VImageProcessorPil.from_pretrained(folder, size={"shortest_edge": 2, "longest_edge": 10**9})
        pixels = processor([page.image for page in pages], return_tensors="pt")
        inputs.update(pixel_values=pixels["pixel_values"], image_grid_thw=pixels["image_grid_thw"])
        for page in pages:
            tokens = page.image.shape[0] * page.image.shape[1] // 784
            text = text.replace("<|image|>", "<|placeholder|>" * tokens, 1)
        text = text.replace("<|placeholder|>", "<|image|>")
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
    image_id = token_ids()["<|image|>"]
    return {**inputs, "input_ids": ids, "mm_token_type_ids": (ids == image_id).int()}


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(3)
    net = Network(SMALL)
    with torch.no_grad():
        for parameter in net.parameters():  # away from the careful start, so that every term matters
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return net.eval()


@pytest.fixture(scope="module")
def folder(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint")
    write_folder(path, SMALL)
    write_weights(path, network.state_dict(), SMALL, torch.float32)
    template = Path(__file__).parents[2] / "src/flashweb/models/flashweb-nano/chat_template.jinja"
    (path / "chat_template.jinja").write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def test_transformers_computes_the_same_logits_from_the_export(network: Network, folder: Path) -> None:
    rng = np.random.default_rng(0)
    one, two, three = random_page(rng, 2, 5), random_page(rng, 5, 3), random_page(rng, 9, 7)
    conversations = [
        ([one], [Turn("读出所有金额。", "12.50, 3", (0,)), Turn("total?", "15.50")]),
        ([], [Turn("hello 醫", "你好")]),
        ([two, three], [Turn("first: what?", "a b", (0,), False), Turn("第二张图", '{"contains_price": true}', (1,))]),
    ]
    model = transformers.Glm4vForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    for (pages, turns), ours in zip(conversations, packed_logits(network, conversations), strict=True):
        with torch.no_grad():
            theirs = model(**reference_inputs(pages, turns, folder)).logits[0]
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= 1e-4
        assert theirs.abs().max() > 1


def test_exported_weights_come_back_unchanged(network: Network) -> None:
    state = from_checkpoint(to_checkpoint(network.state_dict(), SMALL), SMALL)
    expected = {name for name in network.state_dict() if not name.startswith("reading.")}
    assert set(state) == expected
    for name, tensor in state.items():
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=1e-6, atol=0)


def test_a_network_starts_from_an_exported_folder(network: Network, folder: Path) -> None:
    fresh = Network(SMALL)
    load_weights(fresh, folder)
    torch.testing.assert_close(fresh.text[1].q.weight, network.text[1].q.weight)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_weights(Network(replace(SMALL, mlp=160)), folder)


def test_the_shipped_configuration_is_what_the_code_writes(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "src/flashweb/models/flashweb-nano"
    write_folder(tmp_path, Shape(vocab_size=padded_vocab_size()))
    for path in tmp_path.iterdir():
        assert (shipped / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), path.name
    config = json.loads((shipped / "config.json").read_text())
    assert config == checkpoint_config(Shape(vocab_size=padded_vocab_size()), token_ids())


def test_the_shipped_weights_fit_the_shape_and_the_folder_stays_below_32_mb() -> None:
    shipped = Path(__file__).parents[2] / "src/flashweb/models/flashweb-nano"
    load_weights(Network(Shape(vocab_size=padded_vocab_size())), shipped)
    assert sum(path.stat().st_size for path in shipped.iterdir()) <= 32_000_000
