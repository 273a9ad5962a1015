"""The parts of a message as it crosses HTTP: text, pictures, documents and clips, under every name that OpenAI,
Anthropic, Hugging Face and GLM's own API have for them. What they mean is decided in `api/parts.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from flashweb.api.schemas.base import WHOLE, Wire

MAX_PARTS = 512
Enhance = Annotated[
    Literal["text"],
    Field(description="before the model sees a picture: `text` makes it grey, doubles its contrast and sharpens it"),
]


class TextPart(Wire):
    """A piece of text; `input_text` and `output_text` are the Responses API's names for it."""

    type: Literal["text", "input_text", "output_text"]
    text: str = Field(description="the text, as it is: control tokens in it are plain text")


class RefusalPart(Wire):
    """An assistant's refusal, sent back as part of the history."""

    type: Literal["refusal"]
    refusal: str = Field(description="its text")


Detail = Literal["low", "high", "auto", "original"]
# Enlarging is not offered: a request could make a server work on pictures far larger than what it sent.
MaxPixels = Annotated[int, Field(ge=12544, le=1 << 31), WHOLE]
Uuid = Annotated[str, Field(min_length=1, max_length=128)]
_DETAIL = "low: at most 448 x 448 pixels (256 tokens); high, auto and original: as large as the server allows"
_UUID = "a name of the caller's own: the picture is kept under it, and may later be named without being sent"


class ImageUrl(Wire):
    """Where the picture is: a `data:` URL, an http(s) URL, or the bare base64 of its bytes."""

    url: str = Field(description="a data: URL, an http(s) URL, or the bare base64 of the picture's bytes")
    detail: Detail | None = Field(None, description=_DETAIL)
    max_pixels: MaxPixels | None = Field(None, description="largest area the model sees of this picture, in pixels")


class ImageFile(Wire):
    """A picture that was uploaded (`/v1/files`), as OpenAI's assistants name it."""

    file_id: str = Field(max_length=128, description="the file's id")
    detail: Detail | None = Field(None, description=_DETAIL)


class ImagePart(Wire):
    """A picture; `input_image` is the Responses API's name for it, `image_file` that of an uploaded one."""

    type: Literal["image_url", "input_image", "image_file"]
    image_url: ImageUrl | str | None = Field(None, description="the picture; null with the uuid of one sent before")
    file_id: str | None = Field(None, max_length=128, description="the id of an uploaded picture, instead of image_url")
    image_file: ImageFile | None = Field(None, description="the same as file_id")
    detail: Detail | None = Field(None, description=_DETAIL)
    uuid: Uuid | None = Field(None, description=_UUID)
    enhance: Enhance | None = Field(None, description="for this picture, before the model sees it: see the chat's own")


class ImageSource(Wire):
    """Anthropic's way to hold a picture."""

    type: Literal["base64", "url", "file"]
    media_type: str | None = Field(None, max_length=128, description="not needed: the bytes decide")
    data: str | None = Field(None, description="with type base64: the base64 of the picture's bytes")
    url: str | None = Field(None, description="with type url: an http(s) URL")
    file_id: str | None = Field(None, max_length=128, description="with type file: the id of an uploaded picture")


class PlainImagePart(Wire):
    """A picture as Anthropic's messages (`source`) and Hugging Face's chats (`image`, `url`, `base64`) write it."""

    type: Literal["image"]
    source: ImageSource | None = Field(None, description="the picture, as Anthropic's messages hold it")
    image: str | None = Field(None, description="the picture: a data: URL, an http(s) URL or bare base64")
    url: str | None = Field(None, description="the same as image")
    base64: str | None = Field(None, description="the same as image")
    detail: Detail | None = Field(None, description=_DETAIL)
    uuid: Uuid | None = Field(None, description=_UUID)
    enhance: Enhance | None = Field(None, description="for this picture, before the model sees it: see the chat's own")


Dpi = Annotated[int, Field(ge=36, le=1200)]
PageRanges = Annotated[str, Field(max_length=200)]
Password = Annotated[str, Field(max_length=127)]  # the most that PDF knows, in bytes (ISO 32000-2, 7.6.4.3)
PASSWORD = "of an encrypted PDF; it is in no log and no answer"
_FILE_DATA = "a data: URL, or the bare base64 of the document's bytes (PDF, or text in UTF-8)"
PAGES = 'which pages of a PDF, from 1, such as "1-3,7" or "10-"; default: all'
DPI = "how finely its pages are drawn, in dots per inch; default 144, at most --max-document-dpi"


class FileSource(Wire):
    """A document, in one of three ways, and what it is called."""

    file_data: str | None = Field(None, description=_FILE_DATA)
    file_url: str | None = Field(None, description="an http(s) URL")
    file_id: str | None = Field(None, max_length=128, description="the id of an uploaded file")
    url: str | None = Field(None, description="the same as file_url, as GLM's own API writes it")
    filename: str | None = Field(None, max_length=512, description="what the model hears it is called")


