"""The scoring rules: what counts as right, and what is tolerated."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from flashweb.evaluate import scoring
from flashweb.evaluate.scoring import Score, score, summarise


@pytest.mark.parametrize(
    ("answer", "truth", "right"),
    [
        ("128.50, 39.99, 168.49", "128.50, 39.99, 168.49", True),
        ("The amounts are ¥128.50, 39.99 and 168.49.", "128.50, 39.99, 168.49", True),
        ("1,299.00, 5", "1299.00, 5", True),
        ("12.5", "12.50", True),
        ("39.99, 128.50", "128.50, 39.99", False),
        ("5", "5, 5", False),
        ("5, 5, 5", "5, 5", False),
        ("no amounts", "没有金额", True),
        ("没有金额", "no amounts", True),
        ("", "no amounts", False),
        ("12", "no amounts", False),
        ("no amounts", "12", False),
    ],
)
def test_amounts_are_right_when_the_same_numbers_stand_in_the_same_order(answer: str, truth: str, right: bool) -> None:
    assert score("amounts", answer, truth).exact == float(right)


def test_a_thousands_separator_is_no_list_separator_but_a_comma_and_a_blank_is() -> None:
    assert [str(v) for v in scoring.amounts("12,800.00, 500, 1,000,000")] == ["12800.00", "500", "1000000"]


def test_reading_ignores_blanks_but_not_letters_or_lines() -> None:
    assert score("read", " 好  字 \n\nab ", "好 字\nab").exact == 1.0
    assert score("read", "好 字 ab", "好 字\nab").exact == 0.0
    assert score("read", "abcx", "abcd").measures["character_accuracy"] == 0.75
    assert score("read", "", "abcd").measures["character_accuracy"] == 0.0


@given(strategies.text(max_size=12), strategies.text(max_size=12))
def test_edit_distance_is_a_metric_bounded_by_the_longer_text(a: str, b: str) -> None:
    distance = scoring.edit_distance(a, b)
    assert distance == scoring.edit_distance(b, a)
    assert (distance == 0) == (a == b)
    assert abs(len(a) - len(b)) <= distance <= max(len(a), len(b))


def test_json_may_be_fenced_but_must_be_equal() -> None:
    truth = '{"contains_price": true, "contains_brand_logo": null, "forbidden_words": ["最便宜", "第一"]}'
    assert score("audit", "```json\n" + truth + "\n```", truth).exact == 1.0
    assert score("audit", truth.replace("true", "false"), truth).exact == 0.0
    assert score("audit", truth.replace('"最便宜", "第一"', '"第一", "最便宜"'), truth).exact == 0.0
    assert score("audit", "yes", truth).exact == 0.0


def test_boxes_need_overlap_above_one_half_each_and_the_right_number() -> None:
    truth = "9.90 [100,100,200,200]\n5 [300,300,400,400]"
    assert score("box", "[[110,100,200,200],[300,300,400,390]]", truth).exact == 1.0
    assert score("box", "[100,100,200,200]", truth).exact == 0.0
    assert score("box", "[100,100,150,200],[300,300,400,400]", truth).exact == 0.0  # IoU exactly 0.5
    assert score("box", "nowhere", truth) == Score(0.0, {"iou": 0.0})
    assert scoring.iou((0, 0, 10, 10), (20, 20, 30, 30)) == 0.0


@pytest.mark.parametrize(
    ("answer", "truth", "right"),
    [("Yes, there is.", "是", 1.0), ("没有", "no", 1.0), ("有", "否", 0.0), ("maybe", "no", 0.0)],
)
def test_yes_and_no_are_taken_from_the_first_word(answer: str, truth: str, right: float) -> None:
    assert score("yesno", answer, truth).exact == right


def test_short_answers_may_differ_in_case_and_full_stop_only() -> None:
    assert score("field", "Best Before.", "best before").exact == 1.0
    assert score("field", "It is 5", "5").exact == 0.0


def test_a_summary_gives_means_by_set() -> None:
    table = summarise([("a", Score(1.0, {"iou": 0.9})), ("a", Score(0.0, {"iou": 0.1})), ("b", Score(1.0))])
    assert table == {"a": {"count": 2.0, "exact": 0.5, "iou": 0.5}, "b": {"count": 1.0, "exact": 1.0}}
