"""Reading a checkpoint's tensors: names and shapes (`tensor_table.py`) strictly checked, streamed one at a time.

Files are memory-mapped and every tensor is copied once, into its fused place, dtype and device, so the peak is one
copy of the model plus one tensor. Matrices that are stored quantised keep their numbers where the wanted format holds
them (`packing.py`), and are repacked or made plain one by one (`unpack.py`). Knows nothing of the network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from flashweb.errors import CheckpointError
from flashweb.model.packing import Kind, Packing, held_as
from flashweb.model.quant_cuda import (
    Fp8Weight,
    QuantisedWeight,
    joined_rows,
    quantise_fp8,
    quantise_int4,
    quantise_int8,
)
from flashweb.model.ready_made import Scheme
from flashweb.model.stored_check import check_tensors, stored_parts
from flashweb.model.tensor_table import StoredTensor
from flashweb.model.unpack import StoredIntegers

OnProgress = Callable[[float], None]  # 0..1 of the checkpoint's values


class Source(Protocol):
    """Where stored tensors come from."""

    def copy_into(self, target: Tensor, stored: StoredTensor) -> None:
        """As plain numbers, whatever it is stored as."""

    def packing(self, stored: StoredTensor) -> Packing | None:
        """How a matrix's numbers are stored; None where they are plain."""

    def kept(self, stored: StoredTensor, group_size: int, device: torch.device) -> QuantisedWeight:
        """A matrix that a layout of ours holds (`Packing.kept_as`), in that; `group_size` is int4's."""


