"""Every message that crosses the line between the web process and the engine process.

Frames on a Unix stream socket (mode 0600): 4-byte little-endian length, then one msgpack document (msgspec tagged
structs, so a frame can only ever become one of the types below; nothing is unpickled). Pixels and positions travel
as raw bytes. Knows nothing of torch, HTTP or text.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

MAX_FRAME_BYTES = 1 << 30


class _Message(msgspec.Struct, frozen=True, tag_field="kind", array_like=True):
    pass


# --- web -> engine ----------------------------------------------------------------------------------------------


class WireImage(msgspec.Struct, frozen=True, array_like=True):
    start: int  # first `<|image|>` token of the run
    grid: tuple[int, int, int]  # t, h, w in patches
    digest: bytes  # 32 bytes
    # uint8, row-major [t*h*w, len / (t*h*w)], a view of the frame. None: the engine has its features, or its pixels
    # from another request that it holds, as far as the web side knows. If not, it answers NeedPixels.
    patches: memoryview | None


class WireStructure(msgspec.Struct, frozen=True, array_like=True):
    """`flashweb.types.Structure`."""

    kind: Literal["json_schema", "json_object", "regex", "choice", "grammar"]
    source: str
    after_token: int | None = None


class WireSampling(msgspec.Struct, frozen=True, array_like=True):
    max_tokens: int
    min_tokens: int
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    seed: int | None
    logit_bias: dict[int, float]
    logprobs: int | None
    stop_token_ids: tuple[int, ...]  # eos ids are added by the engine unless ignore_eos
    ignore_eos: bool
    structure: WireStructure | None = None
    thinking_budget: int | None = None  # tokens of the thought that the answer begins with; None: no limit
    background: bool = False  # nobody waits for it: computed with what the others leave


class Submit(_Message, frozen=True, tag="submit"):
    request_id: str
    token_ids: tuple[int, ...]
    positions: bytes  # int32, row-major [3, len(token_ids)]
    position_delta: int
    images: tuple[WireImage, ...]
    sampling: WireSampling


class Abort(_Message, frozen=True, tag="abort"):
    request_id: str


class Shutdown(_Message, frozen=True, tag="shutdown"):
    """Finish nothing more, free everything, exit 0. Draining is the web side's business and comes before."""


ToEngine: TypeAlias = Submit | Abort | Shutdown


# --- engine -> web ----------------------------------------------------------------------------------------------


class Progress(_Message, frozen=True, tag="progress"):
    """What start-up is doing, for the progress bars."""

    stage: Literal["import", "weights", "memory", "warmup"]
    done: float  # 0..1


class Ready(_Message, frozen=True, tag="ready"):
    max_model_len: int  # tokens of prompt + answer one sequence may hold
    num_blocks: int
    block_size: int  # tokens
    max_num_seqs: int  # sequences decoding at once
    dtype: str
    device: str
    weight_bytes: int
    kv_cache_bytes: int
    quantization: str = "none"  # the weights' format
    quantization_reason: str = ""  # why it was chosen, where it was
    start_seconds: tuple[tuple[str, float], ...] = ()  # the stages of its start, in order (`start_clock.py`)


class Token(msgspec.Struct, frozen=True, array_like=True, gc=False):
    request_id: str
    token_ids: tuple[int, ...]
    finish: Literal["stop", "length"] | None
    num_cached_tokens: int
    # one entry per token when asked for: (logprob of the chosen, ((id, logprob), ...))
    logprobs: tuple[tuple[float, tuple[tuple[int, float], ...]], ...]


class Started(msgspec.Struct, frozen=True, array_like=True):
    """A request has its first token: how long what came before took, in seconds."""

    request_id: str
    queue: float  # from its arrival to its first place in a step
    prefill: float  # from there to its first token, the tower's work included
    encode: float  # the tower's work for its pictures; 0 when their features were known


class Tokens(_Message, frozen=True, tag="tokens"):
    """All news of one step, one frame."""

    tokens: tuple[Token, ...]
    started: tuple[Started, ...] = ()


