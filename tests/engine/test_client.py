"""The engine process under its client: real process, real socket, the bundled checkpoint."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from flashweb.engine import EngineClient, EngineConfig
from flashweb.engine import client as client_module
from flashweb.engine import process as process_module
from flashweb.engine.protocol import (
    FrameError,
    FrameReader,
    Progress,
    Ready,
    Shutdown,
    Stats,
    Submit,
    encode_frame,
    receive_frame,
)
from flashweb.engine.sequence import Sequence, SequenceRules
from flashweb.errors import (
    CheckpointError,
    ConfigError,
    ContextLengthExceeded,
    EngineDied,
    InvalidRequest,
    NotReady,
    Overloaded,
)
from flashweb.types import FinishReason, Grid, ImageSpan, PixelPatches, Prompt, SamplingParams, TokenOut

NANO = Path(__file__).resolve().parents[2] / "src/flashweb/models/flashweb-nano"
LONG = SamplingParams(max_tokens=600, ignore_eos=True)
SHORT = SamplingParams(max_tokens=6, ignore_eos=True)


def config(**changes: Any) -> EngineConfig:
    values: dict[str, Any] = {
        "model": str(NANO), "device": "cpu", "threads": 1, "kv_cache_bytes": 64 << 20, "restart_backoff_seconds": 0.05,
    }  # fmt: skip
    return EngineConfig(**{**values, **changes})


def prompt(seed: int = 0, picture: bool = True, num_text: int = 8) -> Prompt:
    rng = np.random.default_rng(seed)
    grid = Grid(1, 4, 4)
    patches = rng.integers(0, 256, (16, 588), dtype=np.uint8)
    image = PixelPatches(patches, grid, rng.bytes(32), (56, 56))
    num_tokens = num_text + (grid.num_tokens if picture else 0)
    token_ids = tuple(int(t) for t in rng.integers(10, 1000, num_tokens))
    positions = np.tile(np.arange(num_tokens, dtype=np.int32), (3, 1))
    return Prompt(token_ids, positions, 0, (ImageSpan(2, image),) if picture else ())


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[EngineClient]:
    client = EngineClient(config(**changes))
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


async def collect(client: EngineClient, asked: Prompt, params: SamplingParams = SHORT) -> list[TokenOut]:
    return [out async for out in client.generate(asked, params, "r")]


def tokens(outs: list[TokenOut]) -> list[int]:
    return [t for out in outs for t in out.token_ids]


async def until(condition: Any, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_requests_abort_and_overload_share_one_process() -> None:
    """One start pays for many small promises."""
    async with running(max_num_seqs=2, max_waiting=1, max_model_len=1024) as client:
        state = client.state
        assert (state.phase, state.max_model_len, state.max_num_seqs) == ("ready", 1024, 2)
        assert [name for name, _ in state.start_seconds] == ["imports", "weights", "KV cache", "warm-up"]
        assert all(0 <= seconds < 60 for _, seconds in state.start_seconds) and state.start_seconds[0][1] > 0.2
        assert state.peak_memory_bytes > 100 << 20
        assert client.ready is not None and client.ready.device == "cpu"
        base = state.num_free_blocks
        assert base == state.num_blocks > 0

        # A picture request streams; the same again comes from the cache and says the same.
        first = await collect(client, prompt(num_text=40))
        assert len(tokens(first)) == 6 and first[-1].finish is FinishReason.LENGTH
        again = await collect(client, prompt(num_text=40))
        assert tokens(again) == tokens(first) and again[0].num_cached_tokens == 32

        # Log-probabilities arrive token by token.
        params = SamplingParams(max_tokens=3, ignore_eos=True, logprobs=2)
        outs = await collect(client, prompt(), params)
        logprobs = [entry for out in outs for entry in out.logprobs]
        assert [entry.token_id for entry in logprobs] == tokens(outs)
        assert all(len(entry.top) == 2 and entry.top[0] == (entry.token_id, entry.logprob) for entry in logprobs)

        # Leaving early frees the blocks long before the answer would have ended.
        async with aclosing(client.generate(prompt(1), LONG, "leaves")) as stream:  # type: ignore[type-var]
            await anext(stream)
            steps = client.state.num_steps
        await until(lambda: client.state.num_running == 0 and client.state.num_free_blocks == base)
        assert client.state.num_steps < steps + LONG.max_tokens / 2

        # Over the bound: refused at once, with numbers.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(collect(client, prompt(n), SHORT)) for n in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="3 requests.*2 running and 1 waiting"):
                await collect(client, prompt(9))
        assert all(len(tokens(task.result())) == 6 for task in tasks)

        # What cannot work is refused here or there, and hurts nobody.
        with pytest.raises(ContextLengthExceeded, match="1024"):
            await collect(client, prompt(picture=False, num_text=1024))
        for wrong in (
            {"temperature": float("nan")}, {"min_tokens": 9, "max_tokens": 2}, {"logit_bias": {1 << 40: 1.0}},
            {"max_tokens": 1 << 70}, {"top_k": -5}, {"logprobs": 1 << 30}, {"stop_token_ids": (1 << 65,)},
        ):  # fmt: skip
            with pytest.raises(InvalidRequest):
                await collect(client, prompt(), SamplingParams(**wrong))  # type: ignore[arg-type]
        bad = Prompt((10**9,), np.zeros((3, 1), np.int32), 0)
        with pytest.raises(InvalidRequest, match="1000000000"):
            await collect(client, bad)

        # Frames that are no messages are dropped; the engine lives.
        assert client._connection is not None
        for junk in (b"", b"\xc1", b"not msgpack", msgspec.msgpack.encode(["submit", 1, 2]), b"\x93" * 1000):
            client._connection.write(bytearray(len(junk).to_bytes(4, "little") + junk))
        assert tokens(await collect(client, prompt(num_text=40))) == tokens(first)
        assert client.state.num_restarts == 0
        process_id = client.process_id
    assert client.state.phase == "stopped"
    assert process_id is not None and not _alive(process_id)


async def test_pixels_cross_the_line_only_when_the_engine_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with_pixels: list[bool] = []  # of each request sent
    really = client_module.to_submit

    def to_submit(*args: Any) -> Submit:
        message = really(*args)
        with_pixels.append(all(image.patches is not None for image in message.images))
        return message

    monkeypatch.setattr(client_module, "to_submit", to_submit)
    async with running(enable_prefix_cache=False) as client:
        first = tokens(await collect(client, prompt()))
        assert prompt().spans[0].image.digest in client._encoded
        assert tokens(await collect(client, prompt())) == first
        assert with_pixels == [True, False]

        # The web side is wrong: it is asked, and its caller notices nothing.
        unknown = prompt(1)
        client._encoded.add(unknown.spans[0].image.digest)
        asked = await collect(client, unknown)
        assert with_pixels[2:] == [False, True]
        client._encoded.clear()
        del with_pixels[:]
        assert tokens(await collect(client, unknown)) == tokens(asked)
        assert with_pixels == [True]

        # Many at once bring a new picture once.
        del with_pixels[:]
        crowd = await asyncio.gather(*(collect(client, prompt(2)) for _ in range(6)))
        assert len({tuple(tokens(outs)) for outs in crowd}) == 1 and len(tokens(crowd[0])) == 6
        assert sorted(with_pixels) == [False] * 5 + [True]

        # Leaving while the engine asks is no trouble.
        client._encoded.add(prompt(3).spans[0].image.digest)
        leaves = asyncio.create_task(collect(client, prompt(3)))
        await asyncio.sleep(0)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves

        # A new process knows nothing.
        assert client.process_id is not None
        os.kill(client.process_id, signal.SIGKILL)
        await until(lambda: client.state.num_restarts == 1 and client.state.phase == "ready")
        del with_pixels[:]
        assert tokens(await collect(client, prompt())) == first
        assert with_pixels == [True]


async def test_pictures_that_the_engine_had_no_room_for_come_with_pixels_again() -> None:
    async with running(encoder_cache_bytes=0) as client:
        first = tokens(await collect(client, prompt()))
        assert not client._encoded
        assert tokens(await collect(client, prompt())) == first


async def test_a_slow_reader_gets_all_tokens_in_fewer_pieces() -> None:
    async with running() as client, aclosing(client.generate(prompt(), LONG, "slow")) as stream:  # type: ignore[type-var]
        outs, steps = [await anext(stream)], client.state.num_steps
        await until(lambda: client.state.num_steps > steps + 20)
        outs.append(await anext(stream))
        assert len(outs[1].token_ids) > 5


async def test_kill_9_mid_stream_is_noticed_reported_and_cured() -> None:
    async with running() as client:
        expected = tokens(await collect(client, prompt()))
        phases = []
        async with aclosing(client.generate(prompt(), LONG, "victim")) as stream:  # type: ignore[type-var]
            await anext(stream)
            assert client.process_id is not None
            os.kill(client.process_id, signal.SIGKILL)
            with pytest.raises(EngineDied, match="SIGKILL"):
                async with asyncio.timeout(5):
                    async for _ in stream:
                        pass
            phases.append(client.state.phase)
        assert phases == ["dead"] and "SIGKILL" in client.state.error
        with pytest.raises(NotReady, match="dead|loading"):
            await collect(client, prompt())
        await until(lambda: client.state.phase == "ready")
        assert client.state.num_restarts == 1 and client.state.error == ""
        assert tokens(await collect(client, prompt())) == expected


async def test_a_frozen_engine_is_stalled_then_killed_and_replaced_but_a_short_pause_is_forgiven() -> None:
    async with running(heartbeat_timeout_seconds=1.2) as client:
        frozen = client.process_id
        assert frozen is not None
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: client.state.phase == "stalled", 5.0)
        with pytest.raises(NotReady, match="no sign of life"):
            await collect(client, prompt())
        os.kill(frozen, signal.SIGCONT)
        await until(lambda: client.state.phase == "ready", 5.0)
        assert client.process_id == frozen and client.state.num_restarts == 0

        async with aclosing(client.generate(prompt(), LONG, "victim")) as stream:  # type: ignore[type-var]
            await anext(stream)
            os.kill(frozen, signal.SIGSTOP)
            with pytest.raises(EngineDied, match="stopped advancing"):
                async with asyncio.timeout(10):
                    async for _ in stream:
                        pass
        await until(lambda: client.state.phase == "ready")
        assert client.process_id != frozen and not _alive(frozen)


async def test_signals_to_a_whole_group_do_not_end_the_engine_but_losing_the_web_side_does() -> None:
    async with running() as client:
        assert client.process_id is not None
        os.kill(client.process_id, signal.SIGINT)
        os.kill(client.process_id, signal.SIGTERM)
        assert len(tokens(await collect(client, prompt()))) == 6
        assert client._connection is not None and client.state.num_restarts == 0
        orphan = client.process_id
        client._connection.close()
        await until(lambda: not _alive(orphan))


async def test_lazy_load_starts_with_the_first_request() -> None:
    async with running(lazy_load=True) as client:
        assert client.state.phase == "off" and client.process_id is None
        both = await asyncio.gather(collect(client, prompt()), collect(client, prompt()))
        assert tokens(both[0]) == tokens(both[1]) and len(tokens(both[0])) == 6
        assert client.state.phase == "ready"


async def test_a_lazy_load_that_failed_is_tried_again_by_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(
            client_module, "spawn", lambda *_: subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
        )
        client = EngineClient(config(lazy_load=True, max_restarts=0))
        await client.start()
        for _ in range(2):
            with pytest.raises(EngineDied, match="exit code 7"):
                await collect(client, prompt())
            assert client.state.phase == "dead" and not (client.state.was_ready or client.state.gave_up)
    assert len(tokens(await collect(client, prompt()))) == 6
    assert client.process_id is not None
    os.kill(client.process_id, signal.SIGKILL)
    await until(lambda: client.state.gave_up)
    assert client.state.was_ready
    with pytest.raises(NotReady, match="the server has to be restarted"):
        await collect(client, prompt())
    await client.stop()


async def test_a_checkpoint_that_cannot_be_used_is_said_at_start_and_not_tried_again(tmp_path: Path) -> None:
    client = EngineClient(config(model=str(tmp_path)))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        await client.start()
    assert client.state.phase == "dead" and client.state.num_restarts == 0
    with pytest.raises(CheckpointError):
        await collect(client, prompt())
    await client.stop()
    with pytest.raises(ConfigError, match="max_model_len"):
        await EngineClient(config(kv_cache_bytes=4096)).start()


async def test_an_engine_that_never_starts_is_reported_and_one_that_keeps_dying_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spawned = []

    def spawn_something_else(path: Path, config: EngineConfig) -> subprocess.Popen[bytes]:
        spawned.append(path)
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])

    monkeypatch.setattr(client_module, "spawn", spawn_something_else)
    client = EngineClient(config())
    with pytest.raises(EngineDied, match="exit code 7"):
        await client.start()
    assert len(spawned) == 1 and client.state.phase == "dead"
    await client.stop()

    monkeypatch.undo()
    client = EngineClient(config(max_restarts=2, restart_backoff_seconds=0.01))
    await client.start()
    monkeypatch.setattr(client_module, "spawn", spawn_something_else)
    assert client.process_id is not None
    os.kill(client.process_id, signal.SIGKILL)
    await until(lambda: "not started again" in client.state.error)
    assert len(spawned) == 1 + 2 and client.state.phase == "dead"
    with pytest.raises(NotReady, match="not started again"):
        await collect(client, prompt())
    await client.stop()


def anonymous_bytes(process_id: int) -> int:
    """Memory that is the process's own, swapped out or not; file mappings (weights, libraries) do not count."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return 1024 * sum(int(line.split()[1]) for line in status.splitlines() if line.startswith(("RssAnon", "VmSwap")))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
