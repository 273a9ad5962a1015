"""Tools on offer, and the calls they are for: which tool fits a question, its true arguments, and what comes back.

A job is a function `(Desk) -> Job | None` (None: the page does not fit); list it in `JOBS`. Names, parameters and
descriptions vary, so that the model reads the offer instead of knowing it. Every job's tool is also offered where it
does not fit, and such questions are answered as without tools.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from training import facts
from training.encoding import Call, Turn
from training.layouts.plan import Plan
from training.page import QA
from training.phrases import NONE
from training.talk_phrases import order
from training.tasks import forbidden_words


@dataclass(frozen=True, slots=True)
class Desk:
    """What a job may use."""

    r: Random
    plan: Plan
    language: str
    heldout: bool

    @property
    def zh(self) -> bool:
        return self.language == "zh"

    def pick(self, name: str) -> str:
        """A phrasing of `talk_phrases.TOOLS` in the question's language."""
        return order(self.r, name, self.language, self.heldout)


@dataclass(frozen=True, slots=True)
class Job:
    """A question, the tool for it, the call (None: there is nothing to call with, and `answer` says so), and the end."""

    tool: dict[str, Any]
    question: str
    call: Call | None
    result: str = ""
    answer: str = ""  # after the result, or instead of a call


def tool(
    r: Random, name: str, description: str, parameters: Mapping[str, tuple[str, str]], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A tool as OpenAI's API carries it; parameters: name -> (type, description). "strings" is a list of strings."""
    properties: dict[str, Any] = {}
    explain = r.random() < 0.7
    for key, (kind, text) in parameters.items():
        shape: dict[str, Any] = {"type": "array", "items": {"type": "string"}} if kind == "strings" else {"type": kind}
        properties[key] = shape | ({"description": text} if explain else {})
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [key for key in parameters if key not in optional],
    }
    if r.random() < 0.2:
        schema["additionalProperties"] = False
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def _done(d: Desk, **more: Any) -> str:
    """What a tool says when it has done its work."""
    plain = ("ok", "done", "saved", "已保存", "成功")
    return d.r.choice(plain) if d.r.random() < 0.4 else json.dumps({"status": "ok", **more}, ensure_ascii=False)


def _about(d: Desk, zh: str, en: str) -> str:
    """A description in the question's language mostly."""
    return zh if d.zh == (d.r.random() < 0.8) else en


def record_amounts(d: Desk) -> Job | None:
    """Write all amounts down."""
    if len(d.plan.amounts) > 8:
        return None
    name = d.r.choice(("record_amounts", "save_prices", "log_amounts", "store_amounts"))
    key = d.r.choice(("amounts", "values", "prices"))
    offer = tool(d.r, name, _about(d, "记录图中的金额", "Record the amounts of a picture"),
                 {key: ("strings", _about(d, "按顺序的金额", "the amounts in order"))})  # fmt: skip
    question = d.pick("record_amounts")
    if not d.plan.amounts:
        return Job(offer, question, None, answer=NONE["amounts"][d.language])
    values = ", ".join(d.plan.amounts)
    answer = f"已记录：{values}。" if d.zh else f"Recorded: {values}."
    return Job(offer, question, Call(name, {key: d.plan.amounts}), _done(d, count=len(d.plan.amounts)), answer)


def save_total(d: Desk) -> Job | None:
    """Book the total of a receipt, as text or as a number."""
    if d.plan.kind not in ("receipt", "invoice"):
        return None
    name = d.r.choice(("save_total", "book_expense", "add_expense", "record_total"))
    key, number = d.r.choice(("total", "amount", "sum")), d.r.random() < 0.4
    offer = tool(d.r, name, _about(d, "登记一笔支出的总金额", "Book the total of an expense"),
                 {key: ("number" if number else "string", _about(d, "总金额", "the total"))})  # fmt: skip
    question = d.pick("save_total")
    if d.plan.total is None:
        return Job(offer, question, None, answer=NONE["total"][d.language])
    value: Any = d.plan.total
    if number:
        value = float(value) if "." in value else int(value)
    answer = f"已记账，合计{d.plan.total}。" if d.zh else f"Booked, the total is {d.plan.total}."
    return Job(offer, question, Call(name, {key: value}), _done(d, id=d.r.randint(10, 999)), answer)


def save_expiry(d: Desk) -> Job | None:
    """Keep the expiry date of a label."""
    if d.plan.kind != "label":
        return None
    name = d.r.choice(("save_expiry", "set_reminder", "store_expiry_date", "remind_me"))
    key = d.r.choice(("date", "expiry_date", "day"))
    offer = tool(d.r, name, _about(d, "保存商品的到期日", "Keep the expiry date of a product"),
                 {key: ("string", _about(d, "如图所示的日期", "the date as printed"))})  # fmt: skip
    question = d.pick("save_expiry")
    date = facts.field(d.plan, "expiry")
    if date is None:
        return Job(offer, question, None, answer=NONE["field"][d.language])
    return Job(
        offer, question, Call(name, {key: date}), _done(d), f"已保存，{date}到期。" if d.zh else f"Saved: {date}."
    )


