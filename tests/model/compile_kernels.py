"""Compiles the kernels at the real model's shapes for a GPU that need not be there, and checks what they ask of it.

    python tests/model/compile_kernels.py 86 [FOLDER]

Every launcher is called on CPU tensors, with a driver that only names its target and launches that only compile.
Prints a line a kernel; fails when one does not compile, or needs more shared memory than a program may have.
With FOLDER, leaves the intermediate code (TTGIR, PTX) there to be read.
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

from flashweb.model.kernels import decode_attention, fused, linear, prefill_attention, tower, tower_attention

# KiB that one program may have (CUDA C++ Programming Guide, technical specifications per compute capability).
SHARED_KIB = {80: 163, 86: 99, 89: 99, 90: 227}
CPU = torch.device("cpu")


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


def launch_all(num_sms: int = 132) -> Iterator[str]:
    """Calls every launcher; yields what the launches since the last one were."""
    bf16 = torch.bfloat16
    x, weight = torch.zeros(2, 4096, dtype=bf16), torch.zeros(4096, dtype=bf16)
    fused.rms_norm(x, weight, 1e-5)
    fused.norm_add(x, x.clone(), weight, 1e-5)
    fused.add_norm(x, x.clone(), weight, weight, 1e-5)
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
            if arch >= 89:  # Ada, the first with fp8 arithmetic
                linear.fp8_linear(x.to(fp8), torch.zeros(rows, 1), values.to(fp8), scale, bias)
            yield f"{rows} rows by {size} x {columns}: bf16, int8, int4, fp8 in this order"
        linear.dequantise_int8(values.to(torch.int8), scale, bf16)
        linear.dequantise_int4(values[:, ::2].to(torch.uint8), groups, groups.to(torch.uint8), bf16)
        yield f"{size} x {columns} made plain: int8, int4"
    if arch >= 89:
        x = torch.zeros(2, 4096, dtype=bf16)
        linear.quantise_rows_fp8(x)
        linear.rms_norm_fp8(x, x[0], 1e-5)
        linear.add_norm_fp8(x, x.clone(), x[0], x[1], 1e-5)
        linear.silu_mul_fp8(torch.zeros(2, 2 * 13696, dtype=bf16))
        yield "rows to fp8"


def main(arch: int, folder: Path | None) -> int:
    driver.set_active(NamedTarget(arch))
    linear._device = lambda _: linear.Device(132, SHARED_KIB[arch] << 10)
    run, compiled = JITFunction.run, []

    def only_compile(self: JITFunction, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        compiled.append((self.fn.__name__, run(self, *args, grid=grid, warmup=True, **options)))

    JITFunction.run = only_compile
    too_large = 0
    for i, what in enumerate(chain(launch_all(), launch_prefill(arch), launch_tower(arch), launch_products(arch))):
        for name, kernel in compiled:
            shared = kernel.metadata.shared / 1024
            too_large += shared > SHARED_KIB[arch]
            ptx = kernel.asm["ptx"]
            print(
                f"sm{arch} {name}: {resources(arch, ptx)}, {kernel.metadata.num_warps} warps, shared {shared:.1f} KiB, "
                f"{ptx.count('mma.sync') + ptx.count('wgmma.mma')} mma ({what})"
            )
            if folder is not None:
                for kind in ("ttgir", "ptx"):
                    (folder / f"{arch}_{i}{name}.{kind}").write_text(kernel.asm[kind], encoding="utf-8")
        compiled.clear()
    return int(too_large > 0)


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
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
