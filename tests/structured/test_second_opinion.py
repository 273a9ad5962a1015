"""xgrammar, another compiler of JSON Schema, on the same documents. Where the two differ the `jsonschema` package has
decided for ours (`test_keywords.py`), and the rows are listed here: a new difference is a question to one of them.

    pip install --no-deps xgrammar apache-tvm-ffi    # its other requirements are torch, transformers and numpy
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from tests.house import processor
from tests.structured.keyword_tables import TABLES
from tests.structured.test_schema import CASES, matcher, takes

xgrammar = pytest.importorskip("xgrammar", reason="the second opinion: pip install --no-deps xgrammar apache-tvm-ffi")

ROWS = {keyword: [CASES[keyword], *rows] for keyword, rows in TABLES.items()}
# keyword -> documents of its rows on which xgrammar differs: valid ones it refuses (+), others it takes (-).
KNOWN: dict[str, tuple[int, int]] = {
    "enum": (3, 3), "const": (2, 0), "minLength": (1, 2), "maxLength": (1, 1), "pattern": (7, 1), "format": (0,
    1), "minimum": (2, 2), "multipleOf": (0, 2), "items": (2, 0), "properties": (2, 0), "required": (0, 2),
    "patternProperties": (3, 0), "allOf": (1, 12), "anyOf": (0, 2),
}  # fmt: skip


@cache
def compiler() -> Any:
    tokenizer = processor().tokenizer
    tokens = [tokenizer.id_to_bytes(id) for id in range(tokenizer.num_tokens)]
    kind = xgrammar.VocabType.RAW
    info = xgrammar.TokenizerInfo(tokens, vocab_type=kind, stop_token_ids=list(processor().eos_token_ids))
    return xgrammar.GrammarCompiler(info, max_threads=1)


def xgrammar_takes(schema: Any, text: str) -> bool:
    try:
        grammar = compiler().compile_json_schema(json.dumps(schema), any_whitespace=True, strict_mode=False)
    except Exception:
        return False
    found = xgrammar.GrammarMatcher(grammar, terminate_without_stop_token=True)
    return bool(found.accept_string(text)) and found.is_terminated()


@pytest.mark.slow
@pytest.mark.parametrize("keyword", ROWS)
def test_the_two_agree_but_where_it_is_known(keyword: str) -> None:
    refuses = takes_more = 0
    for schema, valid, invalid in ROWS[keyword]:
        compiled = matcher(schema)
        for document in valid:
            text = json.dumps(document, ensure_ascii=False)
            assert takes(compiled, text)
            refuses += not xgrammar_takes(schema, text)
        for document in invalid:
            text = json.dumps(document, ensure_ascii=False)
            assert not takes(compiled, text)
            takes_more += xgrammar_takes(schema, text)
    assert (refuses, takes_more) == KNOWN.get(keyword, (0, 0))
