"""Ask a checkpoint things the held-out sets do not: worn pictures, other forms of conversation, large pages.

    python -m training.probe --model FOLDER --out training/results/probe.json

Runs with transformers alone. Every figure is a count of right answers and how many were asked; the pages are those of
`flashweb.evaluate`, the large ones are drawn (font pack needed).
"""

from __future__ import annotations

import argparse
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from flashweb.evaluate import scoring
from flashweb.evaluate.heldout import Case, load
from flashweb.evaluate.wear import WEAR
from training.verify import Reader

Picture = Image.Image
QUESTION = "List all amounts in order of appearance."
UNANSWERABLE = (
    "描述图中人物穿着风格和配色方案", "这个设备支持无线充电吗?电池容量多少?", "Who painted this?", "写一首诗",
    "What is the weather in this photo?", "图里的人在做什么？",
)  # fmt: skip
ADMITS = ("不", "无", "没", "cannot", "can only", "no ", "not ", "nothing")


def after(wear: str) -> Callable[[Picture], Picture]:
    return lambda picture: Image.open(io.BytesIO(WEAR[wear](picture))).convert("RGB")


WORN: dict[str, Callable[[Picture], Picture]] = {
    "as drawn": lambda picture: picture,
    "JPEG quality 40": after("jpeg 40"),
    "turned by 5 degrees": after("turned 5 white"),
    "scaled by 0.7": after("scaled 0.7"),
    "scaled by 1.3": after("scaled 1.3"),
}


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


IMAGE = {"type": "image"}


def user(*parts: dict[str, str]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def amounts_right(given: str, case: Case) -> bool:
    return scoring.amounts_exact(given.split("</think>")[-1], case.answer)


def worn(reader: Reader, cases: list[Case]) -> dict[str, list[int]]:
    """Amounts on the same pages after each kind of wear."""
    table = {}
    for name, wear in WORN.items():
        right = [amounts_right(reader.answer(case.question, wear(opened(case))), case) for case in cases]
        table[name] = [sum(right), len(right)]
    return table


def conversations(reader: Reader, cases: list[Case]) -> dict[str, list[int]]:
    """Amounts asked for in other forms of conversation."""
    table: dict[str, list[int]] = {}
    for case, other in zip(cases, cases[1:] + cases[:1], strict=True):
        one, two = opened(case), opened(other)
        opening = user(IMAGE, text("这是什么？"))
        reply = {"role": "assistant", "content": reader.chat([opening], [one])}
        ask, system = user(IMAGE, text(QUESTION)), {"role": "system", "content": "Be brief."}
        forms = {
            "second turn": (case, [opening, reply, user(text(QUESTION))], [one], False),
            "question before the picture": (case, [user(text(QUESTION), IMAGE)], [one], False),
            "with a system message": (case, [system, ask], [one], False),
            "thinking on": (case, [ask], [one], True),
            "second of two pictures": (other, [user(IMAGE, IMAGE, text("第二张图：提取所有金额"))], [one, two], False),
            "new picture in the second turn": (other, [opening, reply, ask], [one, two], False),
        }
        for name, (asked, messages, pictures, thinking) in forms.items():
            right = table.setdefault(name, [0, 0])
            right[0] += amounts_right(reader.chat(messages, pictures, thinking=thinking), asked)
            right[1] += 1
    return table


def declined(reader: Reader, cases: list[Case]) -> dict[str, Any]:
    """Questions beyond its reach: how often it says so (a word of refusal in the answer), and what it said."""
    pairs = zip(UNANSWERABLE, cases, strict=False)
    said = {question: reader.answer(question, opened(case)) for question, case in pairs}
    admitted = sum(any(word in reply.lower() for word in ADMITS) for reply in said.values())
    return {"said so": [admitted, len(said)], "answers": said}


def large_pages(reader: Reader, side: int, count: int) -> dict[str, Any]:
    """Square drawn pages in held-out fonts: amounts right and mean character accuracy."""
    from training.recipe import Wish, compose

    kinds, rng = ("receipt", "menu", "lines", "scatter", "invoice"), random.Random(3)
    exact, accuracies = [0, 0], list[float]()
    while exact[1] + len(accuracies) < count:
        task = "amounts" if exact[1] <= len(accuracies) else "read"
        wish = Wish("unseen_fonts", 1.0, 1, None, kinds, (task,), None, False)
        page = compose(random.Random(rng.getrandbits(60)), side, side, wish)
        if page.qa[0].task != task or len(page.glyphs) < 20:
            continue
        given = reader.answer(page.qa[0].question, Image.fromarray(page.image), 500)
        if task == "read":
            accuracies.append(scoring.character_accuracy(given, page.qa[0].answer))
        else:
            exact[0] += scoring.amounts_exact(given, page.qa[0].answer)
            exact[1] += 1
    return {"amounts": exact, "character accuracy": [round(sum(accuracies) / len(accuracies), 4), len(accuracies)]}


def opened(case: Case) -> Picture:
    with Image.open(io.BytesIO(case.picture_bytes())) as picture:
        return picture.convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cases", type=int, default=24)
    args = parser.parse_args()
    reader = Reader(args.model)
    cases = load(["amounts-plain", "amounts-decorated"])
    random.Random(5).shuffle(cases)
    cases = [case for case in cases if scoring.amounts(case.answer)][: args.cases]
    result = {
        "worn": worn(reader, cases),
        "conversations": conversations(reader, cases[: args.cases // 2]),
        "beyond reach": declined(reader, cases),
        "784 px": large_pages(reader, 784, 12),
        "1000 px": large_pages(reader, 1000, 12),
    }
    output = json.dumps(result, ensure_ascii=False, indent=1)
    print(output)
    if args.out:
        args.out.write_text(output + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
