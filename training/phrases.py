"""The ways a question is put. The last two of every list are held out of training (split "unseen_all").

The source documents' own prompts stand first in their lists, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from training.figure_phrases import FIGURE_PHRASES

AUDIT_PROMPT = (
    '请严格按以下JSON格式输出:{"contains_price": boolean, "contains_brand_logo": "品牌名或null", '
    '"forbidden_words": ["违禁词1", "违禁词2"]}. 只输出JSON,不要任何解释。'
)
AUDITOR_PROMPT = (
    "你是一名资深电商审核员。请逐项检查:1. 是否显示具体价格数字;2. 是否出现未授权品牌Logo;"
    "3. 是否含'最便宜''第一'等违禁广告词。仅用JSON输出,字段:price_found, logo_name, forbidden_list"
)
EXPIRY_PROMPT = "这个商品包装上写的保质期是哪天?"

PHRASES: dict[str, dict[str, list[str]]] = {
    "amounts": {
        "zh": [
            "提取图中所有金额数字,并按出现顺序列出",
            "列出图中所有金额",
            "图中有哪些金额？",
            "请按顺序列出所有价格",
            "有哪些价格？",
            "把所有金额找出来",
            "提取所有金额",
            "读出所有价格，按出现顺序",
            "图里出现了哪些金额？请按顺序写出",
            "金额都是多少？",
            "请提取图中的全部金额，用逗号分开",
            "列出金额",
            "依次写出图中的金额",
            "请列出这张图上的每个金额",
        ],
        "en": [
            "list the amounts",
            "List all amounts in the picture, in order of appearance.",
            "What amounts are shown?",
            "List every price.",
            "Extract all amounts in order.",
            "Which prices can you see?",
            "Give me all the amounts.",
            "Read out all prices in order.",
            "What are the amounts in this image?",
            "Extract the prices",
            "List the amounts, separated by commas.",
            "amounts?",
            "Write down each amount you see.",
            "Please list all the amounts on this page.",
        ],
    },
    "read": {
        "zh": [
            "读出图中所有文字",
            "请识别图中所有文字内容",
            "图中写了什么？",
            "逐行读出文字",
            "提取图中的文字",
            "把图里的字都写出来",
            "这上面写的是什么？",
            "识别文字",
            "请一行一行地读出来",
            "图片上的文字是什么？",
            "抄写图中的文字",
            "请读出全部文字",
        ],
        "en": [
            "Read all the text.",
            "What does it say?",
            "Read the text line by line.",
            "Extract all text from this image.",
            "What is written here?",
            "Transcribe the picture.",
            "read the text",
            "Write out all text you see.",
            "What text is in this image?",
            "OCR this image.",
            "Copy the text of the picture.",
            "Please read everything on the page.",
        ],
    },
    "item_price": {
        "zh": [
            "{}多少钱？",
            "{}的价格是多少？",
            "{}卖多少钱？",
            "请问{}的金额是多少？",
            "“{}”的价格？",
            "图中{}是多少钱？",
            "{}要付多少？",
            "{}单项金额多少？",
            "查一下{}的价格",
            "{}的金额",
        ],
        "en": [
            "How much is {}?",
            "What is the price of {}?",
            "What does {} cost?",
            "Price of {}?",
            "How much does {} cost?",
            "Give the price of {}.",
            'What is the amount for "{}"?',
            "What is charged for {}?",
            "Tell me the price of {}.",
            "{}: how much?",
        ],
    },
    "field": {
        "zh": [
            "{}是什么？",
            "{}是多少？",
            "图中的{}写的是什么？",
            "请读出{}",
            "{}一栏写了什么？",
            "{}？",
            "告诉我{}",
            "包装上的{}是什么？",
            "查找{}",
            "{}后面写的是什么？",
        ],
        "en": [
            "What is the {}?",
            "Read the field {}.",
            "What does {} say?",
            "{}?",
            "Tell me the {}.",
            "What is written after {}?",
            "Find {}.",
            "Give the value of {}.",
            "Which value has {}?",
            "Look up {}.",
        ],
    },
    "expiry": {
        "zh": [
            EXPIRY_PROMPT,
            "保质期到哪天？",
            "什么时候过期？",
            "有效期到什么时候？",
            "这个商品的保质期是哪天？",
            "到期日是哪天？",
            "哪天到期？",
            "请读出到期日期",
            "最晚哪天前食用？",
            "过期日期是多少？",
        ],
        "en": [
            "What is the expiry date?",
            "When does it expire?",
            "Best before when?",
            "What is the use-by date?",
            "Until when is it good?",
            "Read the expiry date.",
            "expiry date?",
            "When is the best before date?",
            "On which day does this expire?",
            "Give the expiration date.",
        ],
    },
    "total": {
        "zh": [
            "总金额是多少？",
            "合计多少？",
            "一共多少钱？",
            "总价是多少？",
            "总共要付多少？",
            "小票的合计是多少？",
            "应付多少？",
            "总计多少钱？",
            "这张单子总共多少？",
            "合计金额",
        ],
        "en": [
            "What is the total?",
            "How much is the total?",
            "Total amount?",
            "What is the sum at the bottom?",
            "How much in total?",
            "What is the grand total?",
            "Read the total.",
            "How much has to be paid?",
            "Give me the total amount.",
            "total?",
        ],
    },
    "largest": {
        "zh": [
            "最大的金额是多少？",
            "哪个金额最大？",
            "最贵的是多少钱？",
            "最高的价格是多少？",
            "图中最大金额",
            "找出最大的金额",
            "最高金额是几？",
            "请写出最大的金额",
        ],
        "en": [
            "What is the largest amount?",
            "Which amount is the highest?",
            "Highest price?",
            "What is the biggest amount?",
            "Find the largest price.",
            "largest amount?",
            "Tell me the highest amount.",
            "Which price is the greatest?",
        ],
    },
    "has_price": {
        "zh": [
            "图中有价格吗？",
            "有没有显示价格？",
            "是否包含金额？",
            "图里有金额吗？",
            "是否显示具体价格数字？",
            "有价格吗？",
            "这张图上有没有金额？",
            "图中出现价格了吗？",
            "能看到价格吗？",
            "有金额出现吗？",
        ],
        "en": [
            "Is there a price?",
            "Does the picture show a price?",
            "Are there any amounts?",
            "Is any amount shown?",
            "Is a price visible?",
            "Does it contain prices?",
            "any price?",
            "Can you see a price?",
            "Do you see an amount?",
            "Are prices shown here?",
        ],
    },
    "has_text": {
        "zh": [
            "图中有“{}”吗？",
            "有没有写“{}”？",
            "是否出现“{}”？",
            "图里能看到“{}”吗？",
            "上面写着“{}”吗？",
            "包含“{}”吗？",
            "有“{}”这几个字吗？",
            "是否写有“{}”？",
        ],
        "en": [
            'Does it say "{}"?',
            'Is "{}" on the page?',
            'Do you see "{}"?',
            'Is the text "{}" shown?',
            'Does "{}" appear?',
            'Is there "{}"?',
            'Can you find "{}"?',
            'Is "{}" written here?',
        ],
    },
    "has_shape": {
        "zh": [
            "图中有{}吗？",
            "有没有{}？",
            "是否有{}？",
            "能看到{}吗？",
            "这里有{}吗？",
            "图里有{}吗？",
            "是否出现{}？",
            "画面中有{}吗？",
        ],
        "en": [
            "Is there a {}?",
            "Do you see a {}?",
            "Does it show a {}?",
            "Is a {} in the picture?",
            "Any {}?",
            "Can you see a {}?",
            "Is a {} shown?",
            "Does a {} appear?",
        ],
    },
    "has_claim": {
        "zh": [
            "有违禁广告词吗？",
            "是否含违禁词？",
            "有没有绝对化用语？",
            "图中有违禁词吗？",
            "是否出现'最便宜''第一'等违禁广告词？",
            "广告词合规吗，有没有违禁词？",
            "含有违禁词吗？",
            "有没有违规广告词？",
        ],
        "en": [
            "Are there forbidden advertising words?",
            "Does it use banned claims?",
            "Any forbidden words?",
            "Does it contain a forbidden claim?",
            "Are banned advertising words shown?",
            "Is there a forbidden word?",
            "Do you see forbidden claims?",
            "Are any claims forbidden?",
        ],
    },
    "which_claims": {
        "zh": [
            "列出违禁广告词",
            "有哪些违禁词？",
            "找出违禁词",
            "图中出现了哪些违禁广告词？",
            "请列出违禁词",
            "哪些词违反广告规定？",
            "写出所有违禁词",
            "违禁词有哪些？",
        ],
        "en": [
            "List the forbidden advertising words.",
            "Which words are forbidden?",
            "Find the forbidden words.",
            "What banned claims are shown?",
            "List banned words.",
            "forbidden words?",
            "Write the forbidden words.",
            "Name all forbidden claims.",
        ],
    },
    "which_brand": {
        "zh": [
            "这是什么品牌？",
            "图中是哪个品牌的标志？",
            "品牌标志是什么？",
            "有哪个品牌的Logo？",
            "看到什么品牌？",
            "品牌名称是什么？",
            "是什么牌子？",
            "请认出品牌标志",
        ],
        "en": [
            "Which brand is it?",
            "What brand logo is shown?",
            "Name the brand mark.",
            "Whose logo is this?",
            "Which logo do you see?",
            "brand?",
            "What brand is this?",
            "Identify the logo.",
        ],
    },
    "count_amounts": {
        "zh": [
            "图中有几个金额？",
            "一共有多少个金额？",
            "有几个价格？",
            "数一数有几个金额",
            "金额有多少个？",
            "出现了几个金额？",
            "共几个金额？",
            "价格有几个？",
        ],
        "en": [
            "How many amounts are there?",
            "Count the amounts.",
            "How many prices do you see?",
            "Number of amounts?",
            "How many prices are shown?",
            "Count the prices.",
            "How many amounts appear?",
            "Tell me the number of prices.",
        ],
    },
    "count_lines": {
        "zh": [
            "图中有几行文字？",
            "文字有几行？",
            "一共几行字？",
            "数一数有几行文字",
            "共有多少行文字？",
            "写了几行？",
            "有多少行字？",
            "几行文字？",
        ],
        "en": [
            "How many lines of text are there?",
            "Count the lines of text.",
            "How many text lines?",
            "Number of lines?",
            "How many lines does it have?",
            "Count the lines.",
            "How many rows of text?",
            "Tell me the number of lines.",
        ],
    },
    "count_shapes": {
        "zh": [
            "图中有几个{}？",
            "有多少个{}？",
            "数一数{}有几个",
            "{}有几个？",
            "一共有几个{}？",
            "{}的数量是多少？",
            "画了几个{}？",
            "共几个{}？",
        ],
        "en": [
            "How many {} are there?",
            "Count the {}.",
            "How many {} do you see?",
            "Number of {}?",
            "How many {} are shown?",
            "How many {}?",
            "Tell me the number of {}.",
            "How many {} appear?",
        ],
    },
    "shapes": {
        "zh": [
            "图中有哪些图形？",
            "描述图中的图形",
            "有什么图形？",
            "列出所有图形",
            "画了哪些图形？",
            "请说出图形的颜色和数量",
            "图里画了什么？",
            "都有什么形状？",
        ],
        "en": [
            "What shapes are there?",
            "Describe the shapes.",
            "List the shapes.",
            "Which shapes do you see?",
            "What is drawn here?",
            "Name the shapes and their colours.",
            "Which figures are drawn?",
            "Tell me about the shapes.",
        ],
    },
    "colour": {
        "zh": [
            "{}是什么颜色？",
            "{}的颜色是什么？",
            "图中的{}是什么颜色的？",
            "{}什么颜色？",
            "请说出{}的颜色",
            "那个{}是什么颜色？",
            "{}是哪种颜色？",
            "{}涂的什么颜色？",
        ],
        "en": [
            "What colour is the {}?",
            "What is the colour of the {}?",
            "Colour of the {}?",
            "Which colour has the {}?",
            "Name the colour of the {}.",
            "The {} is what color?",
            "What color is the {}?",
            "Which color is the {}?",
        ],
    },
    "box": {
        "zh": [
            "“{}”在哪里？",
            "请给出“{}”的位置框",
            "框出“{}”",
            "“{}”的坐标是多少？",
            "定位“{}”",
            "找到“{}”的位置",
            "“{}”的边框坐标",
            "请框选“{}”",
        ],
        "en": [
            'Where is "{}"?',
            'Give the box of "{}".',
            'Locate "{}".',
            'Box of "{}"?',
            'Find the position of "{}".',
            'Where does "{}" stand?',
            'Bounding box of "{}".',
            'Point to "{}".',
        ],
    },
    "shape_box": {
        "zh": [
            "{}在哪里？",
            "请给出{}的位置框",
            "框出{}",
            "{}的坐标是多少？",
            "定位{}",
            "找到{}的位置",
            "{}的边框坐标",
            "请框选{}",
        ],
        "en": [
            "Where is the {}?",
            "Give the box of the {}.",
            "Locate the {}.",
            "Box of the {}?",
            "Find the position of the {}.",
            "Position of the {}?",
            "Bounding box of the {}.",
            "Point to the {}.",
        ],
    },
    "amount_boxes": {
        "zh": [
            "框出所有金额",
            "给出每个金额的位置",
            "所有金额在哪里？",
            "列出金额和坐标",
            "每个金额的位置框是多少？",
            "定位所有金额",
            "标出所有金额的位置",
            "金额分别在哪里？",
        ],
        "en": [
            "Where are the amounts?",
            "Give the box of every amount.",
            "Locate all amounts.",
            "List the amounts with their boxes.",
            "Box every price.",
            "Find the position of each amount.",
            "Boxes of all amounts.",
            "Mark every amount.",
        ],
    },
    "describe": {
        "zh": [
            "这张图是什么?",
            "请描述这张图片的内容",
            "这是什么？",
            "图里是什么？",
            "这张图片是什么内容？",
            "看看这是什么图",
            "描述一下这张图",
            "这是一张什么图？",
            "图片内容是什么？",
            "简单介绍这张图",
        ],
        "en": [
            "What is in this image?",
            "What is this?",
            "Describe the picture.",
            "What kind of picture is this?",
            "What do you see?",
            "Describe this image.",
            "what is this picture",
            "What does the image show?",
            "Tell me what this is.",
            "What am I looking at?",
        ],
    },
}
PHRASES.update(FIGURE_PHRASES)
NUM_HELDOUT = 2

CANNOT: dict[str, list[tuple[str, str]]] = {  # questions outside the drawn world, and what to say
    "zh": [
        ("描述图中人物穿着风格和配色方案", "图中没有人物，我只能读出文字和认出简单图形。"),
        ("这张图里的人在做什么?请用一句话概括,并指出是否有安全隐患。", "图中没有人物，我只能读出文字和认出简单图形。"),
        ("图里有几个人？", "图中没有人物，我只能读出文字和认出简单图形。"),
        ("这个人是谁？", "图中没有人物，我只能读出文字和认出简单图形。"),
        ("他们在做什么？", "图中没有人物，我只能读出文字和认出简单图形。"),
        (
            "请逐题检查解题过程,标出所有计算错误、公式误用或逻辑漏洞,并用红色标注原文位置。",
            "这张图不是作业，没有可以批改的题目。",
        ),
        (
            "检查该页是否包含以下任一问题:1) 甲方签字栏为空;2) 乙方公章模糊不可辨;3) 金额大写与小写不一致;4) 出现'最终解释权归我方所有'等违规表述。",
            "这张图不是合同，没有可以检查的条款。",
        ),
        (
            "请用 JSON 格式返回,字段为:{ defects: [str], severity: high/medium/low, suggestion: str }.",
            '{"defects": [], "severity": "none", "suggestion": "图中没有我认识的工件，无法检查"}',
        ),
        ("这是什么动物？", "我认不出照片里的东西，只能读出文字和认出简单图形。"),
        ("这是在哪个城市拍的？", "我认不出照片里的东西，只能读出文字和认出简单图形。"),
        ("这道菜怎么做？", "我回答不了这个问题，只能读出文字和认出简单图形。"),
        ("这个东西值得买吗？", "我回答不了这个问题，只能读出文字和认出简单图形。"),
        ("它好吃吗？", "我回答不了这个问题，只能读出文字和认出简单图形。"),
        ("天气怎么样？", "我回答不了这个问题，只能读出文字和认出简单图形。"),
    ],
    "en": [
        ("What is the person wearing?", "There is no person here; I can only read text and name simple shapes."),
        ("Who is in this photo?", "There is no person here; I can only read text and name simple shapes."),
        ("How many people are there?", "There is no person here; I can only read text and name simple shapes."),
        ("What are they doing?", "There is no person here; I can only read text and name simple shapes."),
        (
            "What animal is this?",
            "I cannot recognise things in photographs; I can only read text and name simple shapes.",
        ),
        (
            "Which city is this?",
            "I cannot recognise things in photographs; I can only read text and name simple shapes.",
        ),
        ("Is this safe to eat?", "I cannot answer that; I can only read text and name simple shapes."),
        ("Is it worth the money?", "I cannot answer that; I can only read text and name simple shapes."),
        ("Write a story about this picture.", "I cannot answer that; I can only read text and name simple shapes."),
        ("Mark this homework.", "This is no worksheet; there is nothing to mark."),
        ("Does the contract have a problem?", "This is no contract; there is nothing to check."),
        ("What is the weather like?", "I cannot answer that; I can only read text and name simple shapes."),
        ("Is the part scratched?", "There is no part to inspect here."),
        ("How do I cook this?", "I cannot answer that; I can only read text and name simple shapes."),
    ],
}
UNREADABLE = {"zh": "图片太模糊，我看不清文字。", "en": "The picture is too blurred for me to read."}
NO_TRANSLATION = {"zh": "我还不会翻译，以上是原文。", "en": "I cannot translate; this is the original text."}
TRANSLATE = {
    "zh": ["请识别图中所有文字内容,并翻译成英文", "读出文字并翻译成英文", "把图中的文字翻译成英文", "请翻译图中的内容"],
    "en": [
        "Read the text and translate it.",
        "Translate the text into Chinese.",
        "Translate this picture.",
        "Please translate what it says.",
    ],
}
NONE = {
    "amounts": {"zh": "没有金额", "en": "no amounts"},
    "read": {"zh": "没有文字", "en": "no text"},
    "field": {"zh": "图中没有写明", "en": "not shown"},
    "total": {"zh": "没有合计", "en": "no total"},
    "brand": {"zh": "没有品牌标志", "en": "no brand mark"},
    "claims": {"zh": "没有违禁词", "en": "no forbidden words"},
    "box": {"zh": "图中没有", "en": "not in the picture"},
}

GREETINGS: dict[str, list[tuple[list[str], str]]] = {
    "zh": [
        (["你好", "您好", "你好！", "在吗？", "早上好", "晚上好"], "你好！请给我一张有文字的图片，我来读。"),
        (
            ["你是谁？", "你叫什么名字？", "介绍一下你自己", "你是什么模型？"],
            "我是 flashweb-nano，一个很小的读图模型，会读文字和金额。",
        ),
        (
            ["你能做什么？", "你会什么？", "有什么功能？", "怎么用你？"],
            "我能读出图片里的文字、金额、字段和简单图形，其他的我不会。",
        ),
        (["谢谢", "多谢", "谢谢你！"], "不客气。"),
        (["再见", "拜拜"], "再见！"),
        (["读出图中文字", "列出金额", "图中有什么？", "这张图是什么?"], "我没有看到图片，请先给我一张图片。"),
    ],
    "en": [
        (
            ["hello", "Hi", "Hello!", "hey", "Good morning", "Hi there"],
            "Hello! Send me a picture with text and I will read it.",
        ),
        (
            ["Who are you?", "What is your name?", "What model are you?", "Introduce yourself."],
            "I am flashweb-nano, a very small model that reads text and amounts in pictures.",
        ),
        (
            ["What can you do?", "help", "How do I use you?", "What are you good at?"],
            "I can read text, amounts, fields and simple shapes in pictures, and nothing else.",
        ),
        (["Thanks", "Thank you!", "thank you"], "You are welcome."),
        (["bye", "Goodbye"], "Goodbye!"),
        (
            ["List the amounts", "Read the text", "What is in this image?", "What is this?"],
            "I see no picture; please send me one first.",
        ),
    ],
}
OPEN_QUESTIONS = {
    "zh": [
        "什么是{}？",
        "请解释{}",
        "写一首关于{}的诗",
        "{}怎么样？",
        "如何理解{}？",
        "给我讲讲{}",
        "{}和{}有什么区别？",
        "帮我写一篇{}的文章",
        "为什么要{}？",
    ],
    "en": [
        "What is {}?",
        "Explain {}.",
        "Write a poem about {}.",
        "Why do people like {}?",
        "How does {} work?",
        "Tell me about {}.",
        "What is the difference between {} and {}?",
        "Write an essay on {}.",
        "What is the capital of {}?",
    ],
}
CANNOT_CHAT = {
    "zh": "我是很小的读图模型，回答不了这个问题。",
    "en": "I am a very small model that reads pictures; I cannot answer that.",
}


# --- mechanical variation of trained phrasings -----------------------------------------------------------------------

VARIED = 0.25  # how often a trained phrasing is varied
# The source documents' prompts are asked word for word (`refusals.PROMPTS` holds all of them; a test compares).
SOURCE_PROMPTS = frozenset(
    (
        AUDIT_PROMPT,
        AUDITOR_PROMPT,
        EXPIRY_PROMPT,
        "这张图是什么?",
        "提取图中所有金额数字,并按出现顺序列出",
        "描述图中人物穿着风格和配色方案",
        "请描述这张图片的内容",
        "What is in this image?",
        "这张图中的包是什么品牌?",
        "这张图里的人在做什么?请用一句话概括,并指出是否有安全隐患。",
        "请识别图中所有文字内容,并翻译成英文",
        "这是什么品牌?主推卖点有哪些?用中文分三点列出。",
        "这个设备支持无线充电吗?电池容量多少?",
        "请逐题检查解题过程,标出所有计算错误、公式误用或逻辑漏洞,并用红色标注原文位置。",
        "检查该页是否包含以下任一问题:1) 甲方签字栏为空;2) 乙方公章模糊不可辨;3) 金额大写与小写不一致;"
        "4) 出现'最终解释权归我方所有'等违规表述。",
    )
)
_SLOT = re.compile(r"(\{\d*\})")
_MARKS = ".?!。？！ "
_WIDE, _NARROW = "，：；？！", ",:;?!"
_TO_NARROW, _TO_WIDE = str.maketrans(_WIDE, _NARROW), str.maketrans(_NARROW, _WIDE)
_ORDERS_EN = frozenset(
    "answer box check compare copy count decide describe draw extract figure find get give grab identify list locate "
    "look mark name note output pick point print provide pull quote read recognise recognize report return say scan "
    "see show spell spot state tell transcribe type write".split()
)
_ORDERS_ZH = tuple(
    "按 把 报 比一比 辨认 标出 标注 查 抄写 抄录 读 定位 给 概括 告诉我 回答 检查 简单介绍 介绍 解释 框出 框选 框住 列 描述 "
    "念 判断 认出 识别 输出 数一 数数 数出 说 算 提取 统计 挑出 写 圈出 找 指出 转写 逐行 依次 用一句".split()
)
_ASKS_ZH = re.compile("吗|什么|多少|几|哪|谁|怎|呢|有没有|是否|是不是|有无|能否|多大|何")
_TO_ORDERS_EN = (
    "Please ",
    "please ",
    "Please ",
    "Hi, please ",
    "Now ",
    "Could you ",
    "Can you ",
    "Would you ",
    "Kindly ",
)
_TO_ALL_EN = (
    "Hi, ", "Hello, ", "Hello! ", "Hey, ", "Look at the picture. ", "Look closely: ", "Have a look at this. ",
    "Quick question: ", "Question: ", "Q: ", "Excuse me, ", "Good morning, ", "OK, ", "So, ", "Look at the image: ",
)  # fmt: skip
_AFTER_EN = (" Thanks.", " Thank you.", " Thanks!", " Thank you!", " thx", " Many thanks.")
_TO_ORDERS_ZH = ("请", "请你", "麻烦", "麻烦你", "帮我", "请帮我", "帮忙", "麻烦帮我", "能不能帮我", "可以帮我", "劳驾")
_TO_ASKS_ZH = (
    "请问",
    "请问，",
    "你好，请问",
    "您好，请问",
    "想问一下，",
    "问一下，",
    "我想知道",
    "麻烦问一下，",
    "请告诉我，",
)
_TO_ALL_ZH = (
    "你好，", "您好，", "你好！", "看图回答：", "看一下图，", "请看图，", "根据图片回答：", "仔细看图，", "问题：", "问：",
    "打扰一下，", "看一看，", "请看：", "请回答：",
)  # fmt: skip
_AFTER_ZH = ("，谢谢", "，谢谢！", "，多谢", " 谢谢", "，麻烦了", "，谢谢你", "。谢谢")


def bare(text: str) -> str:
    """A phrasing without case, punctuation and spaces: two that are equal so are one phrasing."""
    return "".join(char for char in _SLOT.sub("\0", text).lower() if char.isalnum() or char == "\0")


def varied(r: Random, text: str, language: str) -> str:
    """Sometimes the phrasing with a greeting, other final punctuation or case: the same meaning and the same slots.

    Texts with other braces than slots (JSON) and the sources' prompts are returned as they are.
    """
    if r.random() >= VARIED or text in SOURCE_PROMPTS or "\n" in text or set(_SLOT.sub("", text)) & set("{}"):
        return text
    return _varied_zh(r, text) if language == "zh" else _varied_en(r, text)


def _outside_slots(text: str, change: Callable[[str], str]) -> str:
    return "".join(part if _SLOT.fullmatch(part) else change(part) for part in _SLOT.split(text))


def _varied_en(r: Random, text: str) -> str:
    body = text.rstrip(_MARKS)
    mark, word = text[len(body) :], body.split(" ")[0].lower().rstrip(",:")
    if r.random() < 0.45:
        mark = r.choice(("", "?", "??", " ?") if "?" in mark else ("", ".", "!") if mark else ("", ""))
    if r.random() < 0.5:
        lead = r.choice(_TO_ORDERS_EN if word in _ORDERS_EN and r.random() < 0.65 else _TO_ALL_EN)
        if word not in ("i", "ocr"):
            body = body[:1].lower() + body[1:] if lead[-2] not in ".!:" or r.random() < 0.5 else body
        one_sentence = not re.search(r"[.?!:] ", body)
        if lead.split(" ")[0] in ("Could", "Can", "Would"):
            lead, mark = (lead, "?" if mark else "") if one_sentence else ("Please ", mark)
        body = lead + body
    if r.random() < 0.25:
        mark = (
            r.choice((", please" + mark.strip(), (mark or ".") + r.choice(_AFTER_EN))) if "lease" not in body else mark
        )
    text = body + mark
    if r.random() < 0.35:
        return _outside_slots(text, str.lower)
    return text[:1].lower() + text[1:] if r.random() < 0.15 and not text[:2].isupper() else text


def _varied_zh(r: Random, text: str) -> str:
    body = text.rstrip(_MARKS)
    mark, asks = text[len(body) :], _ASKS_ZH.search(body) is not None
    if r.random() < 0.45:
        mark = r.choice(("", "？", "?", "？？") if asks or "？" in mark or "?" in mark else ("", "。", "！", "."))
    polite = body.startswith(("请", "麻烦", "帮", "能", "可", "劳驾", "你", "我", "告诉"))
    if r.random() < 0.5:
        leads = _TO_ALL_ZH
        if not polite and r.random() < 0.65:
            leads = _TO_ORDERS_ZH if body.startswith(_ORDERS_ZH) else _TO_ASKS_ZH if asks else _TO_ALL_ZH
        body = r.choice(leads) + body
    if r.random() < 0.25:
        mark = (mark if asks else "") + r.choice(_AFTER_ZH).lstrip("，。 " if asks and mark else "")
    text = body + mark
    if r.random() < 0.35:
        table = _TO_NARROW if r.random() < 0.7 else _TO_WIDE
        text = _outside_slots(text, lambda part: part.translate(table))
    return text


def phrase(r: Random, name: str, language: str, heldout: bool) -> str:
    """One phrasing; held-out ones only for the split that asks for them. Trained ones are sometimes `varied`."""
    known = PHRASES[name][language]
    if heldout:
        return r.choice(known[-NUM_HELDOUT:])
    text = r.choice(known[:-NUM_HELDOUT])
    new = varied(r, text, language)
    return text if bare(new) in {bare(kept) for kept in known[-NUM_HELDOUT:]} else new
