"""Check this machine and tell whether a model fits: what is there, what is missing, what to do about it.

  flashweb doctor                            the bundled model
  flashweb doctor zai-org/GLM-4.6V-Flash     reads sizes from the hub without downloading the weights
  flashweb doctor --prove                    starts the engine for real and holds the forecast against what it took

--prove uses random weights where a checkpoint's are not there. --memory-cap 12GiB lets the engine have no more of a
GPU than that, besides the CUDA context: a large card then proves what runs on a small one.

Exit code 0 when nothing stands in the way, 3 for wrong settings, 4 when something must be mended first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import httpx

from flashweb import __version__
from flashweb.cli.fit import Fit, estimate_fit, folder_weights
from flashweb.errors import ConfigError, FlashwebError
from flashweb.hub import BUNDLED, Hub, missing_files, resolve_model
from flashweb.progress import human_bytes
from flashweb.settings import Settings, load_settings, parse_size
from flashweb.settings import add_arguments as add_setting_arguments

Verdict = Literal["ok", "note", "warn", "fail"]
_MARKS: Mapping[Verdict, tuple[str, str]] = {
    "ok": ("✓", "32"),
    "note": ("·", "0"),
    "warn": ("!", "33"),
    "fail": ("✗", "31"),
}
# Runs in a process of its own: importing torch is slow, may crash on a broken driver, and must not happen in ours.
_TORCH_PROBE = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    "version": torch.__version__, "built_for_cuda": torch.version.cuda, "threads": torch.get_num_threads(),
    "devices": [{"name": torch.cuda.get_device_name(i), "capability": torch.cuda.get_device_capability(i),
                 "free": torch.cuda.mem_get_info(i)[0], "total": torch.cuda.mem_get_info(i)[1]}
                for i in range(torch.cuda.device_count())] if cuda else []}))
"""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    verdict: Verdict
    found: str
    fix: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--prove", action="store_true", help="start the engine and measure what was forecast")
    parser.add_argument(
        "--memory-cap", metavar="SIZE", help="with --prove, on CUDA: let the engine have no more memory"
    )
    add_setting_arguments(parser)


