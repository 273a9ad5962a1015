"""Do a folder's tensors fit its config.json? Names, shapes and dtypes, from the headers, all problems in one error.

Which tensors a matrix is stored in follows from the config (`ready_made.py`) and from the files: a matrix that the
config would have quantised and that lies there plain is plain. Knows nothing of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from flashweb.errors import CheckpointError
from flashweb.model.packing import PLAIN_DTYPES, Packing, Part
from flashweb.model.ready_made import Scheme

MAX_NAMES_IN_ERROR = 20  # per kind

Parts = Mapping[str, Part]  # by what they hold: `Packing.parts`


def stored_parts(
    files: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], scheme: Scheme | None
) -> dict[str, tuple[Packing, Parts]]:
    """The matrices of `expected` that lie in `files` (name -> open safetensors file) quantised, and in what tensors.
    Raises CheckpointError for a shape that cannot be stored as the config says."""
    found: dict[str, tuple[Packing, Parts]] = {}
    for name, shape in expected.items():
        module = name.removesuffix(".weight")
        packing = scheme.of(module) if scheme is not None and len(shape) == 2 and module != name else None
        if packing is None:
            continue
        parts = packing.parts(module, *shape)
        values = parts["values"]
        in_place = values.name == name
        is_plain = name in files and (not in_place or _dtype(files, name) in PLAIN_DTYPES)
        if is_plain and (in_place or values.name not in files):
            continue
        reason = packing.misfit(*shape)
        if reason:
            raise CheckpointError(
                f"{module} cannot be stored as config.json says: {reason}. Use the config.json of this very checkpoint"
            )
        found[name] = packing, parts
    return found


def check_tensors(
    folder: Path,
    files: Mapping[str, Any],
    expected: Mapping[str, tuple[int, ...]],
    quantised: Mapping[str, tuple[Packing, Parts]],
) -> None:
    """Raises CheckpointError with everything that is missing, unknown, or of another shape or dtype."""
    wanted = {name: Part(name, shape, PLAIN_DTYPES) for name, shape in expected.items() if name not in quantised}
    for _, parts in quantised.values():
        wanted |= {part.name: part for part in parts.values()}
    scales = {parts["scale"].name for _, parts in quantised.values()}
    missing = sorted(part.name for part in wanted.values() if not part.optional and part.name not in files)
    extra = sorted(files.keys() - wanted.keys())
    shapes, dtypes = [], []
    for name in sorted(wanted.keys() & files.keys()):
        shape, part = files[name].get_slice(name).get_shape(), wanted[name]
        if tuple(shape) != part.shape and not (part.name in scales and _squeezed(shape) == _squeezed(part.shape)):
            shapes.append(f"{name} is {list(shape)}, config.json asks for {list(part.shape)}")
        if _dtype(files, name) not in part.dtypes:
            dtypes.append(f"{name} is {_dtype(files, name)}")
    kinds = (
        ("missing", missing),
        ("unknown", extra),
        ("of another shape", shapes),
        (f"of a dtype other than {', '.join(sorted(PLAIN_DTYPES))} or what config.json says", dtypes),
    )
    problems = [f"{len(names)} {kind}: {_list(names)}" for kind, names in kinds if names]
    if problems:
        which = "same" if quantised else "same, unquantised"
        raise CheckpointError(
            f"the tensors in {folder} do not fit its config.json (tensors " + "; ".join(problems) + "). "
            f"Use the config.json and the *.safetensors of the {which} checkpoint"
        )
    for name, (packing, parts) in quantised.items():
        _check_values(name, expected[name], files, packing, parts)


def _check_values(
    name: str, shape: tuple[int, ...], files: Mapping[str, Any], packing: Packing, parts: Parts
) -> None:
    """Of the small tensors that say how the large one is to be read."""
    if "shape" in parts and parts["shape"].name in files:
        stated = files[parts["shape"].name].get_tensor(parts["shape"].name).tolist()
        if stated != list(shape):
            raise CheckpointError(f"{parts['shape'].name} says {stated}, config.json asks for {list(shape)}")
    if "order" in parts and parts["order"].name in files:
        order = files[parts["order"].name].get_tensor(parts["order"].name)
        if not torch.equal(order.long(), torch.arange(shape[1]) // (packing.group_size or shape[1])):
            raise CheckpointError(
                f"{parts['order'].name} gives columns of {name} to groups out of their order (desc_act true, actorder "
                "'group'), which is not read; take a checkpoint made with desc_act false (actorder 'weight' or null)"
            )


def _dtype(files: Mapping[str, Any], name: str) -> str:
    return str(files[name].get_slice(name).get_dtype())


def _squeezed(shape: Sequence[int]) -> list[int]:
    """Of scales by rows [N, 1] is as good as [N]: writers differ."""
    return [n for n in shape if n != 1]


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_NAMES_IN_ERROR])
    left = len(names) - MAX_NAMES_IN_ERROR
    return shown + (f" and {left} more" if left > 0 else "")
