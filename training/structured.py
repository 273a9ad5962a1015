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
    "shop": Field(("店名", "商店", "商家"), ("shop", "store", "merchant"), ("店名", "Name of the shop"), "string?",
                  lambda plan, zh: plan.caption or None, lambda plan: plan.kind == "receipt"),
    "date": Field(("日期", "时间"), ("date", "printed_on", "day"), ("日期和时间原文", "Date and time as printed"), "string?",
                  lambda plan, zh: next(iter(facts.days(plan.text)), None),
                  lambda plan: plan.kind == "receipt" and len(facts.days(plan.text)) < 2),
    "pairs": Field(("字段", "标签和内容"), ("pairs", "fields"), ("每个标签一条，从上到下", "One entry a label, from top to bottom"), "items",
                   lambda plan, zh: [(label, value) for _, label, value in plan.fields],
                   lambda plan: 0 < len(plan.fields) <= 6 and len(facts.fields(plan)) == len(plan.fields)),
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
FORMS = {"keys": 0.45, "words": 0.17, "form": 0.16, "schema": 0.22}  # how the keys are named
PAGE_RECEIPT = 0.15  # of those about a receipt have the shape that the page offers for it
PAGE_ASKS = {  # with it
    "zh": "读取这张小票，不要遗漏，也不要编造。",
    "en": "Read this receipt. Leave nothing out and invent nothing.",
}
_INNER = {
    ("items", True): (("名称", "价格"), ("品名", "金额"), ("name", "price")),
    ("items", False): (("name", "price"), ("item", "amount"), ("product", "price")),
    ("shapes", True): (("形状", "颜色", "数量"), ("shape", "color", "count")),
    ("shapes", False): (("shape", "color", "count"), ("name", "colour", "number")),
    ("pairs", True): (("标签", "内容"), ("名称", "值")),
    ("pairs", False): (("label", "value"), ("key", "value"), ("name", "value")),
}

