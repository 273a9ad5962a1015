"""What `flashweb batch` reads and writes: lines of requests, pictures of a folder, lines and tables of answers.

An output that is already there is gone on with: answers stay, errors are taken out to be tried again, and a last line
that was cut off in the middle of writing is dropped.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from flashweb.cli.batch_client import Reply, Request
from flashweb.errors import ConfigError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif", ".heic", ".heif"}


class _Line(msgspec.Struct):
    custom_id: str
    url: str
    body: msgspec.Raw
    method: str = "POST"


def requests_of(path: Path) -> list[Request]:
    """Raises ConfigError that names the line at fault."""
    found: dict[str, Request] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    one = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"), type=_Line)
                except msgspec.DecodeError as error:
                    raise ConfigError(f"{path}, line {number}: {error}") from None
                if one.custom_id in found:
                    raise ConfigError(f"{path}, line {number}: custom_id {one.custom_id!r} was there before")
                if one.method != "POST" or not one.url.startswith("/"):
                    raise ConfigError(f"{path}, line {number}: method must be POST and url a path such as /v1/...")
                found[one.custom_id] = Request(one.custom_id, one.url, bytes(one.body))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if not found:
        raise ConfigError(f"{path} holds no requests; give it one JSON object a line")
    return list(found.values())


def pictures_of(folder: Path) -> list[str]:
    """Pictures by their paths below `folder`, sorted. Raises ConfigError when there are none."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder")
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    if not names:
        raise ConfigError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return names


class _Appended:
    """A text file that only grows from here on; what of it was there before is written anew first, whole or not at
    all. Raises ConfigError."""

    def __init__(self, path: Path, kept: Iterable[str], encoding: str = "utf-8") -> None:
        try:
            temporary = path.with_name(path.name + ".part")
            with temporary.open("w", encoding=encoding, newline="") as file:
                file.writelines(kept)
            os.replace(temporary, path)
            self._file: IO[str] = path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}") from error

    def append(self, text: str) -> None:
        """In one piece: a break-off leaves at most one cut line, the last."""
        self._file.write(text)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class JsonLines:
    """An output of JSON lines: `name_of` finds whose answer a line is (None for an error), `line_of` makes one."""

    def __init__(
        self,
        path: Path,
        name_of: Callable[[dict[str, Any]], str | None],
        line_of: Callable[[Request, Reply], dict[str, Any]],
    ) -> None:
        kept: dict[str, str] = {}
        for line in _text_of(path).splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue  # cut off in the middle
            if isinstance(document, dict) and (name := name_of(document)) is not None:
                kept[name] = line + "\n"
        self.done = set(kept)
        self._line_of = line_of
        self._file = _Appended(path, kept.values())

    def write(self, request: Request, reply: Reply) -> None:
        self._file.append(json.dumps(self._line_of(request, reply), ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


def batch_lines(path: Path) -> JsonLines:
    """OpenAI's lines of answers; errors stand among them."""

    def name_of(document: dict[str, Any]) -> str | None:
        response = document.get("response")
        is_good = isinstance(response, dict) and response.get("status_code") == 200
        return str(document["custom_id"]) if is_good and "custom_id" in document else None

    def line_of(request: Request, reply: Reply) -> dict[str, Any]:
        headers = {"headers": dict(reply.headers)} if reply.headers else {}
        told = {"status_code": reply.status, "request_id": reply.request_id, **headers, "body": reply.body}
        error = None if reply.status else {"code": "unreachable", "message": reply.error}
        id = f"batch_req_{reply.request_id.removeprefix('req_')}"
        return {"id": id, "custom_id": request.name, "response": told if reply.status else None, "error": error}

    return JsonLines(path, name_of, line_of)


def picture_lines(path: Path) -> JsonLines:
    """One line a picture: `{"file", "result", "error"}`."""

    def name_of(document: dict[str, Any]) -> str | None:
        return str(document["file"]) if document.get("error") is None and "file" in document else None

    def line_of(request: Request, reply: Reply) -> dict[str, Any]:
        return {"file": request.name, "result": reply.body if reply.is_good else None, "error": reply.error}

    return JsonLines(path, name_of, line_of)


class CsvTable:
    """One row a picture: the file, a column for each field of the scene's result, and the error where there was one.
    UTF-8 with a mark, by which spreadsheets know it."""

    def __init__(self, path: Path, schema: Mapping[str, Any]) -> None:
        fields = list(schema.get("properties", {}))
        self._more = ["more"] if schema.get("additionalProperties", True) is not False else []
        self._fields = fields
        self._columns = ["file", *fields, *self._more, "error"]
        text = _text_of(path)
        rows = list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))
        if rows and list(rows[0]) != self._columns:
            raise ConfigError(f"{path} is the table of something else (its columns: {', '.join(rows[0])})")
        kept = {row["file"]: row for row in rows if not row["error"] and None not in row.values()}
        self.done = set(kept)
        lines = [_csv_line(self._columns), *(_csv_line([row[name] for name in self._columns]) for row in kept.values())]
        self._file = _Appended(path, lines, "utf-8-sig")

    def write(self, request: Request, reply: Reply) -> None:
        result: Mapping[str, Any] = reply.body if reply.is_good and isinstance(reply.body, dict) else {}
        further = {name: value for name, value in result.items() if name not in self._fields}
        more = [_cell(further) if further else ""] if self._more else []
        cells = [_cell(result.get(name)) for name in self._fields]
        self._file.append(_csv_line([request.name, *cells, *more, reply.error or ""]))

    def close(self) -> None:
        self._file.close()


def _cell(value: Any) -> str:
    """A value as a person reads it in a table. What a spreadsheet would run as a formula stays text: pictures are
    written by strangers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        text = "; ".join(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(("=", "@", "\t", "\r")) else text


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _text_of(path: Path) -> str:
    """Of an output that may be there already. Raises ConfigError."""
    try:
        return path.read_bytes().decode("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
