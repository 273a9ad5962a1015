"""Answers as JSON: facts under keys that the question names, in the form and spacing that the question shows.

A request names its keys in a list, as an example, or as a JSON Schema; compact examples get compact answers, indented
ones indented answers, everything else `json.dumps`'s own spacing. What a page does not show is null, [] or false.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from training import content, facts
from training.layouts.plan import Plan
from training.phrases import NUM_HELDOUT
from training.tasks import forbidden_words


@dataclass(frozen=True, slots=True)
class Field:
    """A key by its Chinese and English names, what it means in words, its JSON type, and its value on a page."""

    zh: tuple[str, ...]
    en: tuple[str, ...]
    meaning: tuple[str, str]
    type: str  # "string", "string?", "integer", "boolean", "strings", "items", "shapes"
    value: Callable[[Plan, bool], Any]
    fits: Callable[[Plan], bool] = lambda plan: True


def _short(plan: Plan, zh: bool) -> str:
    """小票, receipt: the kind without its article."""
    name = facts.kind_name(plan, zh)
    if zh:
        return name.removeprefix("一张").removeprefix("一段").removeprefix("几行").removeprefix("几个")
    return name.removeprefix("an ").removeprefix("a ").removeprefix("some ")


def _printed(key: str) -> Callable[[Plan, bool], Any]:
    return lambda plan, zh: facts.field(plan, key)


def _is_label(plan: Plan) -> bool:
    return plan.kind == "label"


FIELDS: dict[str, Field] = {
    "amounts": Field(("金额", "所有金额", "金额列表"), ("amounts", "prices", "all_amounts"), ("所有金额", "all amounts in order"),
                     "strings", lambda plan, zh: plan.amounts, lambda plan: len(plan.amounts) <= 12),
    "total": Field(("合计", "总金额", "总计"), ("total", "total_amount", "sum_total"), ("合计金额", "the total"), "string?",
                   lambda plan, zh: plan.total, lambda plan: plan.kind not in ("ticket", "coupon", "statement")),
    "largest": Field(("最大金额", "最高金额"), ("largest", "max_amount", "highest_price"), ("最大的金额", "the largest amount"),
                     "string?", lambda plan, zh: facts.largest(plan) if plan.amounts else None,
                     lambda plan: len(plan.amounts) <= 8),
    "count": Field(("金额个数", "金额数量"), ("amount_count", "num_amounts", "price_count"), ("金额的个数", "how many amounts"),
                   "integer", lambda plan, zh: len(plan.amounts), lambda plan: len(plan.amounts) <= 8),
    "expiry": Field(("保质期", "到期日", "有效期"), ("expiry", "expiry_date", "best_before"), ("保质期", "the expiry date"), "string?",
                    lambda plan, zh: facts.field(plan, "expiry", "life"), _is_label),
    "made": Field(("生产日期",), ("made_on", "production_date"), ("生产日期", "date of production"), "string?", _printed("made"), _is_label),
    "net": Field(("净含量",), ("net_weight", "net_content"), ("净含量", "net content"), "string?", _printed("net"), _is_label),
    "origin": Field(("产地",), ("origin",), ("产地", "where it comes from"), "string?", _printed("origin"), _is_label),
    "model": Field(("型号",), ("model", "model_number"), ("型号", "the model"), "string?", _printed("model"), _is_label),
    "brand": Field(("品牌", "品牌标志"), ("brand", "logo", "brand_mark"), ("品牌标志", "the brand mark"), "string?",
                   lambda plan, zh: plan.brand, lambda plan: plan.kind in ("label", "poster", "price_tag", "receipt")),
    "kind": Field(("类型", "种类"), ("kind", "type", "page_type"), ("图片类型", "what kind of page"), "string", _short),
    "has_price": Field(("有价格", "是否有价格", "含价格"), ("has_price", "contains_price", "price_visible"),
                       ("是否有价格", "whether a price is shown"), "boolean", lambda plan, zh: bool(plan.amounts)),
    "has_text": Field(("有文字", "是否有文字"), ("has_text", "contains_text"), ("是否有文字", "whether there is text"), "boolean",
                      lambda plan, zh: bool(plan.rows)),
    "title": Field(("标题", "抬头"), ("title", "heading"), ("标题", "the heading"), "string?", lambda plan, zh: plan.caption or None,
                   lambda plan: plan.kind in ("receipt", "menu", "label", "price_tag")),
    "items": Field(("商品", "明细", "项目"), ("items", "products", "entries"), ("商品和价格", "what is sold, with prices"), "items",
                   lambda plan, zh: plan.items, lambda plan: 0 < len(plan.items) <= 6),
    "forbidden": Field(("违禁词", "违禁词列表"), ("forbidden_words", "banned_words"), ("违禁广告词", "forbidden advertising words"),
                       "strings", lambda plan, zh: forbidden_words(plan.text), lambda plan: plan.kind in ("poster", "label")),
    "lines": Field(("各行文字", "文字行"), ("lines", "text_lines"), ("每行文字", "the text, line by line"), "strings",
                   lambda plan, zh: [row.text for row in plan.rows], lambda plan: len(plan.text) <= 140),
    "text": Field(("文字", "全文"), ("text", "full_text"), ("全部文字", "all the text"), "string",
                  lambda plan, zh: plan.text, lambda plan: 0 < len(plan.text) <= 120),
    "shapes": Field(("图形",), ("shapes",), ("图形的颜色和数量", "the shapes with colour and count"), "shapes",
                    lambda plan, zh: plan.shapes, lambda plan: 0 < len(facts.shape_counts(plan)) <= 5),
    "shape_count": Field(("图形个数", "图形数量"), ("shape_count", "num_shapes"), ("图形的个数", "how many shapes"), "integer",
                         lambda plan, zh: len(plan.shapes), lambda plan: bool(plan.shapes)),
}  # fmt: skip

RECEIPT = 0.12  # of the requests have the shape of the receipt scene
_INNER = {
    ("items", True): (("名称", "价格"), ("品名", "金额"), ("name", "price")),
    ("items", False): (("name", "price"), ("item", "amount"), ("product", "price")),
    ("shapes", True): (("形状", "颜色", "数量"), ("shape", "color", "count")),
    ("shapes", False): (("shape", "color", "count"), ("name", "colour", "number")),
}

ASK = {  # {} holds the keys, or the form; the last two of each are held out
    "keys": {
        "zh": ["用JSON回答，字段：{}", "请以JSON格式返回，包含字段 {}", "仅输出JSON，字段为{}", "提取信息，返回JSON，键为{}",
               "把图中的信息整理成JSON，字段有{}", "只输出JSON对象，键：{}", "请给出JSON，要有这些键：{}", "返回一个JSON，字段依次为{}"],
        "en": ["Answer as JSON with the fields {}.", "Return JSON with the keys {}.", "JSON only, fields: {}",
               "Extract as JSON: {}", "Give me a JSON object with {}.", "Output a JSON object with the keys {}.",
               "As JSON, please, with these fields: {}", "Reply with JSON holding {}."],
    },
    "form": {
        "zh": ["请严格按以下JSON格式输出:{}. 只输出JSON,不要任何解释。", "请用 JSON 格式返回,字段为:{}.", "按这个格式返回JSON：{}",
               "输出格式：{}", "照此格式填写：{}", "请按如下结构输出：{}"],
        "en": ["Answer exactly in this JSON format: {}", "Return JSON like this: {}", "Use this form: {}",
               "Output format: {}", "Fill in this JSON: {}", "Reply in this shape: {}"],
    },
    "schema": {
        "zh": ["按照这个JSON Schema回答：{}", "输出要符合以下JSON Schema：{}", "JSON Schema：{}", "请返回符合此模式的JSON：{}",
               "按以下模式输出：{}", "结果须满足该JSON Schema：{}"],
        "en": ["Answer with JSON for this JSON Schema: {}", "The output must match this JSON schema: {}", "JSON Schema: {}",
               "Return JSON that is valid against {}", "Conform to this schema: {}", "Follow this JSON Schema: {}"],
    },
    "plain": {
        "zh": ["提取图中信息", "请提取信息", "看图回答", "读取这张图", "请处理这张图", "分析图片"],
        "en": ["Extract the information.", "Read this picture.", "Extract it.", "Process this image.", "Here is the page.",
               "What does it hold?"],
    },
}  # fmt: skip
HINTS = {
    "compact": {"zh": ("紧凑的一行", "不要空格"), "en": ("compact, on one line", "without spaces")},
    "indent": {"zh": ("缩进两格", "分行缩进"), "en": ("indented", "pretty-printed")},
}


def dump(value: Any, style: str) -> str:
    """JSON in one of the styles compact, spaced, indent; non-ASCII kept."""
    if style == "compact":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value, ensure_ascii=False, indent=2 if style == "indent" else None)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: key names with their fields, inner keys of lists of objects, an outer key or ""."""

    language: str
    keys: tuple[tuple[str, str], ...]  # (key, name in FIELDS)
    inner: dict[str, tuple[str, ...]]
    outer: str

    def value(self, plan: Plan | None) -> dict[str, Any]:
        """The true object; a picture without anything to read (None) has nulls, empty lists, 0 and false."""
        values = {key: self._one(FIELDS[name], name, plan) for key, name in self.keys}
        return {self.outer: values} if self.outer else values

    def _one(self, field: Field, name: str, plan: Plan | None) -> Any:
        if plan is None:
            empty: dict[str, Any] = {
                "boolean": False,
                "integer": 0,
                "strings": [],
                "items": [],
                "shapes": [],
                "string": "",
            }
            return empty.get(field.type)
        value = field.value(plan, self.language == "zh")
        if field.type == "items":
            return [dict(zip(self.inner[name], item, strict=True)) for item in value]
        if field.type == "shapes":
            return [
                dict(zip(self.inner[name], (self._shape(shape), self._colour(colour), count), strict=True))
                for (shape, colour), count in sorted(facts.shape_counts(plan).items(), key=_place)
            ]
        return value

    def _shape(self, name: str) -> str:
        return content.SHAPES[name] if self.language == "zh" else name

    def _colour(self, name: str) -> str:
        return content.COLOURS[name][0] if self.language == "zh" else name

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        properties = {key: self._property(FIELDS[name], name) for key, name in self.keys}
        schema = _object(properties)
        return _object({self.outer: schema}) if self.outer else schema

    def _property(self, field: Field, name: str) -> dict[str, Any]:
        simple: dict[str, dict[str, Any]] = {"string": {"type": "string"}, "string?": {"type": ["string", "null"]}, "integer": {"type": "integer"},
                  "boolean": {"type": "boolean"}, "strings": {"type": "array", "items": {"type": "string"}}}  # fmt: skip
        if field.type in simple:
            return simple[field.type]
        kinds = [{"type": "string"}] * 2 + [{"type": "integer"}]
        return {"type": "array", "items": _object(dict(zip(self.inner[name], kinds, strict=False)))}

    def form(self) -> dict[str, Any]:
        """An example object whose values are words for types."""
        words: dict[str, Any] = {
            "string": "string",
            "string?": "string or null",
            "integer": 0,
            "boolean": True,
            "strings": ["string"],
        }
        values = {
            key: words[FIELDS[name].type]
            if FIELDS[name].type in words
            else [{inner: ("string", "string", 0)[i] for i, inner in enumerate(self.inner[name])}]
            for key, name in self.keys
        }
        return {self.outer: values} if self.outer else values


