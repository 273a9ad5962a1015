"""What `flashweb batch` reads and writes: lines of requests, pictures of a folder, lines and tables of answers.

An output that is already there is gone on with: answers stay, errors are taken out to be tried again, and a last line
that was cut off in the middle of writing is dropped.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
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


def pictures_of(folder: Path) -> dict[str, Path]:
    """Pictures by their names, which are their paths below `folder` with what is no UTF-8 escaped, sorted. What is
    hidden, by a name that begins with a dot, is left out: file managers keep notes of their own under such names.
    Raises ConfigError when there are none."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder")
    found = {
        path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode(): path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    }
    shown = {name: found[name] for name in sorted(found) if not f"/{name}".count("/.")}
    if not shown:
        raise ConfigError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return shown


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
        for line in _text_of(path).split("\n"):  # a string may hold what `splitlines` takes for an end
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
    """One row a picture: the file, a column for each field of the scene's result, and the error where there was one; in
    the order in which they came, and sorted by file once it is closed. UTF-8 with a mark, by which spreadsheets know
    it."""

    def __init__(self, path: Path, schema: Mapping[str, Any]) -> None:
        self._path = path
        fields = list(schema.get("properties", {}))
        self._more = ["more"] if schema.get("additionalProperties", True) is not False else []
        self._fields = fields
        self._columns = ["file", *fields, *self._more, "error"]
        rows = self._rows()
        if rows and list(rows[0]) != self._columns:
            raise ConfigError(f"{path} is the table of something else (its columns: {', '.join(rows[0])})")
        kept = {_unquoted(row["file"]): row for row in rows if not row["error"] and None not in row.values()}
        self.done = set(kept)
        self._file = self._written(kept.values())

    def _rows(self) -> list[dict[str, str]]:
        text = _text_of(self._path)
        return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))

    def _written(self, rows: Iterable[Mapping[str, str]]) -> _Appended:
        lines = (_csv_line([row[name] for name in self._columns]) for row in rows)
        return _Appended(self._path, [_csv_line(self._columns), *lines], "utf-8-sig")

    def write(self, request: Request, reply: Reply) -> None:
        result: Mapping[str, Any] = reply.body if reply.is_good and isinstance(reply.body, dict) else {}
        further = {name: value for name, value in result.items() if name not in self._fields}
        more = [_cell(further) if further else ""] if self._more else []
        cells = [_cell(result.get(name)) for name in self._fields]
        self._file.append(_csv_line([_cell(request.name), *cells, *more, _cell(reply.error)]))

    def close(self) -> None:
        self._file.close()
        self._written(sorted(self._rows(), key=lambda row: _unquoted(row["file"]))).close()


def _cell(value: Any) -> str:
    """A value as a person reads it in a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return _quoted("; ".join(map(_quoted, value)))  # in half of the world ; is what separates cells
    return _quoted(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# What spreadsheets take for the beginning of a formula, also in the width of Chinese input. A number is none.
_FORMULA = re.compile(r"[\t\r\n]|['\s]*[=+\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*")


def _quoted(text: str) -> str:
    """With an apostrophe before what a spreadsheet would run: pictures, and files' names, are written by strangers."""
    return f"'{text}" if _is_formula(text) else text


def _unquoted(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def _is_formula(text: str) -> bool:
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # quotes what holds either sign
    return line.getvalue().removesuffix("\r\n") + "\n"


def _text_of(path: Path) -> str:
    """Of an output that may be there already. Raises ConfigError."""
    try:
        return path.read_bytes().decode("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
