"""The vocabulary every stage shares: chats, prompts, sampling parameters, tokens, deltas.

Plain frozen data. No torch, no pydantic, no I/O; imports nothing of ours. Wire formats live in `api/`, the
engine's messages in `engine/protocol.py`; both are converted to and from these types at their own edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray


class FinishReason(StrEnum):
    """Why a sequence ended; the values are OpenAI's."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


# --- what the caller said ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


# What may be done to a picture before the model sees it; "text": grey, contrast 2.0, sharpened (`media/enhance.py`).
Enhancement: TypeAlias = Literal["text"]


@dataclass(frozen=True, slots=True)
class ImagePart:
    """One picture as the caller gave it: `url` (data:, http(s):, or bare base64), raw `data` or `file`, (whose, id) of
    an uploaded one; never two of them.

    name: (whose, uuid) under which its file is kept for later requests of the same caller; without a source it is the
    file kept under that name. max_pixels: area of the picture the model sees at most, 0 = what the server allows.
    """

    url: str | None = None
    data: bytes | None = None
    name: tuple[str, str] | None = None
    max_pixels: int = 0
    enhance: Enhancement | None = None
    is_page: bool = False  # of a document, drawn here: its number and bytes are bounded there
    file: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        given = [source for source in (self.url, self.data, self.file) if source is not None]
        assert len(given) <= 1, "an ImagePart has one source"
        assert not self.is_reference or self.name is not None, "an ImagePart has a source or a name"

    @property
    def is_reference(self) -> bool:
        """Only the name of a picture that was sent before."""
        return self.url is None and self.data is None and self.file is None


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A document as the caller gave it, which becomes text and a picture for each page before the prompt is built
    (`media/documents.py`): `url` (data:, http(s):, or bare base64), raw `data` or `file`, (whose, id) of an uploaded
    one; one of them.

    pages: ranges (first, last) from 1, last 0 = the document's; none = all. dpi 0 = the default. name: for the text
    that names it. bare: pictures alone, without any text; what is no PDF then is a picture. password: of an encrypted
    PDF, "" = none. where: its path in the request, for messages.
    """

    url: str | None = None
    data: bytes | None = None
    file: tuple[str, str] | None = None
    name: str = ""
    pages: tuple[tuple[int, int], ...] = ()
    dpi: int = 0
    max_pixels: int = 0
    enhance: Enhancement | None = None
    bare: bool = False
    password: str = field(default="", repr=False)
    where: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        given = [source for source in (self.url, self.data, self.file) if source is not None]
        assert len(given) == 1, "a DocumentPart has one source"


@dataclass(frozen=True, slots=True)
class VideoPart:
    """A clip, or an animated picture, as the caller gave it: `url` (data:, http(s):, or bare base64), raw `data` or
    `file`, (whose, id) of an uploaded one; one of them.

    max_frames: that the model sees at most, 0 = the checkpoint's rule. max_pixels: area of each of them at most, 0 =
    what the server allows. where: its path in the request, for messages.
    """

    url: str | None = None
    data: bytes | None = None
    file: tuple[str, str] | None = None
    max_frames: int = 0
    max_pixels: int = 0
    where: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        given = [source for source in (self.url, self.data, self.file) if source is not None]
        assert len(given) == 1, "a VideoPart has one source"


Part: TypeAlias = TextPart | ImagePart | DocumentPart | VideoPart
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    parts: tuple[Part, ...]
    reasoning: str | None = None  # an assistant turn's thinking, kept only inside tool loops
    tool_calls: tuple[Mapping[str, Any], ...] = ()  # {"id": str, "name": str, "arguments": mapping}
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class Chat:
    messages: tuple[Message, ...]
    enable_thinking: bool = False
    tools: tuple[Mapping[str, Any], ...] = ()  # OpenAI's tool objects, as the caller wrote them
    parallel_tool_calls: bool = True  # False: the answer ends with its first call
    add_generation_prompt: bool = True  # begin the assistant's turn at the end of the prompt
    continue_final_message: bool = False  # leave the last turn open, so that the answer goes on with its text
    token_ids: tuple[int, ...] | None = None  # a prompt as it stands instead of messages, which are then empty

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """Every picture of the conversation, in the order the template will place them."""
        return tuple(p for m in self.messages for p in m.parts if isinstance(p, ImagePart))

    @property
    def documents(self) -> tuple[DocumentPart, ...]:
        """Those that have not become text and pictures yet."""
        return tuple(p for m in self.messages for p in m.parts if isinstance(p, DocumentPart))

    @property
    def videos(self) -> tuple[VideoPart, ...]:
        """Every clip of the conversation, in the order the template will place them."""
        return tuple(p for m in self.messages for p in m.parts if isinstance(p, VideoPart))


@dataclass(frozen=True, slots=True)
class Structure:
    """What an answer must match, from its first token on (with thinking: from the first one after the thought).

    kind and source: "json_schema" and the schema as JSON text; "json_object" and ""; "regex" and the pattern;
    "choice" and a JSON list of strings; "grammar" and a Lark grammar, which may name control tokens.
    """

    kind: Literal["json_schema", "json_object", "regex", "choice", "grammar"]
    source: str = ""
    param: str = field(default="", compare=False)  # the request's field that it came from, for messages
    after_token: int | None = None  # a thought's end: until that token has come anything may, but the answer not end


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to choose tokens. Ranges are checked once, where the request is converted (`api/sampling.py`).

    `temperature` 0 is greedy. `top_k` 0 and `top_p` 1 and `min_p` 0 switch those filters off. `logprobs` is None
    (off) or the number of alternatives (0 = only the chosen token). Penalties follow OpenAI (presence, frequency:
    subtracted from logits of generated tokens) and HF (repetition: divides or multiplies, prompt included).
    """

    max_tokens: int = 512
    min_tokens: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    include_stop: bool = False
    ignore_eos: bool = False
    structure: Structure | None = None
    keep_control: bool = False  # show control tokens such as <|begin_of_box|> in the text
    thinking_budget: int | None = None  # tokens of a thought; when they are used up, the thought is closed
    background: bool = False  # nobody waits for it: it is computed with what others leave of the engine


