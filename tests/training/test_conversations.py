"""Conversations for training: their bytes are the chat template's, their answers are true, their splits are apart.

The tests that draw need a font pack (see training/README.md) and are skipped without one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from flashweb.evaluate import scoring
from training import content, conversations, facts, fonts, photos, refusals, structured, talk_phrases, thoughts, tools
from training.batches import Budget
from training.charset import CHARSET
from training.conversations import SHARES, Conversations, Talk, chat_messages
from training.encoding import Call, Clip, Encoder, Turn, encode_conversation, second_text
from training.page import TASKS, Page
from training.phrases import NUM_HELDOUT

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "src" / "flashweb" / "models" / "flashweb-nano"
ENCODER = Encoder()
needs_fonts = pytest.mark.skipif(
    not (fonts.pack_folder() / "words.json").is_file() or not (fonts.pack_folder() / "fonts.json").is_file(),
    reason="no font pack: make one with `python -m training.fonts` and `python -m training.words`",
)
TOOL = {
    "type": "function",
    "function": {"name": "记录", "description": 'a, "b"', "parameters": {"properties": {"x": {"type": "array"}}}},
}  # fmt: skip
CALL = Call("记录", {"x": ["1.50", "茶"], "day": "2026年", "n": 3.5, "ok": True})


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return pytest.importorskip("transformers").AutoTokenizer.from_pretrained(MODEL)


def finished(turns: list[Turn], system: str, thinking: bool) -> list[dict[str, Any]]:
    """The whole conversation as chat messages, the last answer and its thought included."""
    messages = chat_messages(Talk(turns, [], system))
    last = turns[-1]
    end: dict[str, Any] = {"role": "assistant", "content": last.answer}
    if last.calls and not last.results:
        calls = [{"type": "function", "function": {"name": c.name, "arguments": dict(c.arguments)}} for c in last.calls]
        end = {"role": "assistant", "content": "", "tool_calls": calls}
    if thinking and last.thought:
        if last.results:  # the thought stands before the call, which is in the messages already
            next(m for m in reversed(messages) if m["role"] == "assistant")["reasoning_content"] = last.thought
        else:
            end["reasoning_content"] = last.thought
    return [*messages, end]


def same_bytes(tokenizer: Any, talk: Talk, thinking: bool, sizes: list[int]) -> None:
    """The encoded conversation is the template's text, and what is learnt begins where the server's prompt ends."""
    row = encode_conversation(ENCODER, talk.turns, sizes, system=talk.system, thinking=thinking, tools=talk.tools)
    options: dict[str, Any] = {"tokenize": False, "enable_thinking": thinking, "tools": list(talk.tools) or None}
    last = talk.turns[-1]
    messages = finished(talk.turns, talk.system, thinking)
    text = tokenizer.apply_chat_template(messages, **options)
    text += "<|observation|>" if last.calls and not last.results else "<|user|>"
    parts = [part for turn in talk.turns for part in turn.content if not isinstance(part, str)]
    order = [k for part in parts for k in (part.pictures if isinstance(part, Clip) else (part,))]
    clip = "".join(
        f"<|begin_of_image|><|image|><|end_of_image|>{second_text(seconds)}"
        for part in parts
        if isinstance(part, Clip)
        for seconds in part.seconds
    )  # as the server expands the template's <|video|>
    pieces = text.replace("<|video|>", clip).split("<|image|>")
    assert len(pieces) == len(order) + 1
    text = pieces[0] + "".join("<|image|>" * sizes[k] + piece for k, piece in zip(order, pieces[1:], strict=True))
    assert row.ids == tokenizer.encode(text, add_special_tokens=False)
    assert [picture for _, picture in row.pictures] == order
    prompt = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, **options)
    prompt_ids = tokenizer.encode(prompt.replace("<|video|>", clip), add_special_tokens=False)
    shown = len(prompt_ids) + sum(sizes[k] - 1 for k in order)
    assert (shown in row.learnt) == (thinking or not last.given) and shown - 1 not in row.learnt
    assert row.learnt[-1] == len(row.ids) - 1


FORMS: dict[str, tuple[Turn, ...]] = {
    "picture first": (Turn("read", "x", (0,)),),
    "picture last": (Turn("读", "字", (0,), False),),
    "pictures between": (Turn("which?", "第一张", parts=("A: ", 0, "\nB: ", 1, "\nwhich?")),),
    "text, two pictures": (Turn("same?", "no", parts=("same?", 0, 1)),),
    "one each turn": (Turn("a", "b", (0,)), Turn("c", "d", (1,), False), Turn("e", "f")),
    "thought": (Turn("a", "b", (0,)), Turn("c", "d", thought="这是一张小票。")),
    "call": (Turn("save it", "", (0,), calls=(CALL,), thought="The tool fits."),),
    "two calls": (Turn("save it", "", (0,), calls=(CALL, CALL)),),
    "result": (Turn("save it", "saved", (0,), calls=(CALL,), results=('{"ok": true}',), thought="can do"),),
    "two results, then a question": (
        Turn("s", "t", (0,), calls=(CALL, CALL), results=("ok", "成功")), Turn("u", "v", thought="w"),
    ),
    "clip, then a question": (Turn("", "20 s", parts=(Clip((0, 1), (0.0, 20.5)), "when?")), Turn("a", "b")),
    "text alone": (Turn("hello", "Hello!"),),
}  # fmt: skip


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_bytes_of_the_chat_template(tokenizer: Any, form: str, thinking: bool) -> None:
    for system in ("", "只用JSON回答", 'Reply {"a": "b"}'):
        for offered in ((), (TOOL,), (TOOL, TOOL)):
            talk = Talk(list(FORMS[form]), [], system, tuple(offered))
            same_bytes(tokenizer, talk, thinking, [4, 6])


def test_the_server_builds_the_same_prompt_with_tools_and_a_system_message() -> None:
    from flashweb.prompt.template import ChatTemplate
    from flashweb.prompt.tokenizer import Tokenizer
    from flashweb.types import Chat, Message, TextPart

    tokenizer = Tokenizer(MODEL / "tokenizer.json")
    template = ChatTemplate.load(MODEL, tokenizer.control_ids)
    messages = (Message("system", (TextPart('keys "a", "b"'),)), Message("user", (TextPart("read"),)))
    for thinking in (False, True):
        ids: list[int] = []
        for text, control in template.render(Chat(messages, thinking, (TOOL,))):
            ids += [tokenizer.control_ids[text]] if control else tokenizer.encode(text)
        row = encode_conversation(
            ENCODER, [Turn("read", "x")], [], system='keys "a", "b"', thinking=thinking, tools=[TOOL]
        )
        assert row.ids[: len(ids)] == ids and row.learnt[0] == len(ids)


def test_a_thought_is_learnt_in_the_last_turn_only_and_only_where_thinking_is_on() -> None:
    turns = [Turn("a", "b", thought="one"), Turn("c", "d", thought="two")]
    for thinking, learnt in ((False, "b d "), (True, "b <think>two</think>\nd ")):
        row = encode_conversation(ENCODER, turns, [], thinking=thinking)
        names = {id: name for name, id in ENCODER.special.items()}
        ids = [row.ids[i] for i in row.learnt]
        text = "".join(names.get(id, "") or next(c for c in CHARSET if ENCODER.encode(c) == [id]) for id in ids)
        assert text.replace("<|user|>", " ") == learnt


# --- phrasings -------------------------------------------------------------------------------------------------------


def phrasings() -> dict[str, list[str]]:
    found = {f"talk {name} {lang}": known for name, by in talk_phrases.TALK.items() for lang, known in by.items()}
    found |= {f"json {name} {lang}": known for name, by in structured.ASK.items() for lang, known in by.items()}
    found |= {f"tool {name} {lang}": known for name, by in talk_phrases.TOOLS.items() for lang, known in by.items()}
    for name, by in (("general", refusals.GENERAL), ("open", refusals.OPEN)):
        found |= {f"{name} {lang}": known for lang, known in by.items()}
    return found


def test_phrasings_are_different_ones_of_the_charset_and_leave_some_to_train_on() -> None:
    for name, known in phrasings().items():
        assert len(set(known)) == len(known) >= NUM_HELDOUT + 20, name
        assert set("".join(known)) <= set(CHARSET), name


@pytest.fixture
def as_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained phrasings come as the lists have them, so that a test knows them again."""
    monkeypatch.setattr(talk_phrases, "varied", lambda r, text, language: text)


