"""The ways to start the server that the documents promise: api_server.py, 1键推理.sh, app.py under gunicorn."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port, wait_until_ready

ONE_CLICK = "1键推理.sh"
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("FLASHWEB_")}


@pytest.fixture
def installed(root: Path) -> Path:
    """The repository, when its .venv is current: otherwise these scripts would install it first."""
    if not (root / ".venv" / "installed").exists():
        pytest.skip("no .venv made by `make install`")
    return root


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.terminate()
    for process in started:
        process.wait(20)


def settings_of(command: list[str], cwd: Path, **environ: str) -> str:
    done = subprocess.run(
        [*command, "--print-config"], cwd=cwd, env=ENVIRONMENT | environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_api_server_passes_every_documented_flag_on(installed: Path, tmp_path: Path) -> None:
    flags = [
        "--host", "127.0.0.1", "--port", "9123", "--use-rest", "--enable-web-ui", "--cors-allowed-origins", "*",
        "--max-image-size", "1024", "--max-upload-size", "5MB", "--limit-concurrency", "10",
        "--timeout-graceful-shutdown", "60", "--lazy-load",
    ]  # fmt: skip
    config = settings_of([sys.executable, str(installed / "api_server.py"), *flags], tmp_path)
    for line in ("port = 9123", "ui_port = [7860, 8000]", 'cors_allowed_origins = ["*"]', "max_image_size = 1024",
                 f"max_upload_size = {5 << 20}", "limit_concurrency = 10", "lazy_load = true"):  # fmt: skip
        assert line in config


@pytest.mark.parametrize("how", [["bash"], []])
def test_the_one_click_script_forwards_model_and_flags(installed: Path, tmp_path: Path, how: list[str]) -> None:
    config = settings_of([*how, str(installed / ONE_CLICK), "org/name", "--port", "9124"], tmp_path)
    assert 'model = "org/name"' in config and "port = 9124" in config and "ui_port = [7860, 8000]" in config


def test_the_wrappers_run_with_the_systems_own_python(installed: Path, tmp_path: Path) -> None:
    other = shutil.which("python3", path="/usr/bin:/bin")
    if other is None:
        pytest.skip("no other Python on this machine")
    assert "ui_port = [0]" not in settings_of([other, str(installed / "api_server.py"), "--ui-port", "0"], tmp_path)


@pytest.mark.parametrize(
    ("flags", "environ", "expected"),
    [
        ([], {}, "ui_port = [7860, 8000]"),
        ([], {"FLASHWEB_UI_PORT": "7001"}, "ui_port = [7001]"),
        (["--ui-port=7002"], {}, "ui_port = [7002]"),
        (["--ui-port", "7002"], {"FLASHWEB_UI_PORT": "7001"}, "ui_port = [7002]"),
    ],
)
def test_api_server_names_the_pages_ports_only_when_nobody_else_does(
    installed: Path, tmp_path: Path, flags: list[str], environ: dict[str, str], expected: str
) -> None:
    config = settings_of([sys.executable, str(installed / "api_server.py"), *flags], tmp_path, **environ)
    assert expected in config


def test_a_second_start_says_already_running_and_ends_well(
    installed: Path, tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    port = str(free_port())
    command = [sys.executable, str(installed / "api_server.py"), "--engine", "echo", "--port", port, "--ui-port", "0"]
    first = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    processes.append(first)
    wait_until_ready(f"http://127.0.0.1:{port}", first)
    second = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert second.returncode == 0
    assert "already running" in second.stderr + second.stdout and f":{port}" in second.stderr + second.stdout
    assert first.poll() is None


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_port_taken_by_something_else_is_a_clear_error(
    installed: Path, tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    port = str(free_port())
    other = subprocess.Popen(
        [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"],
        cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    processes.append(other)
    end = time.monotonic() + 60
    while not listens(int(port)):
        assert other.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    command = [sys.executable, "-m", "flashweb", "serve", "--engine", "echo", "--port", port, "--ui-port", "0"]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert port in done.stderr and "--port" in done.stderr


def test_gunicorn_serves_app_py(installed: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    pytest.importorskip("gunicorn")
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "-k", "uvicorn.workers.UvicornWorker", "-w", "1",
               "--bind", f"127.0.0.1:{port}", "app:app"]  # fmt: skip
    server = subprocess.Popen(command, cwd=installed, env=ENVIRONMENT | {"FLASHWEB_ENGINE": "echo"},
                              stderr=subprocess.DEVNULL)  # fmt: skip
    processes.append(server)
    wait_until_ready(f"http://127.0.0.1:{port}", server)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/health", timeout=5) as response:
        assert json.load(response)["status"] == "ok"


def test_bootstrap_makes_nothing_when_the_environment_is_current(installed: Path, tmp_path: Path) -> None:
    """A copy with a fresh stamp: nothing is installed; with an older stamp, pip would be asked again."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("bootstrap.py", "pyproject.toml", "constraints.txt", "constraints-cpu.txt"):
        shutil.copy(installed / name, copy / name)
    fake = copy / ".venv" / "bin" / "python"
    fake.parent.mkdir(parents=True)
    fake.write_text('#!/bin/sh\necho "$@" >> "$(dirname "$0")/asked"\n')
    fake.chmod(0o755)
    command = [sys.executable, str(copy / "bootstrap.py")]
    subprocess.run(command, check=True, capture_output=True)
    asked = (fake.parent / "asked").read_text()
    assert asked.count("-m pip install") == 1 and "-m venv" not in asked
    assert ("constraints.txt" if shutil.which("nvidia-smi") else "constraints-cpu.txt") in asked
    subprocess.run(command, check=True, capture_output=True)
    assert (fake.parent / "asked").read_text() == asked, "the second run had nothing to do"
    os.utime(copy / ".venv" / "installed", (0, 0))
    subprocess.run(command, check=True, capture_output=True)
    assert (fake.parent / "asked").read_text() == asked * 2


