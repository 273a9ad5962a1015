"""The server's life: sockets, start, ready line, drain, end.

One ASGI app answers on several sockets, which are bound before anything heavy is loaded, so that a busy port is known
at once, and listen only when requests can be answered, so that nobody hangs meanwhile. The first SIGTERM or Ctrl-C
drains (health goes red, new requests get 503, running ones finish within `--timeout-graceful-shutdown`, the rest get a
last error event); the second ends at once. Knows nothing of requests.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import json
import logging
import os
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashweb.engine import EchoEngine, Engine, EngineClient, EngineConfig, EngineState
from flashweb.errors import ConfigError
from flashweb.hub import resolve_model
from flashweb.keys import KeyRing
from flashweb.media import MediaLoader, MediaSettings, keep_picture_memory
from flashweb.names import ModelNames
from flashweb.observe import configure_logging
from flashweb.pipeline import Pipeline
from flashweb.progress import ProgressBar
from flashweb.prompt import PromptProcessor
from flashweb.settings import ServerSettings, Settings

log = logging.getLogger("flashweb.serve")
OPEN_HOSTS = ("0.0.0.0", "::", "")
SECOND_START_PATIENCE = 15.0  # seconds for another start, which holds the port but does not listen yet, to answer
FORCED_EXIT = 130
COLLECT_EVERY = 10_000  # new objects


# --- the parts ----------------------------------------------------------------------------------------------------


def build_pipeline(
    settings: Settings,
    engine_of: Callable[[Settings, Path, PromptProcessor], Engine] | None = None,
    folder: Path | None = None,
) -> tuple[Pipeline, ModelNames]:
    """Everything behind the HTTP face, wired but not started. Downloads the model when need be.

    Raises ConfigError and CheckpointError.
    """
    folder = folder or resolve_model(settings.model.model, settings.model.revision)
    processor = PromptProcessor(folder)
    keep_picture_memory()
    media = MediaSettings.from_options(settings.media)
    loader = MediaLoader(media, processor.geometry)
    names = ModelNames(model_name(settings.model.model), settings.model.served_model_name)
    engine = (engine_of or build_engine)(settings, folder, processor)
    return Pipeline(settings, loader, processor, engine, names.own), names


def build_engine(settings: Settings, folder: Path, processor: PromptProcessor) -> Engine:
    if settings.engine.engine == "echo":
        return EchoEngine(
            max_model_len=settings.engine.max_model_len or 32768,
            max_num_seqs=settings.engine.max_num_seqs or 256,
            eos_token_ids=processor.eos_token_ids,
            skip_token_ids=processor.tokenizer.control_names.keys(),
        )
    return EngineClient(engine_config(settings, folder, processor))


def engine_config(settings: Settings, folder: Path, processor: PromptProcessor) -> EngineConfig:
    """The engine's own words for our settings; 0 there is None here: decided where the facts are known."""
    engine, model = settings.engine, settings.model
    config: dict[str, Any] = {
        "model": str(folder),
        "dtype": model.dtype,
        "device": engine.device,
        "load_format": model.load_format,
        "quantization": model.quantization,
        "eos_token_ids": tuple(processor.eos_token_ids),
        "thought_end_ids": processor.thought_end_ids,
        "thought_close_ids": processor.thought_close_ids,
        "num_real_tokens": processor.num_real_tokens,
        "max_image_patches": processor.geometry.max_patches,
        "max_model_len": engine.max_model_len or None,
        "max_num_seqs": engine.max_num_seqs or None,
        "max_num_batched_tokens": engine.max_num_batched_tokens or None,
        "kv_cache_dtype": engine.kv_cache_dtype,
        "kv_cache_bytes": engine.kv_cache_memory or None,
        "gpu_memory_utilization": engine.gpu_memory_utilization,
        "enable_prefix_cache": engine.prefix_cache,
        "prefer": engine.prefer,
        "speculation": engine.speculation,
        "threads": engine.threads or None,
        "lazy_load": engine.lazy_load,
    }
    if engine.encoder_cache_memory:
        config["encoder_cache_bytes"] = engine.encoder_cache_memory
    return EngineConfig(**config)


def model_name(model: str) -> str:
    """What the model calls itself over the API: a hub id as it is, a folder by its last part."""
    path = Path(model).expanduser()
    return path.resolve().name if path.is_dir() else model


# --- sockets ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bound:
    """Ports that are ours. Connections are refused until `listen`."""

    sockets: tuple[socket.socket, ...]
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AlreadyRunning:
    """Our own server answers on the API's port, with this model."""

    model: str


