"""The engine process: `python -m flashweb.engine.worker SOCKET`, its configuration as JSON on standard input.

Started and supervised by `client.py`. Connects to the socket, loads the model, then forever: drain the inbox, step,
send the news. Three threads: the main one computes; one reads the socket; one sends a sign of life twice a second,
also while the main one loads or computes. With the first structured request comes a fourth, which compiles grammars.

Ends on Shutdown (0), when the web side closes the line or dies (0), and with last words on a wrong configuration (3),
a checkpoint that cannot be used (4), a lost device (5), anything else (1). SIGINT and SIGTERM are ignored: a terminal
or a service manager sends them to every process of a group, and the web side must be able to drain first.
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import msgspec

from flashweb.engine.config import EngineConfig
from flashweb.engine.encoder_cache import PixelsNeeded
from flashweb.engine.protocol import (
    NO_STATS,
    Abort,
    Encoded,
    Failed,
    Fatal,
    FrameError,
    FromEngine,
    NeedPixels,
    Progress,
    Shutdown,
    Submit,
    ToEngine,
    Token,
    Tokens,
    encode_frame,
    receive_frame,
)
from flashweb.engine.start_clock import StartClock, process_start
from flashweb.errors import CheckpointError, ConfigError, FlashwebError, is_failure

if TYPE_CHECKING:
    from flashweb.engine.core import EngineCore

logger = logging.getLogger("flashweb.engine.worker")

HEARTBEAT_SECONDS = 0.5
STACK_BYTES = 16 << 20  # of threads: what compiles or masks here has been tried on an eighth (structured/trial.py)
EXIT_CONFIG, EXIT_CHECKPOINT, EXIT_DEVICE = 3, 4, 5


@dataclass(frozen=True, slots=True)
class Compiled:
    """A structured request whose grammar is ready, or cannot be: from the thread that compiles to the main one."""

    message: Submit
    error: BaseException | None = None


class Line:
    """The engine's end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.inbox: SimpleQueue[ToEngine | Compiled] = SimpleQueue()
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: FromEngine) -> None:
        frame = encode_frame(message)
        with self._sending:
            self._connection.sendall(frame)

    def read_forever(self) -> None:
        """Puts messages into the inbox; ends the whole process when the web side is gone, whatever else is going on."""
        try:
            self._read()
        except (OSError, FrameError) as error:
            logger.warning("the line to the web process broke: %s", error)
        os._exit(0)

    def _read(self) -> None:
        decoder = msgspec.msgpack.Decoder(ToEngine)
        while (frame := receive_frame(self._connection)) is not None:
            try:
                self.inbox.put(decoder.decode(frame))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                logger.error("a frame of %d bytes is no message and was dropped: %s", len(frame), error)


