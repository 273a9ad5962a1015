"""`ModelRunner`: a step's pictures through the tower, its tokens through the decoder, its logits through the sampler.

`launch` starts a step and gives what it will come to; on an accelerator nothing is waited for before `Launched.read`,
and the next step can be launched before: it takes the tokens from where they are (`PendingTokens`).

Owns the model and the cache tensors. A step that raises is computed again chunk by chunk, so that only the sequence
at fault gets the error; writing a slot twice with the same values does no harm. Knows nothing of policy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flashweb.engine.batch import PendingTokens, build_inputs, decode_numbers, is_decode
from flashweb.engine.constraint import MaskRows, Masks, MaskWanted, fill_rows
from flashweb.engine.encoder_cache import EncoderCache
from flashweb.engine.sampler import Sampling, holds_back_stops, largest_of, on_device, sample, takes_the_largest
from flashweb.engine.sequence import Picture, Sequence
from flashweb.engine.step import Batch, Chunk, Row, Slice
from flashweb.errors import FlashwebError
from flashweb.model.inputs import BlockTables, ForwardInputs
from flashweb.types import Grid

MAX_BEGUN = 2  # pictures half through the tower that are kept
WHOLE_PATCHES = 256  # so many are through the tower too soon to be left in the middle


class Model(Protocol):
    """What the engine needs of a network; `flashweb.model.Glm4v` is one, tests have a tiny other."""

    device: torch.device

    def kv_bytes_per_token(self) -> int: ...
    def new_kv_cache(self, num_blocks: int, block_size: int) -> Any: ...
    def encode_images(self, patches: list[Tensor], grids: list[Grid]) -> list[Tensor]: ...
    def encode_in_slices(self, patches: Tensor, grid: Grid, slices: int) -> Iterator[Tensor | None]: ...
    def forward(self, inputs: ForwardInputs, cache: Any) -> Tensor: ...
    def logits(self, hidden_rows: Tensor) -> Tensor: ...


class Decoder(Protocol):
    """Decode steps in one launch, where a device offers that: `flashweb.model.decode_graphs.DecodeGraphs`."""

    max_batch: int

    @property
    def sampled(self) -> Tensor: ...
    def launch(self, numbers: NDArray[np.int64], tables: NDArray[np.int32]) -> tuple[Tensor, Tensor, Tensor]: ...


class Prompts(Protocol):
    """The decoder over small steps with prompts in one launch: `flashweb.model.prefill_graphs.PrefillGraphs`."""

    def fits(self, inputs: ForwardInputs) -> bool: ...
    def forward(self, inputs: ForwardInputs) -> Tensor: ...


class Tower(Protocol):
    """Pictures in few launches, where a device offers that: `flashweb.model.tower_graphs.TowerGraphs`."""

    def encode_images(self, patches: list[Tensor], grids: list[Grid]) -> list[Tensor]: ...


class Left(Exception):
    """A step was given up in the middle, because something more urgent came. What the tower did of it is kept."""


class DeviceLost(Exception):
    """The accelerator is in a state from which only a new process recovers."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A step under way. `read` waits for its end: per chunk, in order, what its rows were sampled to, or the one error
    of a chunk that could not be computed. `sample` is to be called when the tokens of the step before have been read:
    what a structured answer allows next depends on them. Both raise DeviceLost."""

    sample: Callable[[], None]
    read: Callable[[], list[list[Row]]]
    encoding: Encoding | None = None  # of the step's pictures


class Encoding:
    """How long the tower works in a step: from its making to `ended`, by the device's own clock."""

    def __init__(self, device: torch.device) -> None:
        self._on_cuda = device.type == "cuda"
        self._began = self._now()
        self._end = self._began

    def _now(self) -> Any:
        if not self._on_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def ended(self) -> None:
        self._end = self._now()

    def seconds(self) -> float | None:
        """None while the device has not come to its end; never waits for it."""
        if not self._on_cuda:
            return float(self._end - self._began)
        return float(self._began.elapsed_time(self._end)) / 1000 if self._end.query() else None


