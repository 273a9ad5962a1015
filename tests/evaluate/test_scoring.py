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


# --- business scenes -------------------------------------------------------------------------------------------------

MARKED = (
    '{"work": ["Q1 1+2=3；3 √", "Q2 7×8=56；54 X"], "Q2": {"error_type": "计算错误", "location": "7×8=54", '
    '"suggestion": "7×8=56", "box": [100,200,400,300]}, "summary": {"right": 1, "all": 2}}'
)
MARKED_TEXT = "Q1 1+2=3；3 √\nQ2 7×8=56；54 X 计算错误 [100,200,400,300]\n2题对1题，错：Q2"


@pytest.mark.parametrize(
    ("change", "right"),
    [
        (("", ""), True),
        (("100,200,400,300", "110,205,390,300"), True),
        (('"location": "7×8=54"', '"location": "第二行"'), True),
        (('"suggestion": "7×8=56"', '"suggestion": "再算一次"'), True),
        (('"work": ["Q1 1+2=3；3 √", "Q2 7×8=56；54 X"], ', ""), True),
        (("100,200,400,300", "500,200,800,300"), False),
        (("计算错误", "进位错误"), False),
        (('"Q2": {', '"Q1": {'), False),
        (('"right": 1', '"right": 2'), False),
    ],
)
def test_a_marked_worksheet_is_judged_by_all_but_free_text_and_work(change: tuple[str, str], right: bool) -> None:
    assert score("marking", MARKED.replace(*change), MARKED).exact == float(right)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (MARKED_TEXT, True),
        (MARKED_TEXT.replace("[100,200,400,300]", "[105, 200, 400, 300]"), True),
        (MARKED_TEXT.replace(" [100,200,400,300]", ""), False),
        (MARKED_TEXT.replace("计算错误", "退位错误"), False),
        (MARKED_TEXT.replace("3 √", "3 X 计算错误"), False),
        (MARKED_TEXT.replace("2题对1题", "2题对2题"), False),
        (MARKED, False),
        ("", False),
    ],
)
def test_a_worksheet_marked_in_text_is_judged_line_by_line(answer: str, right: bool) -> None:
    assert score("marking", answer, MARKED_TEXT).exact == float(right)
    assert score("marking", "", "Q1 1+2=3；3 √").exact == 0.0


CONTRACT = (
    '{"work": ["1230.00", "1280.00"], "party_a_signature": "missing", "party_b_seal": "legible", '
    '"amounts_agree": false, "forbidden_clauses": ["定金概不退还"], "issues": ["甲方签字栏为空"]}'
)


@pytest.mark.parametrize(
    ("change", "right"),
    [
        (("", ""), True),
        (('"issues": ["甲方签字栏为空"]', '"issues": []'), True),
        (('"work": ["1230.00", "1280.00"], ', ""), True),
        (("missing", "unclear"), False),
        (("false", "null"), False),
        (('["定金概不退还"]', "[]"), False),
        (('"issues"', '"comment": "x", "issues"'), False),
        (('"amounts_agree": false, ', ""), False),
    ],
)
def test_a_reviewed_contract_is_judged_by_all_keys_but_issues_and_work(change: tuple[str, str], right: bool) -> None:
    assert score("contract", CONTRACT.replace(*change), CONTRACT).exact == float(right)


def test_a_contract_reviewed_in_text_is_judged_by_its_points() -> None:
    truth = "大写1.00，小写1.00\n1) 甲方签字栏为空：否\n2) 乙方公章模糊不可辨：是\n"
    truth += "3) 金额大写与小写不一致：否\n4) 违规表述：无"
    assert score("contract", truth, truth).exact == 1.0
    assert score("contract", truth.replace("大写1.00", "大写2.00"), truth).exact == 1.0
    assert score("contract", truth.replace("不可辨：是", "不可辨：否"), truth).measures["keys"] == 0.75
    assert score("contract", "\n".join(truth.splitlines()[:-1]), truth).exact == 0.0
    assert score("contract", "已签字。", "已签字").exact == 1.0


def test_an_inspection_is_judged_by_defects_in_any_order_and_severity() -> None:
    truth = '{"defects": ["裂纹", "划痕"], "severity": "high", "suggestion": "报废"}'
    assert score("inspection", truth.replace("报废", "返修"), truth).exact == 1.0
    assert score("inspection", truth.replace('"裂纹", "划痕"', '"划痕", "裂纹"'), truth).exact == 1.0
    assert score("inspection", truth.replace("high", "low"), truth) == Score(0.0, {"defects": 1.0})
    assert score("inspection", truth.replace(', "划痕"', ""), truth) == Score(0.0, {"defects": 0.0})
    assert score("inspection", "没有", truth).exact == 0.0
    assert score("inspection", "划痕、裂纹", "裂纹、划痕").exact == 1.0
    assert score("inspection", "裂纹", "裂纹、划痕").exact == 0.0


@pytest.mark.parametrize(
    ("answer", "truth", "right"),
    [
        ("3", "3", 1),
        ("3个", "3", 1),
        ("There are three.", "3", 1),
        ("三个", "3", 1),
        ("3 or 4", "3", 0),
        ("", "3", 0),
        ("13", "3", 0),
        ("[10,20,30,40], [50,20,70,40]: 2", "2", 1),  # what is counted may be shown
        ("[10,20,30,40], [50,20,70,40]: 2", "[10,20,30,40], [50,20,70,40], [5,2,7,4]: 3", 0),
        ("stars [10,20,30,40]: 1\nrings 0\nstars", "stars", 1),
        ("stars [10,20,30,40]: 1\nrings 0\nstars", "the same", 0),
        ("1", "一样多", 0),
    ],
)
def test_a_count_may_be_said_in_digits_or_words(answer: str, truth: str, right: int) -> None:
    assert score("count", answer, truth).exact == right


