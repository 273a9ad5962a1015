"""The independent truth: transformers' `Glm4vForConditionalGeneration` on random small checkpoints.

    folder = make_checkpoint(tmp_path)                        # random weights, saved by transformers itself
    logits = reference_logits(folder, token_ids, patches, grids)
    tokens = reference_greedy(folder, token_ids, patches, grids, num_new=32)

Pictures are given as we carry them (uint8 patches, one copy of the frame); the float `pixel_values` the reference
wants are made here by its processor's own formula.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flashweb.types import Grid

IMAGE_TOKEN = 5
NUM_SPECIAL = 8  # ids below are kept out of random prompts
VOCAB = 160

TEXT: Mapping[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "pad_token_id": 0,
    "eos_token_id": [0],
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
        "mrope_section": [1, 1, 2],
    },
}
VISION: Mapping[str, Any] = {
    "depth": 2,
    "hidden_size": 48,
    "num_heads": 2,
    "out_hidden_size": 64,
    "intermediate_size": 80,
    "image_size": 84,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}


def make_checkpoint(
    folder: Path,
    *,
    text: Mapping[str, Any] | None = None,
    vision: Mapping[str, Any] | None = None,
    tied: bool = False,
    style: str = "v5",
    dtype: torch.dtype = torch.float32,
    shard_size: str = "5GB",
    seed: int = 0,
) -> Path:
    """Saves a random checkpoint of the default tiny shape with `text` and `vision` keys replaced.

    `style` "v4" rewrites config.json the way GLM-4.1V spells it (flat rope keys). Norm weights and biases are
    randomised too, so that a forgotten one shows.
    """
    from transformers import Glm4vConfig, Glm4vForConditionalGeneration

    config = Glm4vConfig(
        text_config={**TEXT, **(text or {})},
        vision_config={**VISION, **(vision or {})},
        image_token_id=IMAGE_TOKEN,
        video_token_id=6,
        image_start_token_id=3,
        image_end_token_id=4,
        video_start_token_id=1,
        video_end_token_id=2,
        tie_word_embeddings=tied,
    )
    torch.manual_seed(seed)
    model = Glm4vForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0.0, 0.08 if parameter.ndim > 1 else 0.2)
    folder.mkdir(parents=True, exist_ok=True)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard_size)
    if style == "v4":
        _respell_as_v4(folder / "config.json")
    return folder


def _respell_as_v4(path: Path) -> None:
    document = json.loads(path.read_text())
    text = document["text_config"]
    rope = text.pop("rope_parameters")
    text["rope_theta"] = rope["rope_theta"]
    text["partial_rotary_factor"] = rope["partial_rotary_factor"]
    text["rope_scaling"] = {"type": "default", "mrope_section": rope["mrope_section"]}
    document["vision_config"].pop("rope_parameters", None)
    path.write_text(json.dumps(document))


def random_picture(grid: tuple[int, int], seed: int = 0) -> tuple[NDArray[np.uint8], Grid]:
    """Random uint8 patches [h*w, 588] of one still picture, and its grid."""
    h, w = grid
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (h * w, 588), dtype=np.uint8), Grid(1, h, w)


def random_prompt(pieces: Sequence[int | Grid], seed: int = 0) -> list[int]:
    """Token ids: a number is that many random text tokens, a grid is a picture between its start and end ids."""
    rng = np.random.default_rng(seed)
    ids: list[int] = []
    for piece in pieces:
        if isinstance(piece, Grid):
            ids += [3, *[IMAGE_TOKEN] * piece.num_tokens, 4]
        else:
            ids += rng.integers(NUM_SPECIAL, VOCAB, piece).tolist()
    return ids


def mrope_positions(
    token_ids: Sequence[int], grids: Sequence[Grid], image_token: int = IMAGE_TOKEN
) -> tuple[NDArray[np.int64], int]:
    """Positions int64 [3, n] and the delta of decoded tokens (fact sheet 4), written apart from the product's."""
    columns: list[tuple[int, int, int]] = []
    p, i, pictures = 0, 0, iter(grids)
    while i < len(token_ids):
        if token_ids[i] != image_token:
            columns.append((p, p, p))
            p, i = p + 1, i + 1
            continue
        grid = next(pictures)
        rows, cols = grid.h // 2, grid.w // 2
        columns += [(p, p + y, p + x) for y in range(rows) for x in range(cols)]
        i += rows * cols
        p += max(rows, cols)
    return np.array(columns, dtype=np.int64).T, p - len(token_ids)


def pixel_values(patches: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 [n, 588] (C, 14, 14) -> normalised fp32 [n, 1176] (C, T, 14, 14) with the frame twice."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[None, :, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[None, :, None, None]
    pixels = torch.from_numpy(patches.copy()).view(-1, 3, 14, 14).float() / 255.0
    normalised = (pixels - mean) / std
    return normalised[:, :, None].expand(-1, 3, 2, 14, 14).reshape(-1, 1176)


@lru_cache(maxsize=2)
def reference_model(folder: Path) -> Any:
    from transformers import Glm4vForConditionalGeneration

    return Glm4vForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


def _inputs(
    token_ids: Sequence[int], patches: Sequence[NDArray[np.uint8]], grids: Sequence[Grid]
) -> dict[str, torch.Tensor]:
    ids = torch.tensor([list(token_ids)])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if patches:
        inputs["pixel_values"] = torch.cat([pixel_values(p) for p in patches])
        inputs["image_grid_thw"] = torch.tensor([[g.t, g.h, g.w] for g in grids])
        inputs["mm_token_type_ids"] = (ids == IMAGE_TOKEN).int()
    return inputs


@torch.no_grad()
def reference_logits(
    folder: Path,
    token_ids: Sequence[int],
    patches: Sequence[NDArray[np.uint8]] = (),
    grids: Sequence[Grid] = (),
) -> torch.Tensor:
    """fp32 logits of every position, [n, vocab]. Tokens after the last picture may be a continuation to force."""
    model = reference_model(folder)
    model.model.rope_deltas = None  # the model remembers them between calls
    out = model(**_inputs(token_ids, patches, grids), use_cache=False)
    logits: torch.Tensor = out.logits[0].float()
    return logits


@torch.no_grad()
def reference_greedy(
    folder: Path,
    token_ids: Sequence[int],
    patches: Sequence[NDArray[np.uint8]] = (),
    grids: Sequence[Grid] = (),
    num_new: int = 32,
) -> list[int]:
    """The reference's own greedy continuation, `num_new` tokens, never stopping early."""
    model = reference_model(folder)
    model.model.rope_deltas = None
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    out = model.generate(
        **_inputs(token_ids, patches, grids), max_new_tokens=num_new, min_new_tokens=num_new, do_sample=False
    )
    tokens: list[int] = out[0, len(token_ids) :].tolist()
    return tokens
