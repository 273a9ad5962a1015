"""Decoding and prefill on a CPU: our engine against transformers' `generate`, the same weights, one process.

A random 26.6 M parameter model of the GLM-4V architecture, each row one 448 px picture (256 tokens) and 30 text
tokens, 64 greedy tokens. Rounds alternate between the sides, so that a neighbour on the machine hits them alike;
the figure that counts is the median of the rounds' ratios. Ours is `EngineCore`, the product's own loop with its
scheduler, paged cache and sampler; only the process border is left out.

    .venv/bin/python benchmarks/cpu_generate.py [--batches 1,8] [--rounds 5] [--tokens 64]

Prints a table; the last line is the result as JSON, which is also written to benchmarks/results/cpu_generate.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Any

# As the product's engine process does: a thread that waits for a neighbour's time slice must sleep, not spin.
if "GOMP_SPINCOUNT" not in os.environ:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Failed, Submit, WireImage, WireSampling
from flashweb.model.glm4v import Glm4v
from flashweb.types import Grid

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.common import NANO, RESULTS, machine  # noqa: E402
from tests.parity.reference import mrope_positions, pixel_values  # noqa: E402

GRID = Grid(1, 32, 32)  # 448 x 448 px
NUM_TEXT = 28


@dataclass(frozen=True)
class Request:
    token_ids: list[int]
    patches: np.ndarray
    image_token: int


@dataclass(frozen=True)
class Timing:
    prefill_ms: float  # from the start to the first token of the last row
    step_ms: float  # median over the steps in which every row decodes


def make_model(folder: Path) -> None:
    from transformers import Glm4vConfig, Glm4vForConditionalGeneration

    rope = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, "mrope_section": [4, 6, 6]}
    text = {
        "vocab_size": 8192, "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 8,
        "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
        "pad_token_id": 0, "eos_token_id": [0], "rope_parameters": rope,
    }  # fmt: skip
    vision = {"depth": 8, "hidden_size": 384, "num_heads": 6, "out_hidden_size": 384, "intermediate_size": 1024}
    config = Glm4vConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=True, image_token_id=14, video_token_id=15,
        image_start_token_id=10, image_end_token_id=11, video_start_token_id=12, video_end_token_id=13,
    )  # fmt: skip
    torch.manual_seed(0)
    Glm4vForConditionalGeneration(config).save_pretrained(folder)


def make_requests(folder: Path, batch: int, seed: int) -> list[Request]:
    """Distinct pictures and texts, so that no cache can answer."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    start, image, end = (config[f"image_{name}token_id"] for name in ("start_", "", "end_"))
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(batch):
        words = rng.integers(300, 4000, NUM_TEXT).tolist()
        ids = [*words[: NUM_TEXT // 2], start, *[image] * GRID.num_tokens, end, *words[NUM_TEXT // 2 :]]
        made.append(Request(ids, rng.integers(0, 256, (GRID.num_patches, 588), dtype=np.uint8), image))
    return made


class Transformers:
    name = "transformers"

    def __init__(self, folder: Path) -> None:
        from transformers import Glm4vForConditionalGeneration

        self.model = Glm4vForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.model.generation_config.eos_token_id = None
        self.model.generation_config.pad_token_id = 0

    def run(self, requests: Sequence[Request], num_new: int) -> tuple[Timing, list[list[int]]]:
        from transformers import StoppingCriteria, StoppingCriteriaList

        stamps: list[float] = []

        class Clock(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                stamps.append(time.perf_counter())
                return torch.zeros(input_ids.shape[0], dtype=torch.bool)

        ids = torch.tensor([r.token_ids for r in requests])
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": (ids == requests[0].image_token).int(),
            "pixel_values": torch.cat([pixel_values(r.patches) for r in requests]),  # not timed on either side
            "image_grid_thw": torch.tensor([[GRID.t, GRID.h, GRID.w]] * len(requests)),
        }
        self.model.model.rope_deltas = None
        start = time.perf_counter()
        with torch.inference_mode():
            out = self.model.generate(
                **inputs, max_new_tokens=num_new, min_new_tokens=num_new, do_sample=False,
                stopping_criteria=StoppingCriteriaList([Clock()]),
            )  # fmt: skip
        steps = [b - a for a, b in zip(stamps, stamps[1:], strict=False)]
        timing = Timing((stamps[0] - start) * 1e3, statistics.median(steps) * 1e3)
        return timing, out[:, ids.shape[1] :].tolist()


class Ours:
    def __init__(self, folder: Path, quantization: str | None) -> None:
        self.name = f"flashweb {quantization or 'fp32'}"
        config = EngineConfig(model=str(folder))
        self.core = EngineCore(Glm4v.load(folder, quantization=quantization), config)  # type: ignore[arg-type]

    def run(self, requests: Sequence[Request], num_new: int) -> tuple[Timing, list[list[int]]]:
        messages = [self._message(str(i), request, num_new) for i, request in enumerate(requests)]
        answers: list[list[int]] = [[] for _ in requests]
        full_steps = []
        prefilled = 0.0
        start = time.perf_counter()
        for message in messages:
            self.core.submit(message)
        while self.core.has_work:
            all_decoding = all(answers)
            began = time.perf_counter()
            news = self.core.step()
            ended = time.perf_counter()
            for item in news:
                if isinstance(item, Failed):
                    raise SystemExit(f"request failed: {item.message}")
                answers[int(item.request_id)] += item.token_ids
            if not all_decoding:
                prefilled = ended - start
            elif len(news) == len(requests):
                full_steps.append(ended - began)
        return Timing(prefilled * 1e3, statistics.median(full_steps) * 1e3), answers

    def _message(self, name: str, request: Request, num_new: int) -> Submit:
        positions, delta = mrope_positions(request.token_ids, [GRID], request.image_token)
        digest = blake2b(request.patches.tobytes(), digest_size=32).digest()
        image = WireImage(
            request.token_ids.index(request.image_token), (GRID.t, GRID.h, GRID.w), digest, request.patches.tobytes()
        )
        sampling = WireSampling(
            max_tokens=num_new, min_tokens=num_new, temperature=0.0, top_p=1.0, top_k=0, min_p=0.0,
            repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0, seed=None, logit_bias={},
            logprobs=None, stop_token_ids=(), ignore_eos=True,
        )  # fmt: skip
        return Submit(name, tuple(request.token_ids), positions.astype(np.int32).tobytes(), delta, (image,), sampling)


def measure(folder: Path, sides: Sequence[Any], batch: int, rounds: int, num_new: int) -> list[dict[str, Any]]:
    """One row per side: medians, and the medians of the rounds' ratios to the first side."""
    timings: list[list[Timing]] = [[] for _ in sides]
    agreement: list[list[float]] = [[] for _ in sides]
    for number in range(rounds + 1):  # the first round warms up
        requests = make_requests(folder, batch, 1000 * batch + number)
        truth: list[list[int]] = []
        for side, kept, agreed in zip(sides, timings, agreement, strict=True):
            timing, answers = side.run(requests, num_new)
            truth = truth or answers
            if number:
                kept.append(timing)
                agreed.append(float(np.mean(np.array(answers) == np.array(truth))))
    rows = []
    for side, kept, agreed in zip(sides, timings, agreement, strict=True):
        pairs = list(zip(timings[0], kept, strict=True))
        median = Timing(
            *(statistics.median(values) for values in zip(*(asdict(t).values() for t in kept), strict=True))
        )
        rows.append(
            {
                "side": side.name,
                "batch": batch,
                "prefill_ms": round(median.prefill_ms, 1),
                "step_ms": round(median.step_ms, 2),
                "decode_tokens_per_s": round(batch / median.step_ms * 1e3, 1),
                "prefill_ratio": round(statistics.median(a.prefill_ms / b.prefill_ms for a, b in pairs), 2),
                "decode_ratio": round(statistics.median(a.step_ms / b.step_ms for a, b in pairs), 2),
                "same_tokens": round(statistics.mean(agreed), 4),
            }
        )
    return rows


def make_sides(folder: Path) -> list[Any]:
    return [Transformers(folder), Ours(folder, None), Ours(folder, "int8")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    args = parser.parse_args()
    setup = machine() | {
        "transformers": metadata.version("transformers"),
        "torch_threads": torch.get_num_threads(),
        "omp_wait_policy": os.environ["OMP_WAIT_POLICY"],
        "rounds": args.rounds,
    }
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_model(folder)
        sides = make_sides(folder)
        for batch in map(int, args.batches.split(",")):
            rows += [{"model": "random 26.6 M"} | r for r in measure(folder, sides, batch, args.rounds, args.tokens)]
    if (NANO / "model.safetensors").exists():  # its prefill_ms at batch 1 is the first token of one 448 px picture
        rows += [{"model": NANO.name} | r for r in measure(NANO, make_sides(NANO), 1, args.rounds, args.tokens)]
    titles = ("batch", "prefill ms", "step ms", "tokens/s", "decode x", "prefill x")
    print(f"{'model':<16}{'side':<16}" + "".join(f"{title:>11}" for title in titles))
    for r in rows:
        keys = ("batch", "prefill_ms", "step_ms", "decode_tokens_per_s", "decode_ratio", "prefill_ratio")
        print(f"{r['model']:<16}{r['side']:<16}" + "".join(f"{r[key]:>11}" for key in keys))
    result = {"setup": setup, "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "cpu_generate.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