@pytest.mark.parametrize(
    ("task", "answer", "truth", "right"),
    [
        ("colour", "红色", "红色", 1),
        ("colour", "The circle is red.", "red", 0),  # names a shape that was not asked for
        ("colour", "It is red.", "red", 1),
        ("colour", "grey", "gray", 1),
        ("colour", "red or blue", "red", 0),
        ("colour", "鲜牛奶", "鲜牛奶", 1),
        ("colour", "red wine", "red wine", 1),
        ("colour", "red", "red wine", 0),
        ("position", "a red cross", "red cross", 1),
        ("position", "红色的十字", "红色十字", 1),
        ("position", "2 red crosses", "红色十字", 1),
        ("position", "blue cross", "red cross", 0),
        ("position", "", "red cross", 0),
    ],
)
def test_a_colour_or_a_shape_is_right_by_its_names(task: str, answer: str, truth: str, right: int) -> None:
    assert score(task, answer, truth).exact == right


@pytest.mark.parametrize(
    ("answer", "truth", "right"),
    [
        ("¥12.50", "12.50", 1),
        ("12.5 元", "12.50", 1),
        ("12.50 apples", "12.50", 0),
        ("13", "12.50", 0),
        ("¥12.50", "¥12.50", 1),
        ("12.50", "$12.50", 1),
        ("2026-01-02", "2026-01-02", 1),
    ],
)
def test_an_amount_as_a_fields_value_may_keep_its_sign(answer: str, truth: str, right: int) -> None:
    assert score("field", answer, truth).exact == right


# --- conversations ---------------------------------------------------------------------------------------------------


def test_a_thought_before_the_answer_does_not_count() -> None:
    assert scoring.thought_and_answer("<think>look</think>\n5") == ("look", "5")
    assert scoring.thought_and_answer("look</think>\n5") == ("look", "5")
    assert scoring.thought_and_answer("5") == ("", "5")
    assert score("total", "<think>1 and 2, so 2</think>\n2", "2").exact == 1.0


CALL = (
    '<tool_call>save\n<arg_key>amounts</arg_key>\n<arg_value>["1.5", "2"]</arg_value>\n'
    "<arg_key>day</arg_key>\n<arg_value>周一</arg_value>\n</tool_call>"
)


@pytest.mark.parametrize(
    ("change", "right"),
    [
        (("", ""), True),
        (('["1.5", "2"]', '["1.5","2"]'), True),
        (("save", "store"), False),
        (('"2"', '"3"'), False),
        (("周一", "周二"), False),
        (("day", "date"), False),
    ],
)
def test_a_tool_call_is_judged_by_name_and_arguments(change: tuple[str, str], right: bool) -> None:
    assert score("tool", CALL.replace(*change), CALL) == Score(float(right), {"decision": 1.0})


def test_a_call_where_none_is_due_is_wrong_and_the_other_way_round() -> None:
    assert score("tool", CALL, "没有金额") == Score(0.0, {"decision": 0.0})
    assert score("tool", "没有金额", CALL) == Score(0.0, {"decision": 0.0})
    assert score("tool", "没有金额。", "没有金额") == Score(1.0, {"decision": 1.0})
    assert score("tool", "saved", "stored") == Score(0.0, {"decision": 1.0})


def test_json_on_request_is_judged_by_its_values() -> None:
    assert score("json", '{"b":null,"a":["1"]}', '{"a": ["1"], "b": null}') == Score(1.0, {"valid": 1.0})
    assert score("json", '{"a": []}', '{"a": ["1"]}') == Score(0.0, {"valid": 1.0})
    assert score("json", "none", '{"a": 1}') == Score(0.0, {"valid": 0.0})


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("我认不出这张照片。", True),
        ("图中没有人物，我只能读出文字。", True),
        ("I cannot recognise that.", False),  # not the language of the question
        ("一只猫", False),
        ("", False),
    ],
)
def test_a_refusal_says_so_in_the_language_of_the_question(answer: str, right: bool) -> None:
    assert score("refuse", answer, "其他内容我认不出。").exact == float(right)


def test_a_source_prompt_may_word_its_suggestion_freely_but_not_its_findings() -> None:
    truth = '{"defects": [], "severity": "none", "suggestion": "无法检查"}'
    assert score("prompt", truth.replace("无法检查", "没有工件"), truth).exact == 1.0
    assert score("prompt", truth.replace("none", "high"), truth).exact == 0.0
    assert score("prompt", "{}", truth).exact == 0.0
    read = "一二三四五六七八九十\n" * 4 + "我还不会翻译，以上是原文。"
    assert score("prompt", read.replace("五", "五", 1).replace("三", "王", 1), read).exact == 1.0
    assert score("prompt", read.replace("一二三四", "天地玄黄"), read).exact == 0.0
    assert score("prompt", "这张图不是作业", "这张图不是作业。").exact == 1.0


def test_an_answer_under_a_rule_is_the_form_that_the_rule_wants() -> None:
    assert score("rule", "1.5\n2", "1.5\n2").exact == 1.0
    assert score("rule", "1.5, 2", "1.5\n2").exact == 0.0
    assert score("rule", '{"answer":"2"}', '{"answer": "2"}').exact == 1.0


def test_a_measure_that_only_some_answers_have_is_their_mean() -> None:
    table = summarise([("a", Score(1.0)), ("a", Score(0.0, {"x": 0.5})), ("a", Score(1.0, {"x": 1.0}))])
    assert table["a"]["x"] == 0.75 and table["a"]["count"] == 3
