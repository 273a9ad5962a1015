"""`ModelRunner`: a step's pictures through the tower, its tokens through the decoder, its logits through the sampler.

Owns the model and the cache tensors. A step that raises is computed again chunk by chunk, so that only the sequence
at fault gets the error; writing a slot twice with the same values does no harm. Knows nothing of policy.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from flashweb.engine.batch import build_inputs
from flashweb.engine.encoder_cache import EncoderCache
from flashweb.engine.sampler import sample
from flashweb.engine.scheduler import Batch, Chunk, Result
from flashweb.engine.sequence import Picture
from flashweb.errors import FlashwebError
from flashweb.model.inputs import ForwardInputs
from flashweb.types import Grid


class Model(Protocol):
    """What the engine needs of a network; `flashweb.model.Glm4v` is one, tests have a tiny other."""

    device: torch.device

    def kv_bytes_per_token(self) -> int: ...
    def new_kv_cache(self, num_blocks: int, block_size: int) -> Any: ...
    def encode_images(self, patches: list[Tensor], grids: list[Grid]) -> list[Tensor]: ...
    def forward(self, inputs: ForwardInputs, cache: Any) -> Tensor: ...
    def logits(self, hidden_rows: Tensor) -> Tensor: ...


class DeviceLost(Exception):
    """The accelerator is in a state from which only a new process recovers."""


class ModelRunner:
    def __init__(
        self, model: Model, num_blocks: int, block_size: int, encoder: EncoderCache[Tensor], num_real_tokens: int | None
    ) -> None:
        self.model = model
        self.block_size = block_size
        self.encoder = encoder
        self.num_real_tokens = num_real_tokens
        self.cache = model.new_kv_cache(num_blocks, block_size)

    @torch.inference_mode()
    def run(self, batch: Batch) -> list[Result]:
        """One result per chunk, in order. Raises DeviceLost."""
        errors = self._encode(batch.pictures)
        if not errors:
            try:
                return self._forward(batch)
            except Exception as error:
                _raise_if_device_lost(error)
        return [self._run_alone(chunk, errors) for chunk in batch.chunks]

    def wipe(self, blocks: list[int]) -> None:
        """Zeroes blocks: attention over padded rows multiplies what lies there by 0, and 0 * NaN is NaN."""
        if blocks:
            self.cache.wipe(blocks)

    def _encode(self, pictures: list[Picture]) -> dict[bytes, Exception]:
        """Puts the pictures' features into the encoder cache; the errors of those that failed, by digest."""
        if not pictures:
            return {}
        try:
            self._encode_together(pictures)
            return {}
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
        # np.array copies: the bytes of a message are read-only, which torch does not know how to promise.
        patches = [torch.from_numpy(np.array(p.patches)).to(self.model.device, non_blocking=True) for p in pictures]
        encoded = self.model.encode_images(patches, [p.grid for p in pictures])
        for picture, features in zip(pictures, encoded, strict=True):
            # A view would keep the whole step's features alive for as long as one of them is remembered.
            own = features.clone() if features.untyped_storage().nbytes() > features.nbytes else features
            self.encoder.put(picture.digest, own, own.nbytes)

    def _forward(self, batch: Batch) -> list[Result]:
        inputs = build_inputs(batch, self.block_size, self.encoder.get, self.model.device)
        hidden = self.model.forward(inputs, self.cache)
        seqs = [chunk.seq for chunk in batch.chunks if chunk.samples]
        if not seqs:
            return [None] * len(batch.chunks)
        logits = self.model.logits(hidden[inputs.last_rows])[:, : self.num_real_tokens]
        sampled = iter(sample(logits, seqs))
        return [next(sampled) if chunk.samples else None for chunk in batch.chunks]

    def _run_alone(self, chunk: Chunk, errors: dict[bytes, Exception]) -> Result:
        for picture in chunk.seq.pictures_in(chunk.start, chunk.end):
            if picture.digest in errors:
                return errors[picture.digest]
        try:
            return self._forward(Batch([chunk], num_tokens=chunk.end - chunk.start))[0]
        except Exception as error:
            _raise_if_device_lost(error)
            return _named(error)


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
