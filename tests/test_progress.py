"""Progress lines: moving on a terminal, rare and plain elsewhere, silent when nothing was counted."""

from __future__ import annotations

import io

import pytest

from flashweb.progress import ProgressBar, StageBars, human_bytes


@pytest.fixture(autouse=True)
def a_terminal_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests are started from."""
    monkeypatch.setenv("TERM", "xterm")


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bytes_are_written_for_people() -> None:
    assert [human_bytes(n) for n in (0, 1023, 1536, 5 << 20, 3 << 40)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 MiB",
        "3.0 TiB",
    ]


def test_a_terminal_gets_one_moving_line() -> None:
    out = FakeTerminal()
    with ProgressBar("loading", 100, stream=out) as bar:
        bar.update(10)
        bar.update(100)
    assert out.getvalue().count("\n") == 1 and out.getvalue().startswith("\r\x1b[K")
    assert "100%" in out.getvalue().rsplit("\r", 1)[1]


def test_a_log_file_gets_plain_lines_and_few_of_them() -> None:
    out = io.StringIO()
    with ProgressBar("loading", 1000, is_bytes=True, stream=out) as bar:
        for done in range(0, 1001, 10):
            bar.update(done)
    lines = out.getvalue().splitlines()
    assert 1 <= len(lines) <= 2 and "\x1b" not in out.getvalue()
    assert "1000 B of 1000 B" in lines[-1]


def test_what_was_never_counted_is_never_shown() -> None:
    out = FakeTerminal()
    with ProgressBar("loading", 100, stream=out):
        pass
    assert out.getvalue() == ""


def test_stages_take_turns_on_one_line_and_leave_nothing() -> None:
    out = FakeTerminal()
    bars = StageBars({"a": "first", "b": "second"}, stream=out)
    bars.show("a", 0.5)
    bars.show("unknown", 0.5)
    bars.show("b", 1.0)
    bars.clear()
    assert "\n" not in out.getvalue() and "first" in out.getvalue() and "second" in out.getvalue()
    assert out.getvalue().endswith("\r\x1b[K")
