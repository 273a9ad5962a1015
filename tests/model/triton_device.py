"""Where the kernels run in tests: on the GPU when there is one, else in Triton's interpreter on the CPU.

Must be imported before any module with kernels: Triton decides when it is imported whether it compiles. Modules that
import this are skipped when Triton is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

INTERPRETED = not torch.cuda.is_available()
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")

if INTERPRETED:
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="Triton is not installed (extra `gpu`)")


def correct_interpreter() -> None:
    """Makes the interpreter of Triton 3.6 do what a GPU does with bf16 and fp8, and run with NumPy 2.4."""
    import triton.language as tl
    from triton.runtime import interpreter

    convert_float, patch_tensor = interpreter._convert_float, interpreter._patch_lang_tensor
    create_dot = interpreter.InterpreterBuilder.create_dot

    def convert_and_round(values: Any, source: Any, target: Any, rounding: Any) -> Any:
        """Without this, fp32 becomes bf16 by cutting bits off, and fp8 without carrying into the exponent."""
        if source == tl.float32 and target == tl.bfloat16:
            rounded = torch.from_numpy(np.array(values, np.float32)).bfloat16()
            return rounded.view(torch.int16).numpy().view(np.uint16)
        if source == tl.float32 and target == tl.float8e4nv:
            return torch.from_numpy(np.array(values, np.float32)).to(torch.float8_e4m3fn).view(torch.uint8).numpy()
        return convert_float(values, source, target, rounding)

    def create_dot_of_numbers(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        """Without this, the bits of bf16 are multiplied as integers."""
        a, b = (self.cast_impl(x, tl.float32) if x.dtype.scalar == tl.bfloat16 else x for x in (a, b))
        return create_dot(self, a, b, *rest)

    def patch_tensor_and_index(tensor: Any, scope: Any) -> None:
        """Scalars are arrays of one element there; NumPy no longer makes such an array the bound of a range."""
        patch_tensor(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    interpreter._convert_float, interpreter._patch_lang_tensor = convert_and_round, patch_tensor_and_index
    interpreter.InterpreterBuilder.create_dot = create_dot_of_numbers


def patch_once_a_launch() -> None:
    """Spares the interpreter half of its Python calls in kernels that call functions, `tl.sum` among them.

    It makes Triton's language executable by replacing some 300 functions of it, for a launch and again with every such
    call: that takes milliseconds, and changes nothing from the second time on.
    """
    from triton.runtime import interpreter

    patch_language = interpreter._patch_lang
    patched: set[int] = set()  # modules, during a launch; launches do not nest

    @cache
    def modules(function: Callable[..., Any]) -> frozenset[int]:
        """Of Triton's, those that the function can name: what is patched for it."""
        named = [value for value in function.__globals__.values() if isinstance(value, ModuleType)]
        return frozenset(id(value) for value in named if value.__name__.startswith("triton.language"))

    def patch_what_is_not(function: Callable[..., Any]) -> Any:
        if patched >= modules(function):
            return None
        scope = patch_language(function)
        if not patched:  # the launch itself: only its scope is ever restored
            restore = scope.restore

            def restore_and_forget() -> None:
                patched.clear()
                restore()

            scope.restore = restore_and_forget
        patched.update(modules(function))
        return scope

    interpreter._patch_lang = patch_what_is_not


if INTERPRETED:
    correct_interpreter()
    patch_once_a_launch()
