"""`flashweb serve` with everything real but the network: `stub_model.py` in a real engine process, paced like a GPU.

    .venv/bin/python benchmarks/stub_server.py --port 9000 --max-num-seqs 128

The answers are words of the bundled tokenizer. STUB_STEP_MS sets how long a step takes (6.4).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import torch
from common import NANO
from stub_model import StubModel

from flashweb.cli import main as flashweb
from flashweb.engine import client, worker
from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.model.config import ModelConfig
from flashweb.prompt.tokenizer import Tokenizer

STEP_MS = float(os.environ.get("STUB_STEP_MS", "6.4"))
NUM_WORDS = 997  # a prime: rows and steps go through all of them in another order each


class StubWorker(worker.Worker):
    def load(self) -> EngineCore:
        torch.set_num_threads(1)
        vocab_size = ModelConfig.read(NANO).text.vocab_size
        model = StubModel(words(), vocab_size, STEP_MS / 1000)
        core = EngineCore(model, msgspec.structs.replace(self.config, overlap=True, kv_cache_bytes=256 << 20))
        core.runner.decoder = model.new_decoder(core.plan.limits.max_num_seqs)
        core.warm_up()
        return core


def words() -> list[int]:
    """Ids of pieces of plain text: no token is half a character, so every one is an event."""
    tokenizer = Tokenizer(NANO / "tokenizer.json")
    plain = [
        id for id in range(tokenizer.num_tokens)
        if not tokenizer.is_control(id) and tokenizer.id_to_bytes(id).strip().isalnum()
    ]  # fmt: skip
    return plain[:NUM_WORDS]


def spawn_stub(path: Path, config: EngineConfig) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--as-engine", str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(msgspec.json.encode(config))
    return process


def serve(argv: list[str]) -> int:
    client.spawn = spawn_stub
    return flashweb(["serve", str(NANO), *argv])


def be_engine(path: str) -> int:
    worker.Worker = StubWorker  # type: ignore[misc]
    return worker.main(path, msgspec.json.decode(sys.stdin.buffer.read(), type=EngineConfig))


if __name__ == "__main__":
    sys.exit(be_engine(sys.argv[2]) if sys.argv[1:2] == ["--as-engine"] else serve(sys.argv[1:]))