def _place(entry: tuple[tuple[str, str], int]) -> tuple[int, int]:
    """Shapes in the order of `content.SHAPES`, then of `content.COLOURS`, as in `tasks.shape_list`."""
    (shape, colour), _ = entry
    return tuple(content.SHAPES).index(shape), tuple(content.COLOURS).index(colour)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def request(r: Random, plan: Plan | None, language: str) -> Request:
    """One to five keys that fit the page, in Chinese or English."""
    fitting = [name for name, field in FIELDS.items() if plan is None or field.fits(plan)]
    if plan is None:
        fitting = ["amounts", "total", "has_price", "has_text", "lines", "brand", "count"]
    if r.random() < RECEIPT and {"amounts", "total"} <= set(fitting):  # the receipt scene's own shape
        return Request(language, (("amounts", "amounts"), ("total", "total")), {}, "")
    chosen = r.sample(fitting, min(len(fitting), r.choice((1, 2, 2, 3, 3, 4, 5))))
    if "lines" in chosen and "text" in chosen:
        chosen.remove("text")
    chinese = language == "zh" and r.random() < 0.5
    keys, inner = [], {}
    for name in chosen:
        keys.append((r.choice(FIELDS[name].zh if chinese else FIELDS[name].en), name))
        if FIELDS[name].type in ("items", "shapes"):
            inner[name] = r.choice(_INNER[FIELDS[name].type, chinese])
    outer = r.choice(("结果", "数据") if chinese else ("result", "data", "page")) if r.random() < 0.1 else ""
    return Request(language, tuple(keys), inner, outer)