def letters(text: str) -> str:
    """A phrasing without case, spaces and punctuation; those that are nothing else stay as they are."""
    return "".join(char for char in text.lower() if char.isalnum() or char in "{}") or text


def test_every_trained_phrasing_is_asked_in_training(as_listed: None) -> None:
    r = Random(1)
    for table, ask in ((talk_phrases.TALK, talk_phrases.say), (talk_phrases.TOOLS, talk_phrases.order)):
        for name, by in table.items():
            for language, known in by.items():
                assert {ask(r, name, language, False) for _ in range(1500)} == set(known[:-NUM_HELDOUT]), name


def test_held_out_phrasings_are_never_asked_in_training_not_even_varied() -> None:
    r = Random(1)
    for table, ask in ((talk_phrases.TALK, talk_phrases.say), (talk_phrases.TOOLS, talk_phrases.order)):
        for name, by in table.items():
            for language, known in by.items():
                assert {ask(r, name, language, True) for _ in range(40)} == set(known[-NUM_HELDOUT:]), name
                kept = {letters(text) for text in known[-NUM_HELDOUT:]}
                assert not {letters(ask(r, name, language, False)) for _ in range(300)} & kept, name
    kept = {text for by in (refusals.GENERAL, refusals.OPEN) for known in by.values() for text in known[-NUM_HELDOUT:]}
    asked = {qa.question for _ in range(600) for qa in refusals.about_photo(r, False)}
    asked |= {refusals.open_chat(r, False).question for _ in range(400)}
    assert not asked & kept and len(asked) > 100


