"""Build flashweb-nano's tokenizer: a byte-level BPE with one token per character of the charset.

Every ASCII character and every character of `CHARSET` is one token and no token spans two of them, so the model reads
characters and never guesses words; anything else falls back to its UTF-8 bytes. The 36 added tokens of the GLM-4.6V
family follow by their exact names, then a few fixed pieces of JSON answers. Knows nothing about pictures or training.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.charset import CHARSET

EXTRA_CHARACTERS: str = "「」『』〈〉￠￡№●○■□▲△◆◇☆→←↑↓√±①②③④⑤⑥⑦⑧⑨⑩＋－＝＄＃＠＆／│─"

# (name, special): what `skip_special_tokens` drops. Thinking, tool and box marks are text the caller's parser reads.
FAMILY_TOKENS: tuple[tuple[str, bool], ...] = (
    ("<|endoftext|>", True), ("[MASK]", True), ("[gMASK]", True), ("[sMASK]", True), ("<sop>", True), ("<eop>", True),
    ("<|system|>", True), ("<|user|>", True), ("<|assistant|>", True), ("<|observation|>", True),
    ("<|begin_of_image|>", True), ("<|end_of_image|>", True), ("<|begin_of_video|>", True), ("<|end_of_video|>", True),
    ("<|begin_of_audio|>", True), ("<|end_of_audio|>", True),
    ("<|begin_of_transcription|>", True), ("<|end_of_transcription|>", True),
    ("<|code_prefix|>", True), ("<|code_middle|>", True), ("<|code_suffix|>", True),
    ("<think>", False), ("</think>", False), ("<tool_call>", False), ("</tool_call>", False),
    ("<tool_response>", False), ("</tool_response>", False), ("<arg_key>", False), ("</arg_key>", False),
    ("<arg_value>", False), ("</arg_value>", False), ("/nothink", False),
    ("<|begin_of_box|>", False), ("<|end_of_box|>", False), ("<|image|>", True), ("<|video|>", True),
)  # fmt: skip

# The fixed parts of the audit answer: 10-20 tokens instead of about 90. Ordinary added tokens (never special), so
# they decode to their own bytes and need no merges between ASCII characters.
JSON_PIECES: tuple[str, ...] = (
    '{"contains_price": true, "contains_brand_logo": ',
    '{"contains_price": false, "contains_brand_logo": ',
    'null, "forbidden_words": [',
    '", "forbidden_words": [',
    '", "',
    '"]}',
)

IMAGE_TOKEN = "<|image|>"
END_OF_TURN = "<|user|>"  # the family has no end-of-turn token: a turn ends where the next role token starts
PAD_MULTIPLE = 64


def byte_alphabet() -> list[str]:
    """The 256 printable stand-ins of byte-level BPE, indexed by byte value (the GPT-2 convention)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    stand_ins = {byte: chr(byte) for byte in printable}
    for offset, byte in enumerate(b for b in range(256) if b not in stand_ins):
        stand_ins[byte] = chr(256 + offset)
    return [stand_ins[byte] for byte in range(256)]


def single_token_characters() -> str:
    """Every character that is exactly one token, in id order of its first use."""
    return "".join(dict.fromkeys(CHARSET + EXTRA_CHARACTERS))


def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """(token -> id, merges): bytes first, then for each character the merges that join its UTF-8 bytes left to right.

    Intermediate pairs are shared: all hanzi whose first two bytes agree use one token for them.
    """
    alphabet = byte_alphabet()
    vocab = {stand_in: index for index, stand_in in enumerate(alphabet)}
    merges: list[tuple[str, str]] = []
    for char in single_token_characters():
        pieces = [alphabet[byte] for byte in char.encode()]
        left = pieces[0]
        for right in pieces[1:]:
            if left + right not in vocab:
                vocab[left + right] = len(vocab)
                merges.append((left, right))
            left += right
    return vocab, merges


def tokenizer_json() -> dict[str, Any]:
    """The content of `tokenizer.json`, loadable by `tokenizers.Tokenizer.from_file` and by transformers."""
    vocab, merges = vocabulary()
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [*FAMILY_TOKENS, *((piece, False) for piece in JSON_PIECES)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": len(vocab) + index, "content": name, **flags, "special": special}
            for index, (name, special) in enumerate(added)
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [list(pair) for pair in merges],
        },
    }


def token_ids() -> dict[str, int]:
    """Ids of the added tokens by name (family tokens and JSON pieces)."""
    return {entry["content"]: entry["id"] for entry in tokenizer_json()["added_tokens"]}


def num_tokens() -> int:
    """Tokens that mean something; ids from here to the padded size never occur."""
    return len(vocabulary()[0]) + len(FAMILY_TOKENS) + len(JSON_PIECES)


def padded_vocab_size() -> int:
    """Rows of the embedding."""
    return -(-num_tokens() // PAD_MULTIPLE) * PAD_MULTIPLE


def write_tokenizer(folder: Path, model_max_length: int) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`."""
    content = tokenizer_json()
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False, indent=None), encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model_max_length,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "pad_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
        "padding_side": "left",
        "additional_special_tokens": [name for name, special in FAMILY_TOKENS if special],
        "added_tokens_decoder": {
            str(entry["id"]): {key: value for key, value in entry.items() if key != "id"}
            for entry in content["added_tokens"]
        },
    }
    text = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
