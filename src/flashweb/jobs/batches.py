"""Batches: from a file of requests to items, and from their results to a file of answers and one of errors.

The lines are OpenAI's: `{"custom_id", "method": "POST", "url", "body"}` in, `{"id", "custom_id", "response", "error"}`
out. An item holds where its line lies in the batch's own copy of the input, not the line: pictures are large. Knows
nothing of HTTP beyond the requests it makes of lines.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from flashweb.disk import storage_error
from flashweb.errors import FlashwebError
from flashweb.jobs.files import FileStore
from flashweb.jobs.queue import JobQueue
from flashweb.jobs.records import Item, ItemState, Job, Lease, NewJob
from flashweb.jobs.runner import Begun, Call

KIND = "batch"
MAX_REQUESTS = 50_000
MAX_TOLD_ERRORS = 100
MAX_ID_CHARS = 512
PAGE = 500  # items looked at together
_NOT_ANSWERED = {
    ItemState.EXPIRED: {"code": "batch_expired", "message": "The batch expired before this request."},
    ItemState.CANCELLED: {"code": "batch_cancelled", "message": "The batch was cancelled before this request."},
}  # fmt: skip


class _Line(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Body(msgspec.Struct):
    """What of a body is looked at before it runs."""

    stream: Any = None


class _Place(msgspec.Struct):
    """An item's payload: where its line lies."""

    at: int
    size: int
    custom_id: str
    caller: str | None


@dataclass(slots=True)
class Lines:
    """A file's lines, read: the items, or what is wrong with them."""

    payloads: list[bytes] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def complain(self, line: int | None, code: str, message: str, param: str | None = None) -> None:
        if len(self.errors) < MAX_TOLD_ERRORS:
            self.errors.append({"code": code, "line": line, "message": message, "param": param})


def read_lines(path: Path, endpoint: str, caller: str | None, *, max_body_bytes: int) -> Lines:
    """Checks every line of a batch's input as far as that is possible without running it. Raises OSError."""
    found = Lines()
    seen: dict[str, int] = {}
    at = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            start, at = at, at + len(line)
            if line.strip():
                _read_line(found, seen, number, start, line, endpoint, caller, max_body_bytes)
            if len(found.payloads) > MAX_REQUESTS:
                found.complain(
                    number, "too_many_requests", f"A batch may have {MAX_REQUESTS:,} requests; split the file."
                )
                break
    if not found.payloads and not found.errors:
        found.complain(None, "empty_file", "The input file holds no request; give it one JSON object a line.")
    return found


def _read_line(
    found: Lines,
    seen: dict[str, int],
    number: int,
    start: int,
    line: bytes,
    endpoint: str,
    caller: str | None,
    most: int,
) -> None:
    text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    try:
        request = msgspec.json.decode(text, type=_Line)
    except msgspec.ValidationError as error:
        found.complain(number, "invalid_request", f"Line {number}: {error}.", _param_of(str(error)))
        return
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        words = str(error)[:200] or "it is nested too deeply"
        found.complain(number, "invalid_json_line", f"Line {number} is no JSON object: {words}.")
        return
    if not 1 <= len(request.custom_id) <= MAX_ID_CHARS:
        found.complain(number, "invalid_custom_id", f"custom_id must have 1 to {MAX_ID_CHARS} characters.", "custom_id")
    elif request.custom_id in seen:
        first = seen[request.custom_id]
        found.complain(
            number, "duplicate_custom_id", f"custom_id is that of line {first}; give each its own.", "custom_id"
        )
    elif request.method != "POST":
        found.complain(number, "invalid_method", f"method must be POST, got {request.method[:40]!r}.", "method")
    elif request.url != endpoint:
        words = f"url is {request.url[:80]!r}, the batch's endpoint {endpoint!r}; they must be the same."
        found.complain(number, "invalid_url", words, "url")
    elif len(request.body) > most:
        words = f"body has {len(request.body):,} bytes; the limit is {most:,}. Send smaller pictures."
        found.complain(number, "request_too_large", words, "body")
    else:
        _read_body(found, number, request.body)
    seen.setdefault(request.custom_id, number)
    found.payloads.append(msgspec.json.encode(_Place(start, len(line), request.custom_id, caller)))


def _read_body(found: Lines, number: int, body: msgspec.Raw) -> None:
    try:
        wants_stream = msgspec.json.decode(body, type=_Body).stream
    except msgspec.DecodeError:
        found.complain(number, "invalid_body", "body must be a JSON object.", "body")
        return
    if wants_stream:
        found.complain(number, "invalid_body", "stream is not offered in a batch; leave it out.", "body.stream")


def _param_of(words: str) -> str | None:
    """The field in msgspec's words: "... missing required field `url`", "... - at `$.method`"."""
    name = words.rpartition("`")[0].rpartition("`")[2].removeprefix("$.")
    return name or None


def output_id(job_id: str, which: str) -> str:
    """The id of a batch's file: no more to be guessed than the batch's, and the same each time it is made."""
    return "file-" + hashlib.blake2b(f"{job_id}\0{which}".encode(), digest_size=12).hexdigest()


