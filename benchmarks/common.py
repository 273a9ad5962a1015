"""What every benchmark shares: the set-up in words, servers as context managers, results as JSON files.

Run the scripts from the repository's root: `.venv/bin/python benchmarks/NAME.py`.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LINE = 160  # characters of a result's lines
NANO = ROOT / "src" / "flashweb" / "models" / "flashweb-nano"


def machine() -> dict[str, Any]:
    """The set-up a figure is worth nothing without."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu_name() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")


def _commit() -> str:
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return "unknown"  # a copy of the files on a machine without git
    return done.stdout.strip() or "unknown"


def as_text(value: Any, depth: int = 0) -> str:
    """JSON to be read and compared: what fits into a line stands in one, of plain values as many as fit. Ends without
    a line break.
    """
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + depth <= LINE or not value or not isinstance(value, dict | list):
        return line
    left = " " * (depth + 1)
    if isinstance(value, list):
        parts, (first, last) = [as_text(one, depth + 1) for one in value], "[]"
        if not any(isinstance(one, dict | list) for one in value):
            parts = _filled(parts, LINE - depth - 2)
    else:
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {as_text(one, depth + 1)}" for key, one in value.items()]
        first, last = "{}"
    return f"{first}\n{left}" + f",\n{left}".join(parts) + f"\n{' ' * depth}{last}"


def _filled(parts: Sequence[str], width: int) -> list[str]:
    """The parts with as many in a line as fit."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return lines


def packed(result: Mapping[str, Any]) -> dict[str, Any]:
    """The same numbers in a third less text, for results of many rows; `unpacked` takes it back.

    Rows with the same keys become {"columns": keys, "rows": values of each}, whole floats lose their ".0", and a
    `setup` that many parts share stands once, in `setups`, the parts have its place there.
    """
    setups = list[Any]()

    def pack(value: Any) -> Any:
        if isinstance(value, float):
            return int(value) if value.is_integer() else value
        if isinstance(value, list):
            keys = list(value[0]) if len(value) > 1 and isinstance(value[0], dict) else []
            if len(keys) > 2 and all(isinstance(row, dict) and list(row) == keys for row in value):
                return {"columns": keys, "rows": [[pack(one) for one in row.values()] for row in value]}
            return [pack(one) for one in value]
        if not isinstance(value, Mapping):
            return value
        found = {key: pack(one) for key, one in value.items()}
        if isinstance(found.get("setup"), dict):
            if found["setup"] not in setups:
                setups.append(found["setup"])
            found["setup"] = setups.index(found["setup"])
        return found

    done: dict[str, Any] = pack(result)
    return {"setups": setups} | done if setups else done


def unpacked(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A result as it was before `packed`; one that was not packed is left as it is."""
    setups = stored.get("setups", [])

    def unpack(value: Any) -> Any:
        if isinstance(value, list):
            return [unpack(one) for one in value]
        if not isinstance(value, Mapping):
            return value
        if value.keys() == {"columns", "rows"}:
            return [dict(zip(value["columns"], map(unpack, row), strict=True)) for row in value["rows"]]
        shared = {"setup": setups[value["setup"]]} if isinstance(value.get("setup"), int) else {}
        return {key: unpack(one) for key, one in value.items()} | shared

    return {key: unpack(one) for key, one in stored.items() if key != "setups"}


def write_result(name: str, result: Mapping[str, Any]) -> None:
    """Print the result and keep it as `benchmarks/results/NAME.json`."""
    text = as_text(result)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], url: str, log: Path, health: str = "/health", limit_seconds: float = 180.0
) -> Iterator[tuple[int, float]]:
    """A server process: (process id, seconds from start until `health` answered 200), ended afterwards."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FLASHWEB_")} | {"HF_HUB_OFFLINE": "1"}
    with log.open("w") as file:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environ, cwd=ROOT)
        try:
            yield process.pid, _wait_ready(process, url + health, started, log, limit_seconds)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(process: subprocess.Popen[bytes], url: str, started: float, log: Path, limit: float) -> float:
    while time.perf_counter() - started < limit:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                if response.status == 200:
                    return time.perf_counter() - started
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"{url} did not answer within {limit} s:\n{log.read_text()[-2000:]}")


def flashweb_command(port: int, *flags: str) -> list[str]:
    return [sys.executable, "-m", "flashweb", "serve", "--port", str(port), "--ui-port", "0", *flags]


@contextmanager
def running_stub(step_ms: float, *flags: str) -> Iterator[tuple[str, int]]:
    """The whole server before a network that computes nothing in `step_ms` a step: (url, process id)."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "benchmarks/stub_server.py", "--port", str(port), "--ui-port", "0", "--no-access-log"]
    os.environ["STUB_STEP_MS"] = f"{step_ms:g}"
    with (
        tempfile.TemporaryDirectory() as folder,
        running([*command, *flags], url, Path(folder) / "log", "/health/ready") as started,
    ):
        yield url, started[0]


def best_and_median(rounds: Sequence[Mapping[str, float]], unit: str) -> dict[str, float]:
    """Of every figure the median over the rounds, and of those with `unit` in their name the smallest too."""
    best = {f"{name}_best": round(min(row[name] for row in rounds), 2) for name in rounds[0] if unit in name}
    return best | {f"{name}_median": round(median(row[name] for row in rounds), 2) for name in rounds[0]}


def process_cpu_seconds(pid: int) -> float:
    """Processor time of one process so far, all its threads but no children, to the nanosecond."""
    return sum(thread_cpu_seconds(pid, int(thread)) for thread in os.listdir(f"/proc/{pid}/task"))


def thread_cpu_seconds(pid: int, thread: int) -> float:
    """Of one thread; a process's first has its number."""
    return int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) / 1e9


def tree_memory_mib(pid: int) -> float:
    """Unique memory (USS) of a process and its children, in MiB."""
    import psutil

    parent = psutil.Process(pid)
    return round(sum(p.memory_full_info().uss for p in [parent, *parent.children(recursive=True)]) / 2**20, 1)


def tree_cpu_seconds(pid: int) -> float:
    """Processor time of a process and its children so far, user and system."""
    import psutil

    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in [parent, *parent.children(recursive=True)]]
    return round(sum(t.user + t.system for t in times), 2)
