"""multipart/form-data, read as it arrives: the one guard around the parser, for every endpoint that takes a form.

Nothing is kept that could still be refused: a field or file over its bound ends the reading at the byte that is too
much, so a request never holds more memory than its body limit allows. Fields come in any order. Knows nothing of what
the fields mean; a file's bytes are looked at where pictures are (`media/`), its name and declared type never are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from flashweb.errors import InvalidImage, InvalidRequest, TooLarge

# Its warnings repeat what our own answer says, and would let callers fill the log.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

MAX_PARTS = 64
MAX_FIELD_BYTES = 1 << 20
MAX_HEADERS = 8
MAX_HEADER_BYTES = 2048
_BOUNDARY = re.compile(rb"[0-9a-zA-Z'()+_,\-./:=? ]{0,69}[0-9a-zA-Z'()+_,\-./:=?]")  # RFC 2046, section 5.1.1
_ENCODINGS = (b"", b"7bit", b"8bit", b"binary")


@dataclass(frozen=True, slots=True)
class FormRules:
    """What a form may hold. Names in `repeatable` may come more than once; texts of those in `long_fields` may have
    that many bytes instead of MAX_FIELD_BYTES (a picture as base64)."""

    file_names: tuple[str, ...]
    max_file_bytes: int
    max_files: int
    repeatable: Collection[str] = ()
    long_fields: Collection[str] = ()
    max_long_bytes: int = MAX_FIELD_BYTES
    limit_flag: str = "--max-multipart-size"  # the option behind `max_file_bytes`


@dataclass(slots=True)
class Form:
    """Text fields by name in the order they came, and the bytes of the files in theirs."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[bytes] = field(default_factory=list)
    file_names: list[str] = field(default_factory=list)  # as the client has them: for showing, never for a path


class FileSink(Protocol):
    """Takes a form's one file as it comes, where that is not to be kept in memory; `take` may refuse it."""

    def take(self, piece: bytes) -> None: ...

    async def flush(self) -> None: ...


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().lstrip().startswith("multipart/")


async def read_form(request: Request, rules: FormRules, sink: FileSink | None = None) -> Form:
    """With a `sink`, the form's file goes there and `files` holds its place only.

    Raises InvalidRequest (malformed, truncated, a field twice, too many parts), InvalidImage (an empty file),
    TooLarge, and what the body limit and the client's leaving raise."""
    reader = _Reader(rules, sink)
    parser = MultipartParser(
        _boundary(request.headers.get("content-type", "")),
        reader.callbacks(),  # type: ignore[arg-type]  # its TypedDict wants every one of them
        max_header_count=MAX_HEADERS,
        max_header_size=MAX_HEADER_BYTES,
    )
    try:
        async for chunk in request.stream():
            parser.write(chunk)
            if sink is not None:
                await sink.flush()
    except FormParserError:
        raise _malformed("its boundaries or the headers of a part are not as RFC 7578 wants them") from None
    if not reader.complete:
        raise _malformed("it ends in the middle, before the closing boundary")
    return reader.form


def _boundary(content_type: str) -> bytes:
    kind, parameters = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise InvalidRequest(
            f"Content-Type {content_type[:60]!r} is no form; send multipart/form-data with a boundary.",
            code="invalid_multipart",
        )
    boundary = parameters.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise _malformed(
            f"Content-Type names the boundary {boundary[:80].decode('latin-1')!r}, where 1 to 70 plain characters "
            "belong; let your HTTP client set that header itself"
        )
    return boundary


def _malformed(what: str) -> InvalidRequest:
    return InvalidRequest(f"The multipart form cannot be read: {what}.", code="invalid_multipart")


