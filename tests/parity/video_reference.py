"""The reference's own rules for clips, run from transformers' source: its module wants torchvision, these functions do
not.

    rule = reference_class("glm46v")                 # an object with the class's constants and functions
    indices = rule.sample_frames(rule, metadata)
"""

from __future__ import annotations

import ast
import importlib.util
import math
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np


@lru_cache
def reference_class(family: str) -> Any:
    """`Glm46VVideoProcessor` or `Glm4vVideoProcessor`, its constants and the functions that compute with numbers
    alone, and `replace_video_token` of the processor beside it."""
    scope: dict[str, Any] = {"np": np, "math": math, "logger": SimpleNamespace(warning_once=print)}
    found = SimpleNamespace(temporal_patch_size=2)
    for module in ("video_processing", "processing"):
        for function in _functions(_folder() / family / f"{module}_{family}.py"):
            function.decorator_list, function.returns = [], None
            for argument in (*function.args.args, *function.args.kwonlyargs, function.args.kwarg):
                if argument is not None:
                    argument.annotation = None
            exec(compile(ast.Module([function], []), family, "exec"), scope)
            setattr(found, function.name, scope[function.name])
    found.fps, found.max_duration, found.image_token = 2, 300, "<|image|>"
    found.video_processor = SimpleNamespace(merge_size=2)
    return found


def metadata(num_frames: int, fps: float, seconds: float | None = None) -> Any:
    """What the reference's reader knows of a clip (`read_video_pyav`)."""
    return SimpleNamespace(
        total_num_frames=num_frames, fps=fps, duration=num_frames / fps if seconds is None else seconds
    )


def _functions(path: Path) -> list[ast.FunctionDef]:
    wanted = {"smart_resize", "sample_frames", "get_num_of_video_patches", "replace_video_token"}
    wanted |= {"replace_frame_token_id", "patchify"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in wanted]


def _folder() -> Path:
    spec = importlib.util.find_spec("transformers")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "models"