@dataclass(frozen=True, slots=True)
class PictureTimes:
    """Where the time of one request's pictures went, in seconds, and what they weighed. Worker threads add to it."""

    fetches: list[tuple[str, float]] = field(default_factory=list)  # how it ended, how long: of remote ones
    draws: list[float] = field(default_factory=list)  # of pages that were not kept, with the wait for their turn
    decodes: list[float] = field(default_factory=list)
    preparations: list[float] = field(default_factory=list)  # resize and cut; one of each for a picture not kept ready
    file_bytes: list[int] = field(default_factory=list)
    hashes: list[str] | None = None  # MD5 of the files, in order; None: nobody wants them


# --- what the model sees ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grid:
    """A picture's patch grid: t frames of h x w patches (14 px each); 2 x 2 patches make one token."""

    t: int
    h: int
    w: int

    @property
    def num_patches(self) -> int:
        return self.t * self.h * self.w

    @property
    def num_tokens(self) -> int:
        return self.num_patches // 4


@dataclass(frozen=True, slots=True)
class PixelPatches:
    """A decoded, resized picture, ready for the tower but not yet normalised (that happens behind the engine).

    patches: uint8 [grid.num_patches, channels * 14 * 14] = 588 columns, order (C, y, x), rows in merge-block-major
    order (the 4 patches of a token follow each other). One copy of a still frame: the tower's weights are summed
    over the temporal axis instead of duplicating it. Two frames of a clip that make one temporal patch differ: then
    twice as many columns, those of the first frame before those of the second.
    digest: 32 bytes over shape and pixel content; equal digests mean equal vision features.
    """

    patches: NDArray[np.uint8]
    grid: Grid
    digest: bytes
    source_size: tuple[int, int]  # (height, width) of the original picture after EXIF orientation


