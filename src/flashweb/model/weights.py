"""Reading a checkpoint's tensors: names and shapes (`tensor_table.py`) strictly checked, streamed one at a time.

Files are memory-mapped and every tensor is copied once, into its fused place, dtype and device, so the peak is one
copy of the model plus one tensor. Knows nothing of the network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from flashweb.errors import CheckpointError
from flashweb.model.quant_cuda import Fp8Weight
from flashweb.model.tensor_table import StoredTensor

OnProgress = Callable[[float], None]  # 0..1 of the checkpoint's values

MAX_NAMES_IN_ERROR = 20  # per kind
READABLE_DTYPES = {"F32", "F16", "BF16"}
FP8 = "F8_E4M3"


class Source(Protocol):
    """Where stored tensors come from."""

    def copy_into(self, target: Tensor, stored: StoredTensor) -> None:
        """As plain numbers, whatever it is stored as."""

    def fp8_rows(self, stored: StoredTensor) -> tuple[Tensor, Tensor] | None:
        """e4m3 [N, K] and fp32 [N] of a matrix that is stored so, on the CPU."""


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

    def take_matrix(self, name: str, *, keep_fp8: bool) -> Tensor | Fp8Weight:
        """`take`, but with `keep_fp8` a matrix that is stored in fp8 keeps its numbers."""
        stored = [self._source.fp8_rows(part) for part in self._table[self._prefix + name]] if keep_fp8 else []
        parts = [part for part in stored if part is not None]
        if not parts or len(parts) < len(stored):
            return self.take(name)
        self._table.pop(self._prefix + name)
        # As bytes: not every operation knows fp8.
        values = torch.cat([values.view(torch.uint8).to(self.device) for values, _ in parts])
        scale = torch.cat([scale.to(self.device) for _, scale in parts])
        self._count(values.numel())
        return Fp8Weight(values.view(torch.float8_e4m3fn), scale)

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

    def copy_into(self, target: Tensor, stored: StoredTensor) -> None:
        if stored.name.endswith("norm.weight") or ".norm" in stored.name:
            target.fill_(1.0)
        else:
            target.uniform_(-0.02, 0.02)

    def fp8_rows(self, stored: StoredTensor) -> None:
        return None


class SafetensorsSource:
    """The `*.safetensors` of a folder, a single file or shards under an index, memory-mapped. A context manager."""

    def __init__(self, folder: str | Path, expected: Mapping[str, tuple[int, ...]], *, fp8: bool = False) -> None:
        """`fp8`: matrices may be stored in e4m3, each with a scale a row beside it (`ready_made.py`)."""
        self.folder = Path(folder)
        self._fp8 = fp8
        self._stack = ExitStack()
        self._files: dict[str, Any] = {}
        try:
            for path in _safetensors_files(self.folder):
                self._open(path)
            self._check(expected)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> SafetensorsSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.clear()
        self._stack.close()

    def copy_into(self, target: Tensor, stored: StoredTensor) -> None:
        rows = self.fp8_rows(stored)
        if rows is None:
            target.copy_(self._files[stored.name].get_tensor(stored.name))
            return
        values, scale = (part.to(target.device) for part in rows)
        target.copy_(Fp8Weight(values, scale).dequantised(target.dtype))

    def fp8_rows(self, stored: StoredTensor) -> tuple[Tensor, Tensor] | None:
        file = self._files[stored.name]
        if not self._fp8 or file.get_slice(stored.name).get_dtype() != FP8:
            return None
        name = _scale_name(stored.name)
        return file.get_tensor(stored.name), self._files[name].get_tensor(name).float().flatten()

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

    def _scales(self, expected: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """The scales that belong to the matrices stored in fp8, with their shapes, [N] (or [N, 1])."""
        if not self._fp8:
            return {}
        matrices = [n for n, shape in expected.items() if len(shape) == 2 and n in self._files]
        stored = [n for n in matrices if self._files[n].get_slice(n).get_dtype() == FP8]
        return {_scale_name(n): (expected[n][0],) for n in stored}

    def _check(self, expected: Mapping[str, tuple[int, ...]]) -> None:
        scales = self._scales(expected)
        expected = {**expected, **scales}
        missing = sorted(expected.keys() - self._files.keys())
        extra = sorted(self._files.keys() - expected.keys())
        shapes, dtypes = [], []
        for name in sorted(expected.keys() & self._files.keys()):
            piece = self._files[name].get_slice(name)
            flat = [piece.get_shape()[0]] if name in scales and piece.get_shape()[1:] == [1] else piece.get_shape()
            if tuple(flat) != expected[name]:
                shapes.append(f"{name} is {list(piece.get_shape())}, config.json asks for {list(expected[name])}")
            if piece.get_dtype() not in READABLE_DTYPES and _scale_name(name) not in scales:
                dtypes.append(f"{name} is {piece.get_dtype()}")
        kinds = (
            ("missing", missing),
            ("unknown", extra),
            ("of another shape", shapes),
            (f"of a dtype other than {', '.join(sorted(READABLE_DTYPES))}", dtypes),
        )
        problems = [f"{len(names)} {kind}: {_list(names)}" for kind, names in kinds if names]
        if problems:
            raise CheckpointError(
                f"the tensors in {self.folder} do not fit its config.json (tensors " + "; ".join(problems) + "). "
                "Use the config.json and the *.safetensors of the same, unquantised checkpoint"
            )


def _scale_name(name: str) -> str:
    return name + "_scale"


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_NAMES_IN_ERROR])
    left = len(names) - MAX_NAMES_IN_ERROR
    return shown + (f" and {left} more" if left > 0 else "")


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
