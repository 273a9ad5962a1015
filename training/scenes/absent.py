"""The scenes' questions asked about a page that is none: no worksheet, no contract, no workpiece. Knows no page."""

from __future__ import annotations

import json
from random import Random

from training.page import QA
from training.scenes.phrases import phrase

SENTENCES: dict[str, dict[str, str]] = {
    "worksheet": {
        "zh": "这张图不是作业，没有可以批改的题目。",
        "en": "This is no worksheet; there is nothing to mark.",
    },
    "contract": {
        "zh": "这张图不是合同，没有可以检查的条款。",
        "en": "This is no contract; there is nothing to check.",
    },
    "inspection": {"zh": "图中没有我认识的工件，无法检查", "en": "There is no part to inspect here."},
}
_NAMES = {
    "worksheet": ("marking", "marking", "marking_plain", "marking_json"),
    "contract": ("contract", "contract_json", "signature", "seal"),
    "inspection": ("inspection_json", "inspection_json", "defects"),
}


def as_json(scene: str, language: str) -> str:
    """The answer in the form of the scene's JSON: nothing found, and why."""
    zh, sentence = language == "zh", SENTENCES[scene][language]
    answers: dict[str, dict[str, object]] = {
        "worksheet": {"work": [], "summary": {"right": 0, "all": 0}},
        "contract": {
            "work": ["无", "无"] if zh else ["none", "none"],
            "party_a_signature": "missing",
            "party_b_seal": "missing",
            "amounts_agree": None,
            "forbidden_clauses": [],
            "issues": [sentence],
        },
        "inspection": {"defects": [], "severity": "none", "suggestion": sentence},
    }
    return json.dumps(answers[scene], ensure_ascii=False)


def ask(r: Random, here: str, language: str, heldout: bool) -> QA:
    """A question of another scene than `here` (any, where the page is of none)."""
    scene = r.choice([name for name in _NAMES if name != here])
    name = r.choice(_NAMES[scene])
    answer = as_json(scene, language) if name.endswith("_json") else SENTENCES[scene][language]
    return QA("refuse", language, phrase(r, name, language, heldout, here=False), answer)