def enforced(r: Random, plan: Plan, heldout: bool, language: str) -> tuple[str, str, tuple[tuple[int, int], ...]]:
    """(question, answer, spans that a grammar writes): no word says which keys there are, only the values are learnt."""
    asked, style = request(r, plan, language), r.choice(("spaced", "compact"))
    value = asked.value(plan)
    inner = value[asked.outer] if asked.outer else value
    lead = "{" + (f"{dump(asked.outer, style)}:{' ' if style == 'spaced' else ''}{{" if asked.outer else "")
    text, given = "", list[tuple[int, int]]()
    for index, (key, one) in enumerate(inner.items()):
        before = lead if index == 0 else ", " if style == "spaced" else ","
        before += f"{dump(key, style)}:{' ' if style == 'spaced' else ''}"
        given.append((len(text), len(text) + len(before)))
        text += before + dump(one, style)
    end = "}}" if asked.outer else "}"
    given.append((len(text), len(text) + len(end)))
    return _ask(r, "plain", language, heldout), text + end, tuple(given)


def converse(r: Random, plan: Plan | None, heldout: bool, language: str = "") -> tuple[str, str, str, str]:
    """(system, question, answer, language) of one request for JSON."""
    language = language or (plan.language if plan is not None and r.random() < 0.75 else r.choice(("zh", "en")))
    asked, style = request(r, plan, language), r.choices(("spaced", "compact", "indent"), (60, 27, 13))[0]
    answer = dump(asked.value(plan), style)
    if len(answer) > 280 and style == "indent":
        style = "compact"
        answer = dump(asked.value(plan), style)
    kind = r.random()
    if kind < 0.5 and not asked.outer:
        text = _ask(r, "keys", language, heldout).format(_keys(r, asked)) + _hint(r, style, language)
    elif kind < 0.75:
        text = _ask(r, "form", language, heldout).replace("{}", dump(asked.form(), style))
    else:
        text = _ask(r, "schema", language, heldout).replace(
            "{}", dump(asked.schema(), "compact" if style == "indent" else style)
        )
        text += _hint(r, style, language) if style == "indent" else ""
    if r.random() < 0.3:
        return text, _ask(r, "plain", language, heldout), answer, language
    return "", text, answer, language


def _ask(r: Random, name: str, language: str, heldout: bool) -> str:
    known = ASK[name][language]
    return r.choice(known[-NUM_HELDOUT:] if heldout else known[:-NUM_HELDOUT])


def _keys(r: Random, asked: Request) -> str:
    """The keys in a list, some with their meaning, lists of objects with their inner keys."""
    explain, zh = r.random() < 0.3, asked.language == "zh"
    parts = []
    for key, name in asked.keys:
        note = ""
        if name in asked.inner:
            note = ("每项含" if zh else "each with ") + ("、" if zh else " and ").join(asked.inner[name])
        elif explain:
            note = FIELDS[name].meaning[0 if zh else 1]
        parts.append((f"{key}（{note}）" if zh else f"{key} ({note})") if note else key)
    return ("、" if zh else ", ").join(parts) if r.random() < 0.6 else ", ".join(parts)


def _hint(r: Random, style: str, language: str) -> str:
    """Words for a spacing that is not the usual one."""
    if style == "spaced":
        return ""
    return ("，" if language == "zh" else " ") + r.choice(HINTS[style][language])
