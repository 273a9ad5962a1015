"""The settings tree: one declaration, four sources, and no name that nobody declared."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from flashweb.errors import ConfigError
from flashweb.settings import (
    LoadedSettings,
    Settings,
    add_arguments,
    format_value,
    load_settings,
    options,
    parse_size,
    print_config,
    settings_markdown,
)


def load(*flags: str, environ: dict[str, str] | None = None, toml: Path | None = None) -> LoadedSettings:
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    add_arguments(parser)
    return load_settings(parser.parse_args(flags), environ or {}, toml)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "flashweb.toml"
    path.write_text('[server]\nport = 3\nhost = "::1"\ntimeout-graceful-shutdown = 7\n')
    return path


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(toml: Path) -> None:
    environ = {"FLASHWEB_PORT": "2", "FLASHWEB_HOST": "localhost"}
    loaded = load("--port", "1", environ=environ, toml=toml)
    server = loaded.settings.server
    assert (server.port, server.host, server.timeout_graceful_shutdown, server.limit_concurrency) == (
        1,
        "localhost",
        7.0,
        None,
    )
    assert loaded.sources["server.port"] == "flag --port"
    assert loaded.sources["server.host"] == "environment FLASHWEB_HOST"
    assert loaded.sources["server.timeout_graceful_shutdown"] == f"file {toml}"
    assert "server.limit_concurrency" not in loaded.sources


def test_the_flags_the_contract_names_are_accepted() -> None:
    flags = """--host 0.0.0.0 --port 8080 --use-rest --enable-web-ui --cors-allowed-origins * --limit-concurrency 100
        --timeout-graceful-shutdown 60 --workers 1 --max-image-size 2048 --max-upload-size 5MB --lazy-load
        --ui-port 7860,8000 zai-org/GLM-4.6V-Flash"""
    server = load(*flags.split()).settings
    assert server.server.ui_port == (7860, 8000)
    assert server.server.cors_allowed_origins == ("*",)
    assert server.media.max_upload_size == 5 << 20
    assert server.engine.lazy_load
    assert server.model.model == "zai-org/GLM-4.6V-Flash"


def test_the_defaults_are_the_contracts() -> None:
    settings = Settings()
    assert (settings.server.host, settings.server.port, settings.server.ui_port) == ("127.0.0.1", 8080, (7860,))
    assert settings.server.max_body_size == 64 << 20
    assert settings.media.max_upload_size == 10 << 20
    assert (settings.media.max_image_size, settings.media.max_images) == (2048, 16)
    assert settings.server.timeout_graceful_shutdown == 60
    assert settings.server.cors_allowed_origins == ()


@pytest.mark.parametrize(
    ("environ", "near"),
    [({"FLASHWEB_PROT": "1"}, "FLASHWEB_PORT"), ({"FLASHWEB_MAX_IMAGE_SIZES": "1"}, "FLASHWEB_MAX_IMAGE_SIZE")],
)
def test_an_unknown_environment_name_is_an_error_with_the_nearest_one(environ: dict[str, str], near: str) -> None:
    with pytest.raises(ConfigError, match=near):
        load(environ=environ)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLASHWEB_SERVICE_HOST", "10.96.0.7"),
        ("FLASHWEB_SERVICE_PORT", "80"),
        ("FLASHWEB_SERVICE_PORT_HTTP", "80"),
        ("FLASHWEB_PORT", "tcp://10.96.0.7:80"),
        ("FLASHWEB_PORT_80_TCP", "tcp://10.96.0.7:80"),
        ("FLASHWEB_PORT_80_TCP_PROTO", "tcp"),
        ("FLASHWEB_PORT_80_TCP_PORT", "80"),
        ("FLASHWEB_PORT_80_TCP_ADDR", "10.96.0.7"),
        ("FLASHWEB_API_SERVICE_HOST", "10.96.0.7"),
        ("FLASHWEB_UI_PORT", "tcp://10.96.0.7:80"),
    ],
)
def test_what_kubernetes_sets_for_a_service_called_flashweb_is_no_setting(name: str, value: str) -> None:
    assert load(environ={name: value}).settings == Settings()


@pytest.mark.parametrize("name", ["FLASHWEB_SERVICE", "FLASHWEB_PORTS", "FLASHWEB_PORT_80", "FLASHWEB_HOST_PORT"])
def test_names_that_only_resemble_those_of_kubernetes_are_still_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load(environ={name: "80"})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[sever]\nport = 1\n", "did you mean server"),
        ("[server]\nprot = 1\n", "did you mean server.port"),
        ("port = 1\n", "unknown section"),
        ("server = 1\n", r"\[server\]"),
        ("[server\n", "no TOML"),
        ("[server]\nport = true\n", "no switch"),
        ('[engine]\nlazy_load = "perhaps"\n', "lazy_load"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word):
        load(toml=path)


def test_a_named_file_must_exist_but_the_default_one_need_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().settings == Settings()
    with pytest.raises(ConfigError, match="cannot read"):
        load("--config", str(tmp_path / "none.toml"))
    (tmp_path / "flashweb.toml").write_text("[server]\nport = 5\n")
    assert load().settings.server.port == 5


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--port", "abc"), "flag --port.*abc"),
        (("--port", "70000"), "65535"),
        (("--ui-port", "1,x"), "ui_port"),
        (("--ui-port", "[1,"), "comma list"),
        (("--max-body-size", "ten"), "10MiB"),
        (("--workers", "0"), "greater than or equal to 1"),
        (("--rate-limit", "10/fortnight"), "N/minute"),
        (("--rate-limit", "0/second"), "N/minute"),
        (("--rate-limit", "ten"), "N/minute"),
        (("--trusted-proxies", "nginx"), "neither an address nor a network"),
        (("--preset", "strictest"), "preset"),
        (("--preset", "strict"), "keys are required, but there are none"),
        (("--dtype", "int3"), "dtype"),
        (("--timeout-graceful-shutdown", "nan"), "finite"),
        (("--max-images", "-1"), "greater than or equal to 0"),
    ],
)
def test_a_bad_value_names_its_source_and_the_limit(flags: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(*flags)


@pytest.mark.parametrize("name", ["API_KEY_REQUIRED", "FLASHWEB_API_KEY_REQUIRED"])
def test_required_keys_without_keys_refuse_to_start(name: str) -> None:
    with pytest.raises(ConfigError, match="keys are required, but there are none") as caught:
        load(environ={name: "true", "FLASHWEB_ADMIN_KEY": "sk-admin-secret"})
    assert "sk-admin" not in caught.value.message


@pytest.mark.parametrize("name", ["VALID_API_KEYS", "FLASHWEB_VALID_API_KEYS", "FLASHWEB_API_KEYS"])
@pytest.mark.parametrize("text", ["a:sk-1, sk-2", '["a:sk-1", "sk-2"]', '{"a": "sk-1", "b": "sk-2"}'])
def test_keys_come_as_a_list_or_as_json_and_are_never_printed(name: str, text: str) -> None:
    loaded = load(environ={name: text, "API_KEY_REQUIRED": "true"})
    keys = [key.get_secret_value() for key in loaded.settings.auth.api_keys]
    assert keys == ["a:sk-1", "b:sk-2" if "{" in text else "sk-2"] and loaded.settings.auth.api_key_required
    printed = print_config(loaded)
    assert "sk-" not in printed and f"# environment {name}" in printed


def test_a_list_of_keys_that_is_no_json_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="hidden") as caught:
        load(environ={"VALID_API_KEYS": '["sk-1'})
    assert "sk-1" not in caught.value.message


@pytest.mark.parametrize(
    "text", ['VALID_API_KEYS = ["sk-1"]\n', '[auth]\napi_keys = ["sk-1"]\n', '[auth.api_keys]\nx = "sk-1"\n']
)
def test_keys_may_stand_in_the_config_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    assert len(load(toml=path).settings.auth.api_keys) == 1
    assert not load(environ={"API_KEY_REQUIRED": "no"}, toml=path).settings.auth.api_key_required


@pytest.mark.parametrize("text", ["10/second", "10 per second", " 10 / SECOND "])
def test_a_rate_may_be_written_as_people_write_it(text: str) -> None:
    assert load("--rate-limit", text).settings.server.rate_limit == "10/second"
    assert load("--rate-limit", "off").settings.server.rate_limit is None


def test_the_strict_preset_changes_defaults_and_nothing_that_was_given() -> None:
    loaded = load("--preset", "strict", "--max-images", "9", environ={"VALID_API_KEYS": "sk-1"})
    settings = loaded.settings
    assert (settings.media.max_upload_size, settings.media.max_images) == (5 << 20, 9)
    assert settings.auth.api_key_required and settings.server.rate_limit == "30/minute"
    assert loaded.sources["media.max_upload_size"] == "preset strict"
    assert loaded.sources["media.max_images"] == "flag --max-images"


def test_keys_that_are_off_do_not_disturb() -> None:
    auth = load(environ={"API_KEY_REQUIRED": "false", "VALID_API_KEYS": ""}).settings.auth
    assert (auth.api_key_required, auth.api_keys) == (False, ())


@pytest.mark.parametrize(
    ("text", "value"),
    [("10MiB", 10 << 20), ("10MB", 10 << 20), ("4k", 4096), ("1.5g", 3 << 29), ("7", 7), ("8 KiB", 8192), (9, 9)],
)
def test_sizes_are_powers_of_1024(text: str, value: int) -> None:
    assert parse_size(text) == value


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_clear_error(text: str) -> None:
    try:
        assert parse_size(text) >= 0
    except ValueError as error:
        assert "10MiB" in str(error)


def test_zero_means_no_further_port() -> None:
    assert load("--ui-port", "0").settings.server.ui_port == ()


def test_switches_come_as_pairs() -> None:
    assert not load("--no-access-log").settings.log.access_log
    assert load(environ={"FLASHWEB_LAZY_LOAD": "yes"}).settings.engine.lazy_load
    assert not load(environ={"FLASHWEB_PREFIX_CACHE": "0"}).settings.engine.prefix_cache


def test_the_tree_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().server.port = 1


def test_every_option_has_one_name_and_a_description() -> None:
    declared = list(options())
    assert len({opt.name for opt in declared}) == len(declared), "flags and environment names must be unique"
    assert all(opt.info.description for opt in declared)


def test_secrets_are_never_shown() -> None:
    assert "sk-1" not in format_value(SecretStr("sk-1"))


def test_print_config_shows_every_value_and_its_source() -> None:
    text = print_config(load("--port", "81", environ={"FLASHWEB_LOG_LEVEL": "debug"}))
    assert "port = 81" in text and "# flag --port" in text
    assert 'log_level = "debug"' in text and "# environment FLASHWEB_LOG_LEVEL" in text
    assert text.count(" = ") == len(list(options()))


def test_print_config_can_be_read_back_as_a_config_file(tmp_path: Path) -> None:
    loaded = load("--ui-port", "1,2", "--cors-allowed-origins", "http://a,http://b", "--max-body-size", "1MiB")
    path = tmp_path / "again.toml"
    path.write_text(print_config(loaded))
    assert load(toml=path).settings == loaded.settings


def test_the_help_says_default_unit_and_environment_name() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    text = " ".join(parser.format_help().split())
    assert "(default 67108864 bytes, env FLASHWEB_MAX_BODY_SIZE)" in text


def test_the_documented_settings_are_current(root: Path) -> None:
    assert (root / "docs" / "settings.md").read_text(encoding="utf-8") == settings_markdown(), (
        "run: python -m flashweb.settings > docs/settings.md"
    )