@dataclass(frozen=True, slots=True)
class ClipLayout:
    """How a clip stands in the prompt: so many runs of one frame's grid, each with the second that is told behind."""

    grid: Grid  # t = 1
    seconds: tuple[float, ...]

    @property
    def num_tokens(self) -> int:
        return len(self.seconds) * self.grid.num_tokens


@dataclass(frozen=True, slots=True)
class Clip:
    """A decoded clip: two frames after each other make one of its pictures."""

    layout: ClipLayout
    pictures: tuple[PixelPatches, ...]


@dataclass(frozen=True, slots=True)
class ImageSpan:
    """Where one picture's `<|image|>` run lies in the prompt: tokens [start, start + grid.num_tokens)."""

    start: int
    image: PixelPatches
    of_clip: bool = False

    @property
    def end(self) -> int:
        return self.start + self.image.grid.num_tokens


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything the engine needs of one request.

    positions: int32 [3, num_tokens], axes (temporal, height, width); a decoded token at absolute index k has all
    three axes equal to k + position_delta (fact sheet section 4).
    """

    token_ids: tuple[int, ...]
    positions: NDArray[np.int32]
    position_delta: int
    spans: tuple[ImageSpan, ...] = ()

    @property
    def num_tokens(self) -> int:
        return len(self.token_ids)

    @property
    def num_image_tokens(self) -> int:
        return sum(s.image.grid.num_tokens for s in self.spans)


# --- what comes back --------------------------------------------------------------------------------------------
# msgspec's structs: two are made per token of every stream, at a third of what a frozen dataclass costs. They hold no
# cycles, so the collector need not look at them.


class TokenLogprob(msgspec.Struct, frozen=True, gc=False):
    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()  # (token id, logprob), most likely first


class EngineTimes(msgspec.Struct, frozen=True, gc=False):
    """Seconds of one request in the engine, up to its first token. `prefill` includes `encode`, the tower's work."""

    queue: float
    prefill: float
    encode: float


class TokenOut(msgspec.Struct, frozen=True, gc=False):
    """One step's news about one request: usually one token, several when the reader was slow.

    `finish` is set on the last one. A stop or eos token is included in `token_ids` and counted; `output/text.py`
    decides whether its text is shown.
    """

    token_ids: tuple[int, ...]
    finish: FinishReason | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    num_cached_tokens: int = 0  # prompt tokens answered by the prefix cache
    times: EngineTimes | None = None  # once, with the first token


@dataclass(frozen=True, slots=True)
class ImageUse:
    """What became of one picture of the prompt: the size the model saw, the original's, both in pixels."""

    width: int
    height: int
    source_width: int
    source_height: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    image_tokens: int = 0
    reasoning_tokens: int = 0
    images: tuple[ImageUse, ...] = ()  # on the last piece of an answer, in the order of the prompt


@dataclass(slots=True)
class Trace:
    """The token ids of a request, which the pipeline notes on the way; those of the first choice."""

    prompt_token_ids: tuple[int, ...] = ()
    output_token_ids: list[int] = field(default_factory=list)


class ToolCallPiece(msgspec.Struct, frozen=True, gc=False):
    """News of one tool call: its first piece carries `id` and `name`, all of them a fragment of the arguments' JSON."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Box(msgspec.Struct, frozen=True, gc=False):
    """A box in an answer: on which picture of the request (from 0), its corners x1, y1, x2, y2 in thousandths of the
    picture's width and height as the model wrote them, and in pixels of the original."""

    image: int
    corners: tuple[int, int, int, int]
    pixels: tuple[int, int, int, int]


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the answer as the caller may see it; the last one carries `finish` and `usage` (earlier ones carry the
    usage so far where the caller of the pipeline asked for it)."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallPiece, ...] = ()
    boxes: tuple[Box, ...] = ()  # of the whole answer, on its last piece
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: FinishReason | None = None
    usage: Usage | None = None
    stop: str | None = None  # which of the stop texts ended the answer, on its last piece
