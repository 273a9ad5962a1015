"""The server's life: sockets, start, ready line, drain, end.

One ASGI app answers on several sockets, which are bound before anything heavy is loaded: a busy port is known at
once. The first SIGTERM or Ctrl-C drains (health goes red, new requests get 503, running ones finish within
`--timeout-graceful-shutdown`, the rest get a last error event); the second ends at once. Knows nothing of requests.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashweb.engine import EchoEngine, Engine, EngineClient, EngineConfig, EngineState
from flashweb.errors import ConfigError
from flashweb.hub import resolve_model
from flashweb.media import MediaLoader, MediaSettings
from flashweb.names import ModelNames
from flashweb.observe import configure_logging
from flashweb.pipeline import Pipeline
from flashweb.progress import ProgressBar
from flashweb.prompt import PromptProcessor
from flashweb.settings import ServerSettings, Settings

log = logging.getLogger("flashweb.serve")
OPEN_HOSTS = ("0.0.0.0", "::", "")
FORCED_EXIT = 130


# --- the parts ----------------------------------------------------------------------------------------------------


def build_pipeline(settings: Settings) -> tuple[Pipeline, ModelNames]:
    """Everything behind the HTTP face, wired but not started. Downloads the model when need be.

    Raises ConfigError and CheckpointError.
    """
    folder = resolve_model(settings.model.model, settings.model.revision)
    processor = PromptProcessor(folder)
    media = MediaSettings.from_options(settings.media)
    loader = MediaLoader(media, processor.geometry)
    pipeline = Pipeline(settings, loader, processor, build_engine(settings, folder, processor))
    return pipeline, ModelNames(model_name(settings.model.model), settings.model.served_model_name)


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
        "num_real_tokens": processor.num_real_tokens,
        "max_model_len": engine.max_model_len or None,
        "max_num_seqs": engine.max_num_seqs or None,
        "max_num_batched_tokens": engine.max_num_batched_tokens or None,
        "kv_cache_bytes": engine.kv_cache_memory or None,
        "gpu_memory_utilization": engine.gpu_memory_utilization,
        "enable_prefix_cache": engine.prefix_cache,
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
class Listening:
    sockets: tuple[socket.socket, ...]
    ports: tuple[int, ...]


def open_sockets(server: ServerSettings) -> Listening | None:
    """Bind the API's port and the further ones. None when our own server already answers on the API's port.

    Raises ConfigError when the API's port is taken by something else; a busy further port is only logged.
    """
    try:
        opened = [bind(server.host, server.port, unread_seconds=server.send_timeout)]
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _flashweb_answers(server.host, server.port):
            return None
        raise ConfigError(
            f"cannot listen on {server.host}:{server.port}: {error.strerror}; stop what uses it or give another --port"
        ) from error
    for port in server.ui_port:
        if port == server.port:
            continue
        try:
            opened.append(bind(server.host, port, unread_seconds=server.send_timeout))
        except OSError as error:
            log.warning("port %d of the page is not available (%s); the API's port serves it too", port, error.strerror)
    return Listening(tuple(opened), tuple(sock.getsockname()[1] for sock in opened))


def bind(host: str, port: int, *, unread_seconds: float = 60.0) -> socket.socket:
    """A listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited by the connections; ends those whose client reads nothing
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(unread_seconds * 1000))
        opened.bind((host, port))
        opened.listen(2048)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened


def _flashweb_answers(host: str, port: int) -> bool:
    """Whether the server that holds the port is one of ours."""
    import http.client

    connection = http.client.HTTPConnection(_reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().getheader("server") == "flashweb"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in OPEN_HOSTS else host


# --- what people read ---------------------------------------------------------------------------------------------


def urls(host: str, ports: Sequence[int]) -> list[str]:
    name = _reachable(host)
    return [f"http://{f'[{name}]' if ':' in name else name}:{port}" for port in ports]


def ready_lines(settings: Settings, ports: Sequence[int], name: str, *, loaded: bool) -> str:
    """The one clear ready line, and how to be reached from elsewhere."""
    here = urls(settings.server.host, ports)
    state = "ready" if loaded else "ready (the model loads with the first request)"
    lines = [f"flashweb is {state}: {name} at {here[0]}/v1 · page {here[-1]}/ · docs {here[0]}/docs"]
    if settings.server.host in OPEN_HOSTS:
        lines.append(
            "!!! OPEN TO EVERY MACHINE THAT CAN REACH THIS ONE: no API key is checked. Put a proxy that checks keys in "
            "front, or listen on 127.0.0.1 !!!"
        )
    else:
        lines.append(f"For other machines: {' '.join(_own_command(settings))}")
    return "\n".join(lines)


def _own_command(settings: Settings) -> list[str]:
    command = ["flashweb", "serve"]
    if settings.model.model != "flashweb-nano":
        command.append(settings.model.model)
    command += ["--host", "0.0.0.0"]
    if settings.server.port != 8080:
        command += ["--port", str(settings.server.port)]
    return command


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- the life -----------------------------------------------------------------------------------------------------


def run(settings: Settings) -> int:
    """Serve until told to stop; the exit code. Raises ConfigError and CheckpointError when it cannot start."""
    configure_logging(settings.log)
    listening = open_sockets(settings.server)
    if listening is None:
        here = urls(settings.server.host, [settings.server.port])[0]
        _say(f"flashweb is already running: {here}/v1 · page {here}/ · docs {here}/docs")
        return 0
    try:
        pipeline, names = build_pipeline(settings)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(live(settings, listening, pipeline, names))
    finally:
        for opened in listening.sockets:
            opened.close()


async def live(settings: Settings, listening: Listening, pipeline: Pipeline, names: ModelNames) -> int:
    """From open sockets to the end of the drain; the exit code."""
    stopping = asyncio.Event()
    _on_signals(stopping)
    await pipeline.start()
    # Only now, beside the engine process that is loading: the HTTP stack takes half a second to import.
    from flashweb.http_server import build_server

    server = build_server(settings, pipeline, names, listening.ports)
    serving = asyncio.create_task(server.serve(sockets=list(listening.sockets)))
    announcing = asyncio.create_task(_announce(settings, listening, pipeline, names))
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


async def _announce(settings: Settings, listening: Listening, pipeline: Pipeline, names: ModelNames) -> None:
    """Show what start-up is doing, then the ready line."""
    ready = asyncio.create_task(pipeline.wait_ready())
    with ProgressBar(f"loading {names.own}", 1.0) as bar:
        while not ready.done():
            await asyncio.wait({ready}, timeout=0.1)
            bar.update(_share_loaded(pipeline.engine.state))
    await ready
    _say(ready_lines(settings, listening.ports, names.own, loaded=pipeline.health().model_loaded))
