"""The command as people run it, and a small picture to ask about."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def flashweb(tmp_path: Path) -> Run:
    """Run the command in a folder of its own: `flashweb("chat", "a.png", "what?", input=b"...")`."""

    def run(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("FLASHWEB_")}
        environ |= options.pop("env", {})  # type: ignore[arg-type, operator]
        command = [sys.executable, "-m", "flashweb", *args]
        options = {"stdin": subprocess.DEVNULL} | options if "input" not in options else options
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=90, **options)  # type: ignore[call-overload]
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 180, 90)).save(out, "PNG")
    path = tmp_path / "receipt.png"
    path.write_bytes(out.getvalue())
    return path
