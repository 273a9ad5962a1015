"""The tokenizer reads characters: one token each, bytes for the rest, and the trainer's encoder agrees with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from training.charset import CHARSET
from training.encoding import Encoder, Turn, encode_conversation
from training.tokenizer import EXTRA_CHARACTERS, FAMILY_TOKENS, JSON_PIECES, num_tokens, padded_vocab_size, token_ids

FOLDER = Path(__file__).parents[2] / "src/flashweb/models/flashweb-nano"
SHIPPED = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
ENCODER = Encoder()


def test_every_character_of_the_charset_is_one_token() -> None:
    for char in CHARSET + EXTRA_CHARACTERS:
        assert len(SHIPPED.encode(char).ids) == 1, char


def test_no_token_spans_two_characters_of_plain_text() -> None:
    text = "Total 合计：¥1,280.50 milk牛奶 true"
    assert len(SHIPPED.encode(text).ids) == len(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_the_trainers_encoder_equals_the_tokenizer_and_text_survives_it(text: str) -> None:
    ids = SHIPPED.encode(text, add_special_tokens=False).ids
    assert ENCODER.encode(text) == ids
    assert SHIPPED.decode(ids, skip_special_tokens=False) == text


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*JSON_PIECES, *CHARSET[:120], "最便宜", "醫", "null"]), max_size=12))
def test_json_pieces_are_found_the_same_way(parts: list[str]) -> None:
    text = "".join(parts)
    assert ENCODER.encode(text) == SHIPPED.encode(text, add_special_tokens=False).ids


def test_the_family_has_its_36_tokens_in_order_and_control_tokens_are_special() -> None:
    ids = token_ids()
    names = [name for name, _ in FAMILY_TOKENS]
    assert len(names) == 36
    assert [ids[name] for name in names] == list(range(ids["<|endoftext|>"], ids["<|endoftext|>"] + 36))
    text = "<|user|>\nx<think></think><|begin_of_box|>1<|end_of_box|>"
    shown = SHIPPED.decode(SHIPPED.encode(text).ids, skip_special_tokens=True)
    assert shown == "\nx<think></think><|begin_of_box|>1<|end_of_box|>"


def test_the_embedding_is_padded_to_a_multiple_of_64() -> None:
    assert padded_vocab_size() % 64 == 0 and 0 <= padded_vocab_size() - num_tokens() < 64
    assert SHIPPED.get_vocab_size() == num_tokens()


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("system", ["", "你是助手。"])
def test_training_conversations_have_the_bytes_of_the_chat_template(thinking: bool, system: str) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    turns = [Turn("what is this?", "a cat", (0,), False), Turn("价格", "¥3", (1,)), Turn("more", "no")]
    messages = [{"role": "system", "content": system}] if system else []
    for turn in turns:
        parts = [{"type": "image"}] * len(turn.pictures) + [{"type": "text", "text": turn.question}]
        messages.append({"role": "user", "content": parts if turn.pictures_first else parts[::-1]})
        messages.append({"role": "assistant", "content": turn.answer})
    text = tokenizer.apply_chat_template(messages, tokenize=False, enable_thinking=thinking) + "<|user|>"
    row = encode_conversation(ENCODER, turns, [1, 1], system=system, thinking=thinking)
    assert row.ids == tokenizer.encode(text, add_special_tokens=False)
    learnt = tokenizer.decode([row.ids[i] for i in row.learnt])
    last = "<think></think>\nno" if thinking else "no"
    assert learnt == f"a cat<|user|>¥3<|user|>{last}<|user|>"
    prompt = tokenizer.apply_chat_template(
        messages[:-1], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
    )
    assert tokenizer.decode(row.ids).startswith(prompt)
