"""JSON for `fake_model`: each of its letters is one character, and an answer's structure is checked by its text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flashweb.engine.constraint import Constraint, Grammars, MaskWanted, fill_rows
from flashweb.engine.protocol import Submit, WireStructure
from flashweb.structured.vocabulary import Vocabulary
from tests.engine.fake_model import BROKEN_TOKEN, EOS, VOCAB, chain, row_of_logits

LETTERS = '{}[]":, \nabcdefghijklmnopqrstuv0123456'
FIRST = 8  # of the letters
assert FIRST + len(LETTERS) == BROKEN_TOKEN


class FakeTokens:
    num_tokens = VOCAB
    control_names = {id: f"<c{id}>" for id in (*range(FIRST), *range(BROKEN_TOKEN, VOCAB))}

    def encode(self, text: str) -> list[int]:
        return [FIRST + LETTERS.index(letter) for letter in text]

    def id_to_bytes(self, id: int) -> bytes:
        return (self.control_names.get(id) or LETTERS[id - FIRST]).encode()


def text_of(token_ids: Sequence[int]) -> str:
    return "".join(LETTERS[id - FIRST] for id in token_ids if FIRST <= id < BROKEN_TOKEN)


def fake_grammars() -> Grammars:
    return Grammars(lambda: Vocabulary(FakeTokens(), (EOS,)))


def allowed(constraint: Constraint) -> set[int]:
    masks = fill_rows([MaskWanted(constraint)])
    for error in masks.errors.values():
        raise error
    return set(np.flatnonzero(np.unpackbits(masks.bits.view(np.uint8), bitorder="little")).tolist())


def expected_structured(message: Submit, structure: WireStructure, letters: int = VOCAB) -> list[int]:
    """The greedy answer of a text request held to a structure, in one pass without cache, batch or engine."""
    constraint = fake_grammars().constraint(structure)
    positions = np.frombuffer(message.positions, np.int32).reshape(3, -1)
    state = 1
    for index, value in enumerate(message.token_ids):
        t, h, w = positions[:, index].tolist()
        state = chain(state, value, (t, h, w))
    answer: list[int] = []
    while len(answer) < message.sampling.max_tokens:
        row = row_of_logits(state, letters).copy()
        row[[id for id in range(VOCAB) if id not in allowed(constraint)]] = -np.inf
        token = int(np.argmax(row))
        answer.append(token)
        constraint.accept(token)
        if token == EOS or constraint.is_complete:
            break
        position = len(message.token_ids) + len(answer) - 1 + message.position_delta
        state = chain(state, token, (position, position, position))
    return answer
