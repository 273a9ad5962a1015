"""The parts of a message -> ours, whatever dialect they are written in: where the picture is, how large it may get, and
the name it is kept under.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flashweb.api.document_parts import document_part, source_parts
from flashweb.api.schemas import parts as wire
from flashweb.api.schemas.chat import ChatRequest
from flashweb.api.video_parts import video_part
from flashweb.errors import InvalidRequest
from flashweb.types import ImagePart, Part, TextPart

# `detail: "low"`: 448 x 448 pixels, which GLM's 28 pixels to a token make 256 tokens.
LOW_DETAIL_PIXELS = 448 * 448


class Parts:
    """Converts the contents of one request's messages, in their order: a picture's uuid may be given again, alone, in a
    later message of the same request."""

    def __init__(self, request: ChatRequest, owner: str | None) -> None:
        self._owner = owner
        self._max_pixels = request.mm_processor_kwargs.max_pixels if request.mm_processor_kwargs else None
        self._enhance = request.enhance
        self._sources: dict[str, str] = {}  # uuid -> the picture it came with in this request

    def __call__(self, where: str, role: str, content: wire.Content | None) -> tuple[Part, ...]:
        """Raises InvalidRequest that names the part by its path, which begins with `where`."""
        if content is None:
            return ()
        if isinstance(content, str):
            return (TextPart(content),)
        if not isinstance(content, list):
            return self._parts(where, role, content)
        return tuple(one for index, part in enumerate(content) for one in self._parts(f"{where}[{index}]", role, part))

    def _parts(self, where: str, role: str, part: Any) -> tuple[Part, ...]:
        """What one part of the request is: one of ours, but for a document with further texts."""
        if isinstance(part, wire.FilePart):
            low = LOW_DETAIL_PIXELS if part.detail == "low" else None
            return (document_part(where, part, self._owner, self._area(low), part.enhance or self._enhance),)
        if isinstance(part, wire.DocumentPart):
            return source_parts(where, part, self._owner, self._area(), part.enhance or self._enhance)
        if isinstance(part, wire.VideoPart):
            link = part.video_url if isinstance(part.video_url, wire.VideoUrl) else None
            detail = link.detail if link and link.detail else part.detail
            low = LOW_DETAIL_PIXELS if detail == "low" else None
            return (video_part(where, part, self._owner, self._area(low, link.max_pixels if link else None)),)
        return (self._part(where, role, part),)

    def _area(self, *bounds: int | None) -> int:
        """The smallest of a picture's own bounds and the request's; 0 = none."""
        return min((bound for bound in (self._max_pixels, *bounds) if bound), default=0)

    def _part(self, where: str, role: str, part: Any) -> Part:
        if isinstance(part, wire.TextPart):
            return TextPart(part.text)
        if isinstance(part, wire.RefusalPart):
            if role != "assistant":
                raise InvalidRequest(f'{where}: a refusal is an assistant\'s; use type "text".', param=where)
            return TextPart(part.refusal)
        if isinstance(part, wire.ImagePart):
            link = part.image_url
            given = link if isinstance(link, wire.ImageUrl) else None
            url = given.url if given else link if isinstance(link, str) else None
            detail = given.detail if given and given.detail else part.detail
            file, max_pixels = part.image_file, given.max_pixels if given else None
            detail = file.detail if file and file.detail else detail
            file_id = file.file_id if file else part.file_id
            picture = self._picture(where, url, part.uuid, detail, max_pixels, file_id)
        else:
            assert isinstance(part, wire.PlainImagePart)
            file_id = part.source.file_id if part.source else None
            picture = self._picture(where, _plain_url(where, part), part.uuid, part.detail, None, file_id)
        return replace(picture, enhance=part.enhance or self._enhance)

    def _picture(
        self, where: str, url: str | None, uuid: str | None, detail: str | None, max_pixels: int | None,
        file_id: str | None = None,
    ) -> ImagePart:  # fmt: skip
        if file_id is not None and (url is not None or uuid is not None):
            raise InvalidRequest(f"{where} gives a picture by file_id and otherwise; give it once.", param=where)
        if url is None and uuid is None and file_id is None:
            raise InvalidRequest(
                f"{where} names no picture; give image_url a data: URL, an http(s) URL or bare base64, or give the "
                "uuid of a picture sent before.",
                param=where,
            )
        area = self._area(max_pixels, LOW_DETAIL_PIXELS if detail == "low" else None)
        if file_id is not None:
            if self._owner is None:
                raise InvalidRequest(f"{where}: files cannot be named here; send the picture itself.", param=where)
            return ImagePart(file=(self._owner, file_id), max_pixels=area)
        if uuid is None:
            return ImagePart(url=url, max_pixels=area)
        return ImagePart(url=self._source(where, url, uuid), name=self._name(where, uuid), max_pixels=area)

    def _name(self, where: str, uuid: str) -> tuple[str, str]:
        if self._owner is None:
            raise InvalidRequest(
                f"{where}.uuid: pictures are not kept here; send the picture itself.", param=f"{where}.uuid"
            )
        return self._owner, uuid

    def _source(self, where: str, url: str | None, uuid: str) -> str | None:
        """The picture, also where only its uuid is repeated. Raises InvalidRequest for a uuid with two pictures."""
        known = self._sources.get(uuid)
        if url is None:
            return known
        if known is not None and known != url:
            raise InvalidRequest(
                f"{where}.uuid: {uuid[:80]!r} stands beside two different pictures; give each its own uuid.",
                param=f"{where}.uuid",
            )
        self._sources[uuid] = url
        return url


def _plain_url(where: str, part: wire.PlainImagePart) -> str | None:
    """The one source of a part of type `image`. Raises InvalidRequest when there are two."""
    source = part.source
    given = {
        "image": part.image,
        "url": part.url,
        "base64": part.base64,
        "source.data": source.data if source else None,
        "source.url": source.url if source else None,
    }
    urls = {name: url for name, url in given.items() if url is not None}
    if len(urls) > 1:
        raise InvalidRequest(f"{where} gives a picture as {' and as '.join(urls)}; give it once.", param=where)
    return next(iter(urls.values()), None)
