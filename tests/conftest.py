"""What every test may count on: settings and loggers as they were, and no GPU tests where there is no GPU."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import free_port, wait_until_ready

# Two shared cores: time limits per example would fail for reasons that have nothing to do with the code. The same
# examples every time: a change is judged by what it did. `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("flashweb", settings.get_profile("explore"), derandomize=True)
settings.load_profile("flashweb")

# Two processes on two cores (`make test`): one thread of torch each, of the commands that tests start too. What
# serves a model asks for its number of threads itself.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def root() -> Path:
    """The repository's root folder."""
    return ROOT


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Settings come from what a test says, never from the shell it was started in; what a server keeps goes where the
    tests' other files go."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data"))
    for name in list(os.environ):
        if name.startswith("FLASHWEB_") or name in {"API_KEY_REQUIRED", "VALID_API_KEYS", "HF_TOKEN", "HF_ENDPOINT"}:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def clean_logging() -> Iterator[None]:
    """A test that starts a server in this process sets up its loggers; the next one finds them as they were."""
    loggers = [logging.getLogger(name) for name in ("flashweb", "uvicorn")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture(scope="session")
def echo_server() -> Iterator[str]:
    """URL of a server whose engine repeats the question's own words."""
    port = free_port()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FLASHWEB_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flashweb", "serve", "--engine", "echo", "--port", str(port), "--ui-port", "0"],
        env=environ,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if shutil.which("nvidia-smi"):
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))
