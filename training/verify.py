"""Check an exported checkpoint with transformers alone: greedy answers on held-out pages, scored as in `flashweb eval`.

    python -m training.verify --model FOLDER --out training/results/verify.json [--random 100]

Independent of our serving code on purpose: it shows what the weights can do. Sets: the fixed ones that ship with
`flashweb eval` (also `tools`, which that command cannot ask), and with `--random N` fresh ones of N pages
per kind (these need the font pack).
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from flashweb.evaluate import scoring
from flashweb.evaluate.heldout import load

FIXED_SEED = 4242


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation with its pictures, and how its answer is scored."""

    set: str
    question: str
    answer: str
    score: Callable[[str], scoring.Score]
    messages: list[dict[str, Any]]
    pictures: list[Image.Image]
    tools: tuple[Mapping[str, Any], ...] = ()
    thinking: bool = False


def fixed_cases() -> Iterable[Case]:
    """The cases that ship with the package, tools included."""
    for case in load():
        pictures = []
        for file in case.shown:
            with Image.open(io.BytesIO(file.read_bytes())) as picture:
                pictures.append(picture.convert("RGB"))
        yield Case(
            case.set, case.question, case.answer, case.score, case.conversation, pictures, case.tools, case.thinking
        )


def random_cases(count: int, seed: int = FIXED_SEED) -> Iterable[Case]:
    """Fresh pages and conversations of every kind."""
    from training import heldout_talks
    from training.heldout import KINDS, sample

    for kind in KINDS:
        for page in sample(kind, count, seed):
            qa = page.qa[0]
            content = [{"type": "image"}, {"type": "text", "text": qa.question}]
            rule = partial(scoring.score, qa.task, truth=qa.answer)
            picture = Image.fromarray(page.image)
            yield Case(
                f"{kind} (random)", qa.question, qa.answer, rule, [{"role": "user", "content": content}], [picture]
            )
    for kind in heldout_talks.TALKS:
        for index, held in enumerate(heldout_talks.sample(kind, count, seed)):
            case = heldout_talks.case(held, f"{kind}-{index:03d}")
            pictures = [Image.fromarray(image) for image in held.pictures]
            yield Case(
                f"{kind} (random)",
                case.question,
                case.answer,
                case.score,
                case.conversation,
                pictures,
                case.tools,
                case.thinking,
            )


class Reader:
    """The checkpoint behind transformers' own model, tokenizer, template and image processor."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer, Glm4vForConditionalGeneration
        from transformers.models.glm46v.image_processing_pil_glm46v import Glm46VImageProcessorPil

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = Glm4vForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = Glm46VImageProcessorPil.from_pretrained(folder)
        self.image_id = self.model.config.image_token_id

    def answer(self, question: str, picture: Image.Image, max_tokens: int = 400) -> str:
        """The greedy answer to one question about one picture."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        return self.chat([{"role": "user", "content": content}], [picture], max_tokens=max_tokens)

    def chat(
        self,
        messages: list[dict[str, Any]],
        pictures: list[Image.Image],
        *,
        thinking: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
        max_tokens: int = 400,
    ) -> str:
        """The greedy reply to a conversation that shows `pictures` in the order of its image parts."""
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=thinking, tools=list(tools) or None
        )
        inputs: dict[str, torch.Tensor] = {}
        if pictures:
            inputs = dict(self.processor([np.asarray(picture) for picture in pictures], return_tensors="pt"))
            pieces = text.split("<|image|>")
            counts = [int(grid.prod()) // 4 for grid in inputs["image_grid_thw"]]
            text = pieces[0] + "".join("<|image|>" * n + piece for n, piece in zip(counts, pieces[1:], strict=True))
        ids = torch.tensor([self.tokenizer.encode(text, add_special_tokens=False)])
        inputs |= {"input_ids": ids, "mm_token_type_ids": (ids == self.image_id).int()}
        with torch.inference_mode():
            out = self.model.generate(**inputs, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens)
        reply: str = self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        return reply


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--random", type=int, default=0, help="also so many fresh pages of each kind")
    parser.add_argument("--only", help="sets whose name begins so")
    parser.add_argument("--limit", type=int, default=0, help="at most so many cases of each fixed set")
    parser.add_argument("--show", action="store_true", help="print wrong answers")
    args = parser.parse_args()
    reader, scores, times = Reader(args.model), [], []
    taken: dict[str, int] = {}
    for case in [*fixed_cases(), *(random_cases(args.random) if args.random else [])]:
        taken[case.set] = taken.get(case.set, 0) + 1
        if args.only and not case.set.startswith(args.only) or args.limit and taken[case.set] > args.limit:
            continue
        began = time.perf_counter()
        given = reader.chat(case.messages, case.pictures, thinking=case.thinking, tools=case.tools)
        times.append(time.perf_counter() - began)
        result = case.score(given)
        scores.append((case.set, result))
        if args.show and not result.exact:
            print(f"{case.set} {case.question!r}\n   given {given!r}\n   truth {case.answer!r}", flush=True)
    table = {name: {k: round(v, 4) for k, v in row.items()} for name, row in scoring.summarise(scores).items()}
    for name, row in table.items():
        print(f"{name:32} {row}")
    result_json: dict[str, Any] = {"sets": table, "mean_seconds": round(sum(times) / len(times), 3), "seed": FIXED_SEED}
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result_json, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
