"""Write a trained network as a checkpoint folder in the Hugging Face layout (bf16, tied head).

python -m training.export --weights run/last.pt --out src/flashweb/models/flashweb-nano
python -m training.export --random --out FOLDER        # fresh weights, for tests of everything around the model
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.network import Network, Shape, checkpoint_config, from_checkpoint, to_checkpoint
from training.tokenizer import padded_vocab_size, token_ids, write_tokenizer

MIN_PIXELS = 56 * 1024  # smaller pictures are enlarged: glyphs of 14 px then read better, and it costs little
MAX_PIXELS = 784 * 784  # 784 visual tokens
MEAN = [0.48145466, 0.4578275, 0.40821073]
# The auxiliary reading head is no part of the model: training leaves it beside its checkpoint; that of the shipped
# weights is kept with the results (its matrices in e4m3: a run mends that at once), so that a later run
# can go on from both.
READING_FILE = "reading-head.safetensors"
STD = [0.26862954, 0.26130258, 0.27577711]


def preprocessor_config(min_pixels: int, max_pixels: int) -> dict[str, Any]:
    """Areas are counted for two frames, as the family does (`temporal_patch_size` 2)."""
    return {
        "image_processor_type": "Glm46VImageProcessor",
        "processor_class": "Glm46VProcessor",
        "size": {"shortest_edge": 2 * min_pixels, "longest_edge": 2 * max_pixels},
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }


def generation_config(ids: dict[str, int]) -> dict[str, Any]:
    ends = [ids["<|endoftext|>"], ids["<|user|>"], ids["<|observation|>"]]
    return {"do_sample": False, "eos_token_id": ends, "pad_token_id": ids["<|endoftext|>"]}


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def write_folder(folder: Path, shape: Shape, *, min_pixels: int = MIN_PIXELS, max_pixels: int = MAX_PIXELS) -> None:
    """Everything but the weights and the chat template (which is written by hand and lives in the folder)."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = token_ids()
    write_tokenizer(folder, shape.max_positions)
    write_json(folder / "config.json", checkpoint_config(shape, ids))
    write_json(folder / "generation_config.json", generation_config(ids))
    write_json(folder / "preprocessor_config.json", preprocessor_config(min_pixels, max_pixels))
    video = preprocessor_config(min_pixels, max_pixels * 8)
    video["video_processor_type"] = "Glm46VVideoProcessor"
    del video["image_processor_type"]
    write_json(folder / "video_preprocessor_config.json", video)


def write_weights(folder: Path, state: dict[str, Tensor], shape: Shape, dtype: torch.dtype = torch.bfloat16) -> Path:
    tensors = {name: t.detach().cpu().to(dtype) for name, t in to_checkpoint(state, shape).items()}
    path = folder / "model.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def load_weights(network: Network, folder: Path) -> None:
    """Start `network` from a checkpoint folder, with the reading head that training left beside it. The shipped folder
    has none: the head learns anew, which takes it some hundred steps."""
    state = from_checkpoint(load_file(folder / "model.safetensors"), network.shape)
    reading = folder / READING_FILE
    if reading.exists():
        state.update(load_file(reading))
        places, known = network.reading.places.detach().clone(), state["reading.places"]
        places[: len(known)] = known  # aspects that were added since then start anew
        state["reading.places"] = places
    missing, unexpected = network.load_state_dict(state, strict=False)
    wrong = [name for name in missing if not name.startswith("reading.")] + list(unexpected)
    assert not wrong, f"{folder} does not fit this network: {wrong}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="a state file of training/train.py")
    parser.add_argument("--random", action="store_true", help="fresh weights")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    shape = Shape(vocab_size=padded_vocab_size())
    torch.manual_seed(0)
    state = Network(shape).state_dict() if args.random else torch.load(args.weights, map_location="cpu")
    write_folder(args.out, shape)
    path = write_weights(args.out, state, shape)
    num_parameters = sum(t.numel() for t in load_file(path).values())
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {num_parameters:,} parameters")


if __name__ == "__main__":
    main()
