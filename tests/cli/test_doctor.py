"""`flashweb doctor`: verdicts with reasons, on this machine and on machines we describe."""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flashweb.cli import doctor, main, prove
from flashweb.cli.doctor import Check, check_packages, check_ports, check_torch, report
from flashweb.cli.fit import estimate_fit, folder_weights, read_header
from flashweb.engine import EngineConfig
from flashweb.errors import CheckpointError
from flashweb.settings import Settings, load_settings

GIB = 1 << 30
H200 = {"name": "NVIDIA H200", "capability": [9, 0], "free": 139 * GIB, "total": 140 * GIB}
SMALL_CARD = {"name": "a 12 GB card", "capability": [8, 9], "free": 11 * GIB, "total": 12 * GIB}

# The published shapes of GLM-4.6V-Flash's decoder; only what the estimate reads.
FLASH = {
    "model_type": "glm4v", "image_token_id": 151363, "dtype": "bfloat16",
    "text_config": {
        "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 13696, "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 2, "vocab_size": 151552, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 131072,
        "rope_parameters": {"rope_theta": 500000.0, "partial_rotary_factor": 0.5, "mrope_section": [8, 12, 12]},
    },
    "vision_config": {
        "hidden_act": "silu", "attention_bias": False, "depth": 24, "hidden_size": 1536, "num_heads": 12,
        "out_hidden_size": 4096, "intermediate_size": 13696, "image_size": 336, "patch_size": 14,
    },
}  # fmt: skip
FLASH_BYTES = 20_590_000_000  # of bf16 weights


def safetensors_file(path: Path, tensors: dict[str, tuple[str, list[int], int]]) -> None:
    """A file with the given (dtype, shape, bytes) and zeros for data."""
    header: dict[str, Any] = {}
    end = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(FLASH))
    return tmp_path