def test_the_sources_prompts_are_all_there_and_answered_about_photographs() -> None:
    assert len(refusals.PROMPTS) == 16
    r, seen = Random(0), set()
    for _ in range(1500):
        for qa in refusals.about_photo(r, False):
            assert qa.task in TASKS and set(qa.answer) <= set(CHARSET)
            if qa.question in refusals.PROMPTS.values():
                seen.add(qa.question)
    assert seen == set(refusals.PROMPTS.values())
    for name in ("audit", "auditor"):
        assert list(json.loads(refusals.photo_prompt(name)).values()) == [False, None, []]
    assert json.loads(refusals.photo_prompt("inspection"))["defects"] == []
    assert scoring.refuses(refusals.photo_prompt("people")) and scoring.refuses(refusals.photo_prompt("what_en"))


def test_refusals_are_known_to_the_scoring_rule_in_both_languages() -> None:
    for by in (refusals.OUTSIDE, refusals.NO_PERSON, refusals.TOO_SMALL):
        for language, text in by.items():
            assert scoring.refuses(text) and (language == "zh") == bool(re.search("[一-龥]", text))


# --- photographs -----------------------------------------------------------------------------------------------------


def test_without_a_pack_scenes_are_painted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(fonts.PACK_VARIABLE, str(tmp_path))
    photos.pack.cache_clear()
    try:
        r = Random(2)
        drawn = [photos.draw(r, 112, 84) for _ in range(12)]
        assert all(image.shape == (84, 112, 3) and image.dtype == np.uint8 for image in drawn)
        assert all(image.std() > 2 for image in drawn)
        again = Random(2)
        assert all(np.array_equal(image, photos.draw(again, 112, 84)) for image in drawn)
    finally:
        photos.pack.cache_clear()