async def test_a_thousand_picture_requests_leave_no_growth() -> None:
    """After 200 requests every cache is at its bound; the next 1,000 must not add to either process."""
    async with running(encoder_cache_bytes=1 << 20, kv_cache_bytes=8 << 20, max_model_len=512) as client:
        assert client.process_id is not None
        seeds = iter(range(1 << 30))

        async def caller(count: int) -> None:
            for _ in range(count):
                await collect(client, prompt(next(seeds), num_text=60), SHORT)

        async def round_of(count: int) -> tuple[int, int]:
            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    group.create_task(caller(count // 8))
            gc.collect()
            return anonymous_bytes(os.getpid()), anonymous_bytes(client.process_id or 0)

        before = await round_of(200)
        after = await round_of(1000)
        growth = [(b - a) / 2**20 for a, b in zip(before, after, strict=True)]
        assert max(growth) < 8.0, f"MiB grown (web side, engine): {growth}"
        await until(lambda: client.state.num_running == 0 and client.state.num_free_blocks == client.state.num_blocks)


HANGING_ENGINE = """
import socket, sys, time
from flashweb.engine.protocol import Ready, Stats, encode_frame
sys.stdin.read()
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.sendall(encode_frame(Ready(100, 10, 16, 4, "float32", "cpu", 0, 0)))
while True:
    line.sendall(encode_frame(Stats(5, 1, 0, 3, 10, 0, 0, 0, 0, 0, 0)))  # one is running, and no step ends
    time.sleep(0.1)
"""


async def test_an_engine_that_beats_but_never_finishes_a_step_is_stalled_and_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spawned = []

    def spawn_one_that_hangs(path: Path, config: EngineConfig) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", HANGING_ENGINE, str(path)], stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.close()
        spawned.append(process.pid)
        return process

    monkeypatch.setattr(client_module, "spawn", spawn_one_that_hangs)
    async with running(stall_seconds=1.0, heartbeat_timeout_seconds=2.0) as client:
        asked = asyncio.create_task(collect(client, prompt()))
        await until(lambda: client.state.phase == "stalled", 5.0)
        assert "no finished step" in client.state.error and client.state.num_steps == 5
        with pytest.raises(EngineDied, match="stopped advancing"):
            await asyncio.wait_for(asked, 5.0)
        await until(lambda: len(spawned) == 2 and client.state.phase == "ready", 10.0)
        assert not _alive(spawned[0])


async def test_a_process_that_cannot_even_be_made_is_an_error_and_not_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(path: Path, config: EngineConfig) -> subprocess.Popen[bytes]:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(client_module, "spawn", no_memory)
    client = EngineClient(config())
    with pytest.raises(EngineDied, match="Cannot allocate memory"):
        await asyncio.wait_for(client.start(), 5.0)
    await client.stop()


async def test_stop_is_idempotent_and_ends_open_streams_with_a_clear_error() -> None:
    async with running() as client:
        async with aclosing(client.generate(prompt(), LONG, "open")) as stream:  # type: ignore[type-var]
            await anext(stream)
            await client.stop()
            with pytest.raises(EngineDied, match="stopped"):
                async for _ in stream:
                    pass
        await client.stop()
        with pytest.raises(NotReady, match="stopped"):
            await collect(client, prompt())


def test_the_worker_beats_while_it_loads_and_its_socket_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = process_module.listen

    def listen(path: Path) -> socket.socket:
        listener = real(path)
        seen.append(stat.S_IMODE(path.stat().st_mode))
        seen.append(stat.S_IMODE(path.parent.stat().st_mode))
        listener.setblocking(True)
        return listener

    import tempfile

    with tempfile.TemporaryDirectory(prefix="flashweb-") as folder:
        path = Path(folder) / "engine.sock"
        with listen(path) as listener, process_module.spawn(path, config()) as process:
            connection, _ = listener.accept()
            with connection:
                kinds = _read_until_ready(connection)
                connection.sendall(encode_frame(Shutdown()))
                assert process.wait(10) == 0
    assert seen == [0o600, 0o700]
    assert isinstance(kinds[0], (Progress, Stats)), "a sign of life comes before torch is imported"
    stages = [m.stage for m in kinds if isinstance(m, Progress)]
    assert sorted(set(stages), key=stages.index) == ["import", "weights", "memory", "warmup"]
    assert any(isinstance(m, Stats) for m in kinds[:-3])


def _read_until_ready(connection: socket.socket) -> list[Any]:
    from flashweb.engine.protocol import FromEngine

    reader, decoder, messages = FrameReader(), msgspec.msgpack.Decoder(FromEngine), []
    while not messages or not isinstance(messages[-1], Ready):
        data = connection.recv(4096)
        assert data, f"the engine process ended before it was ready; it said {messages}"
        messages += [decoder.decode(frame) for frame in reader.feed(data)]
    return messages


def test_frames_survive_any_cut_and_a_mad_length_is_an_error() -> None:
    stream = b"".join(bytes(encode_frame(Progress("weights", n / 10))) for n in range(10))
    for size in (1, 3, 7, len(stream)):
        reader = FrameReader()
        frames = [f for at in range(0, len(stream), size) for f in reader.feed(stream[at : at + size])]
        assert len(frames) == 10
    with pytest.raises(FrameError):
        list(FrameReader().feed(b"\xff\xff\xff\xff"))


def test_a_frame_is_received_whole_and_a_line_that_ends_inside_one_is_closed() -> None:
    frame = bytes(encode_frame(Progress("weights", 0.5)))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for byte in frame + frame[:-1]:
            theirs.send(bytes([byte]))
        theirs.shutdown(socket.SHUT_WR)
        received = receive_frame(ours)
        assert received is not None and msgspec.msgpack.decode(received, type=Progress) == Progress("weights", 0.5)
        assert receive_frame(ours) is None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\xff\xff\xff\xff")
        with pytest.raises(FrameError):
            receive_frame(ours)


def test_a_pictures_pixels_are_a_view_of_its_frame() -> None:
    """Nothing is copied between the socket and the device: the view can be written to, as torch wants it."""
    frame = encode_frame(client_module.to_submit("1", prompt(), SHORT))
    message = msgspec.msgpack.decode(memoryview(frame)[4:], type=Submit)
    pixels = prompt().spans[0].image.patches
    patches = message.images[0].patches
    assert patches is not None and np.array_equal(np.frombuffer(patches, np.uint8).reshape(pixels.shape), pixels)
    frame[:] = bytes(len(frame))
    assert not any(patches)
    assert Sequence.from_submit(message, SequenceRules(1024, 2000, 588)).pictures[0].patches.flags.writeable  # type: ignore[union-attr]


def test_the_web_half_never_imports_torch() -> None:
    code = (
        "import sys, flashweb.engine, flashweb.engine.client, flashweb.engine.echo, flashweb.engine.protocol,"
        "flashweb.engine.face, flashweb.engine.config; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


SCRIPTED_ENGINE = """
import socket, sys
from flashweb.engine.protocol import Fatal, Ready, encode_frame
sys.stdin.read()
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
if sys.argv[2] == "ready":
    line.sendall(encode_frame(Ready(100, 10, 16, 4, "bfloat16", "cuda:0", 0, 0)))
    line.recv(1)
else:
    line.sendall(encode_frame(Fatal(sys.argv[2], "scripted")))
"""


def script_engines(monkeypatch: pytest.MonkeyPatch, *parts: str) -> list[EngineConfig]:
    """Every start plays the next part; the configurations that the processes were given, as they come."""
    given: list[EngineConfig] = []

    def spawn(path: Path, config: EngineConfig) -> subprocess.Popen[bytes]:
        part = parts[len(given)]
        given.append(config)
        process = subprocess.Popen([sys.executable, "-c", SCRIPTED_ENGINE, str(path), part], stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.close()
        return process

    monkeypatch.setattr(client_module, "spawn", spawn)
    return given


async def test_a_restart_keeps_the_first_device_and_survives_a_device_that_is_gone_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = script_engines(monkeypatch, "ready", "config_error", "checkpoint_error", "ready")
    async with running(device="auto", heartbeat_timeout_seconds=60.0) as client:
        assert client.process_id is not None
        os.kill(client.process_id, signal.SIGKILL)
        await until(lambda: len(given) == 4 and client.state.phase == "ready")
        assert [g.device for g in given] == ["auto", "cuda", "cuda", "cuda"]
        assert client.state.num_restarts == 3 and not client.state.gave_up


async def test_start_can_be_tried_again_after_a_checkpoint_that_could_not_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = script_engines(monkeypatch, "checkpoint_error", "ready")
    client = EngineClient(config(heartbeat_timeout_seconds=60.0))
    with pytest.raises(CheckpointError, match="scripted"):
        await client.start()
    await asyncio.wait_for(client.start(), 20.0)
    assert client.state.phase == "ready" and len(given) == 2
    await client.stop()


async def test_any_error_while_a_process_is_made_is_a_death_and_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, config: EngineConfig) -> subprocess.Popen[bytes]:
        raise ValueError("embedded null byte")

    monkeypatch.setattr(client_module, "spawn", broken)
    client = EngineClient(config())
    with pytest.raises(EngineDied, match="ValueError: embedded null byte"):
        await asyncio.wait_for(client.start(), 5.0)
    await client.stop()


def test_every_exit_code_can_be_described() -> None:
    assert process_module.describe_exit(-9) == "killed by SIGKILL"
    assert process_module.describe_exit(-35) == "killed by signal 35"
    assert process_module.describe_exit(None) == "it did not start"


@pytest.mark.parametrize(
    ("device", "gigabytes", "asked", "least", "most"),
    [("cpu", 0, None, 120, 120), ("cpu", 18, None, 1000, 3000), ("cuda:0", 18, None, 20, 20), ("cpu", 18, 5.0, 5, 5)],
)
def test_a_step_may_take_longer_on_a_cpu_the_larger_the_model(
    device: str, gigabytes: int, asked: float | None, least: float, most: float
) -> None:
    client = EngineClient(config(stall_seconds=asked))
    client._ready = Ready(100, 10, 16, 4, "bfloat16", device, gigabytes * 10**9, 0)
    assert least <= client._stall_seconds() <= most


@pytest.mark.parametrize("name", ["GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_"])
def test_the_engine_keeps_memory_between_steps_unless_the_operator_set_the_allocator(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in ("GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"):
        monkeypatch.delenv(known, raising=False)
    assert process_module.environment()["GLIBC_TUNABLES"] == process_module.MALLOC_TUNABLES
    monkeypatch.setenv(name, "operator")
    environment = process_module.environment()
    assert environment[name] == "operator" and environment.get("GLIBC_TUNABLES") in (None, "operator")


async def test_a_memory_cap_on_a_cpu_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"cap is enforced by CUDA.*MemoryMax"):
        async with running(memory_cap_bytes=1 << 30):
            pass


def test_the_engine_process_keeps_its_compiled_kernels_where_the_user_keeps_his(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", "/var/cache/flashweb/triton")
    monkeypatch.setenv("HOME", "/home/somebody")
    environment = process_module.environment()
    assert environment["TRITON_CACHE_DIR"] == "/var/cache/flashweb/triton"
    assert environment["HOME"] == "/home/somebody"
    monkeypatch.delenv("TRITON_CACHE_DIR")
    assert "TRITON_CACHE_DIR" not in process_module.environment()