def run(args: argparse.Namespace) -> int:
    settings = load_settings(args).settings
    cap = _memory_cap(args)
    checks, fit, proof = examine(settings, os.environ, proving=args.prove, memory_cap=cap)
    if args.json:
        found: dict[str, Any] = {"version": __version__, "checks": [asdict(check) for check in checks]}
        found |= {"fit": asdict(fit) if fit else None} | ({"proof": proof} if args.prove else {})
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print(report(checks, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    return 4 if any(check.verdict == "fail" for check in checks) else 0


def _memory_cap(args: argparse.Namespace) -> int | None:
    """Raises ConfigError."""
    if args.memory_cap is None:
        return None
    if not args.prove:
        raise ConfigError("--memory-cap is for --prove, which starts an engine; give both")
    try:
        return int(parse_size(args.memory_cap))
    except ValueError as error:
        raise ConfigError(f"--memory-cap: {error}") from None


def report(checks: Sequence[Check], *, colour: bool) -> str:
    """One line per check, the fix below it, and a closing sentence."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        mark, code = _MARKS[check.verdict]
        mark = f"\x1b[{code}m{mark}\x1b[0m" if colour else mark
        lines.append(f"{mark} {check.name:<{width}}  {check.found}")
        if check.fix:
            lines.append(f"  {'':<{width}}  -> {check.fix}")
    num_bad = sum(check.verdict == "fail" for check in checks)
    num_warn = sum(check.verdict == "warn" for check in checks)
    end = f"{num_bad} to mend, {num_warn} to know about" if num_bad + num_warn else "nothing stands in the way"
    return "\n".join([*lines, "", end])


def examine(
    settings: Settings, environ: Mapping[str, str], *, proving: bool = False, memory_cap: int | None = None
) -> tuple[list[Check], Fit | None, dict[str, Any]]:
    """Every check in the order a person would go through them, and the figures of the proof. Raises ConfigError."""
    torch = probe_torch()
    memory = available_memory()
    checks = [
        check_python(),
        check_packages(),
        *check_torch(torch, nvidia_gpu()),
        check_cores(),
        check_memory(memory),
        check_open_files(),
        *check_ports(settings),
        check_temporary(),
        check_shared_memory(),
    ]
    if memory_cap is not None and (settings.engine.device == "cpu" or not torch["devices"]):
        raise ConfigError(
            "--memory-cap is enforced by CUDA's allocator, and the engine would run on the CPU; leave it out, or cap "
            "the process from outside (systemd-run -p MemoryMax=, a container's limit)"
        )
    model_checks, fit, proof = check_model(settings, environ, torch, memory, proving, memory_cap)
    return checks + model_checks, fit, proof


# --- the machine ----------------------------------------------------------------------------------------------------


def check_python() -> Check:
    found = f"Python {platform.python_version()} ({platform.system()} {platform.machine()})"
    if platform.system() != "Linux":
        return Check("Python", "warn", found, "flashweb is tested on Linux only")
    return Check("Python", "ok", found)


def check_packages() -> Check:
    """Are the declared dependencies there, at their lower bounds? Pins beyond that are a matter of taste."""
    wrong = []
    try:
        requirements = metadata.requires("flashweb") or []
    except metadata.PackageNotFoundError:  # run from its source: nothing says what it needs
        return Check("packages", "warn", "flashweb runs from its source: what it needs was not checked", "make install")
    for requirement in requirements:
        if "extra ==" in requirement:
            continue
        name, least = _name_and_least(requirement)
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if _version(version) < _version(least):
            wrong.append(f"{name} {version} is older than {least}")
    if wrong:
        return Check("packages", "fail", ", ".join(wrong), "make install, or pip install -U flashweb")
    return Check("packages", "ok", f"flashweb {__version__} and what it needs")


def _name_and_least(requirement: str) -> tuple[str, str]:
    """Of a requirement such as "torch<3,>=2.4; python_version < '4'": the package and its lower bound, "0" for none."""
    name = re.match(r"[\w.-]+", requirement)
    least = re.search(r">=\s*([\w.+]+)", requirement.partition(";")[0])
    assert name is not None, requirement
    return name[0], least[1] if least else "0"


def _version(text: str) -> tuple[int, ...]:
    numbers = text.strip().split("+")[0].split(".")
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in numbers)


def probe_torch() -> dict[str, Any]:
    """What torch says about itself and its devices; `{"error": ...}` when it cannot be imported."""
    try:
        done = subprocess.run([sys.executable, "-c", _TORCH_PROBE], capture_output=True, text=True, timeout=120)
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        stderr = "" if isinstance(error, subprocess.TimeoutExpired) else done.stderr.strip()
        return {"error": (stderr.splitlines() or [type(error).__name__])[-1], "devices": []}


def nvidia_gpu() -> str | None:
    """The first NVIDIA GPU as its driver names it, whether or not torch can use it."""
    if not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (subprocess.TimeoutExpired, OSError):
        return None
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout.strip() else None


def check_torch(torch: Mapping[str, Any], gpu: str | None) -> Iterator[Check]:
    if "error" in torch:
        yield Check("PyTorch", "fail", f"cannot be imported: {torch['error']}", "make install, or pip install torch")
        return
    build = f"built for CUDA {torch['built_for_cuda']}" if torch["built_for_cuda"] else "CPU build"
    yield Check("PyTorch", "ok", f"{torch['version']} ({build})")
    if torch["devices"]:
        first = torch["devices"][0]
        words = f"{first['name']}, {human_bytes(first['free'])} of {human_bytes(first['total'])} free"
        more = f", and {len(torch['devices']) - 1} more (one is used)" if len(torch["devices"]) > 1 else ""
        low = first["free"] < 0.5 * first["total"]
        fix = "another program holds GPU memory; end it, or lower --gpu-memory-utilization" if low else ""
        yield Check("GPU", "warn" if low else "ok", words + more, fix)
    elif gpu and not torch["built_for_cuda"]:
        fix = "pip install --force-reinstall torch (a build for CUDA), or go on with --device cpu"
        yield Check("GPU", "warn", f"{gpu}, but PyTorch is a CPU build", fix)
    elif gpu:
        fix = "update the NVIDIA driver to one that supports this CUDA, or go on with --device cpu"
        yield Check("GPU", "warn", f"{gpu}, but PyTorch cannot use it", fix)
    else:
        yield Check("GPU", "note", "none; the CPU serves the bundled model well, large ones slowly")


def usable_cores() -> float:
    """Cores this process may use, a container's quota included."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(cores, float(quota) / float(period)) if quota != "max" else cores
    except (OSError, ValueError):
        return cores


def check_cores() -> Check:
    flags = _first_line("/proc/cpuinfo", "flags")
    has_avx2 = not flags or "avx2" in flags.split() or platform.machine() != "x86_64"
    words = f"{usable_cores():g} usable"
    if not has_avx2:
        return Check("CPU cores", "warn", f"{words}, without AVX2", "expect answers several times slower")
    if usable_cores() < 2:
        return Check("CPU cores", "warn", words, "two or more keep the web side and the engine out of each other's way")
    return Check("CPU cores", "ok", words)


def available_memory() -> int | None:
    """Bytes this process could still get: the machine's, or a container's limit when that is tighter."""
    line = _first_line("/proc/meminfo", "MemAvailable")
    free = int(line.split()[0]) * 1024 if line else None
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        left = limit - int(Path("/sys/fs/cgroup/memory.current").read_text())
        return left if free is None else min(free, left)
    except (OSError, ValueError):
        return free


def _first_line(path: str, key: str) -> str:
    """The value of the first `key: value` line of a /proc file, empty when there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith(key)), "")
    except OSError:
        return ""


def check_memory(memory: int | None) -> Check:
    if memory is None:
        return Check("memory", "note", "cannot be told on this system")
    if memory < 1 << 30:
        return Check("memory", "warn", f"{human_bytes(memory)} available", "the bundled model wants about 1 GiB")
    return Check("memory", "ok", f"{human_bytes(memory)} available")


def check_open_files() -> Check:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1024:
        return Check("open files", "warn", f"limit {soft}", "ulimit -n 4096: every client takes one")
    return Check("open files", "ok", f"limit {soft}")


def check_temporary() -> Check:
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check("temporary files", "fail", f"{folder}: {error.strerror}", "set TMPDIR to a folder that exists")
    if free < 64 << 20 or not os.access(folder, os.W_OK):
        return Check("temporary files", "fail", f"{folder}: {human_bytes(free)} free", "make room or set TMPDIR")
    return Check("temporary files", "ok", f"{folder}: {human_bytes(free)} free")


def check_shared_memory() -> Check:
    """Semaphores between processes live there; containers sometimes come with it tiny or read-only."""
    folder = Path("/dev/shm")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return Check("shared memory", "warn", f"{folder} cannot be written", "mount a tmpfs there (docker: --shm-size)")
    return Check("shared memory", "ok", f"{folder}: {human_bytes(shutil.disk_usage(folder).free)} free")


def check_ports(settings: Settings) -> Iterator[Check]:
    server = settings.server
    yield _check_port(server.host, server.port, "API", f"--port {server.port + 1}, or end the other program")
    for port in server.ui_port:
        check = _check_port(server.host, port, "page", "")
        busy = check.verdict == "fail"
        yield Check(check.name, "note" if busy else check.verdict, check.found + (", will be skipped" if busy else ""))


def _check_port(host: str, port: int, what: str, fix: str) -> Check:
    name = f"port {port}"
    if port == 0:
        return Check(name, "ok", f"{what}: the system will choose")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            return Check(name, "ok", f"{what}: free on {host}")
        except OSError as error:
            if _is_flashweb(host, port):
                return Check(name, "note", f"{what}: flashweb is running there")
            return Check(name, "fail", f"{what}: {error.strerror} on {host}", fix)


def _is_flashweb(host: str, port: int) -> bool:
    address = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    try:
        body = httpx.get(f"http://{address}:{port}/health", timeout=1.0, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return False
    return isinstance(body, dict) and "model_loaded" in body


# --- the model ------------------------------------------------------------------------------------------------------


def check_model(
    settings: Settings,
    environ: Mapping[str, str],
    torch: Mapping[str, Any],
    memory: int | None,
    proving: bool = False,
    memory_cap: int | None = None,
) -> tuple[list[Check], Fit | None, dict[str, Any]]:
    name, is_dummy = settings.model.model, settings.model.load_format == "dummy"
    engine = None
    try:
        folder, weight_bytes, checks = _find_model(name, settings.model.revision, environ, is_dummy=is_dummy)
        if proving:
            from flashweb.cli import prove  # the engine's client and the prompt's parts: only where they are used

            is_complete = not missing_files(folder)
            engine = prove.proof_config(settings, folder, is_complete=is_complete, memory_cap=memory_cap)
        fit = estimate_fit(folder, weight_bytes, settings, torch["devices"], memory, engine)
    except FlashwebError as error:
        return [Check("model", "fail", f"{name}: {error.message}")], None, {}
    checks += _fit_checks(fit)
    if engine is None:
        return checks, fit, {}
    if fit.device == "CPU" and fit.budget_bytes and fit.left_bytes <= 0:
        return [*checks, Check("proof", "fail", "not tried: this machine could come to a halt over it")], fit, {}
    proof_checks, proof = prove.prove(engine, fit, weight_bytes, settings.media.max_image_size)
    return [*checks, *proof_checks], fit, proof


def _find_model(
    name: str, revision: str | None, environ: Mapping[str, str], *, is_dummy: bool = False
) -> tuple[Path, int, list[Check]]:
    """The folder with at least the small files, the weights' bytes on disk (0: only config.json tells), and what is to
    be said about it. `is_dummy`: nobody wants its weights."""
    if name in BUNDLED or Path(name).expanduser().is_dir():
        folder = resolve_model(name, environ=environ)
        missing = missing_files(folder)
        if is_dummy:
            return folder, 0, [Check("model", "ok", f"{name}: random weights of its shapes")]
        if missing:
            fix = "make install again" if name in BUNDLED else "complete the folder"
            return folder, 0, [Check("model", "fail", f"{folder} lacks {', '.join(missing)}", fix)]
        weights = folder_weights(folder)
        return folder, weights, [Check("model", "ok", f"{name}: complete, {human_bytes(weights)} of weights")]
    hub = Hub.from_environment(environ)
    cached = hub.cached(name, revision or "main")
    if cached is not None:
        weights = folder_weights(cached)
        return cached, weights, [Check("model", "ok", f"{name}: downloaded, {human_bytes(weights)} of weights")]
    folder, weights = hub.peek(name, revision or "main")
    free = shutil.disk_usage(folder).free
    words = f"{name}: not downloaded yet, {human_bytes(weights)} of weights; {human_bytes(free)} free in {folder}"
    if free < weights * 1.02:
        return folder, weights, [Check("model", "fail", words, "make room or set XDG_CACHE_HOME to a larger disk")]
    return folder, weights, [Check("model", "note", words, f"flashweb serve {name} downloads it")]


def _fit_checks(fit: Fit) -> Iterator[Check]:
    weights = f"{human_bytes(fit.weight_bytes)} of weights as {fit.dtype}" + (
        f" with the decoder in {fit.quantization}" if fit.quantization != "none" else ""
    )
    if fit.quantization_reason:
        yield Check("weight format", "ok", f"{fit.quantization} ({fit.quantization_reason})")
    place = f"{human_bytes(fit.budget_bytes)} for it on the {fit.device}" if fit.budget_bytes else "memory unknown"
    if fit.budget_bytes and fit.left_bytes <= 0:
        yield Check("memory fit", "fail", f"{weights}; {place}", _advice(fit))
        return
    yield Check("memory fit", "ok", f"{weights}; {place}")
    words = f"{human_bytes(fit.kv_bytes_per_token)} of KV cache per token"
    if fit.budget_bytes:
        words += (
            f"; {fit.max_tokens:,} tokens fit ({fit.max_pictures:,} pictures of 1024 px with a question), the model "
            f"takes {fit.context:,} in one request"
        )
        if fit.max_tokens_fp8 > fit.max_tokens:
            words += f"; --kv-cache-dtype fp8 would fit {fit.max_tokens_fp8:,}"
    if fit.budget_bytes and fit.max_tokens < min(4096, fit.context):
        yield Check("context", "warn", words, "pictures alone may need more: " + _advice(fit))
    else:
        yield Check("context", "ok", words)


def _advice(fit: Fit) -> str:
    smaller: list[tuple[bool, Callable[[], str]]] = [
        (fit.quantization == "none", lambda: "try --quantization int8"),
        (fit.quantization in ("int8", "fp8") and fit.device == "GPU", lambda: "try --quantization int4"),
        (fit.dtype == "float32" and fit.device == "GPU", lambda: "try --dtype bfloat16"),
        (True, lambda: f"free memory, or take a machine with {human_bytes(fit.weight_bytes * 1.25)} or more"),
    ]
    return ", ".join(words() for applies, words in smaller if applies)
