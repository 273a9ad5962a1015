"""The `flashweb` command itself: verbs, exit codes, and what it does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flashweb import __version__
from flashweb.cli import VERBS, main


def test_version_is_told_without_importing_anything_heavy() -> None:
    code = (
        "import sys; from flashweb.cli import main; main(['--version']);"
        "print({'torch', 'numpy', 'PIL', 'httpx', 'pydantic', 'fastapi', 'tokenizers', 'asyncio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"flashweb {__version__}", "set()"]


def test_the_command_never_imports_torch_itself() -> None:
    code = (
        "import sys; from importlib import import_module; from flashweb.cli import VERBS;"
        "[import_module(f'flashweb.cli.{v}') for v in VERBS]; import flashweb.cli.answerers;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_help_lists_every_verb_and_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n  {verb} " in listed
        assert main([verb, "--help"]) == 0
        assert f"flashweb {verb}" in capsys.readouterr().out


def test_without_a_verb_the_help_comes_and_the_code_says_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


def test_an_unknown_verb_names_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server"]) == 2
    assert "did you mean serve?" in capsys.readouterr().err


def test_an_unknown_flag_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--no-such-flag"]) == 2
    assert "--no-such-flag" in capsys.readouterr().err


def test_a_wrong_setting_ends_with_3_and_says_which(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASHWEB_PROT", "9000")
    assert main(["serve"]) == 3
    assert "did you mean FLASHWEB_PORT?" in capsys.readouterr().err


def test_a_model_folder_that_is_none_ends_with_4(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert main(["serve", str(tmp_path), "--port", "0", "--ui-port", "0"]) == 4
    assert "config.json is missing" in capsys.readouterr().err


def test_print_config_shows_every_value_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "9000", "--print-config"]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("port = "))
    assert "9000" in line and "flag --port" in line


def test_a_reader_that_leaves_early_is_no_error_message() -> None:
    command = f"{sys.executable} -m flashweb serve --print-config | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