class FilePart(Wire):
    """A document: a PDF becomes a picture of each page with its number, a text file text. `input_file` is the Responses
    API's name for it, `file_url` GLM's own."""

    type: Literal["file", "input_file", "file_url"]
    file: FileSource | None = Field(None, description="the document, as chat completions write it")
    file_data: str | None = Field(None, description=_FILE_DATA)
    file_url: FileSource | str | None = Field(None, description="an http(s) URL, also as {url: ...}")
    file_id: str | None = Field(None, max_length=128, description="the id of an uploaded file")
    filename: str | None = Field(None, max_length=512, description="what the model hears it is called")
    pages: PageRanges | None = Field(None, description=PAGES)
    dpi: Dpi | None = Field(None, description=DPI)
    password: Password | None = Field(None, description=PASSWORD, repr=False)
    detail: Detail | None = Field(None, description=_DETAIL)
    enhance: Enhance | None = Field(None, description="for its pages, before the model sees them: see the chat's own")


class DocumentSource(Wire):
    """Anthropic's way to hold a document."""

    type: Literal["base64", "url", "text", "file"]
    media_type: str | None = Field(None, max_length=128, description="not needed: the bytes decide")
    data: str | None = Field(None, description="with type base64: the base64 of its bytes; with type text: the text")
    url: str | None = Field(None, description="with type url: an http(s) URL")
    file_id: str | None = Field(None, max_length=128, description="with type file: the id of an uploaded file")


class DocumentPart(Wire):
    """A document as Anthropic's messages write it."""

    type: Literal["document"]
    source: DocumentSource = Field(description="the document")
    title: str | None = Field(None, max_length=512, description="what the model hears it is called")
    context: str | None = Field(None, description="what the model is told about it")
    pages: PageRanges | None = Field(None, description=PAGES)
    dpi: Dpi | None = Field(None, description=DPI)
    password: Password | None = Field(None, description=PASSWORD, repr=False)
    enhance: Enhance | None = Field(None, description="for its pages, before the model sees them: see the chat's own")


MaxFrames = Annotated[int, Field(ge=2, le=640), WHOLE]
_MAX_FRAMES = "frames the model sees at most, spread evenly over the clip; default: the checkpoint's own rule"


class VideoUrl(Wire):
    """Where the clip is."""

    url: str = Field(description="a data: URL, an http(s) URL, or the bare base64 of the clip's bytes")
    max_frames: MaxFrames | None = Field(None, description=_MAX_FRAMES)
    max_pixels: MaxPixels | None = Field(None, description="largest area the model sees of each frame, in pixels")
    detail: Detail | None = Field(None, description=_DETAIL)


class VideoPart(Wire):
    """A clip, or an animated GIF, WebP or PNG, of which the model sees frames and when each was; `input_video` is what
    the Responses API would call it, `video` Hugging Face's name."""

    type: Literal["video_url", "input_video", "video"]
    video_url: VideoUrl | str | None = Field(None, description="the clip: a data: URL, an http(s) URL or bare base64")
    video: str | None = Field(None, description="the same as video_url")
    url: str | None = Field(None, description="the same as video_url")
    file_id: str | None = Field(None, max_length=128, description="the id of an uploaded clip, instead of video_url")
    max_frames: MaxFrames | None = Field(None, description=_MAX_FRAMES)
    detail: Detail | None = Field(None, description=_DETAIL)


# Names that are no fields of a part: in an error's path the two would be taken for each other.
_PART_KINDS = {
    "text": "<text>", "input_text": "<text>", "output_text": "<text>", "refusal": "<refusal>",
    "image_url": "<picture>", "input_image": "<picture>", "image_file": "<picture>", "image": "<image>",
    "file": "<document>", "input_file": "<document>", "file_url": "<document>", "document": "<source>",
    "video_url": "<clip>", "input_video": "<clip>", "video": "<clip>",
}  # fmt: skip


def _part_kind(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return _PART_KINDS.get(kind) if isinstance(kind, str) else None


def _content_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "parts"
    if isinstance(value, dict | BaseModel):
        return "part"
    return None


Part = Annotated[
    Annotated[TextPart, Tag("<text>")]
    | Annotated[RefusalPart, Tag("<refusal>")]
    | Annotated[ImagePart, Tag("<picture>")]
    | Annotated[PlainImagePart, Tag("<image>")]
    | Annotated[FilePart, Tag("<document>")]
    | Annotated[DocumentPart, Tag("<source>")]
    | Annotated[VideoPart, Tag("<clip>")],
    Discriminator(_part_kind, custom_error_type="part_type", custom_error_message="unknown part type"),
]
Parts = Annotated[list[Part], Field(max_length=MAX_PARTS)]
Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[Parts, Tag("parts")] | Annotated[Part, Tag("part")],
    Discriminator(_content_kind, custom_error_type="content_type", custom_error_message="unknown content type"),
]
