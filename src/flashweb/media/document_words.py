"""What a document is called, in the prompt and in messages; and errors of what reads pictures, said of documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from flashweb.errors import (
    FlashwebError,
    ImageDownloadFailed,
    InvalidDocument,
    InvalidImage,
    InvalidImageUrl,
    ObjectNotFound,
    TooLarge,
    UnsupportedMediaType,
)
from flashweb.media.decode import OFFERED
from flashweb.types import DocumentPart

_MAX_NAME_CHARS = 120
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\"\u2028\u2029]")
_WORDS = (
    (
        f"no picture of a kind read here; send a {OFFERED} file",
        "nothing that is read here; send a PDF or text in UTF-8",
    ),
    ("scale it down or compress it", "split it or save it smaller"),
    ("data:image/png;base64", "data:application/pdf;base64"),
    ("the picture", "the document"),
)
_CODES: dict[type[FlashwebError], str] = {
    InvalidImageUrl: "invalid_document_url",
    ImageDownloadFailed: "failed_to_download_document",
    TooLarge: "document_too_large",
}


def heading(part: DocumentPart) -> str:
    """For the prompt."""
    name = _NOT_IN_NAMES.sub(" ", part.name)[:_MAX_NAME_CHARS].strip()
    return f'Document "{name}"' if name else "Document"


def called(part: DocumentPart) -> str:
    """For messages."""
    return f"the document {part.name[:_MAX_NAME_CHARS]!r}" if part.name else "the document"


@contextmanager
def about(part: DocumentPart, page: int | None = None) -> Iterator[None]:
    """What goes wrong within says which document it was, and where in the request that stands. What reads pictures'
    sources reads documents' too, and speaks of pictures."""
    name = called(part) if page is None else f"page {page + 1} of {called(part)}"
    where = part.where or None
    try:
        yield
    except InvalidDocument as error:
        raise InvalidDocument(f"{name} {error.message}", param=where, code=error.code) from None
    except (InvalidImage, InvalidImageUrl, ImageDownloadFailed, TooLarge, UnsupportedMediaType) as error:
        if part.bare and not error.message.startswith("is "):  # it may be a picture
            raise
        raise _reworded(error, name, where) from None
    except ObjectNotFound as error:
        raise ObjectNotFound(error.message, param=where, code=error.code) from None


def _reworded(error: FlashwebError, name: str, where: str | None) -> FlashwebError:
    if error.message.startswith("is "):
        return type(error)(f"{name} {error.message}", param=where)
    message = error.message
    for old, new in _WORDS:
        message = message.replace(old, new)
    kind = InvalidDocument if isinstance(error, InvalidImage) else type(error)
    return kind(message, param=where, code=_CODES.get(kind))