def open_sockets(server: ServerSettings, *, patience: float = SECOND_START_PATIENCE) -> Bound | AlreadyRunning:
    """Bind the API's port and the further ones, or find that our own server has the API's port.

    A port that is taken but silent may belong to a server that is still starting: it is asked again for `patience`
    seconds. Raises ConfigError when the API's port is taken by something else; a busy further port is only logged.
    """
    try:
        bound = [bind(server.host, server.port, unread_seconds=server.send_timeout)]
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        model = _answering_model(server.host, server.port, patience) if taken else None
        if model is not None:
            return AlreadyRunning(model)
        raise _cannot_listen(server.host, server.port, error) from error
    for port in server.ui_port:
        if port == server.port:
            continue
        try:
            bound.append(bind(server.host, port, unread_seconds=server.send_timeout))
        except OSError as error:
            log.warning("port %d of the page is not available (%s); the API's port serves it too", port, error.strerror)
    return Bound(tuple(bound), tuple(sock.getsockname()[1] for sock in bound))


def bind(host: str, port: int, *, unread_seconds: float = 60.0) -> socket.socket:
    """A socket that holds the port for itself but does not listen yet. Raises OSError."""
    try:
        return _bound(host, port, unread_seconds, reuse=False)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        # Perhaps it is only an earlier server's connections that are fading out: those may be passed over.
        return _bound(host, port, unread_seconds, reuse=True)


def _bound(host: str, port: int, unread_seconds: float, *, reuse: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited by the connections; ends those whose client reads nothing
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(unread_seconds * 1000))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        bound.bind((host, port))
        # Linux lets two sockets with SO_REUSEADDR share a port while neither listens: take it back until we do.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, False)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def listen(bound: Bound) -> None:
    """From here on connections are accepted. Raises ConfigError when a port was lost meanwhile."""
    for opened in bound.sockets:
        try:
            # Inherited by the connections, which may then fade out without keeping the next start from the port.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            opened.listen(2048)
        except OSError as error:
            host, port, *_ = opened.getsockname()
            raise _cannot_listen(host, port, error) from error


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot listen on {host}:{port}: {error.strerror}; stop what uses it (a flashweb that is still downloading "
        "its model does not answer yet) or give another --port"
    )


def _answering_model(host: str, port: int, patience: float) -> str | None:
    """The model of the flashweb that holds the port. None when somebody else answers, or nobody for `patience`."""
    import http.client

    deadline = time.monotonic() + patience
    told = False
    while True:
        try:
            return _ask_model(host, port)
        except http.client.HTTPException:
            return None
        except OSError:  # refused or silent
            if time.monotonic() >= deadline:
                return None
        if not told:
            _say(f"port {port} is taken but does not answer; waiting up to {patience:g} s for a flashweb there")
            told = True
        time.sleep(0.2)