def flag_product(d: Desk) -> Job | None:
    """Report forbidden words and the brand mark of an advertisement."""
    if d.plan.kind not in ("poster", "label"):
        return None
    name = d.r.choice(("flag_product", "report_ad", "submit_audit", "flag_listing"))
    words, brand = d.r.choice((("forbidden_words", "brand"), ("words", "logo"), ("banned", "brand_name")))
    offer = tool(d.r, name, _about(d, "上报违禁词和品牌标志", "Report forbidden words and the brand mark"),
                 {words: ("strings", _about(d, "违禁词", "forbidden words")), brand: ("string", _about(d, "品牌", "the brand mark"))},
                 (brand,))  # fmt: skip
    question = d.pick("flag_product")
    claims = forbidden_words(d.plan.text)
    if not claims:
        return Job(offer, question, None, answer=NONE["claims"][d.language])
    arguments: dict[str, Any] = {words: claims} | ({brand: d.plan.brand} if d.plan.brand else {})
    listed = ("、" if d.zh else ", ").join(claims)
    answer = f"已上报违禁词：{listed}。" if d.zh else f"Reported: {listed}."
    return Job(offer, question, Call(name, arguments), _done(d, case=d.r.randint(100, 9999)), answer)


def lookup(d: Desk) -> Job | None:
    """Ask a stock or price service about one item of the page."""
    items = facts.items(d.plan)
    if not items:
        return None
    stock = d.r.random() < 0.5
    name = d.r.choice(
        ("check_stock", "get_stock", "query_inventory") if stock else ("lookup_price", "market_price", "get_price")
    )
    key = d.r.choice(("name", "item", "product"))
    about = (
        ("查询商品库存", "Look up how many of an item are in stock")
        if stock
        else ("查询商品的市场价", "Look up an item's market price")
    )
    offer = tool(d.r, name, _about(d, *about), {key: ("string", _about(d, "商品名称", "the item's name"))})
    kind = d.r.random()
    item, value = d.r.choice(items)
    which = (item, item)
    if kind < 0.3 and d.plan.items and d.plan.items[0] in items:
        item, value = d.plan.items[0]
        which = ("图中第一件商品", "the first item")
    elif (
        kind < 0.55
        and sum(other == max(d.plan.items, key=lambda one: float(one[1]))[1] for _, other in d.plan.items) == 1
    ):
        best = max(d.plan.items, key=lambda one: float(one[1]))
        if best in items:
            (item, value), which = best, ("最贵的商品", "the most expensive item")
    shown = which[0 if d.zh else 1]
    if stock:
        question = d.pick("stock").format(shown)
        count = d.r.randint(0, 200)
        result = json.dumps({"stock": count}) if d.r.random() < 0.7 else str(count)
        answer = f"{item}的库存是{count}。" if d.zh else f"{item}: {count} in stock."
    else:
        question = d.pick("market").format(shown)
        price = f"{d.r.randint(1, 300)}.{d.r.choice(('00', '50', '90', '25'))}"
        result = json.dumps({"price": price}) if d.r.random() < 0.7 else price
        answer = (
            f"{item}的市场价是{price}，图中是{value}。"
            if d.zh
            else f"{item}: {price} on the market, {value} in the picture."
        )
    return Job(offer, question, Call(name, {key: item}), result, answer)


def translate(d: Desk) -> Job | None:
    """Hand short text to a translator."""
    if not 0 < len(d.plan.text) <= 60:
        return None
    name, key = (
        d.r.choice(("translate", "translate_text", "run_translation")),
        d.r.choice(("text", "content", "source")),
    )
    offer = tool(d.r, name, _about(d, "翻译一段文字", "Translate a text"),
                 {key: ("string", _about(d, "要翻译的文字", "the text to translate"))})  # fmt: skip
    question = d.pick("translate")
    words = d.r.choice(
        ("Fresh every day", "Special offer", "Thank you", "Open today", "今日特价", "谢谢惠顾", "欢迎光临")
    )
    answer = f"译文：{words}" if d.zh else f"Translation: {words}"
    return Job(offer, question, Call(name, {key: d.plan.text}), words, answer)


