"""Requests of pictures and one text, as JSON or as a form -> the chat they are short for. Every endpoint but chat
itself goes this way: what a picture may be, how many, and every limit are decided where a chat's are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import NoneType
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

import msgspec
from starlette.requests import Request

from flashweb.api.caller import owner_of
from flashweb.api.chat import read_json_body
from flashweb.api.convert import to_chat
from flashweb.api.document_parts import or_pages
from flashweb.api.forms import Form, FormRules, is_form, read_form
from flashweb.api.parse import parse_body, parse_document
from flashweb.api.schemas.chat import ChatRequest
from flashweb.api.schemas.parts import ImageUrl
from flashweb.api.schemas.pictures import PicturesIn, PromptRequest
from flashweb.api.unknown_fields import refuse_harmful, unknown_names, warning_headers
from flashweb.api.video_parts import or_clip
from flashweb.errors import InvalidRequest, UnsupportedMediaType
from flashweb.settings import Settings
from flashweb.types import Chat, ImagePart

Wire = TypeVar("Wire", bound=PicturesIn)
FILE_NAMES = ("image", "file")
_LISTS = ("image", "image_url", "file_id", "rules", "stop")  # fields of a form that may come more than once
_SWITCHES = {"true": True, "false": False}
# What a chat has and a question about pictures has not.
_NOT_HERE = {
    "messages",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "n",
    "prompt",
    "image",
    "image_url",
    "file_id",
    "video_url",
    "raw",
    "question",
    "rules",
    "language",
    "pages",
    "dpi",
    "password",
}


@dataclass(frozen=True, slots=True)
class Asked(Generic[Wire]):
    """A request as it was written, the pictures that came as files, and whose uploaded ones its ids mean."""

    wire: Wire
    files: tuple[bytes, ...] = ()
    owner: str = ""


async def read_asked(
    request: Request, model: type[Wire], settings: Settings, *, forms: bool | None = None
) -> Asked[Wire]:
    """JSON or a form, as the Content-Type says; `forms` allows only the one or the other.

    Raises InvalidRequest, UnsupportedMediaType, TooLarge and what reading a body raises.
    """
    form = is_form(request)
    if forms is True and not form:
        raise UnsupportedMediaType(
            f"Content-Type {request.headers.get('content-type', '')[:60]!r} is not read here; send multipart/form-data "
            "with the picture as the file 'image'."
        )
    if not form or forms is False:
        asked = Asked(parse_body(await read_json_body(request), model), owner=owner_of(request))
    else:
        filled = await read_form(request, _rules(settings))
        document = _document(filled, model)
        asked = Asked(parse_document(document, model), tuple(filled.files), owner_of(request))
    _check_pictures(asked)
    return asked


def _rules(settings: Settings) -> FormRules:
    media = settings.media
    return FormRules(
        file_names=FILE_NAMES,
        max_file_bytes=media.max_multipart_size,
        max_files=media.max_images,
        repeatable=_LISTS,
        long_fields=("image", "image_url", "video_url"),
        max_long_bytes=media.max_upload_size // 3 * 4 + 1024,
    )


def _document(form: Form, model: type[PicturesIn]) -> dict[str, Any]:
    """The form as the JSON it stands for: text where the field is text, else the number, switch or object it spells."""
    return {name: _value(name, texts, model) for name, texts in form.fields.items()}


def _value(name: str, texts: list[str], model: type[PicturesIn]) -> Any:
    if len(texts) > 1:
        return texts
    text = texts[0]
    annotation = model.model_fields[name].annotation if name in model.model_fields else None
    if name in _LISTS and not text.lstrip().startswith("["):
        return text
    if _is_text(annotation):
        return text
    if text.strip().lower() in _SWITCHES:  # Python's clients write True
        return _SWITCHES[text.strip().lower()]
    with suppress(msgspec.DecodeError, RecursionError, ValueError):
        return msgspec.json.decode(text)
    return text


def _is_text(annotation: Any) -> bool:
    """Whether a field takes a text and nothing else, bounded or not."""
    kinds = [one.__origin__ if get_origin(one) is Annotated else one for one in get_args(annotation) or (annotation,)]
    return str in kinds and all(kind in (str, NoneType) for kind in kinds)


def _check_pictures(asked: Asked[Any]) -> None:
    fields = ("image", "image_url", "file_id", "video_url")
    given = [name for name in fields if getattr(asked.wire, name) is not None]
    given += ["a file"] if asked.files else []
    if len(given) > 1:
        raise InvalidRequest(
            f"The request has both {' and '.join(given)}; send the pictures in one of them.",
            param="file_id" if "file_id" in given else "image_url",
        )
    if not given:
        raise InvalidRequest(
            "image is missing; send base64 or a data: URL as image, an http(s) URL as image_url, the id of "
            "an uploaded file as file_id, or a file in a form.",
            param="image",
        )


def chat_request(asked: Asked[Any], prompt: str, parameters: Mapping[str, Any]) -> ChatRequest:
    """The chat with this text behind the pictures that came as texts. `parameters` are a chat's own; those nobody
    knows are ignored."""
    content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in _urls(asked.wire)]
    content += [{"type": "image_file", "file_id": id} for id in _listed(asked.wire.file_id)]
    if (clip := asked.wire.video_url) is not None:
        link = clip if isinstance(clip, str) else clip.model_dump(exclude_none=True)
        content.append({"type": "video_url", "video_url": link})
    content.append({"type": "text", "text": prompt})
    document = {name: value for name, value in parameters.items() if name not in _NOT_HERE}
    document["messages"] = [{"role": "user", "content": content}]
    return parse_document(document, ChatRequest)


def _urls(wire: PicturesIn) -> list[str]:
    given = _listed(wire.image if wire.image is not None else wire.image_url)
    return [one.url if isinstance(one, ImageUrl) else one for one in given]


def _listed(given: Any) -> list[Any]:
    return [] if given is None else given if isinstance(given, list) else [given]


def picture_chat(wire: ChatRequest, asked: Asked[Any], settings: Settings) -> Chat:
    """What chats are made of: the files' pictures before the text, and in place of pictures the PDFs and clips that
    some of them are. Raises what `to_chat` does."""
    chat = to_chat(wire, max_images=settings.media.max_images, owner=asked.owner)
    (message,) = chat.messages
    pictures = tuple(ImagePart(data=data, enhance=wire.enhance) for data in asked.files)
    parts = tuple(or_clip(or_pages(part, asked.wire)) for part in (*pictures, *message.parts))
    return replace(chat, messages=(replace(message, parts=parts),))


def warnings_of(wire: PicturesIn) -> dict[str, str]:
    """The header that names what the request has and nobody here reads, as a chat's does. Raises InvalidRequest for
    what must not be ignored."""
    further = wire.model_extra or {}
    known: Collection[str] = ()
    if isinstance(wire, PromptRequest):
        refuse_harmful(further)
        known = ChatRequest.model_fields.keys() - _NOT_HERE
    return warning_headers([name for name in unknown_names(further, type(wire)) if name not in known])


def parameters_of(wire: PicturesIn) -> dict[str, Any]:
    """What the caller said besides pictures and text."""
    return wire.model_dump(exclude_unset=True, by_alias=True)
