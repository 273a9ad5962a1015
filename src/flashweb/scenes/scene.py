"""One scene: its file, the words it asks with, and what becomes of the model's answer. docs/scenes.md tells operators
how to write one. Knows nothing of HTTP, engines or folders.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from flashweb.errors import InvalidAnswer, InvalidRequest
from flashweb.scenes.normalise import NORMALISERS
from flashweb.types import Enhancement, FinishReason, Structure

LANGUAGES = ("zh", "en")
MAX_RULES_CHARS = 8000
Show = Literal[
    "flag",
    "tags",
    "verdict",
    "check",
    "table",
    "boxes",
    "marks",
    "score",
    "amounts",
    "total",
    "list",
    "notes",
    "text",
]
Judgement = Literal["pass", "review", "violation"]
TEXT_SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}

_RULES = {"zh": "另外必须遵守以下规则：\n{}", "en": "These further rules hold:\n{}"}
# What languages are called inside a prompt, for those that are asked for by their code.
_NAMES = {
    "zh": {"zh": "中文", "en": "英文", "ja": "日文", "ko": "韩文", "fr": "法文", "de": "德文", "es": "西班牙文",
           "ru": "俄文"},
    "en": {"zh": "Chinese", "en": "English", "ja": "Japanese", "ko": "Korean", "fr": "French", "de": "German",
           "es": "Spanish", "ru": "Russian"},
}  # fmt: skip
_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)


class InBoth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text in both languages."""

    zh: str
    en: str

    def __getitem__(self, language: str) -> str:
        return self.zh if language == "zh" else self.en

    def as_dict(self) -> dict[str, str]:
        return {"zh": self.zh, "en": self.en}


class SceneFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a scene's file may say. `schema` and `work` hold JSON Schema as text: of the result, and of what the model
    writes down before it (worked out first, then left out)."""

    title: InBoth
    description: InBoth
    prompt: InBoth
    answer: Literal["json", "text"]
    schema: str = ""
    work: str = ""
    enforce: Literal["json_schema", "json_object"] = "json_schema"
    normalise: tuple[str, ...] = ()
    question: InBoth | None = None  # asked at {question} when the request brings none
    translate: InBoth | None = None  # the prompt for a request with a language, with {language} in it
    language: Literal["zh", "en"] = "zh"
    enhance: Enhancement | None = None
    sample: str | None = None
    text: str = ""  # the key whose list is the answer as plain text
    show: dict[str, Show] = {}
    labels: dict[str, InBoth] = {}  # what keys, and values of few words, are called on a page
    # key -> value -> what that means: the value itself, true, false, null, "some" (not empty), "empty"
    judge: dict[str, dict[str, Judgement]] = {}


class Scene:
    def __init__(self, name: str, file: SceneFile, *, own: bool = False) -> None:
        """Raises ValueError for what the file's form allows but makes no sense."""
        self.name = name
        self.file = file
        self.own = own
        self.schema: dict[str, Any] = TEXT_SCHEMA if file.answer == "text" else _schema(file.schema, "schema")
        self._work: dict[str, Any] = _schema(file.work, "work") if file.work else {}
        unknown = [one for one in file.normalise if one not in NORMALISERS]
        if unknown:
            raise ValueError(f"normalise names {unknown[0]!r}; there are {', '.join(sorted(NORMALISERS))}")
        if file.answer == "text" and (file.schema or file.work or file.normalise):
            raise ValueError('schema, work and normalise are for answer = "json" only')
        if file.translate is not None and not all("{language}" in file.translate[one] for one in LANGUAGES):
            raise ValueError("translate must hold {language} in both languages")
        self._validator = Draft202012Validator(self.schema)

    @classmethod
    def read(cls, name: str, text: str, *, own: bool = False) -> Scene:
        """Of a file's text. Raises ValueError that says what is wrong with it."""
        try:
            return cls(name, msgspec.convert(tomllib.loads(text), SceneFile), own=own)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"no TOML: {error}") from None
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None

    # --- asking ---------------------------------------------------------------------------------------------------

    def prompt(self, question: str | None, rules: Sequence[str], language: str | None) -> str:
        """The text that goes behind the pictures. Raises InvalidRequest for a language that is not spoken here."""
        said_in, words = self._words(language)
        default = self.file.question[said_in] if self.file.question is not None else ""
        asked = (question or "").strip() or default
        if "{question}" in words:
            words = words.replace("{question}", asked)
        elif asked:
            words = f"{words}\n{asked}"
        if rules:
            numbered = "\n".join(f"{number}. {rule}" for number, rule in enumerate(rules, 1))
            words = f"{words}\n{_RULES[said_in].format(numbered)}"
        return words

    def _words(self, language: str | None) -> tuple[str, str]:
        """The language to ask in, and the prompt."""
        file = self.file
        if language and file.translate is not None:
            target = _NAMES[file.language].get(language.lower(), " ".join(language.split()))
            return file.language, file.translate[file.language].replace("{language}", target)
        chosen = (language or file.language).lower()
        if chosen not in LANGUAGES:
            raise InvalidRequest(
                f"The scene {self.name!r} is asked in zh or en, not in {language!r}; give one of them or leave it out.",
                param="language",
            )
        return chosen, file.prompt[chosen]

    @cached_property
    def structure(self) -> Structure | None:
        """What the engine holds the model to: the result's schema with the work before it."""
        if self.file.answer == "text":
            return None
        if self.file.enforce == "json_object":
            return Structure("json_object")
        schema = self.schema
        if self._work:
            before, own = self._work.get("properties", {}), self.schema.get("properties", {})
            schema = {
                **self.schema,
                "properties": {**before, **own},
                "required": [*before, *self.schema.get("required", ())],
            }
        return Structure("json_schema", json.dumps(schema, ensure_ascii=False))

    # --- reading the answer ---------------------------------------------------------------------------------------

    def result(self, text: str, finish: FinishReason | str) -> dict[str, Any]:
        """The model's answer as what the scene promises, or InvalidAnswer: never half an object."""
        if finish == FinishReason.LENGTH:
            raise InvalidAnswer(
                f"The scene {self.name!r} was not answered within the tokens it may take; send a larger max_tokens, or "
                "a picture with less on it.",
                code="incomplete_answer",
            )
        if self.file.answer == "text":
            return {"text": text.strip()}
        found = self._object(text)
        for key in self._work.get("properties", {}):
            found.pop(key, None)
        for name in self.file.normalise:
            NORMALISERS[name](found)
        problem = next(self._validator.iter_errors(found), None)
        if problem is not None:
            where = "".join(f"[{step!r}]" for step in problem.absolute_path) or "it"
            raise InvalidAnswer(
                f"The model's answer is not what the scene {self.name!r} promises ({where} breaks "
                f"{problem.validator!r} of its schema); send a clearer picture, or ask again."
            )
        return found

    def _object(self, text: str) -> dict[str, Any]:
        fenced = _FENCED.fullmatch(text)
        try:
            found = msgspec.json.decode(fenced[1] if fenced else text)
        except (msgspec.DecodeError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise InvalidAnswer(
                f"The model answered the scene {self.name!r} with no JSON object; send a clearer picture, or ask again."
            )
        return found

    def as_text(self, result: dict[str, Any]) -> str:
        """A result for those who asked for plain text."""
        if self.file.answer == "text":
            return str(result["text"])
        if self.file.text:
            return ", ".join(str(one) for one in result[self.file.text])
        return json.dumps(result, ensure_ascii=False)

    # --- telling about it -----------------------------------------------------------------------------------------

    def described(self) -> dict[str, Any]:
        """For lists and pages."""
        file = self.file
        return {
            "name": self.name,
            "title": file.title.as_dict(),
            "description": file.description.as_dict(),
            "answer": file.answer,
            "fields": ["image", "image_url", "question", "rules", "language", "enhance", "max_tokens", "model"],
            "question": file.question.as_dict() if file.question is not None else {},
            "translates": file.translate is not None,
            "schema": self.schema,
            "sample": file.sample,
            "show": file.show or ({"text": "text"} if file.answer == "text" else {}),
            "labels": {key: label.as_dict() for key, label in file.labels.items()},
            "judge": file.judge,
            "own": self.own,
        }


def _schema(text: str, key: str) -> dict[str, Any]:
    try:
        schema = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"{key} is no JSON: {error}") from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise ValueError(f'{key} must be a JSON Schema of "type": "object"')
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"{key} is no JSON Schema: {error.message}") from None
    return schema
