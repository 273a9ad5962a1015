"""The training pictures' ground truth is true, and the parts kept for evaluation never reach training.

The tests that draw need a font pack (`python -m training.fonts`, see training/README.md) and are skipped without one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from random import Random

import numpy as np
import pytest

from training import content, decorations, figures, fonts, layouts, marks, phrases, refusals, scenes, tasks
from training.charset import CHARSET, HANZI
from training.content import Text
from training.draw import Type, blend, choose_faces, contrasting, ink, luminance, shape
from training.page import BOX, QA, TASKS, Page, box_text, counted, moved
from training.tokenizer import single_token_characters
from training.words import BARRED_ENGLISH, BARRED_HANZI, Words, chinese_words, english_words

WORDS = Words(("苹果", "工作", "天空"), ("apple", "window", "river"), HANZI)
needs_fonts = pytest.mark.skipif(
    not (fonts.pack_folder() / "words.json").is_file() or not (fonts.pack_folder() / "fonts.json").is_file(),
    reason="no font pack: make one with `python -m training.fonts` and `python -m training.words`",
)


def pages(split: str, count: int, seed: int = 1, difficulty: float = 1.0, **wished: object) -> list[Page]:
    from training.recipe import Wish, compose

    r = Random(seed)
    return [
        compose(
            Random(r.getrandbits(62)),
            28 * r.randint(3, 14),
            28 * r.randint(3, 14),
            Wish(split, difficulty, 4, **wished),
        )  # type: ignore[arg-type]
        for _ in range(count)
    ]


# --- without fonts ---------------------------------------------------------------------------------------------------


def test_the_charset_holds_ascii_a_newline_and_the_level_one_hanzi_once() -> None:
    assert len(HANZI) == 3755
    assert len(set(CHARSET)) == len(CHARSET)
    assert {"\n", " ", "~", "¥", "啊", "座", "。"} <= set(CHARSET)
    assert "亍" not in CHARSET  # the first of level 2


def test_every_text_that_can_be_drawn_or_asked_stays_in_the_charset() -> None:
    closed = [
        *content.GOODS_ZH,
        *content.GOODS_EN,
        *content.SHOPS_ZH,
        *content.SHOPS_EN,
        *content.TITLES_ZH,
        *content.MENU_ZH,
        *content.THANKS_ZH,
        *content.TOTAL_ZH,
        *content.SLOGANS_ZH,
        *content.SLOGANS_EN,
        *content.FORBIDDEN_ZH,
        *content.FORBIDDEN_EN,
        *content.BRANDS,
        *content.SHAPES.values(),
        *(names[0] for names in content.COLOURS.values()),
        *tasks.KINDS["lines"],
        *(text for names in (*content.FIELDS_ZH.values(), *content.FIELDS_EN.values()) for text in names),
        *(text for pairs in phrases.CANNOT.values() for pair in pairs for text in pair),
        *(text for by in phrases.NONE.values() for text in by.values()),
        *phrases.UNREADABLE.values(),
        *phrases.CANNOT_CHAT.values(),
        *(text for known in phrases.GREETINGS.values() for questions, answer in known for text in (*questions, answer)),
        phrases.AUDIT_PROMPT,
        phrases.AUDITOR_PROMPT,
    ]
    r = Random(0)
    signs = [content.notation(r, language) for language in ("zh", "en") for _ in range(100)]
    drawn = [content.distractor(r, language) for language in ("zh", "en") for _ in range(300)]
    drawn += [
        content.field_value(r, key, "zh", WORDS, 3755, ("¥", "")).text for key in content.FIELD_ORDER for _ in range(9)
    ]
    for text in [*closed, *drawn, *("".join(pair) for pair in signs)]:
        assert set(text) <= set(CHARSET), text
    asked = [text for by in phrases.PHRASES.values() for texts in by.values() for text in texts]
    asked += [text for by in (phrases.TRANSLATE, phrases.OPEN_QUESTIONS) for texts in by.values() for text in texts]
    for text in asked:
        assert set(text) <= set(single_token_characters()), text


def test_an_amount_is_written_without_sign_and_thousands_separator_and_its_span_covers_both() -> None:
    r = Random(3)
    for _ in range(2000):
        language = r.choice(("zh", "en"))
        price = Text("Tea ") + content.price(r, content.notation(r, language)) + Text("!")
        (amount,) = price.amounts
        assert re.fullmatch(r"\d+(\.\d{1,2})?", amount.value)
        printed = price.text[amount.start : amount.end]
        assert price.text == f"Tea {printed}!"
        assert re.sub(r"[^\d.]", "", printed) == amount.value


def test_numbers_that_are_no_amounts_carry_no_currency() -> None:
    r = Random(4)
    for _ in range(3000):
        text = content.distractor(r, r.choice(("zh", "en")))
        assert not re.search(r"[¥￥$€£元块]|USD|EUR|GBP|RMB|dollar|euro|人民币", text), text


def test_forbidden_words_are_found_as_printed_in_order_and_once() -> None:
    assert tasks.forbidden_words("全网最低价\nThe BEST tea, No.1!\n第一 best 最便宜 BEST") == [
        "全网最低",
        "BEST",
        "No.1",
        "第一",
        "best",
        "最便宜",
    ]
    assert tasks.forbidden_words("bestow a cheapestX, 第 1") == []


def test_held_out_phrasings_layouts_and_decorations_are_apart_from_the_trained_ones() -> None:
    assert not set(layouts.TRAIN) & set(layouts.HELDOUT)
    assert not set(decorations.TRAIN) & set(decorations.HELDOUT)
    for name, by_language in phrases.PHRASES.items():
        for language, known in by_language.items():
            assert len(known) == len(set(known)) >= 30 + phrases.NUM_HELDOUT, (name, language)
            r = Random(0)
            trained = {phrases.phrase(r, name, language, False) for _ in range(400)}
            kept = {phrases.phrase(r, name, language, True) for _ in range(50)}
            assert not trained & kept and len(kept) == phrases.NUM_HELDOUT, (name, language)
    train, heldout = (
        {source.file for source in fonts.SOURCES if source.split == split} for split in ("train", "heldout")
    )
    assert not train & heldout


def test_no_trained_phrasing_is_a_held_out_one_in_other_case_or_punctuation_nor_becomes_one_when_varied() -> None:
    for name, by_language in phrases.PHRASES.items():
        for language, known in by_language.items():
            r, kept = Random(name), {phrases.bare(text) for text in known[-phrases.NUM_HELDOUT :]}
            trained = {phrases.bare(text) for text in known[: -phrases.NUM_HELDOUT]}
            assert not trained & kept, (name, language, trained & kept)
            asked = {phrases.bare(phrases.phrase(r, name, language, False)) for _ in range(1500)}
            assert not asked & kept and len(asked) > len(trained), (name, language, asked & kept)


def test_a_varied_phrasing_keeps_its_slots_and_the_tokenizers_characters() -> None:
    r, known = Random(5), set(single_token_characters())
    changed = total = 0
    for by_language in phrases.PHRASES.values():
        for language, texts in by_language.items():
            for text in texts:
                for _ in range(12):
                    new = phrases.varied(r, text, language)
                    slots = re.findall(r"\{\d*\}", text)
                    assert re.findall(r"\{\d*\}", new) == slots and set(new) <= known, (text, new)
                    for quote in ('"{}"', "“{}”", "「{}」"):
                        assert new.count(quote) == text.count(quote), (text, new)
                    changed, total = changed + (new != text), total + 1
    assert 0.15 < changed / total < 0.3


def test_the_sources_prompts_and_json_templates_are_never_varied() -> None:
    r = Random(6)
    for prompt in (*refusals.PROMPTS.values(), '请输出{"total": "..."}', "Answer as { price: str }."):
        assert {phrases.varied(r, prompt, language) for language in ("zh", "en") for _ in range(60)} == {prompt}


def test_the_sources_prompts_are_asked_word_for_word() -> None:
    asked = {text for by in phrases.PHRASES.values() for texts in by.values() for text in texts[: -phrases.NUM_HELDOUT]}
    asked |= {question for pairs in phrases.CANNOT.values() for question, _ in pairs} | set(phrases.TRANSLATE["zh"])
    for prompt in (
        "提取图中所有金额数字,并按出现顺序列出",
        "这个商品包装上写的保质期是哪天?",
        "这张图是什么?",
        "What is in this image?",
        "请描述这张图片的内容",
        "描述图中人物穿着风格和配色方案",
        "请识别图中所有文字内容,并翻译成英文",
    ):
        assert prompt in asked


def test_words_of_persons_places_and_rude_words_are_left_out() -> None:
    chinese, hanzi = chinese_words(["苹果 50 n", "北京 90 ns", "王芳 80 nr", "赌博 70 v", "的 999 uj", "菲菲 3 n"])
    assert chinese == ["苹果", "菲菲"]
    assert hanzi[0] == "的" and len(hanzi) == 3755
    assert english_words(["apple", "Paris", "it's", "ox", "grapeshot", "window"]) == ["apple", "window"]
    assert "奸" in BARRED_HANZI and "rape" in BARRED_ENGLISH


def test_a_colour_for_text_stands_off_its_background() -> None:
    r = Random(0)
    for _ in range(500):
        background, gap = r.uniform(0, 255), r.uniform(40, 110)
        assert abs(luminance(contrasting(r, background, gap)) - background) >= gap


def test_blending_reaches_the_colour_and_stays_inside_the_picture() -> None:
    image = np.full((4, 4, 3), 255, np.uint8)
    mask = np.full((3, 3), 255, np.uint8)
    blend(image, mask, 2, 2, (0, 10, 200))
    assert image[3, 3].tolist() == [0, 10, 200] and image[1, 1].tolist() == [255, 255, 255]
    blend(image, mask, -9, -9, (1, 1, 1))
    assert image[0, 0].tolist() == [255, 255, 255]


def test_every_shape_and_brand_mark_inks_its_own_place() -> None:
    from PIL import Image, ImageDraw

    seen = set()
    for name in (*content.SHAPES, *content.BRANDS, *marks.DECOYS):
        picture = Image.new("RGB", (80, 80), (255, 255, 255))
        draw = ImageDraw.Draw(picture)
        if name in content.SHAPES:
            marks.shape(draw, name, 40, 40, 25, (200, 0, 0), None)
            corners = marks.shape_corners(name, 40, 40, 25)
        else:
            turn = 0 if len(seen) % 2 else 8
            mask = marks.mark_mask(name, 25, turn)
            picture.paste((200, 0, 0), (40 - mask.width // 2, 40 - mask.height // 2), mask)
            corners = marks.mark_corners(name, 40, 40, 25, turn)
        box = (*(min(c) for c in zip(*corners, strict=True)), *(max(c) for c in zip(*corners, strict=True)))
        found = Image.eval(picture.convert("L"), lambda v: 255 if v < 200 else 0).getbbox()
        assert found is not None and max(abs(a - b) for a, b in zip(box, found, strict=True)) <= 2, (name, box, found)
        pixels = np.asarray(picture)
        assert (pixels[:6] == 255).all() and (pixels[:, :6] == 255).all() and (pixels != 255).any()
        seen.add(pixels.tobytes())
    assert len(seen) == len(content.SHAPES) + len(content.BRANDS) + len(marks.DECOYS)


# --- with fonts ------------------------------------------------------------------------------------------------------


@needs_fonts
def test_a_face_draws_ink_for_every_character_it_claims() -> None:
    r = Random(0)
    for split in ("train", "heldout"):
        pack = fonts.load(split)
        for face in (*pack.cjk, *pack.latin):
            known = sorted(face.chars - {" ", "\n"})
            for char in (*r.sample(known, 40), *"0123456789."):
                for smooth in (False, True):
                    bitmap = face.draw(char, 20, smooth)
                    assert bitmap.width and bitmap.alpha.max() > 60, (face.name, char)
                    trimmed = bitmap.alpha[0].any() and bitmap.alpha[-1].any() and bitmap.alpha[:, 0].any()
                    assert smooth or trimmed, (face.name, char)


@needs_fonts
def test_splits_draw_with_their_own_fonts_layouts_and_decorations() -> None:
    train, heldout = fonts.load("train"), fonts.load("heldout")
    assert len(train.cjk) >= 12 and len(train.latin) >= 30
    assert len(heldout.cjk) >= 2 and len(heldout.latin) >= 5
    assert not {f.name for f in (*train.cjk, *train.latin)} & {f.name for f in (*heldout.cjk, *heldout.latin)}
    for page in pages("train", 60):
        assert page.kind in {*layouts.TRAIN, *scenes.SCENES} and not set(page.decorations) & set(decorations.HELDOUT)
    for page in pages("unseen_all", 30, decorated=True):
        assert page.kind in {*layouts.HELDOUT, *scenes.SCENES} or page.image.shape[0] < 168 or page.image.shape[1] < 224
    assert any(
        set(page.decorations) & set(decorations.HELDOUT) for page in pages("unseen_decorations", 10, decorated=True)
    )


@needs_fonts
@pytest.mark.parametrize("split", ["train", "unseen_fonts", "unseen_all"])
def test_the_read_answer_is_exactly_what_was_inked(split: str) -> None:
    for page in pages(split, 60, tasks=("read",), unreadable=False):
        answer = page.qa[0].answer
        drawn = "".join(glyph.char for glyph in page.glyphs)
        if drawn:
            assert re.sub(r"\s", "", answer) == drawn
        else:
            assert answer in ("没有文字", "no text")
        assert "  " not in answer and answer == "\n".join(line.strip() for line in answer.split("\n"))


@needs_fonts
def test_amounts_in_the_answer_stand_in_the_text_in_this_order() -> None:
    for page in pages("train", 120, tasks=("amounts",), unreadable=False):
        qa = page.qa[0]
        if qa.task != "amounts" or qa.answer in ("没有金额", "no amounts"):
            continue
        drawn, at = "".join(glyph.char for glyph in page.glyphs).replace(",", ""), 0
        for value in qa.answer.split(", "):
            assert re.fullmatch(r"\d+(\.\d{1,2})?", value)
            at = drawn.index(value, at) + len(value)


@needs_fonts
def test_glyph_centres_lie_inside_the_picture_and_inside_their_ink() -> None:
    pack, r = fonts.load("train"), Random(2)
    for _ in range(30):
        setting = Type(choose_faces(r, pack, "zh"), 24, r.random() < 0.5)
        run, glyphs = shape("合计：¥12.50 ab田", setting), []
        image = np.full((60, 400, 3), 255, np.uint8)
        ink(image, run, 10, 40, (0, 0, 0), glyphs)
        assert [glyph.char for glyph in glyphs] == list("合计：¥12.50ab田")
        dark = (image < 200).any(axis=2)
        for glyph in glyphs:
            x, y = int(glyph.x), int(glyph.y)
            assert dark[max(0, y - 12) : y + 13, max(0, x - 8) : x + 9].any(), glyph
        columns = np.flatnonzero(dark.any(axis=0))
        assert columns[0] >= 10 + run.left - 1 and columns[-1] <= 10 + run.right
    for page in pages("train", 80, difficulty=0.6):
        height, width = page.image.shape[:2]
        assert all(0 <= glyph.x < width and 0 <= glyph.y < height and glyph.size >= 12 for glyph in page.glyphs)


@needs_fonts
def test_boxes_lie_around_the_glyphs_they_name() -> None:
    asked = 0
    for page in pages("train", 80, tasks=("box",), unreadable=False, kinds=("receipt", "menu", "lines", "label")):
        height, width = page.image.shape[:2]
        for qa in page.qa:
            numbers = re.findall(r"(\S*) ?\[(\d+),(\d+),(\d+),(\d+)\]", qa.answer) if qa.task == "box" else []
            for value, *corners in numbers:
                x1, y1, x2, y2 = (int(c) * side / 1000 for c, side in zip(corners, (width, height) * 2, strict=True))
                inside = "".join(g.char for g in page.glyphs if x1 - 1 <= g.x <= x2 + 1 and y1 - 1 <= g.y <= y2 + 1)
                quoted = re.search(r"[“\"](.+)[”\"]", qa.question)
                if quoted and re.search("value|entry|content|[值容]|后面|对应", qa.question):
                    continue  # the name is quoted, the box is its value's
                word = value or (quoted.group(1) if quoted else "")
                assert re.sub(r"[\s,]", "", word) in inside.replace(",", ""), (qa, inside)
                asked += 1
        assert all(len(qa.outlines) == qa.answer.count("[") for qa in page.qa) and not page.fixed_geometry
    assert asked > 50


@needs_fonts
def test_questions_and_answers_stay_in_the_charset_and_the_audit_is_valid_json() -> None:
    for page in [*pages("train", 80), *pages("unseen_all", 30)]:
        for qa in page.qa:
            assert qa.task in TASKS and qa.language in ("zh", "en")
            assert set(qa.question + qa.answer) <= set(single_token_characters()), qa
            if qa.task == "audit" and qa.answer.startswith("{"):
                price, brand, claims = json.loads(qa.answer).values()
                assert (
                    isinstance(price, bool) and (brand is None or brand in content.BRANDS) and isinstance(claims, list)
                )


@needs_fonts
def test_the_same_seed_draws_the_same_page_and_the_size_is_the_one_asked_for() -> None:
    from training.recipe import draw_page, draw_text_only

    for width, height in ((28, 28), (84, 28), (336, 252), (784, 112)):
        one, other = (draw_page(np.random.default_rng(5), width, height) for _ in range(2))
        assert one.image.shape == (height, width, 3) and one.image.dtype == np.uint8
        assert np.array_equal(one.image, other.image) and one.qa == other.qa
    assert draw_text_only(np.random.default_rng(1)) == draw_text_only(np.random.default_rng(1))


@needs_fonts
def test_the_easiest_pages_hold_one_plain_line_of_small_frequent_characters() -> None:
    for page in pages("train", 30, difficulty=0.0):
        assert page.decorations == () and page.kind == "lines"
        assert len({round(glyph.size) for glyph in page.glyphs}) <= 1
        assert max((glyph.size for glyph in page.glyphs), default=0) <= 24


@needs_fonts
def test_a_page_blurred_beyond_reading_gets_the_honest_answer_only() -> None:
    for page in pages("train", 10, unreadable=True, kinds=("receipt", "lines")):
        assert page.glyphs == []
        assert {qa.answer for qa in page.qa} <= set(phrases.UNREADABLE.values())


@needs_fonts
def test_bitmaps_from_an_atlas_are_those_that_drawing_gives(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv(fonts.ATLAS_VARIABLE, str(tmp_path))
    fonts.atlas_folder.cache_clear()
    try:
        face = fonts.load("train").cjk[-1]
        fonts._write_atlas((str(fonts.pack_folder()), "train", face.name, 20, False))
        fresh = fonts.Face(face.path, {**_info(face), "missing": ""})
        for char in "天地玄黄宇宙洪荒":
            stored, drawn = fresh._from_atlas(char, 20, False), face.render(char, 20, False)
            assert stored is not None and np.array_equal(stored.alpha, drawn.alpha)
            assert (stored.left, stored.top) == (drawn.left, drawn.top)
    finally:
        fonts.atlas_folder.cache_clear()


def _info(face: fonts.Face) -> dict[str, object]:
    return {"file": face.path.name, "script": face.script, "split": face.split, "min_size": face.min_size}


@needs_fonts
def test_pages_do_not_depend_on_the_order_of_sets() -> None:
    program = (
        "import hashlib; from tests.training.test_data import pages\n"
        "drawn = [page for split in ('train', 'unseen_all') for page in pages(split, 12)]\n"
        "print(hashlib.sha256(b''.join(p.image.tobytes() + repr(p.qa).encode() for p in drawn)).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1 and all(digests)


# --- shapes, colours, places -----------------------------------------------------------------------------------------


def drawn_plans(kind: str, count: int, seed: int = 3) -> list[tuple[object, Page]]:
    """Pages of one layout with their plans."""
    from training.recipe import Wish, compose

    r = Random(seed)
    found = []
    while len(found) < count:
        wish = Wish("train", 1.0, 4, None, (kind,), (), None, False)
        page = compose(Random(r.getrandbits(62)), 28 * r.randint(6, 14), 28 * r.randint(6, 14), wish)
        if page.kind == kind:
            found.append((page.plan, page))
    return found


def test_named_colours_are_far_apart_also_when_they_vary_and_the_light_changes_them() -> None:
    from training import colours
    from training.recipe import vary

    named, r = content.COLOURS, Random(1)
    for a in named:
        assert all(a == b or colours.distance(named[a][1], named[b][1]) > 30 for b in named)
        for _ in range(150):
            drawn = vary(r, named[a][1])
            assert colours.nearest(drawn) == a
            gain, bias = r.uniform(0.89, 1.03), r.uniform(-0.03, 0.03)
            tint = [gain + r.uniform(-0.025, 0.025) for _ in range(3)]
            shown = tuple(
                min(255, max(0, round(255 * ((c / 255 - 0.5) * g + 0.5 + bias))))
                for c, g in zip(drawn, tint, strict=True)
            )
            assert colours.nearest(shown) == a, (a, drawn, shown)  # type: ignore[arg-type]


@needs_fonts
def test_drawn_shapes_have_their_colour_stand_off_the_paper_and_lie_inside_it() -> None:
    from training import colours

    for plan, page in drawn_plans("shapes", 60):
        for one in plan.shapes:
            spot = page.image[int(one.y), int(one.x - (0.88 * one.radius if one.name == "ring" else 0))]
            assert colours.nearest(tuple(int(c) for c in spot)) == one.colour, (one, spot)
            assert one.radius <= one.x <= plan.width - one.radius and one.radius <= one.y <= plan.height - one.radius


@needs_fonts
def test_no_two_shapes_touch_and_none_touches_text_wherever_they_stand() -> None:
    from PIL import Image, ImageChops, ImageDraw

    for kind, most in (("shapes", 12), ("figures", 10)):
        numbers, nearest, smallest = set(), 999.0, 999.0
        for plan, _ in drawn_plans(kind, 150, seed=11):
            inked = Image.new("L", (plan.width, plan.height))
            for row in plan.rows:
                ImageDraw.Draw(inked).rectangle(row.box, fill=1)
            for one in plan.shapes:
                mask = Image.new("L", inked.size)
                marks.shape(ImageDraw.Draw(mask), one.name, one.x, one.y, one.radius, 1, None)  # type: ignore[arg-type]
                x0, y0, x1, y1 = mask.getbbox() or (0, 0, 0, 0)
                grown = ImageChops.offset(mask, 1, 0)
                assert x0 >= 0 and y0 >= 0 and x1 <= plan.width and y1 <= plan.height and x1 - x0 >= 9
                for dx, dy in ((0, 0), (-1, 0), (0, 1), (0, -1)):
                    grown = ImageChops.lighter(grown, ImageChops.offset(mask, dx, dy))
                assert ImageChops.multiply(grown, inked.point([255 * bool(v) for v in range(256)])).getbbox() is None
                inked = ImageChops.lighter(inked, mask)
                others = [
                    np.hypot(one.x - o.x, one.y - o.y) - one.radius - o.radius for o in plan.shapes if o is not one
                ]
                nearest, smallest = min([nearest, *others]), min(smallest, one.radius)
            numbers.add(len(plan.shapes))
        assert numbers == set(range(1, most + 1)) and nearest < 6 and smallest < 9.5


@needs_fonts
def test_shapes_stand_in_many_ways_and_high_numbers_are_asked_for() -> None:
    answers = [
        int(number)
        for page in pages("train", 150, tasks=("count",), unreadable=False, kinds=("shapes",))
        for qa in page.qa
        if qa.task == "count" and (number := qa.answer.rsplit(": ")[-1]).isdigit()
    ]
    assert len(answers) > 200 and sum(n >= 6 for n in answers) > 0.2 * len(answers)
    assert 0.02 < answers.count(0) / len(answers) < 0.12 and max(answers) >= 11
    spread = [
        (max(s.x for s in plan.shapes) - min(s.x for s in plan.shapes)) / plan.width
        for plan, _ in drawn_plans("shapes", 200)
        if len(plan.shapes) in (2, 3)
    ]
    assert min(spread) < 0.15 and max(spread) > 0.55


@needs_fonts
def test_as_many_is_a_usual_answer_of_a_comparison_and_a_true_one() -> None:
    compared = same = 0
    for page in pages("train", 150, seed=4, tasks=("count",), unreadable=False, kinds=("shapes",)):
        for qa in page.qa:
            plan = page.plan
            if qa.task != "count" or qa.language != "en" or qa.answer.isdigit():
                continue
            kinds = [(shape, colour) for shape in (*content.SHAPES, None) for colour in (*content.COLOURS, None)]
            counts = {figures.name_of(False, *kind, plural=True): figures.count(plan, *kind) for kind in kinds}
            asked = {w: n for w, n in counts.items() if n and re.search(rf"\b{w}\b", qa.question.lower())}
            whole = [w for w in asked if not any(w != v and re.search(rf"\b{w}\b", v) for v in asked)]
            if len(whole) == 2:
                first, second = sorted(whole, key=asked.__getitem__)
                equal = asked[first] == asked[second]
                assert qa.answer.splitlines()[-1] == ("the same" if equal else second), (qa, asked)
                compared, same = compared + 1, same + equal
    assert compared > 6 and 0 < same < compared


@needs_fonts
def test_answers_about_shapes_are_what_a_recount_gives() -> None:
    zh = content.SHAPES
    counted = compared = 0
    for plan, page in [*drawn_plans("shapes", 120), *drawn_plans("figures", 40)]:
        for qa in page.qa:
            names = [(one.name, one.colour, content.COLOURS[one.colour][0] + zh[one.name]) for one in plan.shapes]
            number = qa.answer.rsplit(": ")[-1]
            if qa.task == "count" and number.isdigit() and qa.language == "zh":
                tint = next((c for c, (hanzi, _) in content.COLOURS.items() if hanzi in qa.question), None)
                kind = next((s for s, hanzi in zh.items() if hanzi in qa.question), None)
                right = sum((not tint or c == tint) and (not kind or s == kind) for s, c, _ in names)
                assert int(number) == right == len(BOX.findall(qa.answer)), (qa, names)
                counted += 1
            if qa.task in ("position", "colour") and qa.language == "zh" and "最左边的" in qa.question:
                leftmost = min(plan.shapes, key=lambda shape: shape.x)
                assert qa.answer in (
                    content.COLOURS[leftmost.colour][0] + zh[leftmost.name],
                    content.COLOURS[leftmost.colour][0],
                )
                compared += 1
            if qa.task == "position" and "largest" in qa.question:
                largest = max(plan.shapes, key=lambda shape: shape.radius)
                assert qa.answer == f"{largest.colour} {largest.name}"
                compared += 1
    assert counted > 25 and compared > 2


def test_what_is_counted_is_shown_column_by_column_and_follows_a_page_that_is_turned() -> None:
    square = ((0.0, 0.0), (0.1, 0.0), (0.1, 0.1), (0.0, 0.1))
    places = [(0.5, 0.2), (0.2, 0.6), (0.21, 0.3)]
    outlines = tuple(tuple((x + dx, y + dy) for dx, dy in square) for x, y in places)
    answer = counted(map(box_text, outlines))
    assert answer == "[210,300,310,400], [200,600,300,700], [500,200,600,300]: 3"
    assert counted([]) == "0"
    half_turn = np.array([[-1.0, 0.0, 100.0], [0.0, -1.0, 100.0], [0.0, 0.0, 1.0]])
    qa = QA("count", "en", "Which are there more of?", f"rings {answer}\nstars 0\nrings", outlines)
    shown = "[400,700,500,800], [700,300,800,400], [690,600,790,700]: 3"
    assert moved(qa, half_turn, 100, 100).answer == f"rings {shown}\nstars 0\nrings"


@needs_fonts
def test_yes_and_no_are_asked_about_evenly() -> None:
    for kinds in (("shapes", "figures", "coloured"), ("poster", "label", "receipt", "lines")):
        answers = [
            qa.answer in ("是", "yes")
            for page in pages("train", 150, tasks=("yesno",), unreadable=False, kinds=kinds)
            for qa in page.qa
            if qa.task == "yesno"
        ]
        assert len(answers) > 150 and 0.38 < sum(answers) / len(answers) < 0.62, (kinds, sum(answers), len(answers))


@needs_fonts
def test_a_place_by_side_stays_true_when_the_page_is_turned_by_eight_degrees() -> None:
    for plan, _ in drawn_plans("shapes", 80):
        for names, one in figures.described_places(plan):
            for degrees in (-8, 8):
                cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
                turned = {id(s): (s.x * cos - s.y * sin, s.x * sin + s.y * cos) for s in plan.shapes}
                if names[0] in ("最左边的", "从左数第一个"):
                    assert min(turned, key=lambda key: turned[key][0]) == id(one)
                if names[0] == "最下面的":
                    assert max(turned, key=lambda key: turned[key][1]) == id(one)


@needs_fonts
def test_cells_and_sums_are_told_apart_from_their_neighbours() -> None:
    cells = sums = 0
    for kind in ("table", "invoice", "receipt"):
        for plan, _ in drawn_plans(kind, 25):
            for name, head, value, piece in plan.cells:
                (row,) = [row for row in plan.rows if piece in row.pieces]
                assert name in [p.content.text for p in row.pieces[:2]] and head in plan.text
                assert value in re.sub(r",(?=\d{3})", "", piece.content.text)
                cells += 1
            for label, value in plan.sums:
                assert any(
                    row.text.startswith(label) and row.pieces[-1].content.amounts[-1].value == value
                    for row in plan.rows
                    if row.pieces[-1].content.amounts
                )
                sums += 1
    assert cells > 60 and sums > 5


def test_words_like_forbidden_ones_count_only_when_they_hold_one() -> None:
    hits = {text for text in (*content.NEAR_ZH, *content.NEAR_EN) if tasks.forbidden_words(text)}
    assert {"最佳拍档", "第一时间", "Best-seller", "No.1 pick"} <= hits
    assert not hits & {"便宜", "第二", "最新", "永远", "No.10", "bestow", "cheaper", "No. 1", "unguaranteed"}


@needs_fonts
def test_pages_larger_than_the_field_of_grain_can_be_drawn() -> None:
    from training.recipe import Wish, compose

    for width, height in ((1148, 1036), (84, 1120)):
        for seed in range(6):
            page = compose(Random(seed), width, height, Wish(decorated=True))
            assert page.image.shape == (height, width, 3)
    window = decorations._noise_window(Random(1), 1100, 20)
    assert np.array_equal(window[:, :76], window[:, 1024:])


def test_a_fold_changes_the_page_along_one_line_only() -> None:
    image = np.full((120, 90, 3), 200, np.uint8)
    decorations.crease(Random(2), image)
    rows, columns = (image != 200).any(axis=(1, 2)), (image != 200).any(axis=(0, 2))
    assert rows.all() != columns.all() and 4 < min(rows.sum(), columns.sum()) < 50


@needs_fonts
def test_what_must_stay_in_the_picture_is_in_it_and_around_the_shapes() -> None:
    for plan, page in drawn_plans("figures", 20):
        assert len(page.keep) >= 4 * len(plan.shapes) > 0
        assert all(-0.01 <= x <= 1.01 and -0.01 <= y <= 1.01 for x, y in page.keep)


@needs_fonts
def test_a_shapes_box_is_the_box_of_its_colour_on_the_page() -> None:
    from training import colours

    asked = 0
    for plan, page in drawn_plans("shapes", 240):
        for qa in page.qa:
            if qa.task != "box" or len(plan.shapes) != 1 or plan.rows or "panel" in page.decorations:
                continue  # a panel may have a colour near the shape's
            height, width = page.image.shape[:2]
            (one,) = plan.shapes
            near = np.array(
                [
                    [colours.nearest(tuple(int(v) for v in pixel)) == one.colour for pixel in row]
                    for row in page.image[::3, ::3]
                ]
            )
            ys, xs = np.nonzero(near[:, : width // 3])
            x1, y1, x2, y2 = (int(c) for c in re.findall(r"\d+", qa.answer))
            inside = (xs * 3000 / width >= x1 - 12) & (xs * 3000 / width <= x2 + 12)
            inside &= (ys * 3000 / height >= y1 - 12) & (ys * 3000 / height <= y2 + 12)
            assert inside.mean() > 0.9 and inside.sum() > 4
            asked += 1
    assert asked


@needs_fonts
def test_a_labels_field_stands_beside_its_name_or_right_below_it() -> None:
    below = beside = 0
    for plan, _ in drawn_plans("label", 120):
        lines = plan.text.split("\n")
        for _, name, value in plan.fields:
            row = next(k for k, line in enumerate(lines) if name in line and (value in line or lines[k + 1] == value))
            below += value not in lines[row]
            beside += value in lines[row]
    assert below > 10 and beside > 60


FORMS = ("form", "signed", "nameplate", "details", "card")


@needs_fonts
def test_a_value_stands_below_above_or_beside_its_own_label_nearer_than_any_other_labels() -> None:
    where = {"below": 0, "above": 0, "beside": 0}
    for kind in FORMS:
        for plan, page in drawn_plans(kind, 40, seed=8):
            labels = {piece.content.text.rstrip("：: "): piece for piece in plan.pieces}
            for _, name, value in plan.fields:
                piece, label = plan.value_pieces[name], labels[name]
                assert piece.content.text == value and piece is not label
                (x0, y0, x1, _), (a0, b0, a1, _) = piece.box, label.box
                beside = piece.baseline == label.baseline
                where["beside" if beside else "below" if y0 > b0 else "above"] += 1
                if beside:
                    (row,) = [row for row in plan.rows if piece in row.pieces]
                    assert row.pieces.index(piece) == row.pieces.index(label) + 1
                else:
                    assert min(x1, a1) > max(x0, a0), (kind, name, value)  # one over the other
                    lines = [row for row in plan.rows if piece in row.pieces or label in row.pieces]
                    assert abs(plan.rows.index(lines[0]) - plan.rows.index(lines[1])) == 1
            asked = [qa for qa in page.qa if qa.task == "field" and qa.answer not in ("not shown", "图中没有写明")]
            for qa in asked:
                values = {value for _, _, value in plan.fields} | set(plan.amounts)
                assert qa.answer in values, (qa, plan.fields)
    assert min(where.values()) > 60, where


@needs_fonts
def test_labels_of_a_form_are_often_of_one_sort_and_never_twice_the_same() -> None:
    several = 0
    for kind in FORMS:
        for plan, _ in drawn_plans(kind, 30, seed=2):
            names = [name for _, name, _ in plan.fields]
            assert len(names) == len(set(names))
            several += any([key for key, _, _ in plan.fields].count(key) > 1 for key in ("price", "date", "code"))
    assert several > 40


@needs_fonts
def test_lines_and_boxes_of_forms_cross_no_text() -> None:
    crossed = drawn = 0
    for kind in (*FORMS, "flyer"):
        for plan, _ in drawn_plans(kind, 30, seed=6):
            for (x0, y0, x1, y1), rule in plan.rules:
                assert x0 >= -3 and y0 >= 0 and x1 <= plan.width + 3 and y1 <= plan.height, (kind, rule)
                for a0, b0, a1, b1 in (piece.box for piece in plan.pieces):
                    if rule in ("line", "dots"):
                        crossed += a0 < x1 and a1 > x0 and b0 < y1 and b1 > y0
                    elif rule != "plate":  # inside, or outside of it
                        inside = a0 >= x0 and a1 <= x1 and b0 >= y0 and b1 <= y1
                        crossed += not inside and a0 < x1 and a1 > x0 and b0 < y1 and b1 > y0
                    drawn += 1
    assert drawn > 1000 and crossed < 0.01 * drawn, (crossed, drawn)


@needs_fonts
def test_what_costs_most_is_answered_by_its_name_and_the_largest_by_its_amount() -> None:
    named = priced = 0
    for kind in ("flyer", "menu", "receipt", "table"):
        for plan, page in drawn_plans(kind, 70, seed=9):
            for qa in page.qa:
                if qa.task != "field":
                    continue
                words = phrases.bare(qa.question)
                if any(words.endswith(phrases.bare(text)) for text in phrases.PHRASES["dearest"][qa.language][:-2]):
                    best = max(plan.items, key=lambda item: float(item[1]))
                    assert qa.answer == best[0] and sum(float(v) == float(best[1]) for _, v in plan.items) == 1
                    named += 1
                elif any(words.endswith(phrases.bare(text)) for text in phrases.PHRASES["largest"][qa.language][:-2]):
                    assert float(qa.answer) == max(float(value) for value in plan.amounts)
                    priced += 1
    assert named > 10 and priced > 8


def test_amounts_of_a_page_are_also_of_very_different_sizes_and_very_much_alike() -> None:
    from training.layouts.prices import pricer

    r, ratios = Random(4), []
    for _ in range(300):
        price = pricer(r)
        values = [float(price(("", "")).amounts[0].value) for _ in range(6)]
        assert all(value > 0 for value in values) or min(values) >= 0
        ratios.append(max(values) / max(0.01, min(values)))
    assert sum(ratio > 300 for ratio in ratios) > 40 and sum(ratio < 15 for ratio in ratios) > 30


@needs_fonts
def test_texts_that_are_asked_for_are_there_or_not_and_mostly_nearly_there() -> None:
    near = absent = present = 0
    for page in pages(
        "train", 220, seed=3, tasks=("yesno",), unreadable=False, kinds=("label", "form", "menu", "lines")
    ):
        for qa in page.qa:
            quoted = re.search(r"[“\"「'](.+)[”\"」']", qa.question)
            if qa.task != "yesno" or quoted is None or quoted.group(1) in ("最便宜", "第一"):
                continue
            text, word = page.plan.text.lower(), quoted.group(1).lower()
            if qa.answer in ("是", "yes"):
                assert word in text, qa
                present += 1
                continue
            absent += word not in text
            near += len(word) > 3 and any(word[:k] in text and word[k + 1 :] in text for k in range(len(word)))
    assert present > 60 and absent > 60 and near > 0.35 * absent, (present, absent, near)


def test_no_order_to_find_something_becomes_the_question_whether_it_is_there() -> None:
    r = Random(9)
    for name in ("field", "item_price", "box", "value_box", "cell"):
        asked = {phrases.phrase(r, name, "en", False) for _ in range(4000)}
        assert not [text for text in asked if re.match(r"(?i).*\b(can|could|would) you (find|spot|see)\b", text)], name
