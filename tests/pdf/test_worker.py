"""A process that draws, alone: what holds it when nobody holds it any more, and what it says where it cannot draw."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from flashweb.pdf.wire import (
    LENGTH,
    Answer,
    Draw,
    Measure,
    Measured,
    Open,
    Opened,
    Ready,
    Refused,
    decode_answer,
    frame,
)
from tests import pdfs


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def answer_of(process: subprocess.Popen[bytes]) -> Answer:
    assert process.stdout is not None
    (length,) = LENGTH.unpack(process.stdout.read(LENGTH.size))
    return decode_answer.decode(process.stdout.read(length))


def ask(process: subprocess.Popen[bytes], question: Open | Measure | Draw, data: bytes = b"") -> None:
    assert process.stdin is not None
    process.stdin.write(frame(question) + data)
    process.stdin.flush()


def test_it_answers_one_question_after_another_and_ends_with_its_input() -> None:
    data = pdfs.pdf(pdfs.text("a"), pdfs.Page(b"", (100, 300)))
    with start("-m", "flashweb.pdf.worker", str(1 << 30), "10") as process:
        assert answer_of(process) == Ready()
        for _ in range(2):
            ask(process, Open(len(data)), data)
            assert answer_of(process) == Opened(2)
        ask(process, Measure((1, 0)))
        assert answer_of(process) == Measured(((300.0, 100.0), (792.0, 612.0)))
        ask(process, Draw(9, 28, 28))
        assert answer_of(process) == Refused("broken")
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.slow
def test_the_kernel_ends_one_that_draws_for_ever_though_its_server_is_gone() -> None:
    data = pdfs.endless()
    with start("-m", "flashweb.pdf.worker", str(1 << 30), "0.1") as process:
        answer_of(process)
        ask(process, Open(len(data)), data)
        answer_of(process)
        began = time.monotonic()
        ask(process, Draw(0, 280, 280))
        assert process.wait(60) == -signal.SIGXCPU
        assert time.monotonic() - began < 30


def test_without_the_library_it_says_so() -> None:
    code = "import sys; sys.modules['pypdfium2'] = None; from flashweb.pdf.worker import main; main(1 << 30, 1.0)"
    with start("-c", code) as process:
        assert answer_of(process) == Refused("missing")
        assert process.wait(10) == 0