@pytest.mark.skipif(
    not (photos.photo_folder() / "photos.json").is_file(), reason="no pack: `python -m training.photos`"
)
def test_photographs_of_the_two_splits_are_apart_and_have_a_licence() -> None:
    train, heldout = photos.pack("train"), photos.pack("heldout")
    assert len(train) >= 100 and len(heldout) >= 20
    originals = [{photo.name.rsplit("-", 1)[0] for photo in split} for split in (train, heldout)]
    assert not originals[0] & originals[1]
    assert not {photo.path.read_bytes() for photo in train} & {photo.path.read_bytes() for photo in heldout}
    assert all(photo.licence and photo.package for photo in (*train, *heldout))
    assert sum(photo.path.stat().st_size for photo in (*train, *heldout)) <= photos.MAX_BYTES


def test_a_pack_is_made_of_the_packages_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (500, 700, 3), np.uint8)
    for name, file in (
        ("palapeli-data/usr/share/palapeli/collection", "bee.jpg"),
        ("palapeli-data/usr/share/palapeli/collection", "tiny.jpg"),
        ("lomiri-wallpapers-16.04/usr/share/backgrounds", "owl.jpg"),
        ("lomiri-wallpapers-16.04/usr/share/backgrounds", "umang.jpg"),
    ):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise if file != "tiny.jpg" else noise[:9, :9]).save(tmp_path / name / file)
    size = photos.make(tmp_path, tmp_path / "pack")
    train, heldout = photos.pack("train", tmp_path / "pack"), photos.pack("heldout", tmp_path / "pack")
    assert [photo.name for photo in train] == ["palapeli-data-bee-0", "palapeli-data-bee-1"]
    assert [photo.name for photo in heldout] == ["lomiri-wallpapers-16.04-owl-0", "lomiri-wallpapers-16.04-owl-1"]
    for photo in (*train, *heldout):
        with Image.open(photo.path) as picture:
            assert max(picture.size) <= photos.LONGEST
    assert size == sum(photo.path.stat().st_size for photo in (*train, *heldout))
    assert "mate-backgrounds: not in" in capsys.readouterr().err


# --- drawn -----------------------------------------------------------------------------------------------------------


def drawn(kind: str, count: int, split: str = "train", seed: int = 5) -> list[tuple[list[Page], Talk]]:
    """Pages and talks of one kind, as the trainer gets them."""
    drawer, found = Conversations(Random(seed), Budget(), split), []
    while len(found) < count:
        one = drawer.talk(kind)
        if one is not None:
            found.append(one)
    return found


