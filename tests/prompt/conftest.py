"""A tiny byte-level checkpoint (text side only), so that these tests depend on no shipped model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers

CONTROL = [
    *("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>"),
    *("<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>"),
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<arg_key>"),
    *("</arg_key>", "<arg_value>", "</arg_value>", "/nothink", "<|begin_of_box|>", "<|end_of_box|>"),
    *("<|image|>", "<|video|>"),
]
CORPUS = [
    "提取图中所有金额数字,并按出现顺序列出。这张图是什么?",
    "What is in this image? list the amounts 12.50",
    "/nothink <think>",
] * 4


def tiny_tokenizer() -> tokenizers.Tokenizer:
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(
                tokenizers.Regex(
                    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
                ),
                behavior="isolated",
            ),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, min_frequency=1
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([tokenizers.AddedToken(name, normalized=False) for name in CONTROL[:14]])
    tokenizer.add_tokens([tokenizers.AddedToken(name, normalized=False) for name in CONTROL[14:]])
    return tokenizer


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "image_token_id": tokenizer.token_to_id("<|image|>"),
        "text_config": {"max_position_embeddings": 2048, "eos_token_id": [tokenizer.token_to_id("<|endoftext|>")]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder
