"""What a thousand requests with pictures leave behind: a real server with the real engine and the bundled model.

Anonymous memory (what a process cannot give back to files; /proc/PID/status RssAnon) of the web process and of the
engine process is read after a warm-up and after the load, each time with nothing running. Every picture is new, so
every cache is filled and evicted; the engine's caches are made small, so that they are full before the first
reading (their pages are touched one by one, which would look like growth).
Also: the count of free KV blocks, open files and threads before and after. Last line: JSON.

    python benchmarks/memory.py [--requests 1000] [--save]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import free_port, machine, write_result
from echo_cost import body, get, run_load

LIMIT_WEB_MB = 300.0
# Reading noise: the allocator's pages and the interpreter's free lists move by this much without a trend.
TOLERANCE_MB = 8.0
TOKENS = 4


def serve(port: int, report: str) -> int:
    """The server as `flashweb serve` runs it, which besides writes the engine's state to a file on SIGUSR1."""
    from flashweb import serve as server
    from flashweb.settings import load_settings

    flags = {"server.port": port, "server.ui_port": (), "log.access_log": False}
    small = {"engine.encoder_cache_memory": 16 << 20, "engine.kv_cache_memory": 24 << 20}
    settings = load_settings({**flags, **small}, {}).settings
    listening = server.open_sockets(settings.server)
    assert listening is not None
    pipeline, names = server.build_pipeline(settings)

    def write_report(*_: object) -> None:
        state = pipeline.engine.state
        facts = {name: getattr(state, name) for name in ("num_free_blocks", "num_blocks", "num_running", "num_waiting")}
        Path(report + ".part").write_text(json.dumps({**facts, "num_inside": pipeline.num_inside}))
        os.replace(report + ".part", report)

    signal.signal(signal.SIGUSR1, write_report)
    with asyncio.Runner(loop_factory=server.loop_factory()) as runner:
        return runner.run(server.live(settings, listening, pipeline, names))


def reading(pid: int, report: Path) -> dict[str, Any]:
    """One idle moment of the server: memory of both processes, blocks, files, threads."""
    time.sleep(2.5)  # the engine reports its blocks once a second
    report.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    deadline = time.monotonic() + 10
    while not report.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    engine = engine_of(pid)
    return {
        "web_anon_mb": anonymous_mb(pid),
        "web_rss_mb": status_mb(pid, "VmRSS"),
        "engine_anon_mb": anonymous_mb(engine),
        "web_files": len(os.listdir(f"/proc/{pid}/fd")),
        "web_threads": len(os.listdir(f"/proc/{pid}/task")),
        **json.loads(report.read_text()),
    }


def engine_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(child) for child in children if b"engine.worker" in Path(f"/proc/{child}/cmdline").read_bytes())


def anonymous_mb(pid: int) -> float:
    return round(status_mb(pid, "RssAnon") + status_mb(pid, "VmSwap"), 1)


def status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return round(int(line.split()[1]) / 1024, 1)
    raise AssertionError(f"no {name} for {pid}")


def measure(requests: int, warm_up: int, concurrency: int) -> dict[str, Any]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "state.json"
        command = [sys.executable, __file__, "--serve", str(port), str(report)]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait_ready(server, port)
            bodies = lambda first, count: [body(seed, "JPEG", TOKENS) for seed in range(first, first + count)]  # noqa: E731
            at_start = reading(server.pid, report)
            run_load(port, bodies(-warm_up, warm_up), concurrency, least_events=2)
            readings = [reading(server.pid, report)]
            began = time.perf_counter()
            for quarter in range(4):
                run_load(port, bodies(quarter * requests // 4, requests // 4), concurrency, least_events=2)
                readings.append(reading(server.pid, report))
            seconds = time.perf_counter() - began
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    return {"at_start": at_start, "readings": readings, "requests_per_second": round(requests / seconds, 2)}


def wait_ready(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if get(port, "/health/ready") == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit("the server did not become ready")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--warm-up", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--save", action="store_true", help="write results/memory.json")
    parser.add_argument("--serve", nargs=2, metavar=("PORT", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(int(args.serve[0]), args.serve[1])
    setup = machine()
    found = measure(args.requests, args.warm_up, args.concurrency)
    first, last = found["readings"][0], found["readings"][-1]
    growth = {name: round(last[name] - first[name], 1) for name in ("web_anon_mb", "engine_anon_mb")}
    highest = max(entry["web_rss_mb"] for entry in found["readings"])
    checks = {
        "web process under 300 MB": highest < LIMIT_WEB_MB,
        "no growth of the web process": growth["web_anon_mb"] <= TOLERANCE_MB,
        "no growth of the engine process": growth["engine_anon_mb"] <= TOLERANCE_MB,
        "blocks back to base": last["num_free_blocks"] == found["at_start"]["num_free_blocks"],
        "nothing left inside": (last["num_running"], last["num_waiting"], last["num_inside"]) == (0, 0, 0),
        "no open files left": last["web_files"] <= first["web_files"],
    }
    result = {
        "what": "memory after 448 px pictures through the real engine, bundled model, every picture new, 4 tokens each",
        "setup": setup,
        "requests": args.requests,
        "warm_up": args.warm_up,
        "concurrency": args.concurrency,
        "growth": growth,
        "highest_web_rss_mb": highest,
        "tolerance_mb": TOLERANCE_MB,
        "checks": checks,
        **found,
    }
    for name, ok in checks.items():
        print(f"{'ok' if ok else 'FAILED':<7} {name}")
    if args.save:
        write_result("memory", result)
    else:
        print(json.dumps(result))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