ASK = {  # {} holds the keys, or the form; the last two of each are held out
    "keys": {
        "zh": [
            "用JSON回答，字段：{}", "请以JSON格式返回，包含字段 {}", "仅输出JSON，字段为{}",
            "提取信息，返回JSON，键为{}", "把图中的信息整理成JSON，字段有{}", "只输出JSON对象，键：{}",
            "请返回JSON，字段为{}", "请返回JSON，键为{}", "请返回JSON，键名{}", "请整理成JSON，键为{}",
            "请整理成JSON，字段：{}", "请输出JSON，字段为{}", "请输出JSON，键名{}", "帮我用JSON回答，键名{}",
            "帮我返回JSON，键为{}", "帮我输出JSON，键为{}", "帮我输出JSON，包含字段{}", "麻烦用JSON回答，键名{}",
            "麻烦用JSON回答，字段：{}", "麻烦返回JSON，字段为{}", "麻烦整理成JSON，字段为{}", "麻烦输出JSON，字段为{}",
            "以JSON形式返回{}", "以JSON形式给出{}", "JSON的键：{}。请返回JSON", "JSON的键：{}。请只输出JSON",
            "字段名：{}。请返回JSON", "字段名：{}。请只输出JSON", "{}，请以JSON返回这些字段", "{}：用JSON填写这些字段",
            "把{}提取成JSON", "提取{}，返回JSON", "请读图并返回JSON对象，键名依次为{}", "我需要这些字段的JSON：{}",
            "只要JSON，字段 {}", "JSON格式，键：{}", "请从图中提取 {}，结果用JSON表示", "输出一个JSON对象，含 {}",
            "查看图片，JSON字段为{}", "告诉我{}，用JSON格式", "能不能用JSON给出{}？", "按字段 {} 返回JSON，不要解释",
            "键 {}，值取自图片，返回JSON", "你从图片中提取信息，只返回JSON，字段为{}", "回答必须是JSON，字段有{}",
            "请给出JSON，要有这些键：{}", "返回一个JSON，字段依次为{}",
        ],
        "en": [
            "Answer as JSON with the fields {}.", "Return JSON with the keys {}.", "JSON only, fields: {}",
            "Extract as JSON: {}", "Give me a JSON object with {}.", "Output a JSON object with the keys {}.",
            "Please answer in JSON with the keys {}.", "Please answer as JSON with the keys {}.",
            "Please answer as JSON with the fields {}.", "Please answer as a JSON object with the keys {}.",
            "Please reply in JSON with the keys {}.", "Please reply in JSON with exactly these keys: {}.",
            "Please reply as a JSON object with exactly these keys: {}.", "Always answer in JSON with the fields {}.",
            "Always answer as JSON with the keys {}.", "Always answer as a JSON object with the fields {}.",
            "Always answer as a JSON object with exactly these keys: {}.", "Give the result in JSON with the keys {}.",
            "Give the result in JSON with the fields {}.", "Give the result in JSON with exactly these keys: {}.",
            "Give the result as JSON with exactly these keys: {}.",
            "Give the result as a JSON object with the keys {}.", "Keys: {}. JSON only.", "Keys: {}. Return JSON.",
            "Keys: {}. Answer in JSON.", "Fields: {}. JSON only.", "Fields: {}. Return JSON.",
            "Fields: {}. Answer in JSON.", "JSON with {}", "{}: return these as JSON.", "{} as JSON, please.",
            "Extract {} and return JSON.", "Read the picture and give {} in JSON.", "I need {} as a JSON object.",
            "Could you return JSON with {}?", "Respond with a JSON object whose keys are {}.",
            "Return a JSON object with the fields {}", "Fill the JSON keys {} from the picture.",
            "Only JSON. The keys are {}.", "Produce JSON; keys: {}.", "Tell me {} in JSON format.", "json {}",
            "The answer must be JSON with these fields: {}.",
            "You extract data from pictures as JSON with the fields {}.", "Write one JSON object: {}.",
            "What are {}? Answer as JSON with these keys.", "From this picture, extract {} (JSON).",
            "As JSON, please, with these fields: {}", "Reply with JSON holding {}.",
        ],
    },
    "form": {
        "zh": [
            "请严格按以下JSON格式输出:{}. 只输出JSON,不要任何解释。", "请用 JSON 格式返回,字段为:{}.",
            "按这个格式返回JSON：{}", "输出格式：{}", "请按这个格式输出JSON：{}", "按以下格式填写并返回：{}",
            "套用这个模板：{}", "模板如下，请填好后返回JSON：{}", "{} 请按这个格式回答", "{}\n按上面的格式返回JSON",
            "用这个JSON结构回答：{}", "JSON格式：{}", "请填写下面的JSON：{}", "把图中信息填进这个JSON：{}",
            "结果写成这样：{}", "返回的JSON应当像这样：{}", "以JSON形式回答，样例：{}",
            "样例：{}。请照样例的键返回图中的内容", "请读图，按模板输出：{}", "严格使用这个结构：{}，不要多余文字",
            "只返回符合这个格式的JSON：{}", "参照 {} 的格式，提取图中信息", "请用这个格式：\n```json\n{}\n```",
            "按下面的模板填写，不要代码块：\n```\n{}\n```", "结构：{}", "填空：{}", "你的回答格式固定为：{}",
            "请补全：{}", "字段和类型如下，请返回JSON：{}", "把 {} 里的值换成图中的内容", "照此格式填写：{}",
            "请按如下结构输出：{}",
        ],
        "en": [
            "Answer exactly in this JSON format: {}", "Return JSON like this: {}", "Use this form: {}",
            "Output format: {}", "Answer in this format: {}", "Please fill in this template: {}", "Template: {}",
            "{} Answer in this format.", "{}\nReturn JSON in the form above.", "Use this JSON structure: {}",
            "JSON format: {}", "Give the result as {}", "Complete this JSON from the picture: {}",
            "The output looks like this: {}", "Follow this example: {}",
            "Example of the output: {}. Use the same keys.", "Read the picture and fill in: {}",
            "Strictly this structure, no other words: {}", "Return only JSON of this form: {}",
            "With the format {}, extract what the picture shows.", "Use this format:\n```json\n{}\n```",
            "Fill in the template, without a code block:\n```\n{}\n```", "Structure: {}", "Fill in the blanks: {}",
            "Your answers always have this form: {}", "Please complete {}", "Keys and types are given; return JSON: {}",
            "Replace the values in {} by what you read.", "Respond with an object shaped like {}",
            "I need the data as {}", "Fill in this JSON: {}", "Reply in this shape: {}",
        ],
    },
    "schema": {
        "zh": [
            "按照这个JSON Schema回答：{}", "输出要符合以下JSON Schema：{}", "JSON Schema：{}",
            "请返回符合此模式的JSON：{}", "请按此JSON Schema返回：{}", "输出一个满足此JSON Schema的对象：{}",
            "{}\n按上面的JSON Schema返回JSON", "模式：{}。请返回符合它的JSON", "用JSON回答，Schema为 {}",
            "请遵守这个JSON Schema：{}", "回答必须通过此JSON Schema的校验：{}", "Schema：{}",
            "读图并按Schema输出JSON：{}", "提取信息，JSON Schema如下：{}", "结果按以下Schema组织：{}",
            "只返回有效的JSON，Schema：{}", "以下是JSON Schema，请据此提取：{}", "符合 {} 的JSON，谢谢",
            "请参照Schema填写：\n```json\n{}\n```", "依照该模式提取数据：{}", "给出的JSON要符合 {}",
            "请根据Schema生成JSON：{}", "按Schema回答，不要解释：{}", "JSON对象的模式为 {}",
            "请读取图片，返回满足Schema的JSON：{}", "JSON Schema如下，请填写：{}", "用这个Schema：{}",
            "{} 这是Schema，请返回JSON", "你只能输出符合此Schema的JSON：{}", "返回对象须符合：{}", "按以下模式输出：{}",
            "结果须满足该JSON Schema：{}",
        ],
        "en": [
            "Answer with JSON for this JSON Schema: {}", "The output must match this JSON schema: {}",
            "JSON Schema: {}", "Return JSON that is valid against {}", "Please return JSON for this schema: {}",
            "{}\nAnswer with JSON that fits the schema above.", "Schema: {}", "Extract the data. JSON Schema: {}",
            "Output an object that satisfies this schema: {}", "Your answer must validate against this JSON Schema: {}",
            "Use this JSON schema: {}", "Respond in JSON, schema {}", "The JSON must fit {}",
            "Read the picture; return JSON according to this schema: {}", "Given the schema {}, fill in the values.",
            "Fill an object of this schema from the picture: {}", "Only JSON valid for: {}",
            "Obey this JSON Schema: {}", "Here is a JSON schema, answer accordingly: {}",
            "Return data in this schema:\n```json\n{}\n```", "JSON matching {}, please.",
            "Make a JSON object for the schema {}", "Produce JSON. It has to match the schema {}",
            "The response format is this JSON Schema: {}", "You only output JSON that matches this schema: {}",
            "{} is the schema. Return the JSON.", "Fill in according to the JSON schema {}", "Schema to follow: {}",
            "Write JSON; it is checked against {}", "Extract with this schema: {}", "Conform to this schema: {}",
            "Follow this JSON Schema: {}",
        ],
    },
    "plain": {
        "zh": [
            "提取图中信息", "请提取信息", "看图回答", "读取这张图", "请处理一下", "请看看这张图", "请提取一下信息",
            "请读一下图", "请识别图片", "帮我处理一下", "帮我看看这张图", "帮我提取一下信息", "帮我读一下图",
            "帮我识别图片", "麻烦处理一下", "麻烦看看这张图", "麻烦提取一下信息", "麻烦读一下图", "麻烦识别图片",
            "提取信息", "识别图片", "处理图片", "读图", "看图", "这是图片", "图片如下", "请看图", "请看这张图",
            "图在这里", "请识别", "开始", "这一页", "这张图里有什么？", "请回答", "请按要求回答", "按要求处理",
            "图里写了什么？", "这张呢？", "请分析这张图片", "这张图的内容？", "下面是一张图", "请开始", "提取数据",
            "请提取数据", "这是要处理的页面", "你看到了什么？", "看一下", "给你一张图", "请处理这张图", "分析图片",
        ],
        "en": [
            "Extract the information.", "Read this picture.", "Extract it.", "Process this image.",
            "Please process this picture", "Please read it", "Please look at this", "Please extract the data",
            "Please handle this one", "Could you process this picture", "Could you read it", "Could you look at this",
            "Could you extract the data", "Could you handle this one", "Now process this picture", "Now read it",
            "Now look at this", "Now extract the data", "Now handle this one", "Here is the picture.",
            "This is the image.", "Here it is.", "See the picture.", "The page is attached.", "Look at this page.",
            "What is in it?", "What do you find?", "Go ahead.", "Please proceed.", "extract", "Extract the data.",
            "Data, please.", "Read this.", "Read the image.", "Do this one.", "Process it.", "And this one?",
            "What does the page say?", "Please answer.", "As instructed, please.",
            "What can you tell me about this page?", "Analyse the picture.", "Next page.", "Take a look.",
            "What do you see here?", "Process the page.", "Information, please.", "Picture attached.",
            "Here is the page.", "What does it hold?",
        ],
    },
}  # fmt: skip
HINTS = {
    "compact": {
        "zh": ("紧凑的一行", "不要空格", "写成紧凑的一行", "一行写完，不带空格", "紧凑格式"),
        "en": ("compact, on one line", "without spaces", "Compact, please.", "No spaces, one line.", "(compact JSON)"),
    },
    "indent": {
        "zh": ("缩进两格", "分行缩进", "每级缩进两格", "分行写，带缩进"),
        "en": ("indented", "pretty-printed", "Indent by two spaces.", "Pretty-print it.", "(with indentation)"),
    },
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
    if r.random() < PAGE_RECEIPT and {"shop", "date", "items"} <= set(fitting):
        keys = ("shop", "date", "items", "total")
        return Request(language, tuple((key, key) for key in keys), {"items": ("name", "price")}, "")
    chosen = r.sample(fitting, min(len(fitting), r.choice((1, 2, 2, 3, 3, 4, 5))))
    if "lines" in chosen and "text" in chosen:
        chosen.remove("text")
    chinese = language == "zh" and r.random() < 0.5
    keys, inner = [], {}
    for name in chosen:
        keys.append((r.choice(FIELDS[name].zh if chinese else FIELDS[name].en), name))
        if FIELDS[name].type in ("items", "shapes"):
            inner[name] = r.choice(_INNER[name, chinese])
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
    form = r.choices(tuple(FORMS), tuple(FORMS.values()))[0]
    if form == "keys" and not asked.outer:
        text = _ask(r, "keys", language, heldout).format(_keys(r, asked))
        text = _hinted(text, _hint(r, style, language))
    elif form == "words" and not asked.outer:
        more = _ask(r, "plain", language, heldout)
        if asked.keys[0][0] == "shop" and r.random() < 0.5:
            more = PAGE_ASKS[language]
        text = in_words(asked) + (f"\n{more}" if r.random() < 0.75 else "")
    elif form in ("keys", "form"):
        text = _ask(r, "form", language, heldout).replace("{}", dump(asked.form(), style))
    else:
        text = _ask(r, "schema", language, heldout).replace(
            "{}", dump(asked.schema(), "compact" if style == "indent" else style)
        )
        text = _hinted(text, _hint(r, style, language)) if style == "indent" else text
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


def in_words(asked: Request) -> str:
    """The fields one a line, with their types and what they mean: as the page's structured part asks."""
    zh = asked.language == "zh"
    types = {
        "string": ("文本", "text"), "string?": ("文本或 null", "text or null"), "integer": ("整数", "whole number"),
        "boolean": ("true 或 false", "true or false"), "strings": ("文本列表", "list of text"),
        "items": ("对象列表", "list of object"), "shapes": ("对象列表", "list of object"),
    }  # fmt: skip
    lines = ["只用JSON回答，字段：" if zh else "Answer with JSON only. Fields:"]
    for key, name in asked.keys:
        field = FIELDS[name]
        lines.append(f"- {key} ({types[field.type][not zh]}): {field.meaning[not zh]}")
        for index, inner in enumerate(asked.inner.get(name, ())):
            kind = "integer" if field.type == "shapes" and index == 2 else "string"
            lines.append(f"  - {inner} ({types[kind][not zh]})")
    return "\n".join(lines)


def _hinted(text: str, hint: str) -> str:
    """The request with the hint behind it, set off by a comma or semicolon where nothing else does it."""
    if hint.startswith("，"):
        return text.rstrip("。") + hint
    return text + (";" if hint and text[-1:].isalnum() else "") + hint


def _hint(r: Random, style: str, language: str) -> str:
    """Words for a spacing that is not the usual one."""
    if style == "spaced":
        return ""
    return ("，" if language == "zh" else " ") + r.choice(HINTS[style][language])
