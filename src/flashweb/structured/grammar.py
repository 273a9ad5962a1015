"""A `Structure` -> a matcher: llguidance reads the grammar, within limits that bound its memory and each later step.

Its own limits do not bound the time of a compilation (an object of 10,000 optional properties takes minutes), so a
caller's structure comes here only after `trial.py` has seen it compile, or in the process that is there to try.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from typing import Any

import llguidance
import numpy as np
from llguidance.gbnf_to_lark import any_to_lark

from flashweb.errors import InvalidRequest
from flashweb.structured.patterns import searched
from flashweb.structured.schema import KEYWORDS, check_schema, refusal
from flashweb.structured.vocabulary import Vocabulary
from flashweb.types import Structure

MAX_SOURCE_BYTES = 256 << 10
MAX_CHOICES = 10_000
# Between two tokens of JSON: nothing, a space, or a new line and its indentation. At most once in a place, so that a
# model cannot go on with white space for ever.
WHITE_SPACE = r"\x20|\n\x20{0,64}"
# No \uXXXX: half of a surrogate pair is no text, and nothing needs it but control characters.
ESCAPES = 'nrbtf\\"'
LIMITS = llguidance.LLParserLimits(
    max_lexer_states=50_000,  # 1 to 2 kB each, made as an answer needs them
    verbose_errors=False,  # messages go to callers and logs: none of the state
)


def compile_structure(structure: Structure, vocabulary: Vocabulary) -> llguidance.LLMatcher:
    """A matcher before its first token. Raises InvalidRequest, for a JSON schema with the keyword at fault."""
    if len(structure.source.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES:
        raise InvalidRequest(f"it is {len(structure.source)} characters long; the limit is {MAX_SOURCE_BYTES} bytes")
    matcher = llguidance.LLMatcher(vocabulary.tokenizer, _to_grammar(structure), log_level=0, limits=LIMITS)
    if not matcher.is_error():
        matcher.compute_bitmask()  # what no text can satisfy, and what is too large for a step, shows here
    if matcher.is_error():
        raise _explained(structure, matcher.get_error())
    return matcher


def rehearse(matcher: llguidance.LLMatcher, *, num_tokens: int = 48, seconds: float = 0.25) -> None:
    """Does to a copy what an engine does to it, along one answer: masks, drafts and their taking back. Whatever brings
    the native library down brings down the process that calls this."""
    walker, choose = matcher.deep_copy(), random.Random(0)
    end = time.monotonic() + seconds
    for _ in range(num_tokens):
        bits = np.unpackbits(np.frombuffer(walker.compute_bitmask(), np.uint8), bitorder="little")
        allowed = np.flatnonzero(bits)
        if walker.is_error() or walker.is_stopped() or not len(allowed) or time.monotonic() > end:
            return
        token = int(allowed[choose.randrange(len(allowed))])
        if walker.validate_tokens([token]) and walker.consume_token(token):
            walker.rollback(1)
        walker.consume_token(token)


def _to_grammar(structure: Structure) -> str:
    source = structure.source
    try:
        match structure.kind:
            case "json_schema":
                return _from_schema(check_schema(json.loads(source)))
            case "json_object":
                return _from_schema({"type": "object"})
            case "regex":
                return llguidance.LLMatcher.grammar_from_regex(source)
            case "choice":
                return llguidance.LLMatcher.grammar_from_regex(_alternatives(json.loads(source)))
            case "grammar":
                return llguidance.LLMatcher.grammar_from_lark(any_to_lark(source))
    except InvalidRequest:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"it cannot be read: {_first_line(str(error))}") from None
    except Exception as error:  # the converter from GBNF raises what it comes across
        raise InvalidRequest(f"it cannot be read ({type(error).__name__}: {_first_line(str(error))})") from None


def _from_schema(schema: dict[str, Any]) -> str:
    options: Any = {
        "whitespace_pattern": WHITE_SPACE,
        "json_allowed_escapes": ESCAPES,
        "lenient": False,
        "coerce_one_of": False,
    }
    return str(llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=options))


def _alternatives(choices: Any) -> str:
    if not isinstance(choices, list) or not choices or not all(isinstance(c, str) and c for c in choices):
        raise InvalidRequest("it must be a list of texts, none of them empty")
    if len(choices) > MAX_CHOICES:
        raise InvalidRequest(f"it has {len(choices)} entries; the limit is {MAX_CHOICES}")
    return "|".join("".join(map(_literally, choice)) for choice in choices)


def _literally(character: str) -> str:
    return character if character.isalnum() else f"\\x{{{ord(character):x}}}"


def _explained(structure: Structure, message: str) -> InvalidRequest:
    """llguidance's complaint with the keyword that it is about and its place, as far as it names one."""
    line = _first_line(message)
    if structure.kind not in ("json_schema", "json_object"):
        return InvalidRequest(f"it cannot be enforced: {_reason(message) or line}")
    if "NoExtension" in message:
        return InvalidRequest('no answer can satisfy the schema; look for a "$ref" that needs itself')
    schema = json.loads(structure.source or "{}")
    if "regex parse error" in message:
        lines = [line.strip() for line in message.splitlines()]
        reason = _reason(message) or "it is no regular expression"
        for keyword, where, value in _keywords(schema, "#"):
            patterns = value if keyword == "patternProperties" and isinstance(value, dict) else [value]
            shown = {form for pattern in map(str, patterns) for form in (pattern, searched(pattern))}
            if keyword in ("pattern", "patternProperties") and shown & set(lines):
                return refusal(keyword, where, f"cannot be enforced: {reason}")
    named = message.replace("patternProperty", "patternProperties").replace("circular references", "circular $ref")
    present = {keyword: where for keyword, where, _ in reversed(list(_keywords(schema, "#")))}
    for keyword in sorted(present.keys() & set(KEYWORDS), key=lambda name: (-len(name), name)):
        if re.search(rf"(?<![\w$]){re.escape(keyword)}(?!\w)", named):
            return refusal(keyword, present[keyword], f"cannot be enforced: {line}")
    return InvalidRequest(f"the schema cannot be enforced: {line}")


def _keywords(schema: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    """Every (key, the place of its object, value) of a document, outermost first."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield key, where, value
            yield from _keywords(value, f"{where}/{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _keywords(value, f"{where}/{index}")


def _reason(message: str) -> str:
    """What the regular expressions' parser says after the expression and its pointer."""
    lines = message.splitlines()
    return next((line.removeprefix("error: ")[:200] for line in lines if line.startswith("error: ")), "")


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0][:200]
