"""What prompt-lookup speculation gives the bundled model: tokens per step, right guesses, and time, on against off.

    python benchmarks/speculation.py [--sets reading,...] [--limit N] [--rounds N] [--sequences 1,4] [--device cpu]

Questions, pictures, prompts and scheduling are the product's own; the engine runs in this process, one core with drafts
and one without, on the same weights. They take turns, case by case and in changing order, so that what else the machine
does falls on both. Counted is decoding: from an answer's first token (its picture and prompt are computed by then) to
its last, greedy. `time` is the median over the rounds of seconds with drafts / seconds without. The set `reading again`
asks the same question a second time in one conversation: its answer is in its prompt. Every answer must be the same on
both sides, or the script ends with an error. `step_time` is what a step of so many rows takes, over a step of one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the product's engine process: docs/experiments.md

import msgspec
import torch
from common import NANO, machine, write_result

from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Submit, Token
from flashweb.engine.submit import to_submit
from flashweb.evaluate import load
from flashweb.media import MediaLoader, MediaSettings
from flashweb.model.glm4v import Glm4v
from flashweb.prompt import PromptProcessor
from flashweb.serve import engine_config
from flashweb.settings import load_settings
from flashweb.types import Chat, Message, SamplingParams, TextPart

AGAIN = " again"  # behind a set's name
SETS = ("reading", "reading again", "amounts-plain", "audit", "json", "contract", "marking")
MAX_TOKENS = 512


@dataclass(slots=True)
class Decoding:
    """What a core did after first tokens."""

    seconds: float = 0.0
    tokens: int = 0
    steps: int = 0
    answers: list[list[int]] = field(default_factory=list)
    step_seconds: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))  # by rows


class Asker:
    """Held-out cases as the engine's messages."""

    def __init__(self) -> None:
        self.settings = load_settings({"model.model": str(NANO)}).settings
        self.processor = PromptProcessor(NANO)
        self._loader = MediaLoader(MediaSettings.from_options(self.settings.media), self.processor.geometry)

    def message(self, chat: Chat) -> Submit:
        images = asyncio.run(self._loader.load(chat.images))
        prompt = self.processor.build(chat, images)
        return to_submit("", prompt, SamplingParams(max_tokens=MAX_TOKENS))

    def messages(self, name: str, limit: int, core: EngineCore) -> list[Submit]:
        chats = [case.chat() for case in load([name.removesuffix(AGAIN)])[: limit or None]]
        first = [self.message(chat) for chat in chats]
        if not name.endswith(AGAIN):
            return first
        tokenizer = self.processor.tokenizer
        answers = [tokenizer.decode(decode(core, [message]).answers[0]) for message in first]
        return [self.message(asked_again(chat, answer)) for chat, answer in zip(chats, answers, strict=True)]


def asked_again(chat: Chat, answer: str) -> Chat:
    question = [part for part in chat.messages[-1].parts if isinstance(part, TextPart)]
    more = Message("assistant", (TextPart(answer),)), Message("user", tuple(question))
    return replace(chat, messages=(*chat.messages, *more))


def decode(core: EngineCore, messages: Sequence[Submit]) -> Decoding:
    """Answers all at once; the clock runs from when every one has begun until the last has ended."""
    done = Decoding(answers=[[] for _ in messages])
    for number, message in enumerate(messages):
        core.submit(msgspec.structs.replace(message, request_id=str(number)))
    while core.has_work:
        counts = done.tokens > 0 or all(done.answers)
        steps, drafts, began = core.num_steps, core.scheduler.num_draft_tokens, time.perf_counter()
        news = core.step()
        seconds = time.perf_counter() - began
        for token in news:
            assert isinstance(token, Token), token
            done.answers[int(token.request_id)] += token.token_ids
        if counts:
            done.seconds += seconds
            done.steps += core.num_steps - steps
            done.tokens += sum(len(token.token_ids) for token in news if isinstance(token, Token))
            if len(messages) == 1:
                done.step_seconds[1 + core.scheduler.num_draft_tokens - drafts].append(seconds)
    return done


def compare(off: EngineCore, on: EngineCore, groups: Sequence[Sequence[Submit]], rounds: int) -> dict[str, Any]:
    """One row: a set's cases, in groups that are answered together."""
    for group in groups:  # pictures and prompts into both caches
        decode(off, group), decode(on, group)
    before = on.stats()
    ratios: list[float] = []
    both = {False: Decoding(), True: Decoding()}
    for number in range(rounds):
        seconds = {False: 0.0, True: 0.0}
        for place, group in enumerate(groups):
            order = (False, True) if (number + place) % 2 else (True, False)
            outcome = {drafts: decode(on if drafts else off, group) for drafts in order}
            if outcome[True].answers != outcome[False].answers:
                raise SystemExit(f"answers differ: {outcome[True].answers} and {outcome[False].answers}")
            for drafts, one in outcome.items():
                seconds[drafts] += one.seconds
                both[drafts].tokens += one.tokens
                both[drafts].steps += one.steps
                for rows, times in one.step_seconds.items():
                    both[drafts].step_seconds[rows] += times
        ratios.append(seconds[True] / seconds[False])
    after = on.stats()
    drafted = after.num_draft_tokens - before.num_draft_tokens
    accepted = after.num_accepted_tokens - before.num_accepted_tokens
    verified = after.num_verifications - before.num_verifications
    one_row = statistics.median(both[False].step_seconds.get(1, [0.0]))
    return {
        "answers": sum(map(len, groups)),
        "tokens_per_answer": round(both[True].tokens / rounds / sum(map(len, groups)), 1),
        "tokens_per_step": round(both[True].tokens / both[True].steps, 3),
        "without": round(both[False].tokens / both[False].steps, 3),
        "verifications_per_step": round(verified / both[True].steps, 3),
        "accepted": round(accepted / drafted, 3) if drafted else None,
        "accepted_per_verification": round(accepted / verified, 2) if verified else None,
        "time": round(statistics.median(ratios), 3),
        "time_by_round": [round(ratio, 3) for ratio in ratios],
        "step_time": {
            str(rows): [round(statistics.median(times) / one_row, 2), len(times)]
            for rows, times in sorted(both[True].step_seconds.items())
            if one_row
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS), metavar="NAME,...")
    parser.add_argument("--limit", type=int, default=16, metavar="N", help="first N cases of each set; 0: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sequences", default="1", metavar="N,...", help="answered together")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    asker = Asker()
    model = Glm4v.load(NANO, device=args.device)
    config = msgspec.structs.replace(engine_config(asker.settings, NANO, asker.processor), encoder_cache_bytes=1 << 30)
    off, on = (EngineCore(model, msgspec.structs.replace(config, speculation=word)) for word in ("off", "on"))
    rows: dict[str, dict[str, Any]] = {}
    for name in args.sets.split(","):
        messages = asker.messages(name, args.limit, off)
        for number in map(int, args.sequences.split(",")):
            groups = [messages[i : i + number] for i in range(0, len(messages) - number + 1, number)]
            row = rows[f"{name}, {number} at once"] = compare(off, on, groups, args.rounds)
            print(f"{name}, {number} at once: {row}", flush=True)
    setup = machine() | {
        "model": NANO.name, "device": args.device, "dtype": str(model.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(), "rounds": args.rounds, "max_tokens": MAX_TOKENS, "greedy": True,
    }  # fmt: skip
    name = "speculation" if args.sequences == "1" else "speculation_several"
    write_result(name if args.device == "cpu" else f"{name}_{args.device}", {"setup": setup, "rows": rows})


if __name__ == "__main__":
    main()