def sizes(pages: list[Page]) -> list[int]:
    return [page.image.shape[0] // 28 * (page.image.shape[1] // 28) for page in pages]


@needs_fonts
@pytest.mark.parametrize("kind", SHARES)
def test_drawn_conversations_have_the_templates_bytes_and_keep_to_their_budget(tokenizer: Any, kind: str) -> None:
    for split in ("train", "unseen_all"):
        for index, (pages, talk) in enumerate(drawn(kind, 12, split)):
            thinking = index % 2 == 1
            if thinking:
                conversations.think(talk)
            same_bytes(tokenizer, talk, thinking, sizes(pages))
            row = encode_conversation(
                ENCODER, talk.turns, sizes(pages), system=talk.system, thinking=thinking, tools=talk.tools
            )
            assert len(row.ids) <= Budget().max_row and len(row.learnt) <= 400
            written = talk.system + "".join(turn.answer + turn.thought for turn in talk.turns)
            written += "".join(str(part) for turn in talk.turns for part in turn.content)
            assert set(written) <= set(CHARSET)
            assert all(qa.task in TASKS for qa in talk.asked)
            if kind == "pair":
                assert sum(sizes(pages)) <= 500 and len(pages) == 2


@needs_fonts
def test_follow_ups_are_true_of_what_is_drawn(as_listed: None) -> None:
    for pages, talk in drawn("turns", 120):
        plan = pages[0].plan
        text = plan.text
        for qa in talk.asked:
            if qa.task == "amounts":
                assert qa.answer.split(", ") == plan.amounts or not plan.amounts
            elif qa.task == "read":
                assert qa.answer in text or not text
            elif qa.task == "total":
                assert qa.answer == plan.total or plan.total is None
            elif qa.task == "count" and qa.question in talk_phrases.TALK["then_count"][qa.language]:
                assert int(qa.answer) == len(plan.amounts)
            elif qa.question in talk_phrases.TALK["then_largest"][qa.language]:
                assert float(qa.answer) == max(map(float, plan.amounts))
            elif qa.question in talk_phrases.TALK["then_dearer"][qa.language]:
                prices = dict(plan.items)
                asked = [one.answer for one in talk.asked[:2]]
                assert float(prices[qa.answer]) == max(map(float, asked))
            elif qa.question in talk_phrases.TALK["then_who"][qa.language]:
                assert (qa.answer, talk.asked[talk.asked.index(qa) - 1].answer) in plan.items
        assert len(talk.asked) in (2, 3)


@needs_fonts
def test_comparisons_of_two_pictures_are_true(as_listed: None) -> None:
    compared = 0
    for pages, talk in drawn("pair", 260):
        plans = [page.plan for page in pages]
        for qa in talk.asked:
            second = bool(re.search("(第二张|the second)(更[高多]| is higher| has more)$", qa.answer))
            if qa.question in talk_phrases.TALK["which_total"][qa.language]:
                totals = [float(plan.total) for plan in plans]
                assert second == (totals[1] > totals[0]) and all(plan.total in qa.answer for plan in plans)
                compared += 1
            elif qa.question in talk_phrases.TALK["which_price"][qa.language]:
                holds = [plan is not None and bool(plan.amounts) for plan in plans]
                expected = {
                    (True, True): ("两张都有", "both"), (False, False): ("都没有", "neither"),
                    (True, False): ("第一张", "the first"), (False, True): ("第二张", "the second"),
                }  # fmt: skip
                assert qa.answer == expected[holds[0], holds[1]][qa.language == "en"]
                compared += 1
        if plans[0] is plans[1] and plans[0] is not None:
            assert np.array_equal(pages[0].image, pages[1].image)
    assert compared > 15


@needs_fonts
def test_whether_two_pictures_are_the_same_is_asked_about_twins_and_about_other_pages_of_the_kind(
    as_listed: None,
) -> None:
    asked = {"same": 0, "other of the kind": 0, "other kind": 0}
    for pages, talk in drawn("pair", 420, seed=12):
        a, b = (page.plan for page in pages)
        for qa in talk.asked:
            if qa.question not in talk_phrases.TALK["same"][qa.language]:
                continue
            if a is b and a is not None:
                assert qa.answer in ("一样", "the same") and np.array_equal(pages[0].image, pages[1].image)
                asked["same"] += 1
                continue
            assert qa.answer.startswith(("不一样", "different"))
            if a is not None and b is not None and a.kind == b.kind:
                assert (a.text, a.shapes) != (b.text, b.shapes)
                asked["other of the kind"] += 1
            else:
                asked["other kind"] += 1
    assert asked["same"] > 10 and asked["other of the kind"] > 15 and asked["other kind"] > 5, asked


@needs_fonts
def test_json_answers_are_valid_bare_and_true() -> None:
    styles = set()
    for pages, talk in drawn("json", 150):
        plan, answer = pages[0].plan, talk.turns[0].answer
        if talk.kind == "json enforced":
            continue
        value = json.loads(answer)
        assert not answer.startswith("`")
        asked = talk.system + talk.turns[0].question
        inner = (
            next(iter(value.values())) if len(value) == 1 and isinstance(next(iter(value.values())), dict) else value
        )
        assert all(key in asked for key in (*value, *inner))
        for key, found in inner.items():
            name = next(n for n, f in structured.FIELDS.items() if key in (*f.zh, *f.en))
            if name == "amounts":
                assert found == plan.amounts
            elif name == "total":
                assert found == plan.total
            elif name == "has_price":
                assert found is bool(plan.amounts)
            elif name == "items":
                assert [list(item.values()) for item in found] == [list(item) for item in plan.items]
            elif name == "shop":
                assert found == (plan.rows[0].text if plan.caption else None)
            elif name == "pairs":
                pairs = [(label, text) for label, text in (item.values() for item in found)]
                assert pairs and all(label in plan.text and text in plan.text for label, text in pairs)
            elif name in ("expiry", "made", "net", "origin", "model", "date"):
                assert found is None or found in plan.text
        spaced = (value, inner)
        styles.add(next((s for s in ("compact", "spaced", "indent") if answer == structured.dump(spaced[0], s)), "?"))
    assert styles == {"compact", "spaced", "indent"}


def test_every_form_of_a_date_is_found_with_its_time() -> None:
    r = Random(3)
    for number in range(200):
        language = ("zh", "en")[number % 2]
        day = content.date(r, language) + r.choice(("", " 08:05", " 21:40"))
        assert facts.days(f"No. {number} {day}\n{number}.50") == [day]


def test_fields_are_told_in_the_words_of_the_pages_structured_part() -> None:
    schema_in_words = (ROOT / "web" / "src" / "lib" / "structured" / "schemaWords.ts").read_text("utf-8")
    ready = (ROOT / "web" / "src" / "lib" / "structured" / "schemaReady.ts").read_text("utf-8")
    keys = (("shop", "shop"), ("date", "date"), ("items", "items"), ("total", "total"))
    for language in ("en", "zh"):
        first, *lines = structured.in_words(structured.Request(language, keys, {"items": ("name", "price")}, "")).split(
            "\n"
        )
        assert f"'{first}'" in schema_in_words
        assert [line.split(" (")[0] for line in lines] == [
            "- shop",
            "- date",
            "- items",
            "  - name",
            "  - price",
            "- total",
        ]
        for name in ("shop", "date"):
            assert f"'{structured.FIELDS[name].meaning[language == 'en']}'" in ready
        assert f"'{structured.PAGE_ASKS[language]}'" in ready


@needs_fonts
def test_where_a_grammar_writes_the_keys_only_the_values_are_learnt() -> None:
    seen = 0
    for pages, talk in drawn("json", 100):
        turn = talk.turns[0]
        if talk.kind != "json enforced":
            assert not turn.given
            continue
        seen += 1
        value = json.loads(turn.answer)
        left, at = "", 0
        for low, high in turn.given:
            left, at = left + turn.answer[at:low] + "\n", high
        assert at == len(turn.answer)
        inner = next(iter(value.values())) if turn.answer.endswith("}}") and len(value) == 1 else value
        assert [json.loads(one) for one in left.strip("\n").split("\n")] == list(inner.values())
        row = encode_conversation(ENCODER, talk.turns, sizes(pages))
        assert row.learnt[-1] == len(row.ids) - 1 and len(row.learnt) < len(ENCODER.encode(turn.answer)) + 1
    assert seen > 8


@needs_fonts
def test_a_picture_on_a_page_covers_nothing_that_is_asked_about() -> None:
    changed = 0
    for pages, _ in drawn("prompt", 40):
        page = pages[0]
        before = page.image.copy()
        conversations.add_picture(Random(changed), page, "train")
        difference = (before != page.image).any(axis=2)
        changed += bool(difference.any())
        for x0, y0, x1, y1 in page.plan.taken():
            assert not difference[max(0, y0) : y1, max(0, x0) : x1].any()
    assert changed > 10


@needs_fonts
def test_calls_name_an_offered_tool_with_its_parameters_and_arguments_from_the_page() -> None:
    kinds = set()
    for pages, talk in drawn("tool", 120):
        kinds.add(talk.kind)
        offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in talk.tools}
        assert 1 <= len(offered) == len(talk.tools) <= 3
        for call in talk.turns[-1].calls:
            parameters = offered[call.name]
            assert set(parameters["required"]) <= set(call.arguments) <= set(parameters["properties"])
            plan = pages[0].plan
            for key, value in call.arguments.items():
                kind = parameters["properties"][key]["type"]
                assert isinstance(value, {"string": str, "array": list, "integer": int, "number": (int, float)}[kind])
                for piece in value if isinstance(value, list) else [value]:
                    if isinstance(piece, str):
                        assert piece in plan.text or piece in plan.amounts or piece in (plan.brand, plan.total)
                    else:
                        assert piece in (len(plan.shapes), float(plan.total or -1))
        assert not (talk.turns[-1].calls and talk.turns[-1].results) or talk.turns[-1].answer
    assert kinds == {"tool call", "tool result", "tool other", "tool nothing"}