class Failed(_Message, frozen=True, tag="failed"):
    """One request cannot go on; the engine lives. `code` is one of the codes in `flashweb.errors`."""

    request_id: str
    code: str
    message: str


class NeedPixels(_Message, frozen=True, tag="need_pixels"):
    """A request whose pictures came without pixels was not taken, because the features of one are not here: it has to
    come again, with pixels."""

    request_id: str


class Encoded(_Message, frozen=True, tag="encoded"):
    """Digests whose features came into the encoder cache or left it (evicted, or no longer to be trusted)."""

    added: tuple[bytes, ...]
    dropped: tuple[bytes, ...]


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """A histogram: values up to each edge and above the one before, then those above the last; their sum."""

    numbers: tuple[int, ...]
    total: float


NO_COUNTS = Counts((), 0.0)


class Stats(_Message, frozen=True, tag="stats"):
    """Heartbeat, at least once a second; `num_steps` must grow while anything is running."""

    num_steps: int
    num_running: int
    num_waiting: int
    num_free_blocks: int  # free or evictable
    num_blocks: int
    num_preemptions: int
    prefix_queries: int  # prompt tokens looked up
    prefix_hits: int  # prompt tokens found
    encoder_queries: int  # pictures looked up
    encoder_hits: int
    encoder_bytes: int
    num_verifications: int = 0  # times that drafts were computed and compared
    num_draft_tokens: int = 0
    num_accepted_tokens: int = 0  # drafts that were right
    peak_memory_bytes: int = 0  # CUDA: of torch's allocator; CPU: of the process's resident memory
    num_encoded: int = 0  # pictures in the encoder cache
    num_prompt_tokens: int = 0  # of prompts that have been computed, cached ones among them
    num_answer_tokens: int = 0
    accepted_at: tuple[int, ...] = ()  # drafts that were right, by their place behind the newest token
    inter_token: Counts = NO_COUNTS  # seconds between two steps that brought a sequence tokens; edges in `tally.py`
    step_tokens: Counts = NO_COUNTS  # tokens computed in a step


NO_STATS = Stats(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class Fatal(_Message, frozen=True, tag="fatal"):
    """Last words before a non-zero exit: the checkpoint or the device cannot be used."""

    code: str
    message: str


FromEngine: TypeAlias = Progress | Ready | Tokens | Failed | NeedPixels | Encoded | Stats | Fatal


# --- frames -----------------------------------------------------------------------------------------------------

_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()


class FrameError(Exception):
    """A length that no message has: the stream is out of step and cannot be read any further."""


def encode_frame(message: ToEngine | FromEngine) -> bytearray:
    """A message as it goes over the line. Raises OverflowError for integers beyond 64 bits, FrameError for size."""
    frame = bytearray(_LENGTH.size)
    _encoder.encode_into(message, frame, _LENGTH.size)
    length = len(frame) - _LENGTH.size
    if length > MAX_FRAME_BYTES:
        raise FrameError(f"a message of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
    _LENGTH.pack_into(frame, 0, length)
    return frame


def receive_frame(line: socket.socket) -> bytearray | None:
    """The next frame of a blocking socket, without its length; None when the other end has closed.

    Received where it stays, in one call that does not hold the interpreter's lock: a picture comes in dozens of pieces,
    and to hand over each of them, the reading thread would have to wait for the one that computes. Raises FrameError.
    """
    head = _receive(line, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {length} bytes was announced; the limit is {MAX_FRAME_BYTES}")
    return _receive(line, length)


def _receive(line: socket.socket, num_bytes: int) -> bytearray | None:
    data = bytearray(num_bytes)
    rest = memoryview(data)
    while rest:  # MSG_WAITALL may be cut short by a signal
        received = line.recv_into(rest, 0, socket.MSG_WAITALL)
        if received == 0:
            return None
        rest = rest[received:]
    return data


class FrameReader:
    """Bytes as they arrive, to whole frames. Decoding is the caller's: a bad document must not cost the stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that `data` completes, without their length. Raises FrameError."""
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes was announced; the limit is {MAX_FRAME_BYTES}")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            yield bytes(memoryview(self._buffer)[start + _LENGTH.size : end])
            start = end
        del self._buffer[:start]