@pytest.fixture
def known_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing torch takes seconds; one test does it for real."""
    monkeypatch.setattr(doctor, "probe_torch", lambda: {"version": "2", "built_for_cuda": None, "devices": []})


def settings(**given: object) -> Settings:
    return load_settings({key.replace("__", "."): value for key, value in given.items()}, environ={}).settings


def test_the_bundled_model_can_run_on_this_machine(flashweb: Any) -> None:
    done = flashweb("doctor", "--port", "0", "--ui-port", "0", "--json")
    found = json.loads(done.stdout)
    checks = {check["name"]: check for check in found["checks"]}
    assert done.returncode == (4 if any(c["verdict"] == "fail" for c in checks.values()) else 0)
    assert checks["Python"]["verdict"] == "ok" and checks["PyTorch"]["verdict"] == "ok"
    assert checks["packages"]["verdict"] == "ok", checks["packages"]
    assert found["fit"] is None or found["fit"]["kv_bytes_per_token"] > 0


def test_a_large_model_in_bfloat16_fits_a_large_gpu_and_not_a_small_one(flash: Path) -> None:
    large = estimate_fit(flash, FLASH_BYTES, settings(), [H200], None)
    assert (large.device, large.dtype) == ("GPU", "bfloat16")
    assert large.weight_bytes == FLASH_BYTES
    assert large.kv_bytes_per_token == 2 * 40 * 2 * 128 * 2  # keys and values, layers, heads, head size, bytes
    assert large.max_tokens > 1_000_000
    small = estimate_fit(flash, FLASH_BYTES, settings(model__quantization="none"), [SMALL_CARD], None)
    assert small.left_bytes < 0 and small.max_tokens == 0
    (verdict,) = doctor._fit_checks(small)
    assert verdict.verdict == "fail" and "int8" in verdict.fix


def test_a_cache_in_fp8_holds_nearly_twice_the_tokens_and_is_told_of(flash: Path) -> None:
    plain, fp8 = (
        estimate_fit(flash, FLASH_BYTES, settings(engine__kv_cache_dtype=name), [H200], None)
        for name in ("auto", "fp8")
    )
    assert fp8.kv_bytes_per_token == 2 * 40 * 2 * (128 + 4)
    assert fp8.max_tokens == plain.max_tokens_fp8 == plain.left_bytes // fp8.kv_bytes_per_token
    assert fp8.max_tokens > 1.9 * plain.max_tokens
    assert f"--kv-cache-dtype fp8 would fit {fp8.max_tokens:,}" in list(doctor._fit_checks(plain))[-1].found
    (told,) = (check.found for check in doctor._fit_checks(fp8) if check.name == "context")
    assert f"{fp8.max_tokens:,} tokens fit" in told and "would fit" not in told


def test_int8_halves_the_decoder_with_embedding_and_head_and_nothing_else(flash: Path) -> None:
    plain, int8 = (
        estimate_fit(flash, FLASH_BYTES, settings(model__quantization=name), [SMALL_CARD], None)
        for name in ("none", "int8")
    )
    attention = 4096 * 128 * (32 * 2 + 2 * 2)
    values = 40 * (attention + 3 * 4096 * 13696) + 2 * 151552 * 4096
    rows = 40 * (36 * 128 + 4096 + 2 * 13696 + 4096) + 2 * 151552
    assert plain.weight_bytes - int8.weight_bytes == values - 4 * rows


def gpu(gib: float, capability: tuple[int, int]) -> dict[str, Any]:
    """A card with nothing on it but CUDA itself."""
    return {"name": "a card", "capability": capability, "free": int((gib - 0.4) * GIB), "total": int(gib * GIB)}


@pytest.mark.parametrize(
    ("card", "share", "wanted"),
    [
        (H200, 0.85, "none"),
        (gpu(24, (8, 9)), 0.85, "fp8"),
        (gpu(24, (8, 6)), 0.85, "int8"),
        (gpu(12.4, (8, 6)), 1.0, "int8"),  # 12 GiB besides the CUDA context
        (gpu(12, (8, 9)), 0.85, "int4"),
        (gpu(8.4, (8, 9)), 1.0, "int4"),  # 8 GiB besides the CUDA context
    ],
    ids=str,
)
def test_the_widest_format_that_fits_the_card_is_chosen(
    flash: Path, card: dict[str, Any], share: float, wanted: str
) -> None:
    fit = estimate_fit(flash, FLASH_BYTES, settings(engine__gpu_memory_utilization=share), [card], None)
    assert fit.quantization == wanted
    assert fit.max_tokens >= 8192 and fit.max_pictures >= 5
    checks = {check.name: check for check in doctor._fit_checks(fit)}
    assert checks["weight format"].found.startswith(wanted)
    assert checks["memory fit"].verdict == checks["context"].verdict == "ok"
    assert "pictures of 1024 px" in checks["context"].found


def int4_layers(flash: Path, size: int) -> int:
    """The published shapes as a checkpoint with its layers in int4; bytes they take on a card."""
    weights = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": size, "symmetric": True}
    (flash / "config.json").write_text(json.dumps(FLASH | {"quantization_config": {
        "quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head", "re:.*visual.*"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
    }}))  # fmt: skip
    values = 40 * (4096 * 128 * (32 * 2 + 2 * 2) + 3 * 4096 * 13696)
    return values // 2 + 3 * values // size + 2 * (FLASH_BYTES // 2 - values)


@pytest.mark.parametrize("stored_bytes", [0, 8_600_000_000], ids=["from the hub", "on disk"])
@pytest.mark.parametrize(
    ("card", "share", "wanted", "tables"),
    [(gpu(24, (8, 6)), 0.85, "int4", 2), (gpu(9, (8, 9)), 1.0, "int8", 1), (gpu(8.4, (8, 9)), 1.0, "int4", 0.5)],
    ids=["as it is", "tables in int8", "tables in int4"],
)
def test_a_checkpoint_in_int4_is_forecast_as_it_is_kept(
    flash: Path, card: dict[str, Any], share: float, wanted: str, tables: float, stored_bytes: int
) -> None:
    """What is plain in it, embedding and head, is rounded as far as the card makes necessary."""
    as_it_is = int4_layers(flash, 64)
    fit = estimate_fit(flash, stored_bytes, settings(engine__gpu_memory_utilization=share), [card], None)
    assert fit.quantization == wanted and "the checkpoint's own int4 needs" in fit.quantization_reason
    assert fit.weight_bytes == pytest.approx(as_it_is - 2 * 151552 * 4096 * (2 - tables), rel=0.01)
    assert fit.max_tokens >= 8192
    whole = estimate_fit(flash, stored_bytes, settings(), [], 64 * GIB)
    assert whole.weight_bytes == pytest.approx(2 * FLASH_BYTES, rel=0.001), "a CPU computes with plain numbers"


def test_a_checkpoint_in_fp8_counts_a_byte_a_value_where_a_card_has_fp8(flash: Path) -> None:
    (flash / "config.json").write_text(json.dumps(FLASH | {"quantization_config": {"quant_method": "fbgemm_fp8"}}))
    new, old = (estimate_fit(flash, 11 * 10**9, settings(), [gpu(48, card)], None) for card in ((8, 9), (8, 6)))
    assert (new.quantization, old.quantization) == ("fp8", "none")
    assert old.weight_bytes == pytest.approx(FLASH_BYTES, rel=0.001)
    values = 40 * (4096 * 128 * (32 * 2 + 2 * 2) + 3 * 4096 * 13696)
    assert old.weight_bytes - new.weight_bytes == pytest.approx(values, rel=0.001)


def test_a_card_too_small_for_any_format_gets_the_smallest_and_a_failure_with_figures(flash: Path) -> None:
    fit = estimate_fit(flash, FLASH_BYTES, settings(), [gpu(6, (8, 6))], None)
    assert fit.quantization == "int4" and "only 4.7 GiB are there" in fit.quantization_reason
    assert [check.verdict for check in doctor._fit_checks(fit)] == ["ok", "fail"]


def test_on_the_cpu_weights_are_counted_in_the_format_they_are_computed_in(flash: Path) -> None:
    fit = estimate_fit(flash, FLASH_BYTES, settings(), [], 64 * GIB)
    assert (fit.device, fit.dtype, fit.weight_bytes) == ("CPU", "float32", 2 * FLASH_BYTES)
    assert fit.quantization == "none" and not fit.quantization_reason, "auto is for GPUs"
    forced = estimate_fit(flash, FLASH_BYTES, settings(engine__device="cpu"), [H200], 64 * GIB)
    assert forced.device == "CPU"


def test_weights_are_counted_from_the_headers_alone(tmp_path: Path) -> None:
    safetensors_file(tmp_path / "a.safetensors", {"x": ("BF16", [3, 5], 30), "y": ("F32", [2], 8)})
    safetensors_file(tmp_path / "b.safetensors", {"z": ("I8", [7], 7)})
    assert folder_weights(tmp_path) == 45


@pytest.mark.parametrize("damage", ["cut", "longer", "no header", "bad length", "no json"])
def test_a_damaged_weight_file_is_found_without_loading_it(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.safetensors"
    safetensors_file(path, {"x": ("F32", [100], 400)})
    whole = path.read_bytes()
    path.write_bytes({
        "cut": whole[:-1],
        "longer": whole + b"x",
        "no header": b"",
        "bad length": struct.pack("<Q", 1 << 60) + whole[8:],
        "no json": whole[:8] + b"?" * (len(whole) - 8),
    }[damage])  # fmt: skip
    with pytest.raises(CheckpointError, match="no whole safetensors file"):
        read_header(path)


def test_an_incomplete_model_folder_fails_and_lists_what_is_missing(
    flash: Path, capsys: pytest.CaptureFixture[str], known_torch: None
) -> None:
    assert main(["doctor", str(flash), "--port", "0", "--ui-port", "0"]) == 4
    out = capsys.readouterr().out
    assert "tokenizer.json" in out and "model.safetensors" in out and "complete the folder" in out


def test_a_model_of_another_family_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], known_torch: None
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    safetensors_file(tmp_path / "model.safetensors", {"x": ("F32", [1], 4)})
    assert main(["doctor", str(tmp_path), "--port", "0", "--ui-port", "0"]) == 4
    assert "'llama'" in capsys.readouterr().out


def test_a_taken_port_fails_for_the_api_and_is_noted_for_the_page() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        (api,) = check_ports(settings(server__port=port, server__ui_port="0"))
        assert api.verdict == "fail" and "--port" in api.fix
        _, page = check_ports(settings(server__port=0, server__ui_port=str(port)))
        assert page.verdict == "note" and "skipped" in page.found


def test_our_own_server_on_the_port_is_no_failure(echo_server: str) -> None:
    port = int(echo_server.rsplit(":", 1)[1])
    (check,) = check_ports(settings(server__port=port, server__ui_port="0"))
    assert check.verdict == "note" and "flashweb is running" in check.found


def test_a_gpu_that_torch_cannot_use_is_told_apart_by_its_reason() -> None:
    cpu_build = {"version": "2.13.0+cpu", "built_for_cuda": None, "devices": []}
    assert "CPU build" in list(check_torch(cpu_build, "NVIDIA H200, 580, 143771 MiB"))[1].found
    no_driver = cpu_build | {"built_for_cuda": "13.0"}
    assert "driver" in list(check_torch(no_driver, "NVIDIA H200, 400, 143771 MiB"))[1].fix
    assert list(check_torch(cpu_build, None))[1].verdict == "note"
    busy = no_driver | {"devices": [H200 | {"free": GIB}]}
    assert "another program" in list(check_torch(busy, "x"))[1].fix
    assert list(check_torch({"error": "no module", "devices": []}, None))[0].verdict == "fail"


def test_run_from_its_source_the_packages_cannot_be_checked_and_that_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_installed(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", not_installed)
    assert check_packages().verdict == "warn"


def test_the_report_colours_only_terminals_and_ends_with_a_verdict() -> None:
    checks = [Check("a", "ok", "fine"), Check("long name", "fail", "broken", "mend it")]
    plain = report(checks, colour=False)
    assert "\x1b" not in plain and plain.endswith("1 to mend, 0 to know about") and "-> mend it" in plain
    assert "\x1b[31m" in report(checks, colour=True)
    assert report(checks[:1], colour=False).endswith("nothing stands in the way")


# --- the proof ------------------------------------------------------------------------------------------------------

FORECAST = prove.Forecast(weight_bytes=10 * GIB, kv_tokens=8192, peak_bytes=11 * GIB)
MEASURED = prove.Measured(
    device="cuda:0", quantization="int8", weight_bytes=10 * GIB, kv_tokens=8192, peak_bytes=11 * GIB, ready_seconds=9.0,
    stages=(("imports", 3.0), ("weights", 5.0)), picture=(2044, 2044), prompt_tokens=5340, first_token_ms=400.0,
    ms_per_token=9.0,
)  # fmt: skip


def failed(**changes: Any) -> list[str]:
    return [c.name for c in prove.compare(FORECAST, replace(MEASURED, **changes)) if c.verdict == "fail"]


def test_a_proof_fails_on_what_is_beyond_its_tolerance_and_on_nothing_else() -> None:
    assert failed() == []
    assert failed(weight_bytes=int(10.4 * GIB), kv_tokens=7400, peak_bytes=12 * GIB) == []
    assert failed(weight_bytes=int(9.4 * GIB)) == failed(weight_bytes=int(10.6 * GIB)) == ["proof: weights"]
    assert failed(kv_tokens=7000) == ["proof: KV cache"] and failed(kv_tokens=100_000) == []
    assert failed(peak_bytes=int(12.2 * GIB)) == ["proof: memory peak"] and failed(peak_bytes=5 * GIB) == []
    assert failed(peak_bytes=0) == ["proof: memory peak"]  # it could not be told


def test_the_bundled_model_is_proved_on_this_machine(flashweb: Any) -> None:
    done = flashweb("doctor", "--port", "0", "--ui-port", "0", "--device", "cpu", "--prove", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    measured, wanted = found["proof"]["measured"], found["proof"]["forecast"]
    assert measured["weight_bytes"] == wanted["weight_bytes"] and measured["kv_tokens"] == wanted["kv_tokens"]
    assert 200 << 20 < measured["peak_bytes"] <= wanted["peak_bytes"]
    assert [name for name, _ in measured["stages"]] == ["imports", "weights", "KV cache", "warm-up"]
    assert measured["picture"] == [756, 756] and measured["first_token_ms"] > measured["ms_per_token"] > 0


def test_a_proof_without_weights_takes_random_ones(known_torch: None, tmp_path: Path, capsys: Any) -> None:
    nano = Path(doctor.__file__).parents[1] / "models/flashweb-nano"
    for file in nano.iterdir():
        if file.is_file() and file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    options = ["--load-format", "dummy", "--max-image-size", "280", "--port", "0", "--ui-port", "0"]
    assert main(["doctor", str(tmp_path), *options, "--prove", "--json"]) == 0
    captured = capsys.readouterr()
    measured = json.loads(captured.out)["proof"]["measured"]
    assert "random weights" in captured.err and measured["picture"] == [280, 280]


def test_an_engine_that_does_not_start_fails_the_proof_with_its_words(known_torch: None, capsys: Any) -> None:
    arguments = ["doctor", "--port", "0", "--ui-port", "0", "--prove", "--max-model-len", "4096"]
    assert main([*arguments, "--kv-cache-memory", "1MiB"]) == 4
    assert "✗ proof" in (out := capsys.readouterr().out) and "max_model_len 4096" in out


def test_a_memory_cap_needs_a_gpu_and_a_proof(known_torch: None, capsys: Any) -> None:
    assert main(["doctor", "--prove", "--memory-cap", "12GiB"]) == 3
    assert "CPU" in (err := capsys.readouterr().err) and "MemoryMax" in err
    assert main(["doctor", "--memory-cap", "12GiB"]) == 3 and "--prove" in capsys.readouterr().err
    assert main(["doctor", "--prove", "--memory-cap", "much"]) == 3 and "no size" in capsys.readouterr().err


def test_a_memory_cap_takes_the_place_of_the_cards_memory(flash: Path) -> None:
    engine = EngineConfig(memory_cap_bytes=12 * GIB, gpu_memory_utilization=1.0, quantization="int8")
    capped = settings(model__quantization="int8")
    fit = estimate_fit(flash, 0, capped, [H200], None, engine)
    assert fit.budget_bytes == fit.share_bytes == 12 * GIB and fit.left_bytes > 0
    assert fit.weight_bytes == pytest.approx(estimate_fit(flash, FLASH_BYTES, capped, [H200], None).weight_bytes, 0.001)
    wanted = prove.forecast(fit, msgspec.structs.replace(engine, model=str(flash)), 0)
    assert 8192 <= wanted.kv_tokens < 100_000 and wanted.peak_bytes <= 12 * GIB


def test_a_requirement_is_read_with_bounds_in_any_order() -> None:
    assert doctor._name_and_least("llguidance<2,>=1.9.1") == ("llguidance", "1.9.1")
    assert doctor._name_and_least("uvloop>=0.21; sys_platform != 'win32'") == ("uvloop", "0.21")
    assert doctor._name_and_least("pillow") == ("pillow", "0")