@needs_fonts
def test_a_readable_page_is_never_declined_where_it_can_be_answered() -> None:
    for pages, talk in drawn("prompt", 100):
        for qa in talk.asked:
            assert qa.answer not in refusals.OUTSIDE.values()
            if qa.question in refusals.WHAT[qa.language] and pages[0].plan.rows:
                assert not scoring.refuses(qa.answer)


@needs_fonts
def test_thoughts_are_short_and_quote_only_what_stands_on_the_page() -> None:
    quoted = 0
    for pages, talk in drawn("turns", 80):
        plan = pages[0].plan
        for text in (thoughts.thought(plan, qa) for qa in talk.asked):
            assert len(text) <= thoughts.MAX_THOUGHT
            for row in re.findall(r'“([^”]+)”。$|says "(.+)"\.$', text):
                assert "".join(row) in [line.text for line in plan.rows]
                quoted += 1
            for values in re.findall(r"金额有([\d., ]+\d)|amounts are ([\d., ]*\d)", text):
                assert "".join(values).split(", ") == plan.amounts
    assert quoted > 5


@needs_fonts
def test_letters_of_small_pages_are_too_small_and_such_pages_have_no_facts() -> None:
    for pages, talk in drawn("small", 4):
        assert pages[0].plan is None and not pages[0].glyphs
        assert talk.turns[0].answer in refusals.TOO_SMALL.values()


