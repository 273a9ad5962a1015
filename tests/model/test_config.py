"""config.json in both spellings, and the values that are refused instead of guessed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from flashweb.errors import CheckpointError
from flashweb.model.config import ModelConfig

FLASH = Path(__file__).parent / "data" / "glm-4.6v-flash.config.json"


@pytest.fixture
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(FLASH.read_text())
    return loaded


def as_v4(document: dict[str, Any], flat: bool) -> dict[str, Any]:
    """The same model the way GLM-4.1V spells it, text keys nested or at the top level."""
    text = document.pop("text_config")
    rope = text.pop("rope_parameters")
    text |= {
        "rope_theta": rope["rope_theta"],
        "partial_rotary_factor": rope["partial_rotary_factor"],
        "rope_scaling": {"type": "default", "mrope_section": rope["mrope_section"]},
    }
    return {**text, **document} if flat else {**document, "text_config": text}


def test_the_flash_config_is_read_as_its_fact_sheet_says(document: dict[str, Any]) -> None:
    config = ModelConfig.from_dict(document)
    text, vision = config.text, config.vision
    assert (text.hidden_size, text.num_layers, text.num_heads, text.num_kv_heads, text.head_dim) == (
        4096,
        40,
        32,
        2,
        128,
    )
    assert (text.rope_theta, text.rotary_dim, text.mrope_section) == (500000.0, 64, (8, 12, 12))
    assert (text.vocab_size, text.intermediate_size, text.max_position_embeddings) == (151552, 13696, 131072)
    assert (vision.depth, vision.hidden_size, vision.head_dim, vision.table_side) == (24, 1536, 128, 24)
    assert (vision.out_hidden_size, vision.intermediate_size, vision.patch_values) == (4096, 13696, 588)
    assert (config.image_token_id, config.tie_word_embeddings, config.dtype) == (151363, False, "bfloat16")


@pytest.mark.parametrize("flat", [False, True])
def test_the_older_spelling_gives_the_same_config(document: dict[str, Any], flat: bool) -> None:
    new = ModelConfig.from_dict(copy.deepcopy(document))
    old = ModelConfig.from_dict(as_v4(document, flat))
    assert old.text == new.text and old.vision == new.vision


def test_tying_may_be_said_in_the_text_section(document: dict[str, Any]) -> None:
    del document["tie_word_embeddings"]
    document["text_config"]["tie_word_embeddings"] = True
    assert ModelConfig.from_dict(document).tie_word_embeddings


def test_a_given_head_dim_wins_over_the_quotient(document: dict[str, Any]) -> None:
    document["text_config"] |= {"head_dim": 64, "num_attention_heads": 48}
    document["text_config"]["rope_parameters"]["partial_rotary_factor"] = 1.0
    assert ModelConfig.from_dict(document).text.head_dim == 64


def test_without_a_partial_factor_the_sections_decide(document: dict[str, Any]) -> None:
    del document["text_config"]["rope_parameters"]["partial_rotary_factor"]
    assert ModelConfig.from_dict(document).text.rotary_dim == 64


REFUSED: list[tuple[str, Any, str]] = [
    ("model_type", "qwen2_vl", "model_type 'qwen2_vl'"),
    ("text_config.hidden_size", -1, "text_config.hidden_size is -1"),
    ("text_config.hidden_size", "4096", "hidden_size is '4096'"),
    ("text_config.num_hidden_layers", None, "num_hidden_layers is missing"),
    ("text_config.num_attention_heads", 33, "divisor of hidden_size 4096"),
    ("text_config.num_key_value_heads", 3, "divisor of num_attention_heads 32"),
    ("text_config.hidden_act", "gelu", "hidden_act is 'gelu'"),
    ("text_config.rms_norm_eps", float("nan"), "rms_norm_eps is nan"),
    ("text_config.rope_parameters.rope_type", "yarn", "rope_type is 'yarn'"),
    ("text_config.rope_parameters.mrope_section", [8, 12, 13], "sum 32"),
    ("text_config.rope_parameters.mrope_section", [16, 16], "three positive whole numbers"),
    ("text_config.rope_parameters.partial_rotary_factor", 0.25, "of sum 16"),
    ("vision_config", None, "no vision_config object"),
    ("vision_config.attention_bias", True, "attention_bias is True"),
    ("vision_config.out_hidden_size", 2048, "out_hidden_size is 2048 but text hidden_size is 4096"),
    ("vision_config.image_size", 337, "a multiple of patch_size 14"),
    ("vision_config.num_heads", 5, "num_heads is 5"),
    ("vision_config.temporal_patch_size", 1, "temporal_patch_size is 1"),
    ("image_token_id", True, "image_token_id is True"),
]


@pytest.mark.parametrize(("path", "value", "said"), REFUSED)
def test_odd_values_are_refused_with_the_value_and_the_fix(
    document: dict[str, Any], path: str, value: Any, said: str
) -> None:
    *sections, key = path.split(".")
    place = document
    for section in sections:
        place = place[section]
    place[key] = value
    with pytest.raises(CheckpointError) as caught:
        ModelConfig.from_dict(document)
    assert said in caught.value.message


def test_a_missing_or_broken_config_file_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"does not exist; a checkpoint folder holds config\.json"):
        ModelConfig.read(tmp_path)
    for content, said in (("{", "cannot be read as JSON"), ("[]", "holds a list")):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(CheckpointError, match=said):
            ModelConfig.read(tmp_path)
