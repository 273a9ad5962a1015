"""Clips for training: the server's own prompt, answers true of what is drawn, pictures that one camera sees."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from flashweb.evaluate import load_folder
from flashweb.evaluate.scoring import score
from flashweb.media.frame_sampling import ClipTimes, patch_times, rule_of, sample_frames, time_text
from flashweb.prompt import PromptProcessor
from flashweb.types import Chat, ClipLayout, Grid, Message, TextPart, VideoPart
from training import clip_frames, clip_phrases, clips, fonts, heldout_clips
from training.batches import Budget
from training.charset import CHARSET
from training.clip_frames import Board, Thing
from training.clip_phrases import CLIPS
from training.conversations import Conversations, Talk
from training.encoding import Clip, Encoder, Turn, encode_conversation, second_text
from training.page import Page
from training.phrases import NUM_HELDOUT, bare

MODEL = Path(__file__).parents[2] / "src" / "flashweb" / "models" / "flashweb-nano"
ENCODER = Encoder()
needs_fonts = pytest.mark.skipif(
    not (fonts.pack_folder() / "words.json").is_file() or not (fonts.pack_folder() / "fonts.json").is_file(),
    reason="no font pack: make one with `python -m training.fonts` and `python -m training.words`",
)


@pytest.fixture(scope="module")
def processor() -> PromptProcessor:
    return PromptProcessor(MODEL)


def thing(text: str, first: int, last: int, *amounts: str) -> Thing:
    return Thing(first, last, text, text, text, amounts)


def board() -> Board:
    """An amount from second 20 to 28, a word from 28 on."""
    things = [thing("¥8.50", 2, 3, "8.50"), thing("再见", 3, 4)]
    return Board((0.0, 9.5, 20.0, 28.0, 41.0), "zh", things)


# --- the prompt ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thinking", [False, True])
def test_a_clip_has_the_tokens_of_the_servers_own_prompt(processor: PromptProcessor, thinking: bool) -> None:
    seconds = (0.0, 1.0, 7.5, 22.3)
    for parts in ((Clip((0, 1, 2, 3), seconds), "which?"), ("第几秒？", Clip((0, 1, 2, 3), seconds))):
        row = encode_conversation(ENCODER, [Turn("", "7.5 s", parts=parts)], [6] * 4, thinking=thinking)
        served = tuple(VideoPart(data=b"") if isinstance(part, Clip) else TextPart(part) for part in parts)
        layout = ClipLayout(Grid(1, 4, 6), seconds)
        ids = processor.token_ids(Chat((Message("user", served),), thinking), [], [layout])
        assert row.ids[: len(ids)] == ids and row.learnt[0] == len(ids)
        assert row.ids[len(ids) :][-1] == ENCODER.special["<|user|>"]
        starts = [first for first, _ in row.pictures]
        assert [ids[first - 1] for first in starts] == [ENCODER.special["<|begin_of_image|>"]] * 4


def test_a_second_is_written_as_the_bundled_models_rule_writes_it() -> None:
    for seconds in (0.0, 1.0, 3.3, 7.5, 119.0):
        assert second_text(seconds) == time_text(seconds, rule_of(MODEL))


@pytest.mark.parametrize(("seconds", "pictures"), [(8, 4), (12, 2), (30, 8), (31, 3), (60, 8), (120, 8), (119, 7)])
def test_seconds_of_a_sampled_clip_are_those_that_the_server_takes(seconds: int, pictures: int) -> None:
    clip = ClipTimes(30 * seconds, 30.0, float(seconds))
    served = patch_times(clip, sample_frames(clip, "glm46v", 2 * pictures))
    # The server takes the first frame that is not before a time, so one of a thirtieth of a second later may be it.
    assert clip_frames.sampled(seconds, pictures) == pytest.approx(served, abs=1 / 30 + 0.05)


# --- questions -------------------------------------------------------------------------------------------------------


def test_phrasings_are_different_ones_of_the_charset_and_two_of_each_are_held_out() -> None:
    for name, by in CLIPS.items():
        for language, known in by.items():
            assert len({bare(text) for text in known}) == len(known) >= NUM_HELDOUT + 12, (name, language)
            assert set("".join(known)) <= set(CHARSET), name
            assert len({text.count("{0}") for text in known}) == 1, (name, language)


def test_held_out_phrasings_are_never_asked_in_training_not_even_varied() -> None:
    r = Random(1)
    for name, by in CLIPS.items():
        for language, known in by.items():
            kept = known[-NUM_HELDOUT:]
            assert {clip_phrases.say(r, name, language, True) for _ in range(40)} == set(kept), name
            asked = {bare(clip_phrases.say(r, name, language, False)) for _ in range(150)}
            assert not asked & {bare(text) for text in kept}, name


def test_answers_are_those_of_the_seconds_at_which_things_are_shown() -> None:
    said: dict[tuple[str, str], set[str]] = {}
    for seed in range(300):
        for language in ("zh", "en"):
            showing = clips.Showing(Random(seed), board(), language, True)
            qa = clips.question(showing)
            name = next(
                name
                for name, by in CLIPS.items()
                for text in by[language]
                if re.fullmatch(re.escape(text).replace(r"\{0\}", ".+"), qa.question, re.IGNORECASE)
            ) if qa.task != "amounts" else "amounts"  # fmt: skip
            said.setdefault((name, language), set()).add(qa.answer)
    assert said["when", "zh"] == {"第20秒", "第28秒", "没有出现"}
    assert said["when", "en"] == {"20 s", "28 s", "it does not appear"}
    assert said["range", "zh"] == {"第20到28秒", "第28到41秒", "没有出现"}
    assert said["range", "en"] == {"20 to 28 s", "28 to 41 s", "it does not appear"}
    assert said["gone", "en"] == {"41 s", "it stays to the end"}
    assert said["amount_when", "en"] == {"20 to 28 s"} and said["amount_when", "zh"] == {"第20到28秒"}
    assert said["at", "zh"] == {"没有文字", "¥8.50", "¥8.50\n再见", "再见"}
    assert said["amounts", "en"] == {"8.50", "no amounts"}  # of the clip, or at a second without any
    assert said["count", "en"] == {"1"} and said["has", "zh"] == {"是"}
    assert said["describe", "zh"] == {"0秒：空白；20秒：¥8.50；28秒：¥8.50，再见；41秒：再见"}


def test_a_text_is_looked_for_with_and_without_quotes_and_a_shape_without_any() -> None:
    shown = thing("¥8.50", 1, 2)
    for language, opening in (("zh", "“"), ("en", '"')):
        asked = [clips.Showing(Random(seed), board(), language, False).called(shown) for seed in range(99)]
        assert {name.strip('“”"') for name in asked} == {"¥8.50"}
        assert 45 < sum(name.startswith(opening) for name in asked) < 75
        assert clips.Showing(Random(0), board(), language, True).called(shown).startswith(opening)  # held out
    circle = Thing(1, 3, "红色圆形", "red circle", quoted=False, shape=("circle", "red"))
    assert clips.Showing(Random(0), board(), "en", False).called(circle) == "the red circle"


def test_what_a_name_can_be_asked_for_is_there_once() -> None:
    twice = Board((0.0, 1.0, 2.0), "en", [thing("tea", 0, 0), thing("green tea", 1, 1), thing("tea", 2, 2)])
    names = [clips.Showing(Random(seed), twice, "en", False).named() for seed in range(20)]
    assert {one.text for one in names if one is not None} == {"green tea"}
    only = Board((0.0, 1.0), "en", [thing("tea", 0, 0), thing("tea", 1, 1)])
    assert clips.Showing(Random(0), only, "en", False).named() is None


# --- drawn -----------------------------------------------------------------------------------------------------------


def drawn(count: int, split: str = "train") -> list[tuple[list[Page], Talk]]:
    drawer, found = Conversations(Random(7), Budget(), split), []
    while len(found) < count:
        one = drawer.talk("clip")
        if one is not None:
            found.append(one)
    return found


@needs_fonts
def test_drawn_clips_have_the_servers_tokens_and_keep_to_their_budget(processor: PromptProcessor) -> None:
    for split in ("train", "unseen_all"):
        for pages, talk in drawn(12, split):
            height, width = pages[0].image.shape[:2]
            assert {page.image.shape for page in pages} == {(height, width, 3)} and 2 <= len(pages) <= 8
            frames = 2 * len(pages)  # the server leaves a clip of this size as it is
            assert processor.video_geometry.target_size(height, width, num_frames=frames) == (height, width)
            sizes = [height // 28 * (width // 28)] * len(pages)
            row = encode_conversation(ENCODER, talk.turns, sizes)
            assert sum(sizes) <= clips.MOST_TOKENS and len(row.ids) <= Budget().max_row and len(row.learnt) <= 400
            clip = next(part for part in talk.turns[0].content if isinstance(part, Clip))
            parts = tuple(
                VideoPart(data=b"") if isinstance(part, Clip) else TextPart(str(part)) for part in talk.turns[0].content
            )
            layout = ClipLayout(Grid(1, height // 14, width // 14), clip.seconds)
            ids = processor.token_ids(Chat((Message("user", parts),)), [], [layout])
            assert row.ids[: len(ids)] == ids
            written = "".join(turn.answer + turn.thought + turn.question for turn in talk.turns)
            assert set(written) <= set(CHARSET)
            assert all(score(qa.task, qa.answer, qa.answer).exact == 1.0 for qa in talk.asked)


@needs_fonts
def test_a_picture_differs_from_the_one_before_where_the_board_says_so() -> None:
    r, changed = Random(2), 0
    for _ in range(25):
        made, pages = clip_frames.random_clip(r, 280, 224, 5, "train")
        for k in range(1, 5):
            before, now = pages[k - 1], pages[k]
            halves = [[one.half(at) for one in made.at(at)] for at in (k - 1, k)]
            if made.at(k) != made.at(k - 1):
                changed += 1
                assert not np.array_equal(before.image, now.image)
            elif made.at(k) and halves[0] == halves[1]:
                assert np.array_equal(before.image, now.image)
            assert bool(now.glyphs) == bool(made.text(k))
    assert changed > 25


@needs_fonts
def test_what_comes_or_goes_between_a_pictures_two_frames_is_drawn_half() -> None:
    stage = clip_frames.Stage(Random(4), 280, 224, "en", "train")
    circle = Thing(1, 3, "红色圆形", "red circle", quoted=False, shape=("circle", "red"), begins=True, ends=True)
    made = Board((0.0, 1.0, 2.0, 3.0), "en", stage.place([circle], 1))
    pages = [stage.picture(made, k) for k in range(4)]
    without, half, whole, again = (page.image.astype(int) for page in pages)
    assert np.array_equal(half, (without + whole) // 2) and np.array_equal(half, again)
    assert np.abs(whole - without).max() > 60
    assert [{sight.word for sight in page.sights} for page in pages] == [{"无"}, {"圆"}, {"圆", "红"}, {"圆"}]


@needs_fonts
def test_a_clip_is_seen_by_one_camera_mostly_and_all_of_it_stays_legible() -> None:
    r, alike = Random(3), 0
    found = drawn(30)
    for pages, talk in found:
        seen = clips.looks(r, pages, 1.0, talk.asked)
        alike += all(look is seen[0] for look in seen)
        for page, (_, forward) in zip(pages, seen, strict=True):
            height, width = page.image.shape[:2]
            for glyph in page.glyphs:
                x, y, w = forward @ (glyph.x, glyph.y, 1.0)
                assert 0 <= x / w <= width and 0 <= y / w <= height
    assert len(found) * 0.75 < alike <= len(found)


def test_a_budget_too_small_for_a_clip_has_none() -> None:
    assert clips.draw(Random(0), Budget(visual=64, max_side=6, max_area=32, max_row=200), "train") is None


@needs_fonts
def test_held_out_clips_are_cases_that_can_be_asked(tmp_path: Path, processor: PromptProcessor) -> None:
    size = heldout_clips.write(tmp_path, 6)
    cases = load_folder(tmp_path)
    assert len(cases) == 6 and size == sum(path.stat().st_size for path in tmp_path.glob("*.webp"))
    for case, (made, pages, talk) in zip(cases, heldout_clips.sample(6), strict=True):
        assert case.seconds == made.seconds and len(case.shown) == len(pages)
        assert all(
            np.array_equal(np.asarray(Image.open(path)), page.image)
            for path, page in zip(case.shown, pages, strict=True)
        )
        chat = case.chat()
        assert len(chat.videos) == 1 and not chat.images and case.score(case.answer).exact == 1.0
        height, width = pages[0].image.shape[:2]
        layout = ClipLayout(Grid(1, height // 14, width // 14), case.seconds)
        ids = processor.token_ids(chat, [], [layout])
        row = encode_conversation(ENCODER, talk.turns, [layout.grid.num_tokens] * len(pages))
        assert row.ids[: len(ids)] == ids
