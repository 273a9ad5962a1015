"""What is asked about worksheets, contracts and workpieces is true, and what is kept for evaluation stays apart.

Truth is worked out again here from what was inked (the noted characters, the pixels), not from the generators' facts.
The tests that draw pages need a font pack and are skipped without one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from random import Random

import numpy as np
import pytest

from training import content, fonts, recipe, refusals, scenes
from training.encoding import Encoder, Turn, encode_conversation
from training.page import BOX, COLOUR, FIGURE, NOTHING, QA, TASKS, Page, box_text
from training.recipe import Wish
from training.scenes import absent, contract, inspection, money, phrases, strokes, sums, workpieces, worksheet
from training.scenes.sums import Problem
from training.tokenizer import single_token_characters

needs_fonts = pytest.mark.skipif(
    not (fonts.pack_folder() / "words.json").is_file() or not (fonts.pack_folder() / "fonts.json").is_file(),
    reason="no font pack: make one with `python -m training.fonts` and `python -m training.words`",
)


def pages(kind: str, count: int, split: str = "train", seed: int = 1, num_qa: int = 4) -> list[Page]:
    r, found = Random(f"{kind} {seed}"), list[Page]()
    low, high = (16, 24) if kind == "contract" else (8, 18)
    while len(found) < count:
        width, height = 28 * r.randint(low, high), 28 * r.randint(low, high)
        page = scenes.compose(Random(r.getrandbits(62)), width, height, Wish(split, 1.0, num_qa, None, (kind,)))
        if page is not None:
            found.append(page)
    return found


def read(page: Page, box: str = "[0,0,999,999]", margin: float = 1.0) -> str:
    """What is inked inside a box of 0 to 999, line by line as it was drawn."""
    height, width = page.image.shape[:2]
    x0, y0, x1, y1 = (int(v) * side / 1000 for v, side in zip(box[1:-1].split(","), (width, height) * 2, strict=True))
    return "".join(
        g.char for g in page.glyphs if x0 - margin <= g.x <= x1 + margin and y0 - margin <= g.y <= y1 + margin
    )


# --- money and sums, without fonts -----------------------------------------------------------------------------------


def from_capitals(text: str) -> int:
    """Cents of a sum in Chinese capitals, read digit by digit."""
    digits, places = "零壹贰叁肆伍陆柒捌玖", {"拾": 10, "佰": 100, "仟": 1000}
    total, group, digit = 0, 0, 0
    for char in text:
        if char in digits:
            digit = digits.index(char)
        elif char in places:
            group, digit = group + digit * places[char], 0
        elif char == "万":
            total, group, digit = (group + digit) * 10_000, 0, 0
        elif char == "元":
            total, group, digit = (total + group + digit) * 100, 0, 0
        elif char in "角分":
            total, digit = total + digit * (10 if char == "角" else 1), 0
        else:
            assert char == "整", text
    return total


def from_english(text: str) -> int:
    """Cents of a sum in English words."""
    words = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    words += "seventeen eighteen nineteen"
    values = {word: value for value, word in enumerate(words.split())}
    values |= {
        f"{word}ty": 10 * n for n, word in enumerate(("twen", "thir", "for", "fif", "six", "seven", "eigh", "nine"), 2)
    }
    dollars, group = 0, 0
    for word in text.replace("-", " ").split():
        if word == "hundred":
            group *= 100
        elif word == "thousand":
            dollars, group = group * 1000, 0
        elif word == "dollars":
            dollars, group = dollars + group, 0
        elif word in values:
            group += values[word]
        else:
            assert word in ("and", "cents", "only"), text
    return dollars * 100 + group


def test_sums_in_words_are_the_sums_in_figures() -> None:
    r = Random(0)
    known = {
        123_000: "壹仟贰佰叁拾元整",
        1_000_500: "壹万零伍元整",
        10_050_000: "壹拾万零伍佰元整",
        1_205: "壹拾贰元零伍分",
    }
    assert {cents: money.chinese_capitals(cents) for cents in known} == known
    assert money.english_words(123_000) == "one thousand two hundred thirty dollars only"
    for _ in range(4000):
        cents = r.choice(
            (r.randint(100, 999), r.randint(1, 99_999) * 100, r.randint(100, 99_999_999), 10 ** r.randint(2, 7))
        )
        assert from_capitals(money.chinese_capitals(cents)) == cents
        assert from_english(money.english_words(cents)) == cents
        assert Decimal(money.digits(cents)) * 100 == cents


def true_equation(text: str) -> bool:
    """Whether `12+35=47`, `3+□=8 □=5` or `x+4=9 x=5` holds."""
    equation, _, solution = text.partition(" ")
    if solution:
        letter, value = solution.split("=")
        equation = equation.replace(letter, value)
    left, operator, right, result = re.fullmatch(r"([\d.]+)([-+×÷])([\d.]+)=([\d.]+)", equation).groups()  # type: ignore[union-attr]
    a, b, c = Decimal(left), Decimal(right), Decimal(result)
    return {"+": a + b == c, "-": a - b == c, "×": a * b == c, "÷": b != 0 and a == b * c}[operator]


def problems(count: int) -> list[Problem]:
    r = Random(2)
    return [sums.problem(r, r.random() < 0.5, r.random() < 0.5, r.choice("xy")) for _ in range(count)]


def test_every_solved_problem_is_true_and_small() -> None:
    forms = Counter()  # type: ignore[var-annotated]
    for problem in problems(3000):
        assert true_equation(problem.solved), problem
        assert problem.left >= 0 and problem.right > 0 and 0 <= problem.result <= 999, problem
        forms[problem.form, problem.operator] += 1
    assert {form for form, _ in forms} == {"sum", "box", "equation"} and {op for _, op in forms} == set("+-×÷")


@pytest.mark.parametrize(
    ("left", "operator", "right", "answer", "error"),
    [
        ("27", "+", "15", "32", "carry"),
        ("24", "×", "3", "62", "carry"),
        ("52", "-", "27", "35", "borrow"),
        ("12", "-", "5", "17", "sign"),
        ("6", "×", "3", "9", "sign"),
        ("1.2", "+", "3.4", "46", "point"),
        ("7", "×", "8", "54", "calculation"),
        ("7", "×", "8", "56", None),
        ("7", "×", "8", None, "unanswered"),
    ],
)
def test_an_error_is_named_by_what_was_written(
    left: str, operator: str, right: str, answer: str | None, error: str | None
) -> None:
    a, b = Decimal(left), Decimal(right)
    problem = Problem(a, operator, b, sums.calculate(a, operator, b))
    assert sums.error_type(problem, None if answer is None else Decimal(answer)) == error


def test_wrong_answers_are_wrong_and_of_every_type() -> None:
    r, seen = Random(3), Counter[str | None]()
    for problem in problems(3000):
        answer = sums.wrong_answer(r, problem)
        assert answer is None or (answer != problem.wanted and answer >= 0)
        seen[sums.error_type(problem, answer)] += 1
    assert set(seen) == set(sums.ERRORS) and min(seen.values()) > 50


# --- strokes and workpieces, without fonts ---------------------------------------------------------------------------


def test_a_signature_fills_its_place_and_a_faint_or_begun_one_differs() -> None:
    for seed in range(60):
        mask = strokes.signature(Random(seed), 120, 50, 2.2)
        ys, xs = np.nonzero(mask > 128)
        assert np.ptp(xs) > 60 and np.ptp(ys) > 16 and len(xs) > 200, seed


def components(empty: np.ndarray) -> int:
    """Connected empty regions that do not reach the border."""
    left = np.pad(empty, 1, constant_values=True)
    found = -1  # the outside comes first
    while left.any():
        stack = [tuple(np.argwhere(left)[0])]
        size = 0
        while stack:
            y, x = stack.pop()
            if 0 <= y < left.shape[0] and 0 <= x < left.shape[1] and left[y, x]:
                left[y, x] = False
                size += 1
                stack += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        found += size > 6
    return found


@pytest.mark.parametrize(("name", "bores"), [("plate", 0), ("flange", 1), ("bracket", 0)])
def test_holes_are_as_many_as_counted_and_missing_ones_are_solid(name: str, bores: int) -> None:
    r = Random(name)
    for k in range(6):
        piece = workpieces.PIECES[name](r, k % 3)
        drawn = workpieces.render(r, piece, 240, r.uniform(0, 6), r.uniform(0.8, 1), (150, 150, 150))
        assert components(drawn.cover < 0.5) == piece.count + bores
        for box in drawn.missing:
            x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
            assert drawn.cover[y, x] == 1.0
        assert len(drawn.missing) == len(piece.missing)


@pytest.mark.parametrize("name", list(workpieces.DEFECTS))
def test_a_defect_changes_the_piece_inside_its_box_only_and_visibly(name: str) -> None:
    r = Random(name)
    found = 0
    for kind in workpieces.PIECES:
        piece = workpieces.PIECES[kind](r, 0)
        drawn = workpieces.render(
            r, piece, 300, r.uniform(0, 6), 1.0, r.choice(((150, 155, 160), (60, 90, 140), (200, 160, 80)))
        )
        before = drawn.colours.copy()
        box = workpieces.DEFECTS[name](r, drawn)
        if box is None:
            assert np.array_equal(before, drawn.colours)
            continue
        change = np.abs(drawn.colours - before).max(axis=2) * (drawn.cover > 0.5)
        ys, xs = np.nonzero(change > 40)
        x0, y0, x1, y1 = box
        assert len(xs) >= 40, kind
        assert x0 <= xs.min() and xs.max() < x1 and y0 <= ys.min() and ys.max() < y1
        assert np.ptp(xs) > 0.5 * (x1 - x0) - 3 and np.ptp(ys) > 0.5 * (y1 - y0) - 3, "the box is tight"
        found += 1
    assert found >= 5


def test_severity_follows_its_rule() -> None:
    box = (0, 0, 9, 9)
    for kinds, severity in (
        ([], "none"), (["scratch"], "low"), (["stain"], "low"), (["dent"], "medium"), (["scratch", "stain"], "medium"),
        (["crack"], "high"), (["missing", "stain"], "high"),
    ):  # fmt: skip
        facts = inspection.Facts("gear", "tooth", 9, 0, {kind: [box] for kind in kinds})
        assert facts.severity == severity


# --- what is held out ------------------------------------------------------------------------------------------------


def test_held_out_phrasings_and_arrangements_are_apart_and_the_sources_prompts_are_asked() -> None:
    for name, by_language in phrases.PHRASES.items():
        for language, known in by_language.items():
            assert len(known) == len(set(known)) >= phrases.NUM_HELDOUT + 30, (name, language)
            assert set("".join(known)) <= set(single_token_characters()), (name, language)
            assert {"json" in text.lower() or '{"' in text for text in known} == {name.endswith("_json")}, name
    trained = {
        text for by in phrases.PHRASES.values() for texts in by.values() for text in texts[: -phrases.NUM_HELDOUT]
    }
    assert {
        "请逐题检查解题过程,标出所有计算错误、公式误用或逻辑漏洞,并用红色标注原文位置。",
        "检查该页是否包含以下任一问题:1) 甲方签字栏为空;2) 乙方公章模糊不可辨;3) 金额大写与小写不一致;"
        "4) 出现'最终解释权归我方所有'等违规表述。",
        "请用 JSON 格式返回,字段为:{ defects: [str], severity: high/medium/low, suggestion: str }.",
    } <= trained
    assert not set(worksheet.ARRANGEMENTS) & set(worksheet.HELDOUT_ARRANGEMENTS)
    assert not set(contract.ARRANGEMENTS) & set(contract.HELDOUT_ARRANGEMENTS)
    assert not set(workpieces.PIECES) & set(workpieces.HELDOUT_PIECES)


def test_trained_phrasings_stay_apart_from_held_out_ones_when_varied_and_the_sources_prompts_are_not_varied() -> None:
    def letters(text: str) -> str:
        return "".join(char for char in text.lower() if char.isalnum() or char in "{}")

    r = Random(2)
    for name, by_language in phrases.PHRASES.items():
        for language, known in by_language.items():
            kept = {letters(text) for text in known[-phrases.NUM_HELDOUT :]}
            asked = [phrases.phrase(r, name, language, False) for _ in range(500)]
            assert not kept & set(map(letters, asked)), (name, language)
            if name.endswith("_json"):
                assert all("json" in text.lower() or '{"' in text for text in asked), name
    asked = [phrases.phrase(r, "marking", "zh", False) for _ in range(1500)]
    prompts = {text for text in asked if "公式误用或逻辑漏洞" in text}
    assert prompts == {text for text in phrases.PHRASES["marking"]["zh"] if "公式误用或逻辑漏洞" in text}
    assert "请逐题检查解题过程,标出所有计算错误、公式误用或逻辑漏洞,并用红色标注原文位置。" in prompts


def test_a_question_that_names_no_scene_is_asked_only_of_its_own() -> None:
    r, shared = Random(3), {*phrases.SHARED_JSON["en"], *phrases.SHARED_JSON["zh"]}
    for name in ("contract_json", "marking_json", "inspection_json"):
        for language in ("zh", "en"):
            assert shared & {phrases.phrase(r, name, language, False) for _ in range(600)}
            assert not shared & {phrases.phrase(r, name, language, False, here=False) for _ in range(600)}
            assert not shared & {phrases.phrase(r, name, language, True) for _ in range(100)}


def test_a_wish_for_other_things_draws_no_scene_and_takes_no_chance() -> None:
    for wish in (
        Wish(tasks=("amounts",)), Wish(kinds=("receipt",)), Wish(difficulty=0.3), Wish(unreadable=True),
        Wish("unseen_all", 1.0, 1, True, (), ("amounts",)),
    ):  # fmt: skip
        r = Random(5)
        assert scenes.compose(r, 600, 600, wish) is None
        assert r.getstate() == Random(5).getstate()


# --- pages -----------------------------------------------------------------------------------------------------------


def printed_numbers(solved: str) -> list[str]:
    """The numbers that are printed on the page: all but the one that the pupil finds."""
    equation, _, solution = solved.partition(" ")
    return re.findall(r"[\d.]+", equation if solution else equation.partition("=")[0])


def check_work(work: str) -> tuple[str, bool]:
    """(Q, whether the pupil was right) of a line of work, after checking its arithmetic and its mark."""
    number, solved, given, mark = re.fullmatch(r"(Q\d+) (.+?)[；;] ?(\S+) ([√X]).*", work).groups()  # type: ignore[union-attr]
    assert true_equation(solved), work
    right = given == solved.rpartition("=")[2]
    assert right == (mark == "√"), work
    return number, right


def marked_lines(qa: QA) -> tuple[list[str], int, int]:
    """Work lines, right, all of a whole marking in either form."""
    if qa.answer.startswith("{"):
        value = json.loads(qa.answer)
        wrong = [key for key in value if key not in ("work", "summary")]
        assert wrong == [number for number, right in map(check_work, value["work"]) if not right]
        for key in wrong:
            assert value[key].keys() == {"error_type", "location", "suggestion", "box"}
            assert true_equation(value[key]["suggestion"])
        return value["work"], value["summary"]["right"], value["summary"]["all"]
    *lines, last = qa.answer.split("\n")
    counts = [int(v) for v in re.findall(r"(?<!Q)(?<!\d)\d+", re.split("[，;]", last)[0])]
    right, everything = (counts[1], counts[0]) if qa.language == "zh" else (counts[0], counts[1])
    assert re.findall(r"Q\d+", last) == [number for number, right in map(check_work, lines) if not right]
    return lines, right, everything


@needs_fonts
@pytest.mark.parametrize("split", ["train", "unseen_all"])
def test_markings_are_true_by_what_stands_on_the_page(split: str) -> None:
    whole = 0
    for page in pages("worksheet", 40, split):
        for qa in page.qa:
            if qa.task != "marking" or (qa.answer[0] != "{" and "\n" not in qa.answer):
                continue
            whole += 1
            lines, right, everything = marked_lines(qa)
            verdicts = dict(map(check_work, lines))
            assert (right, everything) == (sum(verdicts.values()), len(lines))
            drawn = read(page)
            for line in lines:  # every printed problem and every answer stand on the page
                solved, given = re.fullmatch(r"Q\d+ (.+?)[；;] ?(\S+) .*", line).groups()  # type: ignore[union-attr]
                assert all(number in drawn for number in printed_numbers(solved)), (line, drawn)
                assert given in ("空", "blank") or given in drawn, (line, drawn)
    assert whole > 30


@needs_fonts
@pytest.mark.parametrize("kind", ["worksheet", "contract"])
def test_the_read_answer_of_a_scene_is_what_was_inked(kind: str) -> None:
    asked = 0
    for page in pages(kind, 60):
        for qa in page.qa:
            if qa.task == "read":
                assert sorted(re.sub(r"\s", "", qa.answer)) == sorted(glyph.char for glyph in page.glyphs)
                asked += 1
            if qa.task == "amounts" and kind == "contract":
                assert qa.answer in read(page).replace(",", "")
    assert asked > 3


@needs_fonts
def test_a_box_of_a_worksheet_holds_its_line_and_nothing_of_the_others() -> None:
    checked = 0
    for page in pages("worksheet", 40):
        for qa in page.qa:
            for line in qa.answer.split("\n") if qa.task == "marking" and qa.answer[0] != "{" else []:
                box = BOX.search(line)
                if box is None:
                    continue
                solved, given = re.fullmatch(r"Q\d+ (.+?)[；;] ?(\S+) .*", line).groups()  # type: ignore[union-attr]
                inside = read(page, box[0])
                assert all(number in inside for number in printed_numbers(solved)), (line, inside)
                assert given in ("空", "blank") or given in inside, (line, inside)
                assert inside.count("=") <= 2, (line, inside)
                checked += 1
    assert checked > 20


@needs_fonts
@pytest.mark.parametrize("split", ["train", "unseen_all"])
def test_contracts_are_true_by_what_stands_on_the_page(split: str) -> None:
    agree = Counter[object]()
    for page in pages("contract", 30, split):
        text = read(page)
        for qa in page.qa:
            if not qa.answer.startswith("{") or qa.task == "refuse":
                continue
            value = json.loads(qa.answer)
            assert list(value) == [
                "work", "party_a_signature", "party_b_seal", "amounts_agree", "forbidden_clauses", "issues",
            ]  # fmt: skip
            copied, figures = value["work"]
            spelled, _, words = copied.rpartition("=")
            known = [words for by in contract.FORBIDDEN.values() for words in by]
            assert set(value["forbidden_clauses"]) == {one for one in known if one.replace(" ", "") in text}
            amounts = re.findall(r"(?:[¥$]|USD)([\d,]+(?:\.\d\d)?)|(?<!\d)([\d,]{3,}(?:\.\d\d)?)元", text)
            assert [Decimal((a or b).replace(",", "")) for a, b in amounts] == [Decimal(figures)], text
            capitals = re.search(
                "[壹贰叁肆伍陆柒捌玖][零壹贰叁肆伍陆柒捌玖拾佰仟万]*元[零壹贰叁肆伍陆柒捌玖角分整]*", text
            )
            if words in ("无", "none"):
                assert capitals is None and value["amounts_agree"] is None
                continue
            assert spelled.replace(" ", "") in text, (spelled, text)
            if capitals:
                assert capitals[0] == spelled and from_capitals(spelled) == Decimal(words) * 100
            else:
                assert spelled == money.english_words(int(Decimal(words) * 100))
            assert value["amounts_agree"] == (words == figures)
            agree[value["amounts_agree"]] += 1
            wrong = [value["party_a_signature"] != "present", value["party_b_seal"] != "legible", words != figures]
            assert len(value["issues"]) == sum(wrong) + bool(value["forbidden_clauses"])
    assert agree[True] > 5 and agree[False] > 3


@needs_fonts
def test_signatures_and_seals_are_inked_as_told() -> None:
    from training.scenes.canvas import Desk

    zone, image = (20, 20, 240, 110), np.full((140, 300, 3), 245, np.uint8)
    for seed in range(24):
        desk = Desk(Random(seed), 300, 140, Wish(), "zh")
        one = image.copy()
        contract._scribble(desk, one, zone, "present")
        assert (one.min(axis=2) < 120).sum() > 150
        faint = image.copy()
        contract._scribble(desk, faint, zone, "unclear")
        assert (faint != image).any() and (faint.min(axis=2) < 120).sum() < 0.8 * (one.min(axis=2) < 120).sum() + 400
        party = contract._Party("乙方（盖章）：", False, "星河贸易公司", zone)
        clear, spoilt = image.copy(), image.copy()
        box = contract._stamp(desk, clear, party, "legible", 42, False)
        contract._stamp(desk, spoilt, party, "illegible", 42, False)
        steep = [np.abs(np.diff(one[..., 1].astype(int), axis=1)).max(axis=None) for one in (clear, spoilt)]
        edges = [(np.abs(np.diff(one[..., 1].astype(int), axis=1)) > 60).sum() for one in (clear, spoilt)]
        assert edges[0] > 1.8 * edges[1] and steep[0] > 100, (seed, edges)
        ys, xs = np.nonzero((clear != image).any(axis=2))
        assert abs(xs.min() - box[0]) < 9 and abs(xs.max() - box[2]) < 9 and abs(ys.max() - box[3]) < 9
        assert (spoilt[..., 0].astype(int) - spoilt[..., 1]).max() > 60  # still a red mark


@needs_fonts
def test_inspections_are_true_to_their_own_rule_and_name_known_defects_only() -> None:
    seen = Counter[str]()
    for page in pages("inspection", 60):
        for qa in page.qa:
            if not qa.answer.startswith("{") or qa.task == "refuse":
                continue
            value = json.loads(qa.answer)
            column = 0 if qa.language == "zh" else 1
            keys = [key for key, names in inspection.DEFECTS.items() if names[column] in value["defects"]]
            assert [inspection.DEFECTS[key][column] for key in keys] == value["defects"]
            expected = (
                "none" if not keys else "high" if {"missing", "crack"} & {*keys}
                else "medium" if "dent" in keys or len(keys) > 1 else "low"
            )  # fmt: skip
            assert (
                value["severity"] == expected
                and value["suggestion"] == inspection.SUGGESTIONS[(keys or ["none"])[0]][column]
            )
            seen.update(keys or ["none"])
    assert set(seen) == {*inspection.DEFECTS, "none"}


@needs_fonts
@pytest.mark.parametrize("kind", list(scenes.SCENES))
def test_answers_are_single_tokens_fit_the_budget_and_carry_outlines_for_their_boxes(kind: str) -> None:
    encoder, known = Encoder(), set(single_token_characters())
    for page in [*pages(kind, 25), *pages(kind, 8, "unseen_all")]:
        height, width = page.image.shape[:2]
        assert len(page.qa) == 4 and page.image.dtype == np.uint8
        assert all(0 <= glyph.x < width and 0 <= glyph.y < height for glyph in page.glyphs)
        assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in page.keep)
        for qa in page.qa:
            assert qa.task in TASKS and set(qa.question + qa.answer) <= known, qa
            assert len(encoder.encode(qa.answer)) <= worksheet.MAX_JSON
            assert [box_text(outline) for outline in qa.outlines] == BOX.findall(qa.answer), qa
            if qa.answer.startswith("{"):
                json.loads(qa.answer)
        for pair in (page.qa[::2], page.qa[1::2]):
            turns = [Turn(qa.question, qa.answer, (0,) if k == 0 else ()) for k, qa in enumerate(pair)]
            assert len(encode_conversation(encoder, turns, [640]).ids) <= 1536


def test_a_question_of_another_scene_is_declined_in_its_form() -> None:
    known, r = {*scenes.SCENES}, Random(0)
    for here in ("", *sorted(known)):
        for _ in range(60):
            qa = absent.ask(r, here, r.choice(("zh", "en")), False)
            assert qa.task == "refuse" and set(qa.question + qa.answer) <= set(single_token_characters())
            said = {name for name, by in absent.SENTENCES.items() if by[qa.language] in qa.answer}
            assert said <= known - {here} and (said or qa.answer.startswith('{"work": []'))
            if "JSON" in qa.question:
                assert isinstance(json.loads(qa.answer), dict)
    assert absent.SENTENCES["worksheet"]["zh"] == refusals.NO_WORKSHEET
    assert absent.SENTENCES["contract"]["zh"] == refusals.NO_CONTRACT
    assert absent.SENTENCES["inspection"]["zh"] == refusals.NO_WORKPIECE["suggestion"]


@needs_fonts
@pytest.mark.parametrize("kind", list(scenes.SCENES))
def test_a_scene_drawn_twice_is_the_same_and_keeps_held_out_looks_apart(kind: str) -> None:
    one, other = pages(kind, 6), pages(kind, 6)
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.image, b.image) and a.qa == b.qa
    heldout = {*worksheet.HELDOUT_ARRANGEMENTS, *contract.HELDOUT_ARRANGEMENTS, *workpieces.HELDOUT_PIECES}
    assert all(page.decorations[0] not in heldout for page in one)
    unseen = pages(kind, 6, "unseen_all")
    assert all(page.decorations[0] in heldout for page in unseen) or kind == "inspection"


@needs_fonts
def test_every_shape_is_named_with_its_colour_where_it_stands() -> None:
    seen = Counter[str]()
    for k in range(40):
        page = recipe.compose(Random(k), 224 + 28 * (k % 8), 336, Wish(kinds=("shapes",), unreadable=False))
        named = {(s.x, s.y, s.cell): s.word for s in page.sights if s.word != NOTHING}
        for shape in page.plan.shapes:
            assert named[shape.x, shape.y, FIGURE] == content.SHAPE_WORDS[shape.name]
            assert content.COLOURS[shape.colour][0].startswith(named[shape.x, shape.y, COLOUR])
            seen[named[shape.x, shape.y, FIGURE]] += 1
        nothing = [s for s in page.sights if s.word == NOTHING]
        assert all(max(abs(s.x - o.x), abs(s.y - o.y)) > o.radius for s in nothing for o in page.plan.shapes)
    assert len(seen) == len(content.SHAPES) == len(set(content.SHAPE_WORDS.values()))


@needs_fonts
def test_sights_of_a_workpiece_name_its_defects_and_nothing_else() -> None:
    both = dict(inspection.DEFECTS.values())
    for page in pages("inspection", 30):
        answers = [json.loads(qa.answer) for qa in page.qa if qa.task == "inspection" and qa.answer.startswith("{")]
        found = {sight.word for sight in page.sights} - {NOTHING}
        for answer in answers:
            assert found == {zh[0] for zh, en in both.items() if {zh, en} & set(answer["defects"])}
