"""Phrasings of what is asked about clips. As in `training.phrases`, the last two of every list are held out.

{0} is what is looked for (a text, mostly in quotes, or a shape) or a second, without its unit.
"""

from __future__ import annotations

from random import Random

from training.phrases import NUM_HELDOUT, bare, varied

CLIPS: dict[str, dict[str, list[str]]] = {
    "when": {
        "zh": [
            "{0}在第几秒出现？", "第几秒出现了{0}？", "{0}什么时候出现？", "{0}是第几秒出现的？",
            "{0}从第几秒开始出现？", "视频的第几秒能看到{0}？", "什么时候第一次看到{0}？", "{0}最早出现在第几秒？",
            "到第几秒才有{0}？", "这段视频里{0}何时出现？", "找出{0}出现的时间", "告诉我{0}在第几秒出现",
            "在哪一秒可以看到{0}？", "画面里第几秒有了{0}？",
        ],
        "en": [
            "At which second does {0} appear?", "When does {0} appear?", "At what second does {0} appear?",
            "At what time does {0} show up?", "When is {0} first seen?", "At which second is {0} first shown?",
            "When can you see {0} for the first time?", "From which second on is {0} there?",
            "How many seconds in does {0} appear?", "When does {0} come into the clip?", "Tell me when {0} appears.",
            "Find the second at which {0} appears.", "Which second brings {0}?",
            "At which moment of the video does {0} turn up?",
        ],
    },
    "amount_when": {
        "zh": [
            "金额在第几秒显示？", "什么时候显示金额？", "视频里金额是什么时候出现的？", "第几秒能看到金额？",
            "价格在第几秒出现？", "金额何时显示？", "哪些时间画面上有金额？", "金额显示在第几秒？",
            "什么时候有金额？", "画面上的金额在什么时间？", "在第几秒可以看到价格？", "找出显示金额的时间",
            "几秒的时候有价格？", "钱数是在哪段时间显示的？",
        ],
        "en": [
            "When is the amount shown?", "At which second is the amount shown?", "When can the amount be seen?",
            "When is an amount on the screen?", "At what time is the amount shown?",
            "When does the clip show an amount?", "During which seconds is there an amount?",
            "At which second can you see the price?", "When is the price shown?",
            "When does an amount appear in the video?", "Tell me when the amount is shown.",
            "Give the time at which the amount is shown.", "Where in the clip is the amount, in seconds?",
            "What are the seconds with a price?",
        ],
    },
    "range": {
        "zh": [
            "{0}从第几秒到第几秒出现？", "{0}从第几秒显示到第几秒？", "{0}在哪段时间显示？",
            "{0}出现的时间段是什么？", "从第几秒到第几秒能看到{0}？", "{0}从几秒到几秒？",
            "{0}显示的起止时间是多少？", "{0}在画面上从何时到何时？", "给出{0}出现的开始和结束时间",
            "视频的哪几秒有{0}？", "哪段时间里能看到{0}？", "{0}显示了哪段时间？", "{0}在视频里待在哪几秒？",
            "看得到{0}的是第几秒到第几秒？",
        ],
        "en": [
            "From which second to which is {0} shown?", "From when to when is {0} shown?",
            "Between which seconds is {0} shown?", "During which seconds is {0} shown?",
            "In what span of time is {0} visible?", "From which second until which can {0} be seen?",
            "What is the first and the last second of {0}?", "Give the start and the end of {0} in seconds.",
            "Over which seconds does {0} stay?", "Which seconds of the clip show {0}?",
            "State the seconds in which {0} is shown.", "What part of the video shows {0}, in seconds?",
            "Which stretch of seconds has {0}?", "Name the seconds from start to end for {0}.",
        ],
    },
    "gone": {
        "zh": [
            "{0}在第几秒消失？", "{0}什么时候消失？", "第几秒{0}不见了？", "到第几秒{0}就没有了？", "{0}何时消失？",
            "{0}从第几秒起看不到了？", "视频里{0}什么时候不见的？", "{0}是第几秒消失的？", "告诉我{0}消失的时间",
            "找出{0}消失的那一秒", "{0}在哪一秒消失？", "几秒之后看不到{0}？", "哪一秒开始没有{0}？",
            "{0}到什么时候就不显示了？",
        ],
        "en": [
            "At which second does {0} disappear?", "When does {0} disappear?", "When is {0} gone?",
            "From which second on is {0} gone?", "At what second does {0} vanish?", "When does {0} go away?",
            "When is {0} no longer shown?", "At which second is {0} no longer there?",
            "When does {0} leave the clip?", "Tell me when {0} disappears.",
            "Find the second at which {0} disappears.", "Since when is {0} missing?", "Which second has {0} no more?",
            "By which second has {0} left the screen?",
        ],
    },
    "at": {
        "zh": [
            "第{0}秒写着什么？", "第{0}秒的画面上写了什么？", "第{0}秒有什么文字？", "视频第{0}秒的文字是什么？",
            "读出第{0}秒的文字", "第{0}秒显示的是什么字？", "在第{0}秒能读到什么？", "{0}秒的时候写着什么？",
            "第{0}秒画面里的文字是什么？", "说出第{0}秒的文字内容", "第{0}秒上面的字？", "告诉我第{0}秒写的内容",
            "第{0}秒的时候有哪些字？", "请抄写第{0}秒的文字",
        ],
        "en": [
            "What is written at second {0}?", "What does it say at second {0}?", "What is the text at second {0}?",
            "Read the text at second {0}.", "What can be read at second {0}?", "Which text is shown at second {0}?",
            "What is written {0} s into the clip?", "What does the screen say at {0} s?",
            "Read what is written at {0} seconds.", "At second {0}, what is written?",
            "Which words stand at second {0}?", "Tell me the text at {0} s.", "Copy the words of second {0}.",
            "What are the words on screen at {0} s?",
        ],
    },
    "at_amount": {
        "zh": [
            "第{0}秒的金额是多少？", "第{0}秒显示的金额是多少？", "视频第{0}秒的价格是多少？", "第{0}秒有什么金额？",
            "在第{0}秒能看到哪个金额？", "{0}秒时的金额？", "读出第{0}秒的金额", "第{0}秒画面上的价格是什么？",
            "第{0}秒显示哪些金额？", "说出第{0}秒的金额", "到第{0}秒时金额是多少？", "告诉我第{0}秒的金额",
            "第{0}秒的钱数是多少？", "给出第{0}秒画面里的数额",
        ],
        "en": [
            "Which amount is shown at second {0}?", "What is the amount at second {0}?",
            "What amount does the clip show at second {0}?", "Which price is shown at {0} s?",
            "What is the price at second {0}?", "Which amounts are there at second {0}?",
            "Read the amount at second {0}.", "At second {0}, what is the amount?", "How much does it say at {0} s?",
            "Give the amount at second {0}.", "What amount can be seen at {0} seconds?",
            "Tell me the amount shown at {0} s.", "What amount stands there at {0} s?",
            "Name the price of second {0}.",
        ],
    },
    "amounts": {
        "zh": [
            "视频里显示的金额是多少？", "这段视频里有哪些金额？", "视频中出现了什么金额？", "列出视频里的所有金额",
            "视频里的价格是多少？", "这段视频显示了哪些金额？", "提取视频中的金额", "视频里出现过哪些价格？",
            "按出现的顺序列出视频里的金额", "视频中的金额？", "这段视频里的金额是什么？", "整段视频里有哪些金额？",
            "视频里总共给出了哪些金额？", "片子里有哪些钱数？",
        ],
        "en": [
            "Which amount is shown in this clip?", "Which amounts are shown in this video?",
            "List the amounts in the clip.", "What amounts does the video show?", "What is the amount in this video?",
            "Which prices appear in the clip?", "List all amounts of this video in order.",
            "Extract the amounts from the clip.", "What prices can be seen in the video?",
            "Give all amounts shown in the clip.", "Amounts in this clip?",
            "Tell me the amounts that the video shows.", "Write down every amount of the clip.",
            "Collect the prices in this video.",
        ],
    },
    "describe": {
        "zh": [
            "这段视频里发生了什么？", "视频里有什么？", "用一句话描述这段视频", "这段视频显示了什么？",
            "描述这段视频", "视频的内容是什么？", "请概括这段视频", "这段视频讲了什么？", "视频里先后出现了什么？",
            "说说视频里发生的事", "按时间说明视频的内容", "这段视频是什么？", "请按先后说出片中的画面",
            "片子里都出现了什么？",
        ],
        "en": [
            "What happens in this clip?", "What is shown in this video?", "What does this clip show?",
            "Describe the video in one line.", "Describe this clip.", "What is in this video?", "Summarise the clip.",
            "What can be seen in this clip, and when?", "What happens in the video?", "Tell me what the clip shows.",
            "What is shown one after the other?", "What is this video?", "Go through the clip in a line.",
            "Outline what the video shows when.",
        ],
    },
    "count": {
        "zh": [
            "视频里有几个不同的金额？", "视频中一共出现了几个不同的金额？", "这段视频有多少个不同的金额？",
            "视频里有几种金额？", "共显示了几个不同的金额？", "数一数视频里不同的金额", "视频里不同的价格有几个？",
            "这段视频里出现过几个不同的价格？", "不同的金额有几个？", "视频里显示过多少个不同金额？",
            "整段视频有几个不同的金额？", "统计视频中不同金额的个数", "片中不重复的金额有几个？",
            "片子里一共有几种不同的钱数？",
        ],
        "en": [
            "How many different amounts are shown?", "How many different amounts are in this clip?",
            "How many different amounts does the video show?", "How many different prices appear?",
            "Count the different amounts in the clip.", "How many distinct amounts are there?",
            "How many distinct prices does the clip show?", "What is the number of different amounts?",
            "How many different amounts appear in the video?", "Count the distinct amounts.",
            "Tell me how many different amounts there are.", "How many amounts, each counted once, are shown?",
            "How many unlike amounts come up?", "Counting repeats once, how many prices does it show?",
        ],
    },
    "has": {
        "zh": [
            "视频里有金额吗？", "这段视频里有没有金额？", "视频中出现金额了吗？", "视频里有价格吗？",
            "这段视频显示金额吗？", "视频里能看到金额吗？", "视频里是否有金额？", "这段视频里是否出现过价格？",
            "视频里有没有价格？", "片中有金额吗？", "整段视频里有金额吗？", "视频中是否显示了金额？",
            "片子里有没有出现钱数？", "这段视频从头到尾有金额吗？",
        ],
        "en": [
            "Is there an amount in the clip?", "Is there an amount in this video?", "Does the clip show an amount?",
            "Does an amount appear in the video?", "Is an amount shown anywhere in the clip?",
            "Can an amount be seen in this video?", "Is there a price in the clip?", "Does the video show a price?",
            "Does a price appear in this clip?", "Is any amount shown?", "Are there amounts in this clip?",
            "Does this clip contain an amount?", "Does a sum of money come up in it?",
            "At any second, does the clip give a price?",
        ],
    },
}  # fmt: skip


def say(r: Random, name: str, language: str, heldout: bool) -> str:
    """One phrasing; held-out ones only for the split that asks for them. Trained ones are sometimes `varied`."""
    known = CLIPS[name][language]
    if heldout:
        return r.choice(known[-NUM_HELDOUT:])
    text = r.choice(known[:-NUM_HELDOUT])
    new = varied(r, text, language)
    return text if bare(new) in {bare(kept) for kept in known[-NUM_HELDOUT:]} else new