@dataclass(slots=True)
class _Forward:
    """Some chunks' forward pass, and what was sampled from it: None when no chunk samples, or not yet."""

    chunks: list[Chunk]
    logits: Tensor | None  # [sampled rows, vocabulary]
    largest: tuple[Tensor, Tensor] | None = None
    sampling: Sampling | None = None
    error: Exception | None = None  # of sampling

    def sample(self, masks: MaskRows | None) -> None:
        if self.logits is not None:
            seqs = [chunk.seq for chunk in self.chunks for _ in range(chunk.num_sampled)]
            # Not the sequences' own lengths: where rows are sampled later, their tokens are booked already.
            places = [chunk.place + ahead for chunk in self.chunks for ahead in range(chunk.num_sampled)]
            self.sampling = sample(self.logits, seqs, self.largest, places, masks)
            self.logits = self.largest = None

    def sample_with_own_masks(self) -> None:
        """With masks made here and now, where the logits can be looked at only of rows whose likeliest token is not
        what comes next."""
        if not _has_constraints(self.chunks):
            self.sample(None)
            return
        likeliest: list[int] | None = None
        if self.logits is not None and self.logits.device.type == "cpu":
            self.largest = self.largest or largest_of(self.logits)
            likeliest = self.largest[1].tolist()
        self.sample(fill_rows(_masks_wanted(self.chunks, likeliest)))

    def read(self) -> list[list[Row]]:
        if self.error is not None:
            return [[self.error] for _ in self.chunks]
        if self.sampling is None:
            return [[] for _ in self.chunks]
        rows = iter(self.sampling.read())
        return [list(islice(rows, chunk.num_sampled)) for chunk in self.chunks]


