"""The held-out sets that come with the package: pictures in fonts (and partly layouts, decorations, phrasings) that
training never draws. Made once by `python -m training.heldout`; see `training/README.md` for how.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashweb.evaluate.animated import animated_png, check_seconds
from flashweb.evaluate.scoring import Score, refuses, score, thought_and_answer
from flashweb.evaluate.wear import Worn
from flashweb.types import Chat, ImagePart, Message, Part, TextPart, VideoPart

FOLDER = Path(__file__).parent / "heldout"
SETS: tuple[str, ...] = (
    "amounts-plain", "amounts-decorated", "amounts-unseen", "reading", "audit", "boxes",
    "turns", "two-pictures", "refusals", "json", "rules", "tools", "thinking", "prompts",
    "colours", "counts", "yesno", "fields", "amounts-boxes", "robust",
    "marking", "contract", "inspection",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A question and its true answer; `task` chooses the scoring rule, `language` is the question's.

    Most cases are one picture and one question. The others carry `messages` (OpenAI's form, a picture is
    `{"type": "image"}`), up to what is to be answered, and show `pictures` in the messages' order. With `seconds` the
    pictures are those of one clip, which stands in the messages as `{"type": "video"}`.
    """

    name: str
    set: str
    task: str
    language: str
    question: str
    answer: str
    picture: Path | Worn  # the first one
    pictures: tuple[Path | Worn, ...] = ()
    messages: tuple[Mapping[str, Any], ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    thinking: bool = False
    seconds: tuple[float, ...] = ()  # of the clip, one of each picture; empty: still pictures

    def picture_bytes(self) -> bytes:
        """The first picture's file (WebP or JPEG)."""
        return self.picture.read_bytes()

    @property
    def shown(self) -> tuple[Path | Worn, ...]:
        """All pictures in order: files, or what is made from one when its bytes are read."""
        return self.pictures or (self.picture,)

    @property
    def conversation(self) -> list[dict[str, Any]]:
        """The messages it stands for; a case without any is the picture or the clip, then the question."""
        if self.messages:
            return [dict(message) for message in self.messages]
        shown = {"type": "video" if self.seconds else "image"}
        return [{"role": "user", "content": [shown, {"type": "text", "text": self.question}]}]

    def chat(self) -> Chat:
        """The same as a `Chat`, with the pictures' bytes."""
        if self.seconds:
            clip = VideoPart(data=animated_png(self.shown, self.seconds), max_frames=2 * len(self.seconds))
            shown: Iterator[Part] = iter((clip,))
        else:
            shown = (ImagePart(data=picture.read_bytes()) for picture in self.shown)
        messages = tuple(_message(message, shown) for message in self.conversation)
        return Chat(messages, self.thinking, self.tools)

    def score(self, given: str) -> Score:
        """The answer by its task's rule. Where thinking is on, `thought` says whether there was one; in the sets of
        refusals and prompts, `false_refusal` whether something that can be answered was declined.
        """
        found = score(self.task, given, self.answer)
        measures = dict(found.measures)
        if self.thinking:
            measures["thought"] = float(bool(thought_and_answer(given)[0]))
        if self.set in ("refusals", "prompts"):
            if self.task == "refuse":
                measures["refused"] = found.exact
            elif not refuses(self.answer):
                measures["false_refusal"] = float(refuses(given))
        return Score(found.exact, measures)


def _message(message: Mapping[str, Any], shown: Iterator[Part]) -> Message:
    content, parts = message.get("content") or "", list[Part]()
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] in ("image", "video"):
            parts.append(next(shown))
        elif part["text"]:
            parts.append(TextPart(part["text"]))
    calls = tuple(call["function"] for call in message.get("tool_calls", ()))
    return Message(message["role"], tuple(parts), tool_calls=calls)


def load(sets: Iterable[str] = SETS, folder: Path = FOLDER) -> list[Case]:
    """The cases of the named sets, in the order of `SETS`. ValueError for a set that does not exist."""
    wanted = frozenset(sets)
    unknown = wanted - frozenset(SETS)
    if unknown:
        raise ValueError(f"unknown held-out set {', '.join(sorted(unknown))}: choose from {', '.join(SETS)}")
    with (folder / "cases.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    known = {row["name"]: row for row in rows}
    chosen = [row for row in rows if row["set"] in wanted]  # sets that were written again stand last in the file
    chosen = [known[row["source"]] | row if "source" in row else row for row in chosen]
    return [_case(row, folder) for row in sorted(chosen, key=lambda row: SETS.index(row["set"]))]


def load_folder(folder: Path) -> list[Case]:
    """Anybody's cases: lines of `picture`, `question`, `answer` and `task` in FOLDER/cases.jsonl, pictures beside it;
    `pictures` and `seconds` instead of `picture` are a clip, `wear` is what is done to them (`flashweb.evaluate.wear`).

    Raises OSError where a file is missing, ValueError for a line that is not such a case.
    """
    cases = []
    with (folder / "cases.jsonl").open(encoding="utf-8") as file:
        lines = list(file)  # not by `splitlines`: strings may hold more that it takes for an end
    for number, line in enumerate(lines, 1):
        try:
            case = _case(
                {"name": f"{folder.name}-{number}", "set": folder.name, "language": ""} | json.loads(line), folder
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"cases.jsonl, line {number}: {error!r}") from error
        for picture in case.shown:
            if not picture.is_file():
                raise FileNotFoundError(f"cases.jsonl, line {number}: there is no {folder / picture.name}")
        cases.append(case)
    return cases


def _case(row: Mapping[str, Any], folder: Path) -> Case:
    names = row["pictures"] if "pictures" in row else (row["picture"],)
    pictures: tuple[Path | Worn, ...] = tuple(folder / name for name in names)
    if "wear" in row:
        pictures = tuple(Worn(folder / name, row["wear"]) for name in names)
    seconds = tuple(float(second) for second in row.get("seconds", ()))
    if seconds:
        check_seconds(seconds, len(pictures))
    return Case(
        row["name"],
        row["set"],
        row["task"],
        row["language"],
        row["question"],
        row["answer"],
        pictures[0],
        pictures,
        tuple(row.get("messages", ())),
        tuple(row.get("tools", ())),
        bool(row.get("thinking", False)),
        seconds,
    )
