"""Text and ids: nothing is lost, and no text can spell a control token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from flashweb.errors import CheckpointError
from flashweb.hub import resolve_model
from flashweb.prompt.tokenizer import Tokenizer
from tests.prompt.conftest import CONTROL, tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer(folder / "tokenizer.json")


@given(st.text(max_size=80))
def test_every_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_lone_surrogates_become_replacement_characters(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\ud800b\udfff")) == "a\ufffdb\ufffd"


@pytest.mark.parametrize("name", CONTROL)
def test_no_text_spells_a_control_token(tokenizer: Tokenizer, name: str) -> None:
    for text in (name, f" {name} ", f"a{name}b", f"\n{name}\n", name * 3, name.upper(), f"{name[:3]}{name}"):
        ids = tokenizer.encode(text)
        assert not any(tokenizer.is_control(id) for id in ids)
        assert tokenizer.decode(ids) == text


@given(st.lists(st.one_of(st.sampled_from(CONTROL), st.text(max_size=5)), max_size=8).map("".join))
def test_no_mixture_spells_a_control_token(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert not any(tokenizer.is_control(id) for id in ids)
    assert tokenizer.decode(ids) == text


def test_control_tokens_are_found_by_name(tokenizer: Tokenizer, folder: Path) -> None:
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for name in CONTROL:
        assert tokenizer.control_id(name) == theirs.token_to_id(name)
        assert tokenizer.id_to_bytes(theirs.token_to_id(name)) == name.encode()
    assert tokenizer.control_id("<|nobody|>") is None
    assert tokenizer.num_tokens == theirs.get_vocab_size(with_added_tokens=True)


def test_ids_beyond_the_vocabulary_are_no_bytes(tokenizer: Tokenizer) -> None:
    assert tokenizer.id_to_bytes(tokenizer.num_tokens) == b""
    assert tokenizer.id_to_bytes(10**9) == b""
    assert tokenizer.id_to_bytes(-1) == b""


def test_decode_hides_control_tokens_unless_asked(tokenizer: Tokenizer) -> None:
    box = tokenizer.control_ids["<|begin_of_box|>"]
    ids = [box, *tokenizer.encode("42"), tokenizer.control_ids["<|end_of_box|>"]]
    assert tokenizer.decode(ids) == "42"
    assert tokenizer.decode(ids, keep_control=True) == "<|begin_of_box|>42<|end_of_box|>"


def test_a_control_token_that_is_also_in_the_vocabulary_is_taken_out_of_it(folder: Path, tmp_path: Path) -> None:
    """`ignore_merges` tokenizers find whole words in the vocabulary; `/nothink` is one word to the splitter."""
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    id = next(token["id"] for token in document["added_tokens"] if token["content"] == "/nothink")
    document["model"]["vocab"]["/nothink"] = id
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    tokenizer = Tokenizer(path)
    assert id not in tokenizer.encode("/nothink and /nothink")
    assert tokenizer.decode(tokenizer.encode("/nothink")) == "/nothink"
    assert tokenizer.control_id("/nothink") == id


def test_the_order_of_keys_in_the_file_does_not_matter(folder: Path, tmp_path: Path) -> None:
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = document.pop("added_tokens")
    document["padding2"] = "x" * (1 << 17)
    document.pop("padding2")
    document["added_tokens"] = added
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
    tokenizer = Tokenizer(path)
    assert set(tokenizer.control_ids) == set(CONTROL)
    assert not any(map(tokenizer.is_control, tokenizer.encode("<|image|>")))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"model": {"type": "Nope"}}'])
def test_a_broken_tokenizer_file_names_itself(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer(path)


def test_a_missing_tokenizer_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        Tokenizer(tmp_path / "tokenizer.json")


def test_a_tokenizer_that_loses_bytes_is_refused(tmp_path: Path) -> None:
    from tokenizers import models

    path = tmp_path / "tokenizer.json"
    tokenizers.Tokenizer(models.WordLevel({"hello": 0}, unk_token="hello")).save(str(path))
    with pytest.raises(CheckpointError, match="byte-level BPE"):
        Tokenizer(path)


def test_the_tiny_tokenizer_is_what_the_tests_think() -> None:
    assert tiny_tokenizer().get_vocab_size() > 256 + len(CONTROL)


def test_an_added_piece_of_text_is_one_token_and_stays_visible() -> None:
    nano = Tokenizer(resolve_model("flashweb-nano") / "tokenizer.json")
    text = '{"contains_price": true, "contains_brand_logo": null, "forbidden_words": ["最便宜", "第一"]}'
    ids = nano.encode(text)
    assert len(ids) < 16, "the JSON pieces are single tokens"
    assert not any(nano.is_control(id) for id in ids)
    assert nano.decode(ids) == text


def test_the_bundled_tokenizer_gives_the_ids_of_the_library() -> None:
    path = resolve_model("flashweb-nano") / "tokenizer.json"
    nano, library = Tokenizer(path), tokenizers.Tokenizer.from_file(str(path))
    for text in ('{"forbidden_words": ["违禁词1", "违禁词2"]}', "提取图中所有金额数字,并按出现顺序列出", 'a", "b"]}'):
        assert nano.encode(text) == library.encode(text, add_special_tokens=False).ids