class Batches:
    """The runner's `Kind` for batches. Their meta: `input_file_id`, `endpoint`, `caller`, and what the API shows."""

    def __init__(
        self, queue: JobQueue, files: FileStore, folder: Path, *, max_body_bytes: int, keep_seconds: float
    ) -> None:
        self._queue = queue
        self._files = files
        self._folder = folder
        self._max_body_bytes = max_body_bytes
        self._keep_seconds = keep_seconds

    async def hand_in(self, new: NewJob, file_id: str, now: float) -> None:
        """Keep a batch with its own copy of the input: both or neither, also when the caller goes away meanwhile.
        Raises ObjectNotFound and RateLimited."""
        handing_in = asyncio.create_task(self._hand_in(new, file_id, now))
        try:
            await asyncio.shield(handing_in)
        except asyncio.CancelledError:
            await asyncio.wait({handing_in})
            raise

    async def _hand_in(self, new: NewJob, file_id: str, now: float) -> None:
        is_first = await self._files.copy_to(file_id, new.owner, self.input_path(new.id))
        try:
            await self._queue.hand_in(new, (), now)
        except BaseException:
            if is_first:
                await self.forget(new.id)
            raise

    async def sweep(self) -> None:
        """Let go of copies that a process which died has left: before its batch was kept, or after it had ended."""
        for name, owner in await self._files.old_copies():
            id = name.removesuffix(".jsonl")
            job = await self._queue.do(lambda store, id=id, owner=owner: store.get(id, owner))  # type: ignore[misc]
            if job is None or job.has_ended:
                await self.forget(id)

    def input_path(self, job_id: str) -> Path:
        """Where a batch keeps its input, until it has ended."""
        return self._folder / f"{job_id}.jsonl"

    async def begin(self, job: Job) -> Begun:
        try:
            lines = await asyncio.to_thread(
                read_lines, self.input_path(job.id), job.meta["endpoint"], job.meta["caller"],
                max_body_bytes=self._max_body_bytes,
            )  # fmt: skip
        except FileNotFoundError:
            lines = Lines()
            lines.complain(None, "file_not_found", "The input file is gone.")
        except OSError as error:
            raise storage_error(error, self._folder) from error
        if lines.errors:
            return Begun({**job.meta, "errors": lines.errors}, failed=True)
        return Begun(job.meta, lines.payloads)

    async def call_of(self, lease: Lease) -> Call:
        place = msgspec.json.decode(lease.payload, type=_Place)
        try:
            line = await asyncio.to_thread(self._read, lease.job_id, place)
        except FileNotFoundError:
            raise FlashwebError("The batch's input is gone.", code="file_not_found") from None
        except OSError as error:
            raise storage_error(error, self._folder) from error
        request = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf") if place.at == 0 else line, type=_Line)
        return Call(request.url, bytes(request.body), lease.owner, place.caller)

    def _read(self, job_id: str, place: _Place) -> bytes:
        with self.input_path(job_id).open("rb") as file:
            file.seek(place.at)
            return file.read(place.size)

    async def end(self, job: Job) -> Mapping[str, Any]:
        """The two files, made anew if it was done before: the same ids, the same lines."""
        meta = dict(job.meta)
        loop = asyncio.get_running_loop()
        ending = self._ending(job)
        for which, name in (("output", "output_file_id"), ("error", "error_file_id")):
            lines = self._lines(job.id, loop, errors=which == "error")
            id, filename = output_id(job.id, which), f"{job.id}_{which}.jsonl"
            kept = await self._files.keep_own(id, job.owner, filename, lines, ending)
            meta[name] = None if kept is None else kept.id
        return meta

    async def forget(self, job_id: str) -> None:
        await self._files.drop_copy(self.input_path(job_id))

    def _ending(self, job: Job) -> float:
        """When the files' time is over. From the job's own moments, so that making them anew changes nothing."""
        seconds = job.meta.get("output_seconds") or self._keep_seconds
        return float(job.times.get("finalizing", job.created)) + float(seconds)

    def _lines(self, job_id: str, loop: asyncio.AbstractEventLoop, *, errors: bool) -> Iterator[bytes]:
        """Read page by page from the thread that writes them: a batch's answers need not fit into memory."""
        after = -1
        while True:
            page = asyncio.run_coroutine_threadsafe(self._page(job_id, after), loop).result()
            if not page:
                return
            after = page[-1].seq
            yield from (line for item in page if (line := _line_of(job_id, item, errors=errors)) is not None)

    async def _page(self, job_id: str, after: int) -> list[Item]:
        return await self._queue.do(lambda store: store.items(job_id, after, PAGE))


def _line_of(job_id: str, item: Item, *, errors: bool) -> bytes | None:
    """The item's line in the one file, None where it belongs into the other."""
    result: dict[str, Any] = {} if item.result is None else msgspec.json.decode(item.result)
    error = _NOT_ANSWERED.get(item.state) or result.get("error")
    told = ("status_code", "request_id", "headers", "body")
    response = None if error else {name: result[name] for name in told if name in result}
    if errors == (error is None and response is not None and response["status_code"] < 400):
        return None
    id = "batch_req_" + hashlib.blake2b(f"{job_id}\0{item.seq}".encode(), digest_size=12).hexdigest()
    custom_id = msgspec.json.decode(item.payload, type=_Place).custom_id
    return msgspec.json.encode({"id": id, "custom_id": custom_id, "response": response, "error": error})