def register_product(d: Desk) -> Job | None:
    """Register what a label says about a product."""
    known = {key: facts.field(d.plan, key) for key in ("net", "origin", "model", "batch", "made")}
    shown = {key: value for key, value in known.items() if value is not None}
    if d.plan.kind != "label" or not shown or not d.plan.caption:
        return None
    names = {"net": "net_content", "origin": "origin", "model": "model", "batch": "batch", "made": "production_date"}
    about = {"net": ("净含量", "net content"), "origin": ("产地", "origin"), "model": ("型号", "model"), "batch": ("批号", "batch"),
             "made": ("生产日期", "date of production")}  # fmt: skip
    offered = d.r.sample(tuple(names), 3)
    parameters = {"name": ("string", _about(d, "名称", "the product's name"))}
    parameters |= {names[key]: ("string", _about(d, *about[key])) for key in offered}
    name = d.r.choice(("register_product", "add_product", "create_item"))
    optional = tuple(names[key] for key in offered)
    offer = tool(d.r, name, _about(d, "登记商品信息", "Register a product"), parameters, optional)
    question = d.pick("register")
    arguments = {"name": d.plan.caption} | {names[key]: shown[key] for key in offered if key in shown}
    answer = f"已登记{d.plan.caption}。" if d.zh else f"{d.plan.caption} is registered."
    return Job(offer, question, Call(name, arguments), _done(d, id=d.r.randint(10, 9999)), answer)


def count_shapes(d: Desk) -> Job | None:
    """Report how many shapes there are."""
    if not d.plan.shapes:
        return None
    name, key = d.r.choice(("save_count", "report_count", "submit_number")), d.r.choice(("count", "number"))
    offer = tool(d.r, name, _about(d, "上报图形的个数", "Report the number of shapes"),
                 {key: ("integer", _about(d, "个数", "how many"))})  # fmt: skip
    question = d.pick("count")
    count = len(d.plan.shapes)
    return Job(
        offer, question, Call(name, {key: count}), _done(d), f"已上报：{count}个。" if d.zh else f"Reported: {count}."
    )


JOBS: tuple[Callable[[Desk], Job | None], ...] = (
    record_amounts, save_total, save_expiry, flag_product, lookup, translate, register_product, count_shapes,
)  # fmt: skip
_OTHERS: tuple[tuple[str, str, str, dict[str, tuple[str, str]]], ...] = (
    ("get_weather", "查询城市天气", "Get the weather of a city", {"city": ("string", "city")}),
    ("send_email", "发送邮件", "Send an email", {"to": ("string", "address"), "body": ("string", "text")}),
    ("play_music", "播放歌曲", "Play a song", {"song": ("string", "title")}),
    ("set_alarm", "设置闹钟", "Set an alarm", {"time": ("string", "hh:mm")}),
    ("search_web", "搜索网页", "Search the web", {"query": ("string", "words")}),
    ("book_taxi", "叫车", "Call a taxi", {"to": ("string", "place")}),
    ("open_door", "开门", "Open a door", {"door": ("integer", "number")}),
)


def other_tool(r: Random) -> dict[str, Any]:
    """A tool that no question about a page fits."""
    name, zh, en, parameters = r.choice(_OTHERS)
    return tool(r, name, r.choice((zh, en)), parameters)


@dataclass(frozen=True, slots=True)
class Offer:
    """Tools and the turns of a conversation in which they are offered; `kind` is call, result, nothing or other."""

    kind: str
    tools: tuple[Mapping[str, Any], ...]
    turns: list[Turn]
    asked: list[QA]


def converse(r: Random, plan: Plan, plain: QA | None, heldout: bool, language: str = "") -> Offer | None:
    """A call, a call with its result and the answer, or a `plain` question that no tool on offer fits."""
    language = language or (plan.language if r.random() < 0.75 else r.choice(("zh", "en")))
    desk = Desk(r, plan, language, heldout)
    jobs = [job for make in r.sample(JOBS, len(JOBS)) if (job := make(desk)) is not None]
    if plain is not None and (not jobs or r.random() < 0.3):
        tools = [other_tool(r) for _ in range(r.randint(1, 2))]
        if jobs and r.random() < 0.5:
            tools.append(jobs[0].tool)  # fits the page, not the question
        return Offer("other", _shuffled(r, tools), [Turn(plain.question, plain.answer)], [plain])
    if not jobs:
        return None
    job = jobs[0]
    tools = [job.tool, *(other_tool(r) for _ in range(r.choice((0, 0, 1, 1, 2))))]
    if len(jobs) > 1 and r.random() < 0.35:
        tools.append(jobs[1].tool)
    asked = [QA("tool", language, job.question, job.answer, colours=bool(plan.shapes))]
    if job.call is None:
        return Offer("nothing", _shuffled(r, tools), [Turn(job.question, job.answer)], asked)
    if r.random() < 0.5:
        return Offer("call", _shuffled(r, tools), [Turn(job.question, "", calls=(job.call,))], asked)
    turn = Turn(job.question, job.answer, calls=(job.call,), results=(job.result,))
    return Offer("result", _shuffled(r, tools), [turn], asked)


def _shuffled(r: Random, tools: list[dict[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Without two of one name, in any order, at most three."""
    unlike = {one["function"]["name"]: one for one in reversed(tools)}
    kept = list(unlike.values())[-3:]
    return tuple(r.sample(kept, len(kept)))