class Worker:
    def __init__(self, line: Line, config: EngineConfig) -> None:
        self.line = line
        self.config = config
        self.clock = StartClock(process_start())
        self.core: EngineCore | None = None
        self.weights_reason = ""  # why they have the format they have, where that was chosen here
        self._last_progress = 0.0
        self._compiling: set[str] = set()  # requests that wait for their grammar
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="grammars")

    def beat_forever(self) -> None:
        while True:
            try:
                self.line.send(NO_STATS if self.core is None else self.core.stats())
            except OSError:
                return  # the reading thread sees the same and ends the process
            time.sleep(HEARTBEAT_SECONDS)

    def load(self) -> EngineCore:
        """Raises CheckpointError, ConfigError."""
        self._progress("import", 0.0)
        # Imported here and not above: it takes a second, and the web side wants to hear from us before.
        import torch

        from flashweb.engine.core import EngineCore
        from flashweb.model.glm4v import Glm4v

        config = self.config
        torch.set_num_threads(config.threads or available_cores())
        device = config.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.clock.done("imports")
        if config.memory_cap_bytes is not None:
            _cap_memory(config.memory_cap_bytes, device)
        quantization = self._choose_weights(device)
        self._progress("weights", 0.0)
        model = Glm4v.load(
            config.model,
            dtype=config.dtype,
            device=device,
            load_format="dummy" if config.load_format == "dummy" else "safetensors",
            quantization=None if quantization == "none" else quantization,  # type: ignore[arg-type]
            progress=lambda done: self._progress("weights", done),
            num_real_tokens=config.num_real_tokens,
            kv_cache_dtype=config.kv_cache_dtype,
        )
        if device == "cuda":
            torch.cuda.synchronize()  # else what is still being copied would count as the next stage's
        self.clock.done("weights")
        self._progress("memory", 0.0)
        core = EngineCore(model, config, self.clock)
        self._progress("warmup", 0.0)
        core.warm_up()
        return core

    def _choose_weights(self, device: str) -> str:
        """The option's format, or what "auto" comes to on this device. Raises CheckpointError."""
        config = self.config
        if config.quantization != "auto":
            return config.quantization
        if device == "cpu":
            return "none"
        import torch

        from flashweb.engine.memory import Card, choose_weights
        from flashweb.model import footprint
        from flashweb.model.config import ModelConfig
        from flashweb.model.ready_made import read_scheme
        from flashweb.model.tensor_table import num_parameters

        network = ModelConfig.read(config.model)
        dtype_bytes = 4 if config.dtype == "float32" else 2
        card = Card.of(config, torch.device(device))
        scheme = read_scheme(config.model)
        choice = choose_weights(config, network, num_parameters(network), dtype_bytes, card, scheme)
        self.weights_reason = choice.reason
        name = footprint.format_name(choice.quantization, footprint.usable(scheme, has_fp8=card.has_fp8))
        (logger.info if choice.fits else logger.warning)("weights in %s: %s", name, choice.reason)
        return choice.quantization

    def run_forever(self, core: EngineCore) -> None:
        """Serves until told to stop. Raises DeviceLost, and AssertionError when the books do not balance."""
        inbox, line = self.line.inbox, self.line
        while True:
            if not core.has_work:
                held = core.blocks.num_blocks - core.blocks.num_free_blocks
                assert held == 0, f"{held} blocks are held by nobody"
                if not self._handle(inbox.get(), core):
                    return
            while True:
                try:
                    message = inbox.get_nowait()
                except Empty:
                    break
                if not self._handle(message, core):
                    return
            news = core.step(lambda: not inbox.empty())
            added, dropped = core.encoder.take_changes()
            if added or dropped:
                line.send(Encoded(added, dropped))  # before the tokens: who got them may ask again at once
            tokens = tuple(n for n in news if isinstance(n, Token))
            if tokens:
                line.send(Tokens(tokens, core.scheduler.take_started()))
            for failed in news:
                if isinstance(failed, Failed):
                    line.send(failed)

    def _handle(self, message: ToEngine | Compiled, core: EngineCore) -> bool:
        """False when it is time to go."""
        if isinstance(message, Submit):
            structure = message.sampling.structure
            if structure is not None and structure not in core.grammars:
                self._compiling.add(message.request_id)
                self._compiler.submit(self._compile, message, core)
            else:
                self._submit(message, core)
        elif isinstance(message, Compiled):
            if message.message.request_id in self._compiling:  # else it was aborted meanwhile
                self._compiling.remove(message.message.request_id)
                self._submit(message.message, core, message.error)
        elif isinstance(message, Abort):
            self._compiling.discard(message.request_id)
            core.abort(message.request_id)
        return not isinstance(message, Shutdown)

    def _compile(self, message: Submit, core: EngineCore) -> None:
        """On the thread for it: nobody's tokens wait for somebody's schema."""
        assert message.sampling.structure is not None
        error: BaseException | None = None
        try:
            core.grammars.constraint(message.sampling.structure)
        except BaseException as caught:  # a native library's panic too, or the request would wait for ever
            error = caught
        self.line.inbox.put(Compiled(message, error))

    def _submit(self, message: Submit, core: EngineCore, error: BaseException | None = None) -> None:
        try:
            if error is not None:
                raise error
            core.submit(message)
        except PixelsNeeded:
            self.line.send(NeedPixels(message.request_id))
        except FlashwebError as error:
            self.line.send(Failed(message.request_id, error.code or "invalid_request", error.message))
        except BaseException as error:
            if not is_failure(error):
                raise
            # Whatever a message can trip over must cost its own request, not the neighbours'.
            logger.exception("request %s could not be taken", message.request_id)
            text = f"the engine could not read this request ({type(error).__name__})"
            self.line.send(Failed(message.request_id, "internal_error", text))

    def _progress(self, stage: str, done: float) -> None:
        now = time.monotonic()
        if 0.0 < done < 1.0 and now - self._last_progress < 0.05:
            return
        self._last_progress = now
        self.line.send(Progress(stage, done))  # type: ignore[arg-type]


def available_cores() -> int:
    """Cores this process may use: its affinity, and a container's CPU quota if there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return cores


def _cap_memory(cap_bytes: int, device: str) -> None:
    """Raises ConfigError."""
    if device == "cpu":
        raise ConfigError(
            "a memory cap is enforced by CUDA's allocator and the engine runs on the CPU; leave it out, or cap the "
            "process from outside (systemd-run -p MemoryMax=, a container's limit)",
            param="memory_cap_bytes",
        )
    import torch

    total = torch.cuda.get_device_properties(0).total_memory
    if cap_bytes > total:
        raise ConfigError(f"the memory cap of {cap_bytes} bytes is more than the card's {total}; give less")
    torch.cuda.set_per_process_memory_fraction(cap_bytes / total, 0)


def _start_thread(target: Callable[[], None]) -> None:
    threading.Thread(target=target, daemon=True).start()


def main(path: str, config: EngineConfig) -> int:
    threading.stack_size(STACK_BYTES)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    line = Line(connection)
    worker = Worker(line, config)
    _start_thread(line.read_forever)
    _start_thread(worker.beat_forever)
    try:
        core = worker.load()
        worker.core = core
        gc.collect()
        gc.freeze()  # torch and the model are here to stay: no later collection need walk through them
        line.send(core.stats())
        line.send(msgspec.structs.replace(core.ready(), quantization_reason=worker.weights_reason))
        worker.run_forever(core)
        return 0
    except ConfigError as error:
        line.send(Fatal("config_error", error.message))
        return EXIT_CONFIG
    except CheckpointError as error:
        line.send(Fatal("checkpoint_error", error.message))
        return EXIT_CHECKPOINT
    except BrokenPipeError:
        return 0
    except Exception as error:
        logger.exception("the engine cannot go on")
        lost = type(error).__name__ == "DeviceLost"
        line.send(Fatal("engine_died", f"{type(error).__name__}: {error}"))
        return EXIT_DEVICE if lost else 1


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable()
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=EngineConfig)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    code = main(sys.argv[1], settings)
    logging.shutdown()
    # Not sys.exit: threads and device libraries have nothing left to save, and their goodbyes can hang.
    os._exit(code)
