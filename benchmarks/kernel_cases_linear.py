"""The decoder's five matrices in every weight format, at the rows of decode steps, and rows rounded to fp8.

`torch` is F.linear on the same bf16 weights. Names begin with the format, so that `--only "int4 "` picks one. Other
blocks than `plan_for` chooses are measured where the choice was a guess: `bf16 ... row 8x512` is the kernel for one
row with 8 x 512 weights a turn, `tile 64x128 /4 *5` the one for several with 64 x 128, four parts of K and five stages.
`one_row fp8 qkv 4x2048 w4` is one row by e4m3 weights with 4 x 2048 of them a turn and four warps, `one_row fp8 qkv`
the blocks that `row_plan_for` chooses; x is bf16 there, where `fp8 qkv 1 rows` multiplies a row rounded to e4m3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from kernel_cases import Case, Prepared, num_copies, turning
from torch import Tensor

from flashweb.model.kernels import fp8_rows, linear
from flashweb.model.kernels.linear import Plan
from flashweb.model.kernels.one_row import RowPlan

# (name, rows of the weight, columns)
MATRICES = (
    ("qkv", 4608, 4096),
    ("o_proj", 4096, 4096),
    ("gate_up", 27392, 4096),
    ("down", 4096, 13696),
    ("head", 151552, 4096),
)
ROWS = (1, 4, 8, 16, 64, 128, 256)
FORMATS = ("torch", "bf16", "int8", "int4", "fp8")
GROUP = 128
HIDDEN, MLP, EPS = 4096, 13696, 1e-5

ROW_PLANS = (RowPlan(2, 2048, 4), RowPlan(4, 512, 2), RowPlan(4, 1024, 4), RowPlan(8, 512, 4), RowPlan(8, 1024, 4))
# Of bytes: loads of 16 bytes a thread and turn, four but for the first (two) and the last (eight).
BYTE_ROW_PLANS = (
    RowPlan(2, 2048, 4),
    RowPlan(2, 4096, 4),
    RowPlan(4, 1024, 2),
    RowPlan(4, 2048, 4),
    RowPlan(8, 1024, 2),
)
# (block_n, block_k, parts, stages), four warps
TILES = {
    "bf16": ((64, 128, 1, 5), (64, 128, 2, 5), (64, 128, 4, 5), (64, 64, 4, 8), (128, 64, 1, 6), (128, 64, 4, 6)),
    "int8": ((64, 128, 4, 6), (64, 256, 4, 4), (128, 128, 1, 4), (128, 128, 4, 4)),
    "int4": ((64, GROUP, 4, 4), (64, GROUP, 4, 8), (128, GROUP, 1, 4), (128, GROUP, 4, 6)),
    "fp8": ((64, 128, 4, 8), (64, 256, 1, 6), (64, 256, 2, 6), (64, 256, 8, 4), (128, 128, 4, 6), (128, 256, 1, 3)),
}
ROWS_OF_TILES = (1, 8)


def cases() -> Iterator[Case]:
    for kind in FORMATS:
        for name, size, columns in MATRICES:
            for rows in ROWS:
                yield Case(f"{kind} {name} {rows} rows", partial(product, kind, rows, size, columns, None))
            if kind == "bf16":
                for row in ROW_PLANS:
                    title = f"{kind} {name} 1 row {row.block_n}x{row.block_k}"
                    yield Case(title, partial(product, kind, 1, size, columns, row))
            for rows in ROWS_OF_TILES:
                for block_n, block_k, split, stages in TILES.get(kind, ()):
                    plan = Plan(16, block_n, block_k, split, 4, stages)
                    title = f"{kind} {name} {rows} rows tile {block_n}x{block_k} /{split} *{stages}"
                    if split == 1 or size <= 8192:  # large matrices have tiles enough
                        yield Case(title, partial(product, kind, rows, size, columns, plan))
    yield from one_row_cases()
    for rows in ROWS:
        yield Case(f"quantise_rows_fp8 {rows}x{HIDDEN}", partial(quantise_rows, rows))
        yield Case(f"rms_norm_fp8 {rows}x{HIDDEN}", partial(rms_norm, rows))
        yield Case(f"silu_mul_fp8 {rows}x{MLP}", partial(silu_mul, rows))


def one_row_cases() -> Iterator[Case]:
    for kind in ("fp8", "int8"):
        for name, size, columns in MATRICES:
            yield Case(f"one_row {kind} {name}", partial(product, f"{kind} row", 1, size, columns, None))
            for row in BYTE_ROW_PLANS:
                title = f"one_row {kind} {name} {row.block_n}x{row.block_k} w{row.num_warps}"
                yield Case(title, partial(product, f"{kind} row", 1, size, columns, row))


def product(kind: str, rows: int, size: int, columns: int, plan: Plan | RowPlan | None) -> Prepared:
    """A launch takes the next of several weights, as a step takes the next layer; x and y stay in the cache."""
    make, launch = MAKERS[kind], LAUNCHERS[kind]
    first = make(size, columns)
    weight_bytes = sum(tensor.nbytes for tensor in first)
    weights = [first] + [make(size, columns) for _ in range(num_copies(weight_bytes) - 1)]
    x = torch.randn(rows, columns, device="cuda", dtype=torch.bfloat16)
    num_bytes = weight_bytes + x.nbytes // (2 if kind == "fp8" else 1) + rows * size * x.itemsize
    given = fp8_rows.quantise_rows_fp8(x) if kind == "fp8" else (x,)
    run: Callable[[tuple[Tensor, ...]], object] = partial(launch, plan, *given)
    return Prepared(turning(run, weights), num_bytes, 2 * rows * size * columns)


def bf16(size: int, columns: int) -> tuple[Tensor, ...]:
    return (torch.randn(size, columns, device="cuda", dtype=torch.bfloat16),)


def int8(size: int, columns: int) -> tuple[Tensor, ...]:
    values = torch.randint(-127, 128, (size, columns), device="cuda", dtype=torch.int8)
    return values, torch.rand(size, device="cuda")


def int4(size: int, columns: int) -> tuple[Tensor, ...]:
    packed = torch.randint(0, 256, (size, columns // 2), device="cuda", dtype=torch.uint8)
    scale = torch.rand(size, columns // GROUP, device="cuda", dtype=torch.bfloat16)
    return packed, scale, torch.randint(0, 16, scale.shape, device="cuda", dtype=torch.uint8)


def fp8(size: int, columns: int) -> tuple[Tensor, ...]:
    return bf16(size, columns)[0].to(torch.float8_e4m3fn), torch.rand(size, device="cuda")


def by_torch(_: None, x: Tensor, weight: tuple[Tensor, ...]) -> Tensor:
    return F.linear(x, weight[0])


def by_bf16(plan: Plan | RowPlan | None, x: Tensor, weight: tuple[Tensor, ...]) -> Tensor:
    return linear.skinny_linear(x, *weight, plan=plan)


def by_int8(plan: Plan | RowPlan | None, x: Tensor, weight: tuple[Tensor, ...]) -> Tensor:
    values, scale = weight
    return linear.int8_linear(x, values, scale, plan=plan)


def by_int4(plan: Plan | None, x: Tensor, weight: tuple[Tensor, ...]) -> Tensor:
    packed, scale, zero = weight
    return linear.int4_linear(x, packed, scale, zero, plan=plan)


def by_fp8(plan: Plan | None, x: Tensor, x_scale: Tensor, weight: tuple[Tensor, ...]) -> Tensor:
    values, scale = weight
    return linear.fp8_linear(x, x_scale, values, scale, plan=plan)


def by_fp8_row(plan: RowPlan | None, x: Tensor, weight: tuple[Tensor, ...]) -> Tensor:
    values, scale = weight
    return linear.fp8_row_linear(x, values, scale, plan=plan)


def quantise_rows(rows: int) -> Prepared:
    x = torch.randn(rows, HIDDEN, device="cuda", dtype=torch.bfloat16)
    return Prepared(lambda: fp8_rows.quantise_rows_fp8(x), 3 * rows * HIDDEN, 0)


def rms_norm(rows: int) -> Prepared:
    x = torch.randn(rows, HIDDEN, device="cuda", dtype=torch.bfloat16)
    weight = torch.rand(HIDDEN, device="cuda", dtype=torch.bfloat16)
    return Prepared(lambda: fp8_rows.rms_norm_fp8(x, weight, EPS), (3 * rows + 2) * HIDDEN, 0)


def silu_mul(rows: int) -> Prepared:
    gate_up = torch.randn(rows, 2 * MLP, device="cuda", dtype=torch.bfloat16)
    return Prepared(lambda: fp8_rows.silu_mul_fp8(gate_up), 5 * rows * MLP, 0)


MAKERS: dict[str, Callable[[int, int], tuple[Tensor, ...]]] = {
    "torch": bf16,
    "bf16": bf16,
    "int8": int8,
    "int4": int4,
    "fp8": fp8,
    "int8 row": int8,
    "fp8 row": fp8,
}
LAUNCHERS: dict[str, Callable[..., Tensor]] = {
    "torch": by_torch,
    "bf16": by_bf16,
    "int8": by_int8,
    "int4": by_int4,
    "fp8": by_fp8,
    "int8 row": by_int8,
    "fp8 row": by_fp8_row,
}