class Weights:
    """Hands out the network's tensors by name, each once, fused, in the wanted dtype and on the device."""

    def __init__(
        self,
        table: Mapping[str, tuple[StoredTensor, ...]],
        source: Source,
        dtype: torch.dtype,
        device: torch.device,
        progress: OnProgress | None = None,
    ) -> None:
        self.dtype = dtype
        self.device = device
        self._table = dict(table)
        self._source = source
        self._progress = progress
        self._prefix = ""
        self.rounded_again: list[str] = []  # matrices stored in numbers that their format does not hold
        self._done = [0, sum(prod(part.shape) for parts in self._table.values() for part in parts)]

    def under(self, prefix: str) -> Weights:
        """The same weights, seen from below `prefix`."""
        view = Weights.__new__(Weights)
        view.__dict__.update(self.__dict__, _prefix=self._prefix + prefix)
        return view

    def has(self, name: str) -> bool:
        return self._prefix + name in self._table

    def take(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor called `name`; a second call for the same name is a mistake of ours."""
        parts = self._table.pop(self._prefix + name)
        rows = sum(part.shape[0] for part in parts)
        target = torch.empty((rows, *parts[0].shape[1:]), dtype=dtype or self.dtype, device=self.device)
        row = 0
        for part in parts:
            self._source.copy_into(target[row : row + part.shape[0]], part)
            row += part.shape[0]
        self._count(target.numel())
        return target

    def take_matrix(self, name: str, keeps: Collection[Kind]) -> Tensor | QuantisedWeight:
        """`take`, but a matrix that is stored quantised comes in the layout of ours that has its numbers, if that is
        one of `keeps`; or, where no layout has them, rounded again to the nearest."""
        parts = self._table[self._prefix + name]
        packings = [self._source.packing(part) for part in parts]
        held = held_as(packings, parts[0].shape[1], keeps)
        if not held.exact:
            self.rounded_again.append(self._prefix + name)
        if held.kind is None:
            return self.take(name)
        if not held.exact:
            plain = self.take(name)
            return quantise_int8(plain) if held.kind == "int8" else quantise_int4(plain, held.group_size)
        self._table.pop(self._prefix + name)
        kept = [self._source.kept(part, held.group_size, self.device) for part in parts]
        self._count(sum(part.num_values for part in kept))
        return joined_rows(kept)

    def _count(self, num_values: int) -> None:
        self._done[0] += num_values
        if self._progress is not None:
            self._progress(self._done[0] / self._done[1])

    @property
    def left(self) -> list[str]:
        """Names nobody took; empty once the network is built."""
        return sorted(self._table)


class DummySource:
    """Small random numbers, made on the device: for measuring speed and memory without a checkpoint."""

    def __init__(self, scheme: Scheme | None = None) -> None:
        """`scheme`: of the checkpoint that they stand for."""
        self._scheme = scheme

    def copy_into(self, target: Tensor, stored: StoredTensor) -> None:
        if stored.name.endswith("norm.weight") or ".norm" in stored.name:
            target.fill_(1.0)
        else:
            target.uniform_(-0.02, 0.02)

    def packing(self, stored: StoredTensor) -> Packing | None:
        return self._scheme.of(stored.name.removesuffix(".weight")) if self._scheme is not None else None

    def kept(self, stored: StoredTensor, group_size: int, device: torch.device) -> QuantisedWeight:
        plain = torch.empty(stored.shape, dtype=torch.bfloat16, device=device)
        self.copy_into(plain, stored)
        packing = self.packing(stored)
        assert packing is not None, stored
        kind = packing.kept_as(stored.shape[1])
        if kind == "int4":
            return quantise_int4(plain, group_size, shrinks=(1.0,))
        return quantise_fp8(plain) if kind == "fp8" else quantise_int8(plain)


class SafetensorsSource:
    """The `*.safetensors` of a folder, a single file or shards under an index, memory-mapped. A context manager."""

    def __init__(
        self, folder: str | Path, expected: Mapping[str, tuple[int, ...]], scheme: Scheme | None = None
    ) -> None:
        """`expected`: names and shapes as if nothing was quantised; `scheme`: what is (`ready_made.py`)."""
        self.folder = Path(folder)
        self._stack = ExitStack()
        self._files: dict[str, Any] = {}
        try:
            for path in _safetensors_files(self.folder):
                self._open(path)
            self._quantised = stored_parts(self._files, expected, scheme)
            check_tensors(self.folder, self._files, expected, self._quantised)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> SafetensorsSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.clear()
        self._stack.close()

    def copy_into(self, target: Tensor, stored: StoredTensor) -> None:
        packing = self.packing(stored)
        if packing is None:
            target.copy_(self._files[stored.name].get_tensor(stored.name))
        elif packing.layout == "fp8":
            target.copy_(self._fp8(stored, target.device).dequantised(target.dtype))
        else:
            self._integers(stored, packing, target.device).copy_into(target)

    def packing(self, stored: StoredTensor) -> Packing | None:
        found = self._quantised.get(stored.name)
        return None if found is None else found[0]

    def kept(self, stored: StoredTensor, group_size: int, device: torch.device) -> QuantisedWeight:
        packing = self._quantised[stored.name][0]
        if packing.layout == "fp8":
            return self._fp8(stored, device)
        integers = self._integers(stored, packing, device)
        return integers.as_int8() if packing.bits == 8 else integers.as_int4(group_size)

    def _fp8(self, stored: StoredTensor, device: torch.device) -> Fp8Weight:
        parts = self._parts(stored, device)
        return Fp8Weight(parts["values"], parts["scale"].float().flatten())

    def _integers(self, stored: StoredTensor, packing: Packing, device: torch.device) -> StoredIntegers:
        rows, columns = stored.shape
        integers = StoredIntegers.of(packing, rows, columns, self._parts(stored, device))
        if not integers.is_symmetric:
            zeros = self._quantised[stored.name][1]["zero"].name
            raise CheckpointError(
                f"{zeros} holds zero points other than the middle that config.json promises (sym true, "
                "checkpoint_format); use the config.json of this very checkpoint, or one made with sym true"
            )
        return integers

    def _parts(self, stored: StoredTensor, device: torch.device) -> dict[str, Tensor]:
        parts = self._quantised[stored.name][1].items()
        here = {what: part.name for what, part in parts if part.name in self._files}
        return {what: self._files[name].get_tensor(name).to(device) for what, name in here.items()}

    def _open(self, path: Path) -> None:
        try:
            file = self._stack.enter_context(safe_open(str(path), framework="pt", device="cpu"))
        except FileNotFoundError:
            raise CheckpointError(
                f"{path} is named in model.safetensors.index.json but does not exist; finish the download"
            ) from None
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path} is not a whole safetensors file ({error}); delete it and download it again"
            ) from None
        for name in file.keys():  # noqa: SIM118  (not a dict)
            if name in self._files:
                raise CheckpointError(f"tensor {name} is in two files of {self.folder}; remove the stale *.safetensors")
            self._files[name] = file


def _safetensors_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{index} is not a safetensors index ({error!r}); download the file again") from None
        bad = [n for n in names if not isinstance(n, str) or Path(n).name != n]
        if bad:
            raise CheckpointError(f"{index} names {bad[0]!r}, which is not a file beside it; download the file again")
        return [folder / name for name in sorted(set(names))]
    single = folder / "model.safetensors"
    if single.exists():
        return [single]
    raise CheckpointError(
        f"{folder} holds neither model.safetensors nor model.safetensors.index.json; "
        "download the weights in safetensors form (pickled *.bin files are not read)"
    )
