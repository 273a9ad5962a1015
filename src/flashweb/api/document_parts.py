"""The parts of a message that are documents -> ours, whatever dialect they are written in; and pictures that are pages
of a PDF."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flashweb.api.schemas import parts as wire
from flashweb.api.schemas.pictures import PicturesIn
from flashweb.errors import InvalidRequest
from flashweb.types import DocumentPart, Enhancement, ImagePart, Part, TextPart

MAX_RANGES = 50
_PDF_IN_BASE64 = "JVBERi0"  # %PDF-
_RANGE = re.compile(r"\s*([1-9]\d{0,6})\s*(?:(-)\s*([1-9]\d{0,6})?)?\s*", re.ASCII)


def document_part(
    where: str, part: wire.FilePart, owner: str | None, max_pixels: int, enhance: Enhancement | None
) -> DocumentPart:
    """`owner`: whose uploaded file an id means (`caller.owner_of`); None where no file has one. Raises InvalidRequest
    that names the part by its path."""
    holders = [one for one in (part.file, part.file_url) if isinstance(one, wire.FileSource)]
    names = [part.filename, *(one.filename for one in holders)]
    given: list[tuple[str, str | None]] = [
        ("file_data", part.file_data),
        ("file_url", part.file_url if isinstance(part.file_url, str) else None),
        ("file_id", part.file_id),
    ]
    for one in holders:
        given += ("file_data", one.file_data), ("file_url", one.file_url), ("url", one.url), ("file_id", one.file_id)
    name = next(filter(None, names), "")
    return _document(where, given, owner, name, part, max_pixels, enhance)


def source_parts(
    where: str, part: wire.DocumentPart, owner: str | None, max_pixels: int, enhance: Enhancement | None
) -> tuple[Part, ...]:
    """The same of Anthropic's part, whose texts stand beside the document. Raises InvalidRequest."""
    source, context = part.source, (TextPart(f"{part.context}\n"),) if part.context else ()
    if source.type == "text":
        if source.data is None:
            raise InvalidRequest(f"{where}.source.data is missing; give the document's text.", param=where)
        title = f'Document "{part.title}":\n' if part.title else "Document:\n"
        return (*context, TextPart(f"{title}{source.data}\n"))
    given = [("source.data", source.data), ("source.url", source.url), ("source.file_id", source.file_id)]
    return (*context, _document(where, given, owner, part.title or "", part, max_pixels, enhance))


def _document(
    where: str,
    named: Sequence[tuple[str, str | None]],
    owner: str | None,
    name: str,
    part: wire.FilePart | wire.DocumentPart,
    max_pixels: int,
    enhance: Enhancement | None,
) -> DocumentPart:
    given = [(kind, value) for kind, value in named if value is not None]
    if not given:
        raise InvalidRequest(
            f"{where} names no document; give its bytes as a data: URL or base64, an http(s) URL, or the id of an "
            "uploaded file.",
            param=where,
        )
    if len(given) > 1:
        kinds = " and as ".join(kind for kind, _ in given)
        raise InvalidRequest(f"{where} gives a document as {kinds}; give it once.", param=where)
    ((kind, value),) = given
    is_id = kind.endswith("file_id")
    if is_id and owner is None:
        raise InvalidRequest(f"{where}: uploaded files have no id here; send the bytes.", param=where)
    return DocumentPart(
        url=None if is_id else value,
        file=(owner or "", value) if is_id else None,
        name=name,
        pages=page_ranges(part.pages, f"{where}.pages"),
        dpi=part.dpi or 0,
        max_pixels=max_pixels,
        enhance=enhance,
        password=part.password or "",
        where=where,
    )


def page_ranges(text: str | None, where: str) -> tuple[tuple[int, int], ...]:
    """ "1-3,7,10-" -> ((1, 3), (7, 7), (10, 0)). Raises InvalidRequest."""
    if text is None or not text.strip():
        return ()
    found = [_RANGE.fullmatch(piece) for piece in text.split(",")]
    ranges = [(int(m[1]), int(m[3] or 0) if m[2] else int(m[1])) for m in found if m is not None]
    wrong = len(ranges) < len(found) or any(0 < last < first for first, last in ranges)
    if wrong or len(ranges) > MAX_RANGES:
        raise InvalidRequest(
            f"{where} is {text[:60]!r}; give at most {MAX_RANGES} pages and ranges of pages from 1 in rising order, "
            'such as "1-3,7" or "10-".',
            param=where,
            code="invalid_pages",
        )
    return tuple(ranges)


def or_pages(part: Part, wanted: PicturesIn) -> Part:
    """A picture of a request that has no parts of its own for documents: the pages of a PDF where it is one, or may
    turn out to be one when it is fetched. Raises InvalidRequest for `pages` that are none."""
    ranges = page_ranges(wanted.pages, "pages")
    if not isinstance(part, ImagePart) or not _may_be_pdf(part):
        return part
    return DocumentPart(
        url=part.url,
        data=part.data,
        file=part.file,
        pages=ranges,
        dpi=wanted.dpi or 0,
        max_pixels=part.max_pixels,
        enhance=part.enhance,
        bare=True,
        password=wanted.password or "",
        where="file_id" if part.file else "",
    )


def _may_be_pdf(part: ImagePart) -> bool:
    if part.file is not None:
        return True
    if part.data is not None:
        return part.data.lstrip()[:5] == b"%PDF-"
    start = (part.url or "")[:300].lstrip()
    if start[:5].lower() == "data:":
        start = start.partition(",")[2].lstrip()
    return start.startswith(_PDF_IN_BASE64) or start[:8].lower().startswith(("http://", "https://"))
