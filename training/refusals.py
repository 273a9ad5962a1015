"""What lies outside the drawn world, and the honest sentence about it; and the source documents' own prompts on every page.

A question that can be answered truly keeps its answer ("is there a price?" about a landscape: no); only what cannot be
known is declined, in one sentence and in the language of the question.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from training import facts
from training.layouts.plan import Plan
from training.page import QA
from training.phrases import (
    AUDIT_PROMPT,
    AUDITOR_PROMPT,
    CANNOT_CHAT,
    EXPIRY_PROMPT,
    NO_TRANSLATION,
    NONE,
    NUM_HELDOUT,
    phrase,
)
from training.tasks import forbidden_words

OUTSIDE = {
    "zh": "图中没有我能读的文字或图形，其他内容我认不出。",
    "en": "I see no text or simple shape that I can read here, and I cannot recognise anything else.",
}
NO_PERSON = {
    "zh": "图中没有人物，我只能读出文字和认出简单图形。",
    "en": "There is no person here; I can only read text and name simple shapes.",
}
TOO_SMALL = {"zh": "文字太小，我看不清。", "en": "The text is too small for me to read."}
NO_SHAPE = {"zh": "没有我认识的图形", "en": "no shape that I know"}
NO_WORKSHEET = "这张图不是作业，没有可以批改的题目。"
NO_CONTRACT = "这张图不是合同，没有可以检查的条款。"
NO_WORKPIECE = {"defects": [], "severity": "none", "suggestion": "图中没有我认识的工件，无法检查"}

# The prompts of the source documents, word for word, by name.
PROMPTS: dict[str, str] = {
    "what_zh": "这张图是什么?",
    "amounts": "提取图中所有金额数字,并按出现顺序列出",
    "expiry": EXPIRY_PROMPT,
    "clothes": "描述图中人物穿着风格和配色方案",
    "audit": AUDIT_PROMPT,
    "auditor": AUDITOR_PROMPT,
    "describe_zh": "请描述这张图片的内容",
    "what_en": "What is in this image?",
    "bag": "这张图中的包是什么品牌?",
    "people": "这张图里的人在做什么?请用一句话概括,并指出是否有安全隐患。",
    "translate": "请识别图中所有文字内容,并翻译成英文",
    "points": "这是什么品牌?主推卖点有哪些?用中文分三点列出。",
    "device": "这个设备支持无线充电吗?电池容量多少?",
    "marking": "请逐题检查解题过程,标出所有计算错误、公式误用或逻辑漏洞,并用红色标注原文位置。",
    "contract": (
        "检查该页是否包含以下任一问题:1) 甲方签字栏为空;2) 乙方公章模糊不可辨;3) 金额大写与小写不一致;"
        "4) 出现'最终解释权归我方所有'等违规表述。"
    ),
    "inspection": "请用 JSON 格式返回,字段为:{ defects: [str], severity: high/medium/low, suggestion: str }.",
}
PROMPT_LANGUAGE = {name: "en" if name == "what_en" else "zh" for name in PROMPTS}

# Other ways to ask about the world; the last two of each are held out of training.
GENERAL: dict[str, list[str]] = {
    "zh": [
        "这张照片里有什么？", "图中是什么动物？", "图里的人是谁？", "这是什么地方？", "照片是在哪里拍的？",
        "左边的男人是谁？", "中间那位女士是谁？", "她是谁？", "他们是谁？", "站着的人是谁？",
        "图中有几个人？", "他在做什么？", "这是什么车？", "这道菜叫什么？", "描述一下图中的风景", "这是什么花？",
        "图中的人穿了什么？", "这张照片好看吗？", "这个东西是做什么用的？", "图中的物品是什么材质？",
        "画面里有哪些物体？", "这是白天还是晚上？", "看图写一段话", "图里的天气怎么样？", "这种植物叫什么名字？",
        "图中的人是什么表情？", "请概括图片的场景", "房间里有什么家具？", "给这张照片起个标题",
        "这张照片拍的是什么东西？", "这张照片有什么动物？", "这张照片有哪些人？", "这张照片是什么场景？",
        "这张照片的背景是什么？", "图里拍的是什么东西？", "图里有什么动物？", "图里有哪些人？", "图里是什么场景？",
        "画面中有哪些人？", "画面中是什么场景？", "画面中的背景是什么？", "图中的人长什么样？", "图中的人多大年纪？",
        "图中的人在笑吗？", "图中的人拿着什么？", "图中的人是男是女？", "照片里的人长什么样？", "照片里的人多大年纪？",
        "照片里的人在笑吗？", "照片里的人拿着什么？", "照片里的人是男是女？", "这是什么动物的照片？",
        "图里的动物在干什么？", "这是什么树？", "这是哪座城市？", "这是哪个国家？", "照片拍摄于什么季节？",
        "这栋建筑叫什么？", "图中有哪些颜色的衣服？", "这是什么鸟？", "认一下这是什么东西", "这是哪位明星？",
        "图中的食物是什么？", "这道菜用了什么材料？", "描述这张照片", "请详细描述画面", "为这张照片写一句话",
        "这张照片给人什么感觉？", "图里有没有危险？", "车牌是多少号？", "这辆车是什么型号？", "这是什么运动？",
        "图中的场景是室内还是室外？", "请说说照片的构图", "这是谁的作品？", "这里适合旅游吗？", "房子有几层？",
        "图中有没有猫？", "有没有人？", "看到几只动物？", "这个物体有多大？", "这个人有多高？",
        "这张照片是用什么相机拍的？", "这张照片表现了什么？", "照片里最显眼的东西是什么？",
    ],
    "en": [
        "What is shown in this photo?", "What animal is this?", "Who is the person in the picture?",
        "Where was this taken?", "What place is this?", "How many people are in the picture?", "What is he doing?",
        "What car is that?", "What dish is this?", "Describe the scenery.", "What flower is this?",
        "What is the person wearing?", "What objects can you see?", "Is it day or night?",
        "What is the weather in this picture?", "Describe the photo in detail.", "What is this thing used for?",
        "What is it made of?", "Write a caption for this photo.", "Is anybody in danger here?",
        "What kind of dog is it?", "What furniture is in the room?", "Does the person look happy?",
        "Tell me about the scene.", "What building is this?", "What kind of tree is this?", "What season is it?",
        "What country is this?", "What bird is that?", "What sport is being played?", "Which building is this?",
        "Which kind of tree is this?", "Which season is it?", "Which country is this?", "Which bird is that?",
        "Which sport is being played?", "What colour is the dress?", "What animals can be seen?",
        "What food is on the plate?", "What famous person is this?", "Which colour is the dress?",
        "Which animals can be seen?", "Which food is on the plate?", "Which famous person is this?",
        "Is there a cat in the picture?", "Is there a person?", "Is there any animal?", "Is there a car?",
        "Is there a danger here?", "Do you see a cat in the picture?", "Do you see a person?", "Do you see any animal?",
        "Do you see a car?", "Do you see a danger here?", "How old is the person?", "Is the person smiling?",
        "Who is the man on the left?", "Who is the woman in the middle?", "Who is she?", "Who are they?", "who is he",
        "Who stands on the right?", "Who is sitting there?", "Which actor is this?", "Do you know this man?",
        "What is in the background?", "Is this indoors or outdoors?", "Name the city.", "Who took this photo?",
        "Describe the people.", "Describe what happens here.", "What is the woman holding?",
        "What is the mood of this photo?", "How tall is the building?", "Which street is this?",
        "What vehicle is shown?", "Is it a nice photo?", "What breed is the dog?", "Recognise the face.",
        "Explain the scene.", "What is happening in this picture?", "Write a few sentences about the photograph.",
        "Give the photo a title.", "Is the fruit ripe?", "How many animals are there?", "What brand is the car?",
        "Which plant is this?", "What is the man wearing?", "What time of day was it taken?", "Are there trees?",
        "What is on the table?", "Can you identify this object?", "What does the photograph show?",
        "What stands out in this photo?",
    ],
}  # fmt: skip
WHAT: dict[str, list[str]] = {  # general questions that a readable page answers
    "zh": [
        PROMPTS["what_zh"], PROMPTS["describe_zh"], "这是什么？", "图里是什么？", "描述一下这张图", "图片内容是什么？",
        "这张图片里有什么？", "图中有什么？", "看看图里有什么", "请描述图片", "请描述一下图片", "请描述一下这张图片",
        "请描述一下图片的内容", "帮我描述一下图片", "帮我描述一下这张图片", "帮我描述一下图片的内容",
        "麻烦描述一下图片", "麻烦描述一下这张图片", "麻烦描述一下图片的内容", "这是张什么图？", "说说这张图",
        "图片上是什么？", "图里有什么内容？", "你看到了什么？", "这张图讲的是什么？", "介绍一下图片", "图片里是什么？",
        "这是一张什么图片？", "图里面有啥", "图里都有什么？", "请说明图片内容", "描述这张图",
    ],
    "en": [
        PROMPTS["what_en"], "What is this?", "Describe the picture.", "What do you see?", "Describe this image.",
        "What does the image show?", "What's in this picture?", "What is this a picture of?",
        "What does this picture show?", "What can you see?", "Tell me what you see.", "Describe the image, please.",
        "Describe it.", "What is it?", "What is shown here?", "Please describe this picture.", "what's this",
        "Explain this image.", "What is on this picture?", "Say what this is.", "Tell me about this image.",
        "Can you describe the image?", "What does this image contain?",
        "Give a description of this image.", "Describe what you see.", "Say what you see.", "What is it that I see?",
        "What have we here?",
    ],
}  # fmt: skip
OPEN: dict[str, list[str]] = {  # without a picture
    "zh": [
        "今天天气怎么样？", "现在几点了？", "法国的首都是哪里？", "中国有多少个省？", "给我讲个笑话", "写一首诗",
        "帮我写一封邮件", "推荐一部电影", "怎么减肥？", "1加1等于几？", "12乘以7是多少？", "把“你好”翻译成英文",
        "写一段排序的代码", "谁发明了电灯？", "我头疼怎么办？", "明天会下雨吗？", "给我一个菜谱", "地球有多大？",
        "人工智能是什么？", "帮我做个旅行计划", "股票会涨吗？", "水的沸点是多少？", "今天的天气好不好？",
        "今天的天气怎么样？", "今天的天气会热吗？", "明天的天气好不好？", "明天的天气怎么样？", "明天的天气会热吗？",
        "周末的天气好不好？", "周末的天气怎么样？", "周末的天气会热吗？", "给我写一首歌", "给我写一个故事",
        "给我写一份总结", "给我写一段广告", "给我写一封信", "帮我写一首歌", "帮我写一个故事", "帮我写一份总结",
        "帮我写一段广告", "帮我写一封信", "日本的首都是哪里？", "日本的首都是哪座城市？", "英国的首都是哪里？",
        "英国的首都是哪座城市？", "美国的首都是哪里？", "美国的首都是哪座城市？", "怎么学好英语？", "怎么做蛋糕？",
        "怎么修自行车？", "怎么存钱？", "现在是哪一年？", "今天几号？", "三加五等于多少？", "100除以4是多少？",
        "解一下这个方程", "谁写了红楼梦？", "月亮离地球多远？", "光速是多少？", "太阳有多大？", "推荐一本书",
        "推荐一家饭店", "给我唱首歌", "我该买哪只股票？", "感冒了吃什么药？", "你喜欢什么颜色？", "你几岁了？",
        "你有女朋友吗？", "陪我聊聊天", "讲个故事", "说个成语", "什么是机器学习？", "写一段程序", "帮我改一下简历",
        "明天放假吗？", "火车几点开？", "怎么去机场？", "世界上最长的河是哪条？", "给孩子起个名字", "翻译一下：早上好",
        "人为什么要睡觉？", "世界上最高的山是哪座？", "请给我出个谜语",
    ],
    "en": [
        "What is the weather today?", "What time is it?", "What is the capital of France?", "Tell me a joke.",
        "Write a poem.", "Write an email for me.", "Recommend a film.", "How do I lose weight?", "What is 1 + 1?",
        "What is 12 times 7?", "Translate hello into Chinese.", "Write a sorting function in Python.",
        "Who invented the light bulb?", "I have a headache, what can I do?", "Will it rain tomorrow?",
        "Give me a recipe.", "How big is the earth?", "What is artificial intelligence?", "Plan a trip for me.",
        "Should I buy stocks?", "Who won the world cup?", "At what temperature does water boil?", "What day is today?",
        "What year is it?", "What planet is the largest?", "What language is spoken in Brazil?", "Which day is today?",
        "Which year is it?", "Which planet is the largest?", "Which language is spoken in Brazil?",
        "Write a song about love.", "Write a song for my friend.", "Write a story for my friend.",
        "Write a short essay about love.", "Write a short essay for my friend.", "Give me a song for my friend.",
        "Give me a story about love.", "Give me a story for my friend.", "Give me a short essay about love.",
        "Give me a short essay for my friend.", "Give me a letter about love.", "Give me a letter for my friend.",
        "Who discovered America?", "How do I bake a cake?", "How do I learn English?", "How do I repair my bike?",
        "How do I save money?", "Can you help me bake a cake?", "Can you help me learn English?",
        "Can you help me repair my bike?", "Can you help me save money?", "How far away is the moon?",
        "How fast is light?", "What is 15 minus 6?", "Divide 100 by 4.", "Solve x + 3 = 7.", "Sing me a song.",
        "Tell me a story.", "Recommend a book.", "Where can I eat well?", "Is it going to snow?",
        "What is machine learning?", "Explain gravity.", "How old are you?", "Do you like music?", "Let us talk.",
        "What is love?", "What should I cook tonight?", "How do I get to the airport?", "When does the train leave?",
        "Which phone should I buy?", "Who is the president?", "What is the longest river?",
        "Write code that adds two numbers.", "Improve my resume.", "Why is the sky blue?", "Say something in French.",
        "What is the news today?", "Help me with my taxes.", "What is the highest mountain?", "Give me a riddle.",
    ],
}  # fmt: skip


def _pick(r: Random, known: list[str], heldout: bool) -> str:
    return r.choice(known[-NUM_HELDOUT:] if heldout else known[:-NUM_HELDOUT])


# --- pictures of the world -------------------------------------------------------------------------------------------


def photo_prompt(name: str) -> str:
    """The answer to one of `PROMPTS` about a picture without text, shapes, worksheet, contract or workpiece."""
    language = PROMPT_LANGUAGE[name]
    answers: dict[str, str] = {
        "amounts": NONE["amounts"][language],
        "expiry": NONE["field"][language],
        "audit": _audit(None),
        "auditor": _auditor(None),
        "translate": NONE["read"][language],
        "points": "没有我认识的品牌标志，也没有写出卖点。",
        "device": "图中没有说明无线充电和电池容量。",
        "marking": NO_WORKSHEET,
        "contract": NO_CONTRACT,
        "inspection": json.dumps(NO_WORKPIECE, ensure_ascii=False),
    }
    return answers.get(name, OUTSIDE[language])


def about_photo(r: Random, heldout: bool, language: str = "") -> list[QA]:
    """One or two questions about a picture of the world: what it is, a prompt of the sources, or one with a true answer."""
    language = language or r.choice(("zh", "zh", "en"))
    kind = r.random()
    if kind < 0.35:
        first = prompt_qa(r.choice(tuple(PROMPTS)), None)
    elif kind < 0.55:
        known = r.choice(WHAT[language]) if r.random() < 0.5 else phrase(r, "describe", language, heldout)
        first = QA("refuse", language, known, OUTSIDE[language])
    elif kind < 0.78:
        first = QA("refuse", language, _pick(r, GENERAL[language], heldout), OUTSIDE[language])
    else:
        first = closed_about_photo(r, language, heldout)
    if r.random() < 0.7:
        return [first]
    second = closed_about_photo(r, first.language, heldout)
    return [first, second] if second.question != first.question else [first]


def closed_about_photo(r: Random, language: str, heldout: bool) -> QA:
    """A question that has a true answer about a picture without text."""
    zh = language == "zh"
    answers = {
        "amounts": ("amounts", NONE["amounts"][language]),
        "has_price": ("yesno", facts.yes(False, zh)),
        "read": ("read", NONE["read"][language]),
        "total": ("total", NONE["total"][language]),
        "count_amounts": ("count", "0"),
        "count_lines": ("count", "0"),
        "which_claims": ("audit", NONE["claims"][language]),
        "expiry": ("field", NONE["field"][language]),
        "shapes": ("shapes", NO_SHAPE[language]),
    }
    name = r.choice(tuple(answers))
    task, answer = answers[name]
    return QA(task, language, phrase(r, name, language, heldout), answer)


def _audit(plan: Plan | None) -> str:
    values = (False, None, []) if plan is None else (bool(plan.amounts), plan.brand, forbidden_words(plan.text))
    names = ("contains_price", "contains_brand_logo", "forbidden_words")
    return json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False)


def _auditor(plan: Plan | None) -> str:
    values = json.loads(_audit(plan)).values()
    return json.dumps(
        dict(zip(("price_found", "logo_name", "forbidden_list"), values, strict=True)), ensure_ascii=False
    )


# --- pages that can be read ------------------------------------------------------------------------------------------


def page_prompt(name: str, plan: Plan) -> str:
    """The answer to one of `PROMPTS` about an ordinary page."""
    zh = PROMPT_LANGUAGE[name] == "zh"
    answers: dict[str, Callable[[], str]] = {
        "what_zh": lambda: facts.summary(plan, zh),
        "describe_zh": lambda: facts.summary(plan, zh),
        "what_en": lambda: facts.summary(plan, zh),
        "amounts": lambda: ", ".join(plan.amounts) or NONE["amounts"]["zh"],
        "expiry": lambda: facts.field(plan, "expiry", "life") or NONE["field"]["zh"],
        "clothes": lambda: NO_PERSON["zh"],
        "people": lambda: NO_PERSON["zh"],
        "audit": lambda: _audit(plan),
        "auditor": lambda: _auditor(plan),
        "bag": lambda: plan.brand or NONE["brand"]["zh"],
        "translate": lambda: f"{plan.text}\n{NO_TRANSLATION['zh']}" if plan.text else NONE["read"]["zh"],
        "points": lambda: selling_points(plan),
        "device": lambda: device(plan),
        "marking": lambda: NO_WORKSHEET,
        "contract": lambda: NO_CONTRACT,
        "inspection": lambda: json.dumps(NO_WORKPIECE, ensure_ascii=False),
    }
    return answers[name]()


def selling_points(plan: Plan) -> str:
    """The brand mark and up to three lines as printed; only pages that advertise have any."""
    head = f"品牌：{plan.brand}" if plan.brand else "没有我认识的品牌标志"
    if plan.kind not in ("poster", "label", "price_tag"):
        return head + "，也没有写出卖点。"
    lines = [row.text for row in plan.rows if row.text != plan.brand][:3]
    return "\n".join([head, *(f"{number}. {line}" for number, line in enumerate(lines, 1))])


def device(plan: Plan) -> str:
    """Battery and power as a label states them, and what it does not say."""
    battery, power = facts.field(plan, "battery"), facts.field(plan, "power")
    if battery and power:
        return f"电池容量{battery}，功率{power}，图中没有说明是否支持无线充电。"
    if battery:
        return f"电池容量{battery}，图中没有说明是否支持无线充电。"
    if power:
        return f"功率{power}，图中没有说明无线充电和电池容量。"
    return "图中没有说明无线充电和电池容量。"


_TASKS = {
    "what_zh": "describe", "describe_zh": "describe", "what_en": "describe", "amounts": "amounts", "expiry": "field",
    "audit": "audit", "auditor": "audit", "bag": "audit",
}  # fmt: skip


def prompt_qa(name: str, plan: Plan | None) -> QA:
    """One of `PROMPTS` with its answer about an ordinary page, or about a picture of the world (None)."""
    answer = photo_prompt(name) if plan is None else page_prompt(name, plan)
    refused = plan is None and answer == OUTSIDE[PROMPT_LANGUAGE[name]]
    task = "refuse" if refused or answer == NO_PERSON["zh"] else _TASKS.get(name, "prompt")
    return QA(task, PROMPT_LANGUAGE[name], PROMPTS[name], answer, colours=plan is not None and bool(plan.shapes))


def about_page(r: Random, plan: Plan) -> list[QA]:
    """One of the sources' prompts about an ordinary page, sometimes two."""
    names = [name for name in PROMPTS for _ in range(_weight(name, plan))]
    chosen = list(dict.fromkeys(r.choices(names, k=2 if r.random() < 0.25 else 1)))
    asked = [prompt_qa(name, plan) for name in chosen]
    return asked if sum(len(qa.answer) for qa in asked) < 280 else asked[:1]


def _weight(name: str, plan: Plan) -> int:
    if name == "device":
        return 8 if facts.field(plan, "battery", "power") else 1
    if name == "points":
        return 4 if plan.kind in ("poster", "label", "price_tag") else 1
    if name == "translate":
        return 2 if len(plan.text) < 200 else 0
    return 2


# --- text too small, no picture at all -------------------------------------------------------------------------------


def about_small_text(r: Random, heldout: bool) -> list[QA]:
    """A question about a page whose letters are only specks."""
    language = r.choice(("zh", "en"))
    name = r.choice(("amounts", "read", "total", "expiry", "largest"))
    return [QA("refuse", language, phrase(r, name, language, heldout), TOO_SMALL[language])]


def open_chat(r: Random, heldout: bool) -> QA:
    """A question about anything, without a picture."""
    language = r.choice(("zh", "en"))
    return QA("chat", language, _pick(r, OPEN[language], heldout), CANNOT_CHAT[language])