class ModelRunner:
    def __init__(
        self, model: Model, num_blocks: int, block_size: int, encoder: EncoderCache[Tensor], num_real_tokens: int | None
    ) -> None:
        self.model = model
        self.block_size = block_size
        self.encoder = encoder
        self.num_real_tokens = num_real_tokens
        self.cache = model.new_kv_cache(num_blocks, block_size)
        self.decoder: Decoder | None = None
        self.prompts: Prompts | None = None
        self.tower: Tower | None = None
        self.whole_patches = WHOLE_PATCHES
        self._tables = BlockTables(block_size)
        self._begun: dict[bytes, Iterator[Tensor | None]] = {}  # pictures half through the tower, oldest first
        self._pending: PendingTokens | None = None  # of the step launched last
        self._masks = Masks()

    @torch.inference_mode()
    def launch(self, batch: Batch, is_urgent: Callable[[], bool] | None = None) -> Launched:
        """`is_urgent`: asked again and again while the tower works; once it says so the step is left. Raises DeviceLost
        and Left."""
        encoding = Encoding(self.model.device) if batch.owners else None
        if batch.slice is not None:
            self._encode_slice(batch.slice)
        errors = self._encode(batch.pictures, is_urgent)
        if encoding is not None:
            encoding.ended()
        if not batch.chunks:
            return Launched(lambda: None, list, encoding)
        samples_late = any(_is_mask_unknown(chunk) for chunk in batch.chunks)
        # Where the processor is the device a thread would only take turns with those of the forward pass.
        is_beside = not samples_late and self.model.device.type != "cpu" and _has_constraints(batch.chunks)
        masks = self._masks.begin(_masks_wanted(batch.chunks)) if is_beside else None
        parts: list[_Forward | Exception] = []
        if not errors:
            try:
                whole = self._forward(batch)
                if masks is not None:
                    whole.sample(masks())
                elif not samples_late:
                    whole.sample_with_own_masks()
                parts = [whole]
            except Exception as error:
                _raise_if_device_lost(error)
        if not parts:
            if masks is not None:
                masks()  # computed anew, but not by two at once
            parts = [self._run_alone(chunk, errors, samples_late) for chunk in batch.chunks]
        if samples_late:
            return Launched(lambda: self._sample_late(parts), lambda: _read(parts), encoding)
        self._pending = _pending_of(parts)
        return Launched(lambda: None, lambda: _read(parts), encoding)

    @torch.inference_mode()
    def _sample_late(self, parts: list[_Forward | Exception]) -> None:
        """Samples a step whose rows waited for tokens that are known by now; the device may still be computing its
        logits, and the masks are made meanwhile."""
        for part in parts:
            if isinstance(part, _Forward):
                try:
                    part.sample_with_own_masks()
                except Exception as error:
                    _raise_if_device_lost(error)
                    part.error = _named(error)
        self._pending = _pending_of(parts)

    def wipe(self, blocks: list[int]) -> None:
        """Zeroes blocks: attention over padded rows multiplies what lies there by 0, and 0 * NaN is NaN."""
        if blocks:
            self.cache.wipe(blocks)

    def wipe_slots(self, slots: list[int]) -> None:
        self.cache.wipe_slots(slots)

    def _encode(self, pictures: list[Picture], is_urgent: Callable[[], bool] | None) -> dict[bytes, Exception]:
        """Puts the pictures' features into the encoder cache; the errors of those that failed, by digest. Raises
        Left."""
        if not pictures:
            return {}
        try:
            if is_urgent is None or sum(picture.grid.num_patches for picture in pictures) <= self.whole_patches:
                self._encode_together(pictures)
            else:
                for picture in pictures:
                    self._encode_unless(is_urgent, picture)
            return {}
        except Left:
            raise
        except Exception as error:
            _raise_if_device_lost(error)
        errors: dict[bytes, Exception] = {}
        for picture in pictures:
            try:
                self._encode_together([picture])
            except Exception as error:
                _raise_if_device_lost(error)
                errors[picture.digest] = _named(error)
        return errors

    def _encode_together(self, pictures: list[Picture]) -> None:
        patches = [self._on_device(picture) for picture in pictures]
        encoded = (self.tower or self.model).encode_images(patches, [p.grid for p in pictures])
        for picture, features in zip(pictures, encoded, strict=True):
            self._keep(picture, features)
            self._begun.pop(picture.digest, None)

    def _encode_slice(self, part: Slice) -> None:
        """Takes a picture some blocks further. What fails here is encoded anew, whole, when it is needed."""
        if part.picture.digest in self.encoder:
            return
        try:
            self._go_on(part.picture, part.of)
        except Exception as error:
            _raise_if_device_lost(error)

    def _encode_unless(self, is_urgent: Callable[[], bool], picture: Picture) -> None:
        """Block by block, from where it was left before. Raises Left."""
        while picture.digest not in self.encoder:
            self._go_on(picture, slices=picture.grid.num_patches)  # more than the tower has blocks
            if is_urgent():
                raise Left

    def _go_on(self, picture: Picture, slices: int) -> None:
        begun = self._begun.pop(picture.digest, None)
        if begun is None:
            begun = self.model.encode_in_slices(self._on_device(picture), picture.grid, slices)
        features = next(begun)
        if features is not None:
            self._keep(picture, features)
            return
        while len(self._begun) >= MAX_BEGUN:  # of requests that are gone
            del self._begun[next(iter(self._begun))]
        self._begun[picture.digest] = begun

    def _on_device(self, picture: Picture) -> Tensor:
        pixels = _as_tensor(picture)
        if self.model.device.type != "cpu":
            pixels = pixels.pin_memory()  # else the copy would wait for the device
        return pixels.to(self.model.device, non_blocking=True)

    def _keep(self, picture: Picture, features: Tensor) -> None:
        # A view would keep the whole step's features alive for as long as one of them is remembered.
        own = features.clone() if features.untyped_storage().nbytes() > features.nbytes else features
        self.encoder.put(picture.digest, own, own.nbytes)

    def _forward(self, batch: Batch) -> _Forward:
        if self.decoder is not None and len(batch.chunks) <= self.decoder.max_batch and is_decode(batch):
            return self._decode(batch, self.decoder)
        inputs = build_inputs(batch, self.block_size, self.encoder.get, self.model.device, self._pending)
        if self.prompts is not None and self.prompts.fits(inputs):
            hidden = self.prompts.forward(inputs)
        else:
            hidden = self.model.forward(inputs, self.cache)
        if not any(chunk.samples for chunk in batch.chunks):
            return _Forward(batch.chunks, None)
        return _Forward(batch.chunks, self.model.logits(hidden[inputs.last_rows])[:, : self.num_real_tokens])

    def _decode(self, batch: Batch, decoder: Decoder) -> _Forward:
        numbers, tables = decode_numbers(batch, self._tables, self._pending)
        if self._pending is not None:
            decoder.sampled[: len(self._pending.tokens)].copy_(self._pending.tokens)
        logits, highest, tokens = decoder.launch(numbers, tables)
        # A copy: the next launch overwrites them, and of a step that is computed chunk by chunk there are several.
        return _Forward(batch.chunks, logits[:, : self.num_real_tokens], (highest, tokens.clone()))

    def _run_alone(self, chunk: Chunk, errors: dict[bytes, Exception], samples_late: bool) -> _Forward | Exception:
        for picture in chunk.seq.pictures_in(chunk.start, chunk.end):
            if picture.digest in errors:
                return errors[picture.digest]
        if chunk.drafts:  # a guess may be what broke the step
            chunk = replace(chunk, end=chunk.end - len(chunk.drafts), drafts=())
        try:
            part = self._forward(Batch([chunk], num_tokens=chunk.end - chunk.start))
            if samples_late and part.logits is not None:
                part.logits = part.logits.clone()  # the next chunk's launch may overwrite them
            elif not samples_late:
                part.sample_with_own_masks()
            return part
        except Exception as error:
            _raise_if_device_lost(error)
            return _named(error)