class _Reader:
    """The parser's callbacks: one part at a time, checked as soon as there is something to check."""

    def __init__(self, rules: FormRules, sink: FileSink | None = None) -> None:
        self.form = Form()
        self.complete = False
        self._rules = rules
        self._sink = sink
        self._size = 0
        self._num_parts = 0
        self._header = [bytearray(), bytearray()]
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._is_file = False
        self._file_name = ""
        self._limit = 0
        self._data = bytearray()

    def callbacks(self) -> dict[str, Callable[..., Any]]:
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_ends,
            "on_end": self._all_is_read,
        }

    def _all_is_read(self) -> None:
        self.complete = True

    def _part_begins(self) -> None:
        self._num_parts += 1
        if self._num_parts > MAX_PARTS:
            raise InvalidRequest(
                f"The form has more than {MAX_PARTS} parts, the limit; send fewer.", code="too_many_parts"
            )
        self._headers, self._data, self._size = {}, bytearray(), 0

    def _header_ends(self) -> None:
        name, value = (bytes(part) for part in self._header)
        self._header = [bytearray(), bytearray()]
        if name.lower() in self._headers:
            raise _malformed(f"a part has the header {name[:40].decode('latin-1')!r} twice")
        self._headers[name.lower()] = value

    def _headers_end(self) -> None:
        disposition, parameters = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        name = parameters.get(b"name", b"")
        if disposition != b"form-data" or not name:
            raise _malformed("a part has no Content-Disposition: form-data with a name")
        if self._headers.get(b"content-transfer-encoding", b"").strip().lower() not in _ENCODINGS:
            raise _malformed("a part is in a transfer encoding; send its bytes as they are")
        self._name = name.decode("utf-8", errors="replace")
        declared = self._headers.get(b"content-type", b"").lower()
        # A few clients give a picture's bytes a type and no file name.
        self._is_file = b"filename" in parameters or declared.startswith((b"image/", b"application/octet-stream"))
        self._check_name()
        self._file_name = parameters.get(b"filename", b"").decode("utf-8", errors="replace")
        rules = self._rules
        if self._is_file:
            self._limit = rules.max_file_bytes
        else:
            self._limit = rules.max_long_bytes if self._name in rules.long_fields else MAX_FIELD_BYTES

    def _check_name(self) -> None:
        shown = repr(self._name[:60])
        if self._is_file:
            if self._name not in self._rules.file_names:
                wanted = " or ".join(repr(name) for name in self._rules.file_names)
                raise InvalidRequest(f"The file is in the field {shown}; send it as {wanted}.", param=self._name[:60])
            if len(self.form.files) >= self._rules.max_files:
                if self._sink is not None:
                    raise InvalidRequest("The form holds more than one file; send one a request.", param=self._name)
                raise InvalidRequest(
                    f"The form holds more than {self._rules.max_files} pictures, the limit; send fewer, or start the "
                    "server with a larger --max-images.",
                    param=self._name,
                )
        elif self._name in self.form.fields and self._name not in self._rules.repeatable:
            raise InvalidRequest(f"The form has the field {shown} twice; send it once.", param=self._name[:60])

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._size > self._limit:
            self._too_large()
        if self._is_file and self._sink is not None:
            self._sink.take(bytes(memoryview(data)[start:end]))
        else:
            self._data += memoryview(data)[start:end]

    def _too_large(self) -> NoReturn:
        shown = repr(self._name[:60])
        if self._is_file and self._sink is not None:
            raise TooLarge(
                f"The file has more than {self._limit:,} bytes, the limit; split it, or start the server with a larger "
                f"{self._rules.limit_flag}.",
                param="file",
                code="file_too_large",
            )
        if self._is_file:
            raise TooLarge(
                f"The file in the field {shown} has more than {self._limit:,} bytes, the limit; scale it down or "
                "compress it, or start the server with a larger --max-multipart-size."
            )
        raise TooLarge(
            f"The form's field {shown} has more than {self._limit:,} bytes, the limit; send less text, or a picture as "
            "a file.",
            param=self._name[:60],
            code="field_too_large",
        )

    def _part_ends(self) -> None:
        if self._is_file:
            if not self._size and self._sink is not None:
                raise InvalidRequest("The file is empty (0 bytes); send its bytes.", param="file", code="empty_file")
            if not self._size:
                raise InvalidImage(
                    f"The file in the field {self._name!r} is empty (0 bytes); send the picture's bytes.",
                    param=self._name,
                    code="empty_image_file",
                )
            self.form.files.append(bytes(self._data))
            self.form.file_names.append(self._file_name)
            return
        try:
            text = self._data.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidRequest(
                f"The form's field {self._name[:60]!r} is no UTF-8 text; send it in UTF-8.", param=self._name[:60]
            ) from None
        self.form.fields.setdefault(self._name, []).append(text)
