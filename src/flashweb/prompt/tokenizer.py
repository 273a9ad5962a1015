"""`Tokenizer`: text <-> ids for byte-level BPE, with control tokens kept strictly apart from text.

`encode` never yields a control id, whatever the text spells: control tokens are removed from the BPE tokenizer when it
is loaded, and only the template (`prompt/template.py`) places control ids, by name. Added tokens that are mere text (a
checkpoint may have single tokens for frequent pieces of JSON) are matched in text first, longest first. Every id also
has its bytes (`id_to_bytes`), so a stream can be decoded id by id. Knows nothing of chats, pictures or streams.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import tokenizers

from flashweb.errors import CheckpointError

_ADDED_TOKENS = re.compile(r'"added_tokens"\s*:\s*(?=\[)')
# An added token that is not marked special still steers the model when it looks like one: `<think>`, `/nothink`.
_CONTROL_NAME = re.compile(r"<[^<>\s]+>|\[[A-Za-z]+\]|/\w+")
_SHORT_CHARS = 1024  # a text's ids are kept up to this length
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def _byte_of_character() -> dict[str, int]:
    """The byte-level alphabet of GPT-2: printable bytes stand for themselves, the others for U+0100 and up."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    table.update({chr(256 + index): byte for index, byte in enumerate(others)})
    return table


_BYTE_OF_CHARACTER = _byte_of_character()


class Tokenizer:
    """Loads `tokenizer.json`. Raises CheckpointError when it is missing, broken or not byte-level BPE."""

    def __init__(self, path: Path) -> None:
        try:
            document = path.read_text(encoding="utf-8")
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}; the model folder is incomplete") from error
        try:
            self._bpe, self.control_ids, self._text_pieces = _load(document)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error.message}") from None
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{path} is no tokenizer that can be used: {error}") from error
        self.control_names: Mapping[int, str] = {id: name for name, id in self.control_ids.items()}
        self._bytes_of_id = {id: piece.encode() for piece, id in self._text_pieces.items()}
        longest_first = sorted(self._text_pieces, key=len, reverse=True)
        self._text_piece = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        highest = max([self._bpe.get_vocab_size() - 1, *self.control_names, *self._text_pieces.values()], default=-1)
        # What stands between the control tokens of every prompt, system prompts, earlier turns: often the same again.
        self._ids_of_short = lru_cache(maxsize=1024)(self._ids_of)
        self.num_tokens = highest + 1  # ids at and above are padding rows of the embedding

    def encode(self, text: str) -> list[int]:
        """Ids of plain text; never a control id. Lone surrogates (no text at all) become U+FFFD."""
        if not text:
            return []
        text = _SURROGATES.sub("\ufffd", text)
        if self._text_piece is None:
            return list(self._encode_words(text))
        ids: list[int] = []
        start = 0
        for match in self._text_piece.finditer(text):
            ids += self._encode_words(text[start : match.start()])
            ids.append(self._text_pieces[match.group()])
            start = match.end()
        ids += self._encode_words(text[start:])
        return ids

    def _encode_words(self, text: str) -> Sequence[int]:
        return self._ids_of_short(text) if len(text) <= _SHORT_CHARS else self._ids_of(text)

    def _ids_of(self, text: str) -> tuple[int, ...]:
        return tuple(self._bpe.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int], *, keep_control: bool = False) -> str:
        """Text of whole sequences; control tokens are left out unless kept."""
        pieces = (self.id_to_bytes(id) for id in ids if keep_control or id not in self.control_names)
        return b"".join(pieces).decode("utf-8", errors="replace")

    def id_to_bytes(self, id: int) -> bytes:
        """The bytes one id stands for (perhaps half a character); a control token's are its name; padding has none."""
        known = self._bytes_of_id.get(id)
        if known is None:
            known = self._bytes_of_id[id] = self._look_up(id)
        return known

    def control_id(self, name: str) -> int | None:
        """The id of a control token such as `<|image|>`, None when this tokenizer has none of that name."""
        return self.control_ids.get(name)

    def is_control(self, id: int) -> bool:
        return id in self.control_names

    def _look_up(self, id: int) -> bytes:
        if id in self.control_names:
            return self.control_names[id].encode()
        token = self._bpe.id_to_token(id) if id >= 0 else None
        if token is None:
            return b""
        if all(character in _BYTE_OF_CHARACTER for character in token):
            return bytes(_BYTE_OF_CHARACTER[character] for character in token)
        return token.encode()


def _load(document: str) -> tuple[tokenizers.Tokenizer, dict[str, int], dict[str, int]]:
    """The tokenizer without its added tokens; of those, the control tokens and the pieces of text, by name."""
    plain, added = _without_added_tokens(document)
    control_ids = {str(token["content"]): int(token["id"]) for token in added if _is_control(token)}
    text_pieces = {str(token["content"]): int(token["id"]) for token in added if not _is_control(token)}
    bpe = tokenizers.Tokenizer.from_str(plain)
    if _spells_control(bpe, control_ids):
        # Rare: a name is also a word of the vocabulary, with the same id. Take it out of the text side.
        parsed = json.loads(plain)
        _remove_words(parsed["model"], control_ids)
        bpe = tokenizers.Tokenizer.from_str(json.dumps(parsed, ensure_ascii=False))
        if _spells_control(bpe, control_ids):
            raise CheckpointError("text can spell a control token; this tokenizer cannot be served safely")
    if any(bpe.token_to_id(character) is None for character in _BYTE_OF_CHARACTER):
        raise CheckpointError("the tokenizer loses bytes; a byte-level BPE is needed")
    return bpe, control_ids, text_pieces


def _is_control(token: Mapping[str, Any]) -> bool:
    return bool(token.get("special")) or _CONTROL_NAME.fullmatch(str(token["content"])) is not None


def _without_added_tokens(document: str) -> tuple[str, list[dict[str, Any]]]:
    """Cut the `added_tokens` list out of the text: parsing a 20 MB file as Python objects would take a second."""
    match = _ADDED_TOKENS.search(document, 0, 1 << 16)
    if match is not None:
        added, end = json.JSONDecoder().raw_decode(document, match.end())
        return document[: match.end()] + "[]" + document[end:], added
    parsed = json.loads(document)
    added = parsed.pop("added_tokens", [])
    return json.dumps(parsed, ensure_ascii=False), added


def _remove_words(model: dict[str, Any], words: Collection[str]) -> None:
    """Remove words from a BPE model, and the merges that lead to them or go on from them."""
    for word in words:
        model["vocab"].pop(word, None)
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    model["merges"] = [[a, b] for a, b in pairs if a not in words and b not in words and a + b not in words]


def _spells_control(bpe: tokenizers.Tokenizer, control_ids: Mapping[str, int]) -> bool:
    forbidden = set(control_ids.values())
    return any(forbidden & set(bpe.encode(text, add_special_tokens=False).ids) for text in _spellings(control_ids))


def _spellings(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        yield f" {name}"
        yield f"a{name}b\n{name}"
