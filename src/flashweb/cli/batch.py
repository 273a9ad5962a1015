"""Answer many requests, or look at a folder of pictures with a scene. What is interrupted goes on where it was.

  flashweb batch run in.jsonl -o out.jsonl              OpenAI's batch lines: custom_id, method, url, body
  flashweb batch scene audit pictures/ -o audit.csv     one row a picture; .jsonl for lines instead of a table

The server on this machine answers, or the one at --url; where there is none, or with --own, an engine of this command.
Started again with the same output, only what is not in there, or is there with an error, is asked. docs/jobs.md tells
more.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol

from flashweb.cli.batch_client import Reply, Request, asker
from flashweb.cli.batch_files import CsvTable, batch_lines, picture_lines, pictures_of, requests_of
from flashweb.cli.client import ServerUnreachable
from flashweb.cli.target import add_target_arguments
from flashweb.errors import ConfigError
from flashweb.progress import ProgressBar


class Output(Protocol):
    """Where replies go, one after another; each is safe once `write` has returned."""

    done: set[str]  # names that have their answer from an earlier run

    def write(self, request: Request, reply: Reply) -> None: ...

    def close(self) -> None: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="what", required=True, metavar="run|scene")
    lines = kinds.add_parser("run", help="a file of requests, one a line", allow_abbrev=False)
    lines.add_argument("input", metavar="IN.jsonl", help="the requests, as OpenAI's batches want them")
    scene = kinds.add_parser("scene", help="a folder of pictures", allow_abbrev=False)
    scene.add_argument("scene", metavar="SCENE", help="audit, receipt, ocr, ... (GET /api/scenes lists them)")
    scene.add_argument("folder", metavar="FOLDER", help="pictures, those in folders below it too")
    scene.add_argument("--question", help="what to ask, for scenes that take a question")
    scene.add_argument("--rules", action="append", metavar="RULE", help="a further rule; may be given several times")
    scene.add_argument("--language", help="the language of the answer")
    for one in (lines, scene):
        one.add_argument("-o", "--output", required=True, metavar="FILE", help="where the answers go; goes on with it")
        one.add_argument("--own", action="store_true", help="start an engine of our own even if a server is running")
        one.add_argument("--concurrency", type=int, default=8, metavar="N", help="requests at once (default 8)")
        add_target_arguments(one)


def run(args: argparse.Namespace) -> int:
    if args.concurrency < 1:
        raise ConfigError(f"--concurrency {args.concurrency} must be at least 1")
    try:
        num_failed = asyncio.run(_run_lines(args) if args.what == "run" else _run_scene(args))
    except KeyboardInterrupt:
        print(f"stopped; what has been answered is in {args.output}. Start it again to go on.", file=sys.stderr)
        raise
    if num_failed:
        print(f"{num_failed} were not answered; their errors are in {args.output}. Start it again to try them again.",
              file=sys.stderr)  # fmt: skip
    return 1 if num_failed else 0


async def _run_lines(args: argparse.Namespace) -> int:
    requests = requests_of(Path(args.input))
    output = batch_lines(Path(args.output))
    async with asker(args) as ask:
        return await _run_all(requests, output, ask, args.concurrency)


async def _run_scene(args: argparse.Namespace) -> int:
    pictures = pictures_of(Path(args.folder))
    fields: dict[str, Any] = {
        name: value for name in ("question", "rules", "language", "model") if (value := getattr(args, name)) is not None
    }
    path = f"/api/scenes/{args.scene}"
    requests = [Request(name, path, None, picture, fields) for name, picture in pictures.items()]
    async with asker(args) as ask:
        schema = await ask.schema_of(args.scene)
        out = Path(args.output)
        output: Output = CsvTable(out, schema) if out.suffix.lower() == ".csv" else picture_lines(out)
        return await _run_all(requests, output, ask, args.concurrency)


async def _run_all(requests: Sequence[Request], output: Output, ask: Any, concurrency: int) -> int:
    """Asks what is not done yet; the number that failed. Raises ServerUnreachable where the rest would fail too."""
    try:
        open_ones = [request for request in requests if request.name not in output.done]
        old = len(requests) - len(open_ones)
        before = f", {old} of them answered before" if old else ""
        print(f"{len(requests)} requests to {ask.name}{before}", file=sys.stderr, flush=True)
        num_failed = 0
        with ProgressBar("answering", len(requests)) as bar:
            done = old
            bar.update(done)
            async with aclosing(_replies(open_ones, ask, concurrency)) as replies:
                async for request, reply in replies:
                    # A line at a time: what is written here is small, and must be there before the next one counts.
                    output.write(request, reply)
                    num_failed += not reply.is_good
                    done += 1
                    bar.update(done)
                    if reply.is_gone:
                        raise ServerUnreachable(
                            f"{reply.error}; {len(requests) - done + num_failed} of {len(requests)} are not answered. "
                            "Start it again to go on."
                        )
        return num_failed
    finally:
        output.close()


async def _replies(requests: Sequence[Request], ask: Any, concurrency: int) -> Any:
    """(request, reply) as they come, with `concurrency` under way."""
    waiting = iter(requests)
    running: dict[asyncio.Task[Reply], Request] = {}
    try:
        while True:
            while len(running) < concurrency and (request := next(waiting, None)) is not None:
                running[asyncio.create_task(ask(request))] = request
            if not running:
                return
            finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                yield running.pop(task), task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
