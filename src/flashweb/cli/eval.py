"""Score any OpenAI-compatible server, or an engine of our own, on the held-out pictures of the bundled model.

The pictures use fonts (and partly layouts and decorations) that training never draws. Sets: amounts (plain, decorated,
unseen), reading, audit (JSON), boxes, and conversations: turns, two pictures, refusals, JSON, rules, thinking, the
sources' prompts, tools (offered in the request, scored by the calls that come back). Answers are greedy unless
--temperature says otherwise; the rules of scoring are in flashweb/evaluate/scoring.py.

  flashweb eval                                  the server on this machine, or the bundled model
  flashweb eval --sets amounts-plain,reading --limit 50 --json result.json --answers answers.jsonl
  flashweb eval --cases examples                 pictures and questions of a folder: examples/cases.jsonl shows the form
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from flashweb import __version__
from flashweb.cli.answerers import Answerer, Options, answerer, number, whole_number
from flashweb.cli.target import add_target_arguments
from flashweb.errors import CheckpointError, ConfigError, FlashwebError
from flashweb.evaluate import SETS, Case, Score, calls_as_text, load, load_folder, summarise
from flashweb.progress import ProgressBar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_target_arguments(parser)
    parser.add_argument("--own", action="store_true", help="start an engine of our own even if a server is running")
    parser.add_argument(
        "--sets", default=",".join(SETS), metavar="NAME,...", help=f"which sets (all: {', '.join(SETS)})"
    )
    parser.add_argument(
        "--cases",
        metavar="FOLDER",
        help="ask FOLDER/cases.jsonl instead: one picture (or clip), question, answer and task a line",
    )
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="first N cases of each set (default: all)")
    parser.add_argument("--concurrency", type=int, default=8, metavar="N", help="questions at once (default 8)")
    parser.add_argument(
        "--max-tokens",
        type=whole_number("max_tokens"),
        default=512,
        metavar="N",
        help="longest answer (default 512)",
    )
    parser.add_argument(
        "--temperature",
        type=number("temperature"),
        default=0.0,
        metavar="T",
        help="sample at this temperature, each case with its own fixed seed (default 0: greedy)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the scores there too; - prints them instead of the table")
    parser.add_argument("--answers", metavar="FILE", help="write every question, answer, truth and score, one per line")


def run(args: argparse.Namespace) -> int:
    cases = choose_from(Path(args.cases)) if args.cases else choose(args.sets, args.limit)
    if args.concurrency < 1:
        raise ConfigError(f"--concurrency {args.concurrency} must be at least 1")
    started = time.perf_counter()
    name, answers = asyncio.run(_answer_all(args, cases))
    seconds = time.perf_counter() - started
    scored = [(case, case.score(text or "")) for case, (text, _) in zip(cases, answers, strict=True)]
    table_rows = rows(scored)
    errors = [error for _, error in answers if error]
    result = {"setup": _setup(name, args), "seconds": round(seconds, 1), "errors": len(errors), "sets": table_rows}
    if args.answers:
        _write_answers(Path(args.answers), scored, answers)
    if args.json == "-":
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        print(table(table_rows))
        if args.json:
            Path(args.json).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if errors:
        print(f"{len(errors)} questions were not answered and count as wrong; the first: {errors[0]}", file=sys.stderr)
    return 1 if errors else 0


def choose_from(folder: Path) -> list[Case]:
    """The cases of a folder. Raises ConfigError where it or one of its lines cannot be read."""
    try:
        return load_folder(folder)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--cases {folder}: {error}; examples/cases.jsonl shows the form") from error


def choose(sets: str, limit: int) -> list[Case]:
    """The cases asked for. Raises ConfigError for an unknown set, CheckpointError when the sets are not installed."""
    try:
        cases = load([name for name in sets.split(",") if name])
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise CheckpointError(f"the held-out sets are not installed ({error}); install flashweb again") from error
    if not limit:
        return cases
    kept: dict[str, int] = {}
    chosen = []
    for case in cases:
        kept[case.set] = kept.get(case.set, 0) + 1
        if kept[case.set] <= limit:
            chosen.append(case)
    return chosen


def rows(scored: Sequence[tuple[Case, Score]]) -> list[dict[str, Any]]:
    """One row per set: cases, exact in percent, further measures in percent."""
    return [
        {"set": name, "cases": int(row.pop("count"))} | {key: round(100 * value, 2) for key, value in row.items()}
        for name, row in summarise((case.set, given) for case, given in scored).items()
    ]


def table(results: Sequence[dict[str, Any]]) -> str:
    lines = [f"{'set':<20}{'cases':>6}{'exact %':>9}  also"]
    for row in results:
        also = ", ".join(f"{k} {v:.1f} %" for k, v in row.items() if k not in ("set", "cases", "exact"))
        lines.append(f"{row['set']:<20}{row['cases']:>6}{row['exact']:>9.1f}  {also}".rstrip())
    return "\n".join(lines)


async def _answer_all(
    args: argparse.Namespace, cases: Sequence[Case]
) -> tuple[str, list[tuple[str | None, str | None]]]:
    """Who answered, and per case (text, None) or (None, what went wrong)."""
    slots = asyncio.Semaphore(args.concurrency)
    done = 0
    async with answerer(args, own=args.own) as someone:
        print(f"{len(cases)} questions to {someone.name}", file=sys.stderr, flush=True)
        with ProgressBar("answering", len(cases)) as bar:

            async def one(index: int, case: Case) -> tuple[str | None, str | None]:
                nonlocal done
                options = Options(args.max_tokens, args.temperature, seed=index if args.temperature else None)
                async with slots:
                    try:
                        return await _answer(someone, case, options), None
                    except FlashwebError as error:
                        return None, error.message
                    finally:
                        done += 1
                        bar.update(done)

            return someone.name, await asyncio.gather(*(one(index, case) for index, case in enumerate(cases)))


async def _answer(someone: Answerer, case: Case, options: Options) -> str:
    """What came back; a thought stands before it, and calls behind it, as the model writes them."""
    text = thought = ""
    calls: dict[int, tuple[str, str]] = {}
    async with aclosing(someone.answer(await asyncio.to_thread(case.chat), options)) as deltas:
        async for delta in deltas:
            text, thought = text + delta.text, thought + delta.reasoning
            for piece in delta.tool_calls:
                name, arguments = calls.get(piece.index, ("", ""))
                calls[piece.index] = name + piece.name, arguments + piece.arguments
    if calls:
        text = f"{text}\n{calls_as_text(calls.values())}".lstrip()
    return f"<think>{thought}</think>\n{text}" if thought else text


def _setup(name: str, args: argparse.Namespace) -> dict[str, Any]:
    return {
        "who": name,
        "temperature": args.temperature,
        "max_tokens": args.max_tokens,
        "limit": args.limit or None,
        "flashweb": __version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def _write_answers(
    path: Path, scored: Sequence[tuple[Case, Score]], answers: Sequence[tuple[str | None, str | None]]
) -> None:
    with path.open("w", encoding="utf-8") as file:
        for (case, given), (text, error) in zip(scored, answers, strict=True):
            row: dict[str, Any] = {
                "name": case.name,
                "set": case.set,
                "question": case.question,
                "answer": text,
                "truth": case.answer,
            }
            row |= {"exact": given.exact, **given.measures} | ({"error": error} if error else {})
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