@needs_fonts
def test_groups_come_as_often_as_their_shares_say() -> None:
    drawer = Conversations(Random(3), Budget(), "train")
    assert not any(drawer.group(0.3, 1.0) for _ in range(50))
    groups = [drawer.group(1.0, 1.0) for _ in range(300)]
    share = sum(group is not None for group in groups) / len(groups)
    assert 0.6 * sum(SHARES.values()) < share < 1.3 * sum(SHARES.values())
    for group in groups:
        if group is not None:
            pages, uses = group
            assert len(uses) == Budget().passes and all(len(use.looks) == len(pages) for use in uses)
            assert all(facts.ordinary(page.plan) or page.plan is None for page in pages)


def test_a_tool_is_a_tool_as_the_api_carries_it() -> None:
    made = tools.tool(Random(0), "save", "Save it", {"values": ("strings", "all"), "day": ("string", "when")}, ("day",))
    function = made["function"]
    assert made["type"] == "function" and function["parameters"]["required"] == ["values"]
    assert function["parameters"]["properties"]["values"]["items"] == {"type": "string"}


@needs_fonts
def test_scores_while_training_know_where_every_answer_of_a_conversation_lies() -> None:
    from training.evaluate import TALKS, draw_sheets

    sheets = draw_sheets(Budget(), 9)
    answers = [(sheet, answer) for sheet in sheets for answer in sheet.answers]
    assert {answer.task for _, answer in answers if answer.kind == TALKS} >= {"turns", "pair", "photo", "json"}
    for sheet in sheets:
        ends = [answer.end for answer in sheet.answers]
        assert [answer.begin for answer in sheet.answers] == [0, *ends[:-1]]
    stops = {ENCODER.special["<|user|>"], ENCODER.special["<|observation|>"]}
    assert all(int(sheet.arrays["labels"][answer.end - 1]) in stops for sheet, answer in answers)