def _is_mask_unknown(chunk: Chunk) -> bool:
    """Whether what its row may be sampled to depends on a token under way."""
    return chunk.samples and chunk.seq.constraint is not None and chunk.seq.is_pending


def _has_constraints(chunks: list[Chunk]) -> bool:
    return any(chunk.samples and chunk.seq.constraint is not None for chunk in chunks)


def _masks_wanted(chunks: list[Chunk], likeliest: list[int] | None = None) -> list[MaskWanted]:
    """In the order of their sampled rows, of the chunks whose sequences are constrained. `likeliest`: by sampled row,
    where they are known."""
    wanted: list[MaskWanted] = []
    row = 0
    for chunk in chunks:
        seq, first, row = chunk.seq, row, row + chunk.num_sampled
        if chunk.samples and seq.constraint is not None:
            held_back = seq.stop_token_ids if holds_back_stops(seq, chunk.place) else ()
            is_known = likeliest is not None and all(
                takes_the_largest(seq, chunk.place + ahead) for ahead in range(row - first)
            )
            own = likeliest[first:row] if likeliest is not None and is_known else ()
            wanted.append(MaskWanted(seq.constraint, chunk.drafts, held_back, own))
    return wanted


def _as_tensor(picture: Picture) -> Tensor:
    """The picture's own memory, uint8 [num_patches, columns]; a copy where it is read-only, because torch does not know
    how to promise that."""
    assert picture.patches is not None, "without pixels a picture is never scheduled for the tower"
    return torch.from_numpy(picture.patches if picture.patches.flags.writeable else picture.patches.copy())


def _pending_of(parts: list[_Forward | Exception]) -> PendingTokens | None:
    """Everything that was sampled in a step, as one tensor. A sequence with drafts waits for its tokens instead: how
    many of its rows count is not known on the device."""
    rows: dict[Sequence, int] = {}
    tokens: list[Tensor] = []
    kept: list[int] = []
    num_rows = 0
    for part in parts:
        if isinstance(part, _Forward) and part.sampling is not None:
            tokens.append(part.sampling.tokens)
            for chunk in part.chunks:
                if chunk.samples and not chunk.drafts:
                    rows[chunk.seq] = len(rows)
                    kept.append(num_rows)
                num_rows += chunk.num_sampled
    if not rows:
        return None
    together = tokens[0] if len(tokens) == 1 else torch.cat(tokens)
    if len(kept) < num_rows:
        together = together.index_select(0, on_device(kept, torch.int64, together.device))
    return PendingTokens(together, rows)


def _read(parts: list[_Forward | Exception]) -> list[list[Row]]:
    results: list[list[Row]] = []
    for part in parts:
        try:
            results += [[part]] if isinstance(part, Exception) else part.read()
        except Exception as error:
            _raise_if_device_lost(error)
            raise
    return results


def _raise_if_device_lost(error: Exception) -> None:
    if isinstance(error, DeviceLost):
        raise error
    if not isinstance(error, torch.OutOfMemoryError) and "CUDA error" in str(error):
        raise DeviceLost(str(error)) from error


def _named(error: Exception) -> Exception:
    if isinstance(error, torch.OutOfMemoryError):
        return FlashwebError(
            "the device ran out of memory for this request alone; send fewer or smaller pictures, or start the server "
            "with a lower gpu_memory_utilization",
            code="out_of_memory",
        )
    return error
