"""The import arrows of docs/architecture.md, and what the web process must never load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "flashweb"
LEAVES = {"types", "errors", "settings"}
# folder or file -> what of ours it may import; `__init__` of the package (the version) is everybody's
ALLOWED: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "settings": {"errors"},
    "warm_up": set(),
    "names": {"errors"},
    "keys": {"errors", "settings"},
    "rate_limit": {"errors", "settings"},
    "progress": set(),
    "model": {"types", "errors"},
    "engine": {"model", "structured", "types", "errors", "settings"},
    "bounded": {"errors"},
    "pdf": {"bounded", "errors"},
    "video": {"bounded", "errors"},
    "media": {"pdf", "video", "types", "errors", "settings"},
    "prompt": {"media", "types", "errors", "settings"},
    "structured": {"prompt", "types", "errors"},
    "output": {"structured", "types", "errors"},
    "observe": {"engine", "types", "settings"},  # the engine's face and messages; nothing of the engine imports it
    "pipeline": {"media", "prompt", "structured", "engine", "output", "observe", "warm_up", *LEAVES},
    "scenes": {"types", "errors"},
    "disk": {"errors"},
    "stored": {"disk", "errors", "wal"},
    "jobs": {"disk", "errors", "settings", "wal"},
    "webhooks": {"jobs", "stored", "media", "keys", "observe", "disk", "errors", "settings"},
    "api": {
        "pipeline",
        "output",
        "observe",
        "names",
        "scenes",
        "jobs",
        "keys",
        "rate_limit",
        "stored",
        "webhooks",
        *LEAVES,
    },
    "http_protocol": set(),
    "http_server": {"api", "pipeline", "names", "observe", "http_protocol", "rate_limit", *LEAVES},
}
# Inside the engine, only these files may touch the network's code (and with it torch).
ENGINE_TORCH = {"runner", "batch", "cuda_graph", "memory", "core", "worker", "sampler", "encoder_cache"}


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            if node.module == "flashweb":
                yield from (f"flashweb.{alias.name}" for alias in node.names if not alias.name.startswith("__"))
            else:
                yield node.module


def files_of(part: str) -> list[Path]:
    file = PACKAGE / f"{part}.py"
    return [file] if file.exists() else sorted((PACKAGE / part).rglob("*.py"))


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_follow_the_arrows(part: str) -> None:
    files = files_of(part)
    assert files, f"{part} is gone; correct the table"
    for path in files:
        ours = {name.split(".")[1] for name in imports_of(path) if name.startswith("flashweb.")}
        assert ours <= ALLOWED[part] | {part}, f"{path.relative_to(PACKAGE)} imports {ours - ALLOWED[part] - {part}}"


def test_nobody_imports_the_api_but_the_server() -> None:
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part not in {"api", "http_server", "asgi"}:
            assert not [name for name in imports_of(path) if name.startswith("flashweb.api")], path


def test_torch_is_imported_only_by_the_model_and_behind_the_worker() -> None:
    for path in PACKAGE.rglob("*.py"):
        part, *rest = path.relative_to(PACKAGE).parts
        behind_the_line = (
            part in {"model", "cli", "evaluate"}
            or (part == "engine" and path.stem in ENGINE_TORCH)
            or (part == "media" and path.stem == "worker")  # a picture worker: a process of its own
        )
        if not behind_the_line:
            found = [
                name for name in imports_of(path) if name == "torch" or name.startswith(("torch.", "flashweb.model."))
            ]
            assert not found, f"{path.relative_to(PACKAGE)} imports {found} ({rest})"


@pytest.mark.parametrize("name", ["pickle", "marshal", "shelve", "transformers", "dill", "cloudpickle"])
def test_nothing_that_executes_data_and_no_yardstick_is_imported(name: str) -> None:
    users = [path for path in PACKAGE.rglob("*.py") if name in {module.split(".")[0] for module in imports_of(path)}]
    assert not users


def test_the_web_process_never_loads_torch() -> None:
    code = (
        "import sys, flashweb.serve, flashweb.hub, flashweb.http_server; "
        "bad = {'torch', 'transformers', 'safetensors', 'pickle5'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