def _ask_model(host: str, port: int) -> str | None:
    """Raises OSError and HTTPException."""
    import http.client

    connection = http.client.HTTPConnection(_reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        if response.getheader("server") != "flashweb":
            return None
        body = json.loads(response.read())
        return str(body["model"]) if isinstance(body, dict) and "model" in body else None
    except ValueError:
        return None
    finally:
        connection.close()


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in OPEN_HOSTS else host


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`; a name that does not resolve counts as open."""
    try:
        addresses = [ipaddress.ip_address(host)] if host else []
    except ValueError:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return False
        addresses = [ipaddress.ip_address(info[4][0]) for info in found]
    return bool(addresses) and all((getattr(a, "ipv4_mapped", None) or a).is_loopback for a in addresses)


# --- what people read ---------------------------------------------------------------------------------------------


def urls(host: str, ports: Sequence[int]) -> list[str]:
    name = _reachable(host)
    return [f"http://{f'[{name}]' if ':' in name else name}:{port}" for port in ports]


def ready_lines(settings: Settings, ports: Sequence[int], name: str, *, loaded: bool) -> str:
    """The one clear ready line, and how to be reached from elsewhere."""
    here = urls(settings.server.host, ports)
    state = "ready" if loaded else "ready (the model loads with the first request)"
    lines = [f"flashweb is {state}: {name} at {here[0]}/v1 · page {here[-1]}/ · docs {here[0]}/docs"]
    if is_loopback(settings.server.host):
        command = open_command(sys.argv, sys.orig_argv)
        lines.append(f"For other machines: stop this one (Ctrl-C), then start it with: {command}")
    elif not has_keys(settings):
        lines.append(
            "!!! OPEN TO EVERY MACHINE THAT CAN REACH THIS ONE: no API key is checked. Set VALID_API_KEYS (see "
            "--preset strict), or listen on 127.0.0.1 !!!"
        )
    return "\n".join(lines)


def has_keys(settings: Settings) -> bool:
    auth = settings.auth
    return bool(auth.api_keys or auth.api_key_file) and auth.api_key_required is not False


def open_command(argv: Sequence[str], orig_argv: Sequence[str]) -> str:
    """The command that started this process, open to other machines, as a shell takes it.

    `argv` and `orig_argv` are those of `sys`: the second one also holds the interpreter of `python -m flashweb`.
    """
    program = argv[0]
    if os.path.basename(program) == "__main__.py":
        command = list(orig_argv)
    else:
        command = [_typed(program), *argv[1:]]
    return shlex.join([*command, "--host", "0.0.0.0"])  # of two --host the last one counts


def _typed(program: str) -> str:
    """The bare name where the shell finds the same file by it, else the whole path."""
    found = shutil.which(os.path.basename(program))
    path = os.path.abspath(program)
    return os.path.basename(program) if found and os.path.realpath(found) == os.path.realpath(path) else path


def already_running(settings: Settings, model: str) -> str:
    """What a second start says; it ends with 0, so it must also say when that is not the model it was asked for."""
    here = urls(settings.server.host, [settings.server.port])[0]
    text = f"flashweb is already running: {model} at {here}/v1 · page {here}/ · docs {here}/docs"
    wanted = model_name(settings.model.model)
    return text if wanted == model else f"{text}\nFor {wanted}, stop that one or give another --port."


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- the life -----------------------------------------------------------------------------------------------------


def run(settings: Settings) -> int:
    """Serve until told to stop; the exit code. Raises ConfigError and CheckpointError when it cannot start."""
    configure_logging(settings.log)
    KeyRing(settings.auth)  # now, and not after the model has loaded, is the time to say what is wrong with the keys
    bound = open_sockets(settings.server)
    if isinstance(bound, AlreadyRunning):
        _say(already_running(settings, bound.model))
        return 0
    try:
        if settings.server.workers > 1:
            from flashweb.workers import run as run_workers

            return run_workers(settings, bound)
        pipeline, names = build_pipeline(settings)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(live(settings, bound, pipeline, names))
    finally:
        for opened in bound.sockets:
            opened.close()


async def live(settings: Settings, bound: Bound, pipeline: Pipeline, names: ModelNames) -> int:
    """From bound sockets to the end of the drain; the exit code."""
    stopping = asyncio.Event()
    _on_signals(stopping)
    await pipeline.start()
    # Only now, beside the engine process that is loading: the HTTP stack takes half a second to import.
    from flashweb.http_server import build_server

    server = build_server(settings, pipeline, names, bound.ports)
    spare_collector()
    try:
        listen(bound)
    except ConfigError:
        await pipeline.stop()
        raise
    serving = asyncio.create_task(server.serve(sockets=list(bound.sockets)))
    announcing = asyncio.create_task(_announce(settings, bound, pipeline, names))
    told_to_stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({serving, told_to_stop, announcing}, return_when=asyncio.FIRST_COMPLETED)
        if announcing.done():
            announcing.result()  # raises what kept the engine from starting
            await asyncio.wait({serving, told_to_stop}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.is_set():
            _say("stopping: running requests may finish, new ones are refused; Ctrl-C again ends at once")
            await pipeline.drain(settings.server.timeout_graceful_shutdown)
    finally:
        for task in (announcing, told_to_stop):
            task.cancel()
        server.should_exit = True
        await serving
        await pipeline.stop()
    return 0


def spare_collector() -> None:
    """Leave what was imported and built, which lives as long as the process, out of every later collection, and
    collect less often: a step of 64 streams passes Python's threshold of 700 objects each time (a tenth of the web
    process's time), and a walk through everything keeps all streams waiting."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one (a third less CPU time per request), else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _on_signals(stopping: asyncio.Event) -> None:
    def on_signal() -> None:
        if stopping.is_set():
            _say("ending at once")
            # The engine process ends by itself when its line to us closes.
            os._exit(FORCED_EXIT)
        stopping.set()

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, on_signal)


# About how start-up's time is divided; the bar should move evenly, not exactly.
_STAGES = {"import": (0.0, 0.35), "weights": (0.35, 0.7), "memory": (0.7, 0.75), "warmup": (0.75, 0.95)}


def _share_loaded(state: EngineState) -> float:
    if state.phase == "ready":
        return 0.95  # our own first picture is still to come
    start, end = _STAGES.get(state.stage, (0.0, 0.0))
    return start + (end - start) * state.progress


async def _announce(settings: Settings, bound: Bound, pipeline: Pipeline, names: ModelNames) -> None:
    """Show what start-up is doing, then the ready line."""
    ready = asyncio.create_task(pipeline.wait_ready())
    with ProgressBar(f"loading {names.own}", 1.0) as bar:
        while not ready.done():
            await asyncio.wait({ready}, timeout=0.1)
            bar.update(_share_loaded(pipeline.engine.state))
    await ready
    _say(ready_lines(settings, bound.ports, names.own, loaded=pipeline.health().model_loaded))
