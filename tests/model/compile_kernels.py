"""Compiles the kernels at the real model's shapes for a GPU that need not be there, and checks what they ask of it.

    python tests/model/compile_kernels.py 86 [FOLDER]
    python tests/model/compile_kernels.py 90 --rounding

Every launcher is called on CPU tensors, with a driver that only names its target and launches that only compile.
Prints a line a kernel; fails when one does not compile, needs more shared memory than a program may have, or contracts
a bf16 product and a sum that must be rounded apart. With FOLDER, leaves the intermediate code (TTGIR, PTX) there to be
read. With --rounding, only the kernels whose sums follow such a product are compiled, which takes seconds.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from flashweb.model.kernels import (
    decode_attention,
    e4m3,
    fp8_rows,
    fused,
    linear,
    prefill_attention,
    tower,
    tower_attention,
)

# KiB that one program may have (CUDA C++ Programming Guide, technical specifications per compute capability).
SHARED_KIB = {80: 163, 86: 99, 89: 99, 90: 227}
CPU = torch.device("cpu")
# Kernels that add to a product which the plain path rounds first.
ROUND_BETWEEN = {"_add_norm_kernel", "_add_norm_fp8_kernel"}
NEUTRAL = {0x8000, 0x3F80, 0x80008000 - (1 << 32), 0x3F803F80}  # the bf16 numbers -0 and 1, alone and in pairs


class NamedTarget:
    """The part of Triton's driver that compiling asks for."""

    def __init__(self, arch: int) -> None:
        self.target = GPUTarget("cuda", arch, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def launch_rounding(arch: int) -> Iterator[str]:
    """`launch_all` of what is in ROUND_BETWEEN."""
    x, weight = torch.zeros(2, 4096, dtype=torch.bfloat16), torch.zeros(4096, dtype=torch.bfloat16)
    fused.norm_add(x, x.clone(), weight, 1e-5)
    fused.add_norm(x, x.clone(), weight, weight, 1e-5)
    if arch >= 89:
        fp8_rows.add_norm_fp8(x, x.clone(), weight, weight, 1e-5)
    yield "a sum after a norm"


def launch_all(num_sms: int = 132) -> Iterator[str]:
    """Calls every launcher; yields what the launches since the last one were."""
    bf16 = torch.bfloat16
    x, weight = torch.zeros(2, 4096, dtype=bf16), torch.zeros(4096, dtype=bf16)
    fused.rms_norm(x, weight, 1e-5)
    fused.silu_mul(torch.zeros(2, 2 * 13696, dtype=bf16))
    positions, frequencies, axes = torch.zeros(3, 7, dtype=torch.int64), torch.zeros(32), torch.zeros(32).long()
    fused.rotation_table(positions, frequencies, axes, bf16)
    yield "hidden 4096"
    tower.rotate_heads(torch.zeros(2, 36, 128, dtype=bf16)[:, :24], torch.zeros(2, 64, 2))
    yield "24 heads of the tower"
    cache = torch.zeros(4, 64, 128, dtype=bf16)
    for num_tokens in (1, fused.FEW_TOKENS + 1):
        rotation, slots = torch.zeros(num_tokens, 32, 2, dtype=bf16), torch.zeros(num_tokens, dtype=torch.int64)
        qkv, bias = torch.zeros(num_tokens, 36 * 128, dtype=bf16), torch.zeros(36 * 128, dtype=bf16)
        fused.bias_rotate_store(qkv, bias, rotation, slots, cache)
        yield f"{num_tokens} tokens"
    for dtype, head_dim, batch in ((bf16, 128, 1), (bf16, 128, 256), (bf16, 64, 1), (torch.float32, 128, 1)):
        cache = torch.zeros(4, 64, head_dim, dtype=dtype)
        tables, lengths = torch.zeros(batch, 1024, dtype=torch.int32), torch.ones(batch, dtype=torch.int32)
        workspace = decode_attention.DecodeWorkspace.allocate(batch, 32, 2, head_dim, dtype, CPU, num_sms)
        query, out = torch.zeros(batch, 32, head_dim, dtype=dtype), torch.zeros(batch, 32 * head_dim, dtype=dtype)
        entries = torch.zeros(batch, 2, dtype=torch.int32) if batch > 1 else None
        decode_attention.paged_decode(query, cache, tables, workspace.plan(lengths, entries), 16, out)
        yield f"{dtype}, head_dim {head_dim}, batch {batch}, {workspace.memory.numel() * 4 >> 10} KiB of workspace"


def launch_prefill(arch: int) -> Iterator[str]:
    """`launch_all` of the attention of many new tokens; on Hopper by every plan that may be tried there."""
    others = prefill_attention.OTHERS if arch == 90 else ()
    cases = [(torch.bfloat16, 128, 32, plan) for plan in (None, *others)]
    for dtype, head_dim, heads, plan in [*cases, (torch.bfloat16, 64, 6, None), (torch.float32, 64, 6, None)]:
        cache = torch.zeros(4, 64, head_dim, dtype=dtype)
        query, out = torch.zeros(20, heads, head_dim, dtype=dtype), torch.zeros(20, heads * head_dim, dtype=dtype)
        starts, tables = torch.tensor([0, 20], dtype=torch.int32), torch.zeros(1, 64, dtype=torch.int32)
        tiles = torch.zeros(3, 2, dtype=torch.int32)
        prefill_attention.paged_prefill(query, cache, tables, starts, starts[1:], tiles, 16, out, plan)
        yield f"{dtype}, head_dim {head_dim}, {heads} heads, {plan or 'the best plan'}"


def launch_fp8_cache() -> Iterator[str]:
    """`launch_all` of what writes and reads a cache in e4m3."""
    for dtype, head_dim in ((torch.bfloat16, 128), (torch.float32, 64)):
        cache, scales = torch.zeros(4, 64, head_dim, dtype=torch.uint8), torch.zeros(4, 64)
        rotation, slots = torch.zeros(1, 32, 2, dtype=dtype), torch.zeros(1, dtype=torch.int64)
        fused.bias_rotate_store(torch.zeros(1, 36 * head_dim, dtype=dtype), None, rotation, slots, cache, scales=scales)
        tables, lengths = torch.zeros(1, 1024, dtype=torch.int32), torch.ones(1, dtype=torch.int32)
        workspace = decode_attention.DecodeWorkspace.allocate(1, 32, 2, head_dim, cache.dtype, CPU, 132, dtype)
        query, out = torch.zeros(1, 32, head_dim, dtype=dtype), torch.zeros(1, 32 * head_dim, dtype=dtype)
        decode_attention.paged_decode(query, cache, tables, workspace.plan(lengths), 16, out, scales)
        starts, tiles = torch.tensor([0, 1], dtype=torch.int32), torch.zeros(1, 2, dtype=torch.int32)
        prefill_attention.paged_prefill(query, cache, tables, starts, lengths, tiles, 16, out, scales=scales)
        yield f"a cache in e4m3, {dtype}, head_dim {head_dim}"


def launch_tower(arch: int) -> Iterator[str]:
    """`launch_all` of the tower's attention; on Hopper by every plan that may be tried there."""
    cases = [(torch.bfloat16, 128, plan) for plan in (None, *(tower_attention.OTHERS if arch == 90 else ()))]
    for dtype, head_dim, plan in [*cases, (torch.bfloat16, 64, None), (torch.float32, 128, None)]:
        qkv, tiles = torch.zeros(20, 3, 12, head_dim, dtype=dtype), torch.zeros(3, 3, dtype=torch.int32)
        tower_attention.attend_frames(qkv, tiles, plan=plan)
        yield f"{dtype}, head_dim {head_dim}, {plan or 'the best plan'}"


def launch_products(arch: int) -> Iterator[str]:
    """`launch_all` of the products: a matrix whose parts of K are equal and one whose are not, few rows and many."""
    bf16, fp8 = torch.bfloat16, torch.float8_e4m3fn
    for size, columns in ((27392, 4096), (4096, 13696)):
        values, scale, bias = torch.zeros(size, columns, dtype=bf16), torch.zeros(size), torch.zeros(size, dtype=bf16)
        groups = torch.zeros(size, columns // 128, dtype=bf16)
        for rows in (1, 8, 64, 100):
            x = torch.zeros(rows, columns, dtype=bf16)
            linear.skinny_linear(x, values, bias)
            linear.int8_linear(x, values.to(torch.int8), scale, bias)
            linear.int4_linear(x, values[:, ::2].to(torch.uint8), groups, groups.to(torch.uint8), bias)
            if rows in (1, 8):  # ready-made checkpoints: smaller groups, scales in fp16
                small = torch.zeros(size, columns // 32, dtype=torch.float16)
                linear.int4_linear(x, values[:, ::2].to(torch.uint8), small, small.to(torch.uint8), bias)
            if arch >= 89:  # Ada, the first with fp8 arithmetic
                linear.fp8_linear(x.to(fp8), torch.zeros(rows, 1), values.to(fp8), scale, bias)
                if rows == 1:
                    linear.fp8_row_linear(x, values.to(fp8), scale, bias)
            yield f"{rows} rows by {size} x {columns}: bf16, int8, int4, fp8 in this order"
        linear.dequantise_int8(values.to(torch.int8), scale, bf16)
        linear.dequantise_int4(values[:, ::2].to(torch.uint8), groups, groups.to(torch.uint8), bf16)
        small = torch.zeros(size, columns // 32, dtype=torch.float16)
        linear.dequantise_int4(values[:, ::2].to(torch.uint8), small, small.to(torch.uint8), bf16)
        yield f"{size} x {columns} made plain: int8, int4"
    if arch >= 89:
        x = torch.zeros(2, 4096, dtype=bf16)
        fp8_rows.quantise_rows_fp8(x)
        fp8_rows.rms_norm_fp8(x, x[0], 1e-5)
        fp8_rows.silu_mul_fp8(torch.zeros(2, 2 * 13696, dtype=bf16))
        yield "rows to fp8"


def contracts(name: str, ptx: str) -> bool:
    """Whether a kernel that must round a bf16 product before it adds does both at once, or lets the assembler do it.

    Without ".rn" the assembler may contract a product and a sum. Before sm90 bf16 has nothing but the fused form: a
    product adds -0, a sum multiplies by 1.
    """
    if name not in ROUND_BETWEEN:
        return False
    constants = re.findall(r"mov\.b\d+\s+(%\w+), (-?\d+|0x[0-9A-F]+);", ptx)
    neutral = {register for register, value in constants if int(value, 0) in NEUTRAL}
    fused_operands = re.findall(r"\bfma\.rn\.bf16\S*\s+%\w+, (%\w+), (%\w+), (%\w+);", ptx)
    loose = re.search(r"\b(fma|mul|add)\.bf16", ptx) is not None
    return loose or any(neutral.isdisjoint(operands) for operands in fused_operands)


def main(arch: int, only_rounding: bool, folder: Path | None) -> int:
    driver.set_active(NamedTarget(arch))
    e4m3.reads_natively = lambda _: arch >= 89
    linear._device = lambda _: linear.Device(132, SHARED_KIB[arch] << 10)
    run, compiled = JITFunction.run, []

    def only_compile(self: JITFunction, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        compiled.append((self.fn.__name__, run(self, *args, grid=grid, warmup=True, **options)))

    JITFunction.run = only_compile
    wrong = 0
    kinds = (launch_all(), launch_prefill(arch), launch_fp8_cache(), launch_tower(arch), launch_products(arch))
    for i, what in enumerate(chain(launch_rounding(arch), *(() if only_rounding else kinds))):
        for name, kernel in compiled:
            shared = kernel.metadata.shared / 1024
            ptx = kernel.asm["ptx"]
            wrong += shared > SHARED_KIB[arch]
            if contracts(name, ptx):
                wrong += 1
                print(f"sm{arch} {name} does not round between product and sum ({what})")
            print(
                f"sm{arch} {name}: {resources(arch, ptx)}, {kernel.metadata.num_warps} warps, shared {shared:.1f} KiB, "
                f"{ptx.count('mma.sync') + ptx.count('wgmma.mma')} mma ({what})"
            )
            if folder is not None:
                for kind in ("ttgir", "ptx"):
                    (folder / f"{arch}_{i}{name}.{kind}").write_text(kernel.asm[kind], encoding="utf-8")
        compiled.clear()
    return int(wrong > 0)


def resources(arch: int, ptx: str) -> str:
    """What the assembler says of registers and spills."""
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        suffix = "a" if arch >= 90 else ""
        command = [knobs.nvidia.ptxas.path, "-v", f"--gpu-name=sm_{arch}{suffix}", file.name, "-o", "/dev/null"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return ", ".join(re.findall(r"Used \d+ registers|[1-9]\d* bytes spill stores", said))


if __name__ == "__main__":
    rest = [argument for argument in sys.argv[2:] if argument != "--rounding"]
    sys.exit(main(int(sys.argv[1]), "--rounding" in sys.argv, Path(rest[0]) if rest else None))