GOOD_PYTHON = '#!/bin/sh\necho "python $*" >> "{log}"\n'
WITHOUT_PIP = '#!/bin/sh\necho "No module named pip" >&2\nexit 1\n'


def bootstrap_with_a_broken_environment(
    root: Path, copy: Path, maker: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run bootstrap.py where `.venv` has a Python without pip and `maker` (a shell script) is what makes `.venv`."""
    copy.mkdir()
    for name in ("bootstrap.py", "pyproject.toml", "constraints.txt", "constraints-cpu.txt"):
        shutil.copy(root / name, copy / name)
    python = copy / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    good = copy / "good-python"
    good.write_text(GOOD_PYTHON.format(log=copy / "log"))
    python.write_text(WITHOUT_PIP)
    (copy / "maker").write_text(f"#!/bin/sh\ngood='{good}' python='{python}'\n{maker}")
    for script in (good, python, copy / "maker"):
        script.chmod(0o755)
    code = f"import bootstrap; bootstrap.suitable_python = lambda: {str(copy / 'maker')!r}; bootstrap.main([])"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, timeout=30)
    return done, (copy / "log").read_text() if (copy / "log").exists() else ""


def test_bootstrap_remakes_an_environment_whose_pip_does_not_work(root: Path, tmp_path: Path) -> None:
    maker = 'echo "maker $*" >> "${good%/*}/log"\ncp "$good" "$python"\n'
    done, log = bootstrap_with_a_broken_environment(root, tmp_path / "copy", maker)
    assert done.returncode == 0, done.stderr
    assert "making .venv anew" in done.stderr
    made, *after = log.splitlines()
    assert made == f"maker -m venv --clear {tmp_path / 'copy' / '.venv'}"
    assert "-m pip install" in after[-1] and (tmp_path / "copy" / ".venv" / "installed").exists()


@pytest.mark.parametrize("maker", ["exit 1\n", "exit 0\n"])
def test_bootstrap_says_what_to_install_when_no_environment_can_be_made(root: Path, tmp_path: Path, maker: str) -> None:
    done, log = bootstrap_with_a_broken_environment(root, tmp_path / "copy", maker)
    assert done.returncode == 4 and log == ""
    assert "python3-venv" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "copy" / ".venv" / "installed").exists()


def test_bootstrap_parses_on_an_old_python(root: Path) -> None:
    """No syntax newer than 3.6: an old `python3` must get as far as looking for a newer one."""
    import ast

    ast.parse((root / "bootstrap.py").read_text(), feature_version=(3, 6))
    ast.parse((root / "api_server.py").read_text(), feature_version=(3, 6))
