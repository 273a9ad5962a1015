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
            "提取图中所有金额数字,并按出现顺序列出", "列出图中所有金额", "图中有哪些金额？", "请按顺序列出所有价格",
            "有哪些价格？", "把所有金额找出来", "提取所有金额", "读出所有价格，按出现顺序",
            "图里出现了哪些金额？请按顺序写出", "金额都是多少？", "请提取图中的全部金额，用逗号分开", "列出金额",
            "图里所有的价钱都列出来", "把图片里的金额按顺序写出来", "请把每一笔款额列出来", "麻烦列一下图中的价格",
            "帮我把这张图里的金额都找出来", "能不能帮我列出所有价格？", "看看有哪些金额", "图片上写了哪些价格？",
            "照片里的价钱都有哪些？", "页面上有哪些款额？", "给出全部金额", "报出所有价格", "念出图里的金额",
            "我需要图中全部的金额", "告诉我图上的所有价格", "写出图片中的全部价钱", "价格有哪些？都列出来", "所有价格",
            "全部金额", "金额清单", "把价格一个一个列出来", "从上到下列出所有金额", "这张图里的价格分别是多少？",
            "按出现的先后顺序给出金额", "提取页面里的价格", "找出图上所有的钱数", "请摘出图中的金额数字",
            "图里提到了哪些金额？", "带货币的数字都列出来", "金额：", "逐个写出所有价格", "画面里的金额有哪些？",
            "各项金额分别是多少？只列数字", "请提取照片中的所有价格",
            "依次写出图中的金额", "请列出这张图上的每个金额",
        ],
        "en": [
            "list the amounts", "List all amounts in the picture, in order of appearance.", "What amounts are shown?",
            "List every price.", "Extract all amounts in order.", "Which prices can you see?",
            "Give me all the amounts.", "Read out all prices in order.", "What are the amounts in this image?",
            "Extract the prices", "List the amounts, separated by commas.", "amounts?", "What prices are there?",
            "What prices are in the picture?", "Show me all the prices.", "Tell me all the amounts.",
            "Tell me every price in the photo.", "I need all the amounts on this page.", "I need a list of the prices.",
            "Could you list the prices?", "Can you give me every amount in the image?",
            "Please extract every sum of money.", "List all sums of money in order.",
            "Which amounts of money appear here?", "Which amounts are printed on it?", "Name all the prices.",
            "all prices", "all amounts, in order", "amounts in order of appearance", "Every amount, please.",
            "list of prices", "Prices?", "Write out all prices from top to bottom.",
            "Get me the amounts from this scan.", "Pull out all prices.", "Go through the page and list each price.",
            "What are all the prices on the page?", "What figures with a currency are shown?",
            "State every amount shown.", "Report the amounts in the order they appear.",
            "Identify all prices in the image.", "Find all the amounts and list them.", "The prices in this photo are?",
            "Copy out all the prices.", "Return every price, comma separated.", "What sums are shown in the picture?",
            "Look for prices and list them all.",
            "Write down each amount you see.", "Please list all the amounts on this page.",
        ],
    },
    "read": {
        "zh": [
            "读出图中所有文字", "请识别图中所有文字内容", "图中写了什么？", "逐行读出文字", "提取图中的文字",
            "把图里的字都写出来", "这上面写的是什么？", "识别文字", "请一行一行地读出来", "图片上的文字是什么？",
            "把图片上的字全部读一遍", "图里写了哪些字？", "请把文字内容写出来", "照片上写着什么？", "这页上写了什么？",
            "麻烦读一下图里的文字", "帮我读出图片中的文字", "能不能把上面的字读给我？", "念出图中的文字",
            "告诉我图里写了什么", "告诉我上面写着什么", "看看图里写的是什么字", "转写图片中的文字",
            "把全部文字按行输出", "提取页面上的所有文字", "我需要图中的全部文字", "文字内容", "全文是什么？",
            "图中文字", "画面里有什么字？", "请把每一行都读出来", "从上到下读出所有文字", "给出图片里的完整文字",
            "输出图中的文字内容", "把这张图转成文字", "上面写了些什么？", "请照着图把字抄下来", "原文是什么？",
            "页面上的文字是什么？", "这张纸上写的什么？", "读一下", "所有的字都写出来", "请帮忙识别照片里的文字",
            "抄写图中的文字", "请读出全部文字",
        ],
        "en": [
            "Read all the text.", "What does it say?", "Read the text line by line.",
            "Extract all text from this image.", "What is written here?", "Transcribe the picture.", "read the text",
            "Write out all text you see.", "What text is in this image?", "OCR this image.", "Read it.",
            "Read this to me.", "What is written on the page?", "What is written in the picture?",
            "What does the picture say?", "What does this page say?", "What does the text say?",
            "Tell me what it says.", "Tell me what is written here.", "Give me the full text.",
            "Give all the text in the image.", "I need the text of this scan.",
            "I need everything that is written here.", "Could you read the text?", "Can you transcribe this?",
            "Please transcribe all of the text.", "Please type out the text.", "Type out everything that is written.",
            "text?", "full text", "all text", "Text of the image?", "Transcribe every line.", "Transcription, please.",
            "Turn this image into text.", "Convert the picture to text.", "Which words are written in the picture?",
            "What words are there in the photo?", "What is the wording?", "Spell out what is written here.",
            "Get the text out of this photo.", "Read every line from top to bottom.", "Show me the text in the image.",
            "Return the whole text.", "Do OCR on this picture.", "Recognise all the text in this picture.",
            "Copy the text of the picture.", "Please read everything on the page.",
        ],
    },
    "bought": {
        "zh": [
            "买了什么？", "买了哪些东西？", "都买了什么", "这张小票上买了什么？", "列出买的商品", "顾客买了哪些商品？",
            "请列出所购商品", "购买的商品有哪些？", "单子上买了哪些东西", "请写出购买的物品", "他们买了什么？",
            "买的都是什么？", "购物清单是什么？", "这次买了哪些商品？", "帮我列出买了什么", "所购物品是什么",
            "一共买了哪些东西？", "小票里的商品都有什么？", "说说买了什么", "请问买了哪些？", "买了些什么东西",
            "请按顺序列出买的东西", "写出小票上的商品名", "消费了哪些商品？", "购买明细里有哪些商品？",
            "这位顾客买了什么", "今天买了什么？", "看看买了哪些商品", "客人买了哪些东西？", "都有哪些商品被买了？",
            "把买的商品都列出来", "请告诉我买了什么",
            "顾客购买了什么东西？", "这一单买的是什么？",
        ],
        "en": [
            "What did they buy?", "What was bought?", "Which items were bought?", "List what was bought.",
            "What did the customer buy?", "Name the items bought.", "what has been bought?", "What was purchased?",
            "Which goods were purchased?", "List the purchased items.", "Tell me what was bought.",
            "What things did they buy?", "Give me the items that were bought.", "What is on the bill?",
            "Which products did the customer get?", "What did she buy?", "What did he buy?", "items bought?",
            "What did we buy?", "Say what was purchased.", "Write down what was bought.", "What was sold?",
            "Which items were sold?", "List the goods on the receipt.", "What were the purchases?",
            "Show me what was bought.", "What did this person buy?", "Which articles were bought?",
            "I want to know what was bought.", "Can you list the purchases?", "What is the shopping?",
            "What did I buy?",
            "What has the customer paid for?", "Which purchases are listed?",
        ],
    },
    "items": {
        "zh": [
            "有哪些商品？", "列出所有商品名称", "都有什么商品", "图中列了哪些品名？", "写出所有品名", "有哪些项目？",
            "请列出商品", "商品都叫什么？", "列出各项的名称", "表里有哪些商品？", "菜单上有什么？", "有什么卖？",
            "把品名都列出来", "请按顺序写出商品名", "上面列了什么商品？", "商品名单", "只要商品名，不要价格",
            "哪些东西有标价？", "列出有价格的项目名称", "品名有哪些", "这里卖什么？", "卖哪些东西？",
            "请读出每一项的名称", "各个商品的名字是什么？", "请写出全部项目的名称", "看看有哪些商品",
            "帮我列出商品名称", "单子上列了哪些商品？", "有哪些品种？", "请说出都有什么商品", "逐个写出商品名称",
            "图里的商品有哪些",
            "列明各项商品", "一共列了哪些东西？",
        ],
        "en": [
            "Which items are listed?", "List the items.", "Name all the items.", "What items are there?",
            "What is on the list?", "Write down the names of the items.", "Which products are shown?",
            "List the names only, without prices.", "What is on the menu?", "What do they sell?", "items?",
            "Give me the item names.", "What goods are listed?", "Read out the names of the items.",
            "Which things have a price?", "Names of all products, please.", "What can I buy here?",
            "Which articles are on this page?", "List every product name.", "Tell me the items.",
            "What are the items called?", "Which items does the page list?", "Show the item names in order.",
            "Can you name the items?", "What is offered?", "list of items", "Which products are there?",
            "Name what is for sale.", "I need the names of the items.", "Item names only.",
            "What products does it list?", "What kinds of goods are there?",
            "Enumerate the items.", "Which goods appear here?",
        ],
    },
    "has_bought": {
        "zh": [
            "买了{}吗？", "有没有买{}？", "是否购买了{}？", "他们买{}了吗", "小票上有{}吗？", "顾客买了{}没有？",
            "请问买了{}吗", "这次买{}了吗？", "买的东西里有{}吗？", "{}买了吗？", "{}有没有买？", "是不是买了{}？",
            "购买清单里有{}吗？", "单子上买了{}吗？", "所购商品包括{}吗？", "看看买没买{}", "是否有买{}",
            "客人是否买了{}？", "今天买{}了吗？", "这一单里有{}吗？", "有买{}吗", "买过{}吗？", "账单里有{}吗？",
            "消费里包括{}吗？", "他买了{}吗？", "她有没有买{}？", "有没有购买{}", "所买的有{}吗？", "我买{}了吗？",
            "帮我看看有没有买{}",
            "这里面买了{}没有？", "可有购买{}？",
        ],
        "en": [
            "Did they buy {}?", "Was {} bought?", "Did the customer buy {}?", "Is {} among the purchases?",
            "Has {} been bought?", "Did she buy {}?", "Did he buy {}?", "Did we buy {}?", "Did I buy {}?",
            "Is {} on the bill?", "Is {} on the receipt?", "Was {} purchased?", "did they get {}?",
            "Did anyone buy {}?", "Have they bought {}?", "Was any {} sold?", "Does the bill list {}?",
            "Were there {} among the things bought?", "Did this person buy {}?", "Tell me whether {} was bought.",
            "Is there {} in the shopping?", "Do the purchases include {}?", "Did the customer get {}?",
            "Was {} part of the purchase?", "Did they pay for {}?", "Check if {} was bought.", "{}: was it bought?",
            "Any {} bought?", "Did they also buy {}?", "I want to know if {} was bought.",
            "Has the customer purchased {}?", "Was there {} in the basket?",
        ],
    },
    "has_item": {
        "zh": [
            "有{}吗？", "卖{}吗？", "单子上有{}这一项吗？", "商品里有{}吗？", "有没有卖{}？", "这里有{}卖吗",
            "菜单上有{}吗？", "是否有{}这种商品？", "列表里有没有{}？", "{}有卖吗？", "表里有{}吗？", "能买到{}吗？",
            "请问有{}吗？", "里面有{}这个品名吗", "所列商品包括{}吗？", "有没有{}这一项？", "项目中有{}吗？",
            "是不是有{}卖？", "可以点{}吗？", "有{}这种东西卖吗", "品名里有没有{}？", "这里卖不卖{}？", "有无{}",
            "看看有没有{}卖", "清单里包括{}吗？", "价目表里有{}吗？", "有{}的价格吗？", "提供{}吗？", "列了{}吗",
            "帮我看看卖不卖{}",
            "商品中可有{}？", "名单上写有{}吗？",
        ],
        "en": [
            "Do they sell {}?", "Is {} on the list?", "Is {} on the menu?", "Can I buy {} here?", "Is {} listed?",
            "Do they have {}?", "Is there {} among the items?", "Does the list include {}?", "Is {} offered?",
            "Is {} for sale?", "Does the page list {}?", "Can I order {}?", "Is {} available here?",
            "Are {} sold here?", "Is there a price for {}?", "Do the items include {}?", "have they got {}?",
            "Is {} one of the items?", "Does the menu have {}?", "Check if {} is listed.", "Do you see {} on the list?",
            "Tell me whether they sell {}.", "Is {} one of the products?", "Could I get {} here?", "{}: is it listed?",
            "Any {} on the list?", "Is {} among the goods?", "Does it offer {}?", "I want to know if they sell {}.",
            "Is {} in the table?",
            "May one buy {} here?", "Does this price list know {}?",
        ],
    },
    "item_price": {
        "zh": [
            "{}多少钱？", "{}的价格是多少？", "{}卖多少钱？", "请问{}的金额是多少？", "“{}”的价格？",
            "图中{}是多少钱？", "{}要付多少？", "{}单项金额多少？", "{}什么价？", "{}的价钱是多少？",
            "{}的单价是多少？", "“{}”多少钱？", "买{}要多少钱？", "{}要多少钱？", "{}的售价？", "{}标价多少？",
            "{}收多少钱？", "看看{}卖多少", "告诉我{}的价格", "告诉我“{}”要多少钱", "帮我看一下{}多少钱",
            "帮我查{}的价钱", "麻烦报一下{}的价格", "{}的价格", "{}价格", "{}价钱？", "{}：多少钱？",
            "{}那一项是多少钱？", "{}这一行的金额是多少？", "找出{}的价格", "给出“{}”的金额", "写出{}的价格",
            "能不能告诉我{}多少钱？", "我想买{}，多少钱？", "图里{}的价格写的是多少？", "这里的{}怎么卖？",
            "{}的费用是多少？", "{}后面的价格是多少？", "“{}”对应的金额是多少？", "页面上{}标的价格是多少？",
            "价格：{}？", "多少钱，{}？", "请报出{}的款额", "{}花了多少钱？",
            "查一下{}的价格", "{}的金额",
        ],
        "en": [
            "How much is {}?", "What is the price of {}?", "What does {} cost?", "Price of {}?",
            "How much does {} cost?", "Give the price of {}.", 'What is the amount for "{}"?',
            "What is charged for {}?", "How much for {}?", "How much for the {}?", "How much does the {} cost?",
            'How much is "{}"?', 'How much does "{}" cost?', "What's the price of {}?", "What is the price for {}?",
            "What price is given for {}?", "What price does {} have?", "What does the {} cost?", "{} price?",
            "{} - price?", 'Price for "{}"?', 'price of "{}"', "cost of {}?", "Cost of the {}?",
            "What is the cost of {}?", "Which price is next to {}?", "Find the price of {}.",
            "Look up the price of {}.", "Look up what {} costs.", "Could you tell me the price of {}?",
            "Can you tell me how much {} is?", "I need the price of {}.", "I want to buy {}, how much is it?",
            "Show me the price of {}.", "State the price of {}.", "Read the price of {}.", 'Name the price of "{}".',
            "What do they ask for {}?", "{} costs how much?", "{} is how much?", "How much do I pay for {}?",
            "How much money is {}?", "How much was {}?", "What amount is printed for {}?", "What sum is shown for {}?",
            "For {}, what is the price?", "At what price is {} sold?",
            "Tell me the price of {}.", "{}: how much?",
        ],
    },
    "field": {
        "zh": [
            "{}是什么？", "{}是多少？", "图中的{}写的是什么？", "请读出{}", "{}一栏写了什么？", "{}？", "告诉我{}",
            "包装上的{}是什么？", "“{}”是什么？", "“{}”写的是什么？", "{}写的什么？", "{}写着什么？",
            "{}那一栏写着什么？", "{}那一行写的是什么？", "{}后面是什么？", "{}后面写着什么？", "{}的内容是什么？",
            "{}的值是什么？", "{}的值", "{}：", "{}：？", "找出{}", "找一下{}", "查一下{}", "帮我查一下{}", "帮我找{}",
            "麻烦看一下{}是什么", "看看{}写了什么", "看一下{}", "念出{}的内容", "报出{}", "写出{}", "给出{}的内容",
            "给出{}", "请问{}是什么？", "请问“{}”一栏填的是什么？", "能不能告诉我{}是什么？", "我想知道{}",
            "我需要{}", "指出{}的内容", "提取{}", "请提取“{}”的值", "上面的{}是什么？", "标签上{}写的是什么？",
            "页面上的{}是什么？", "{}填的是什么？", "{}对应的内容是什么？", "哪里写了{}，内容是什么？", "{}",
            "查找{}", "{}后面写的是什么？",
        ],
        "en": [
            "What is the {}?", "Read the field {}.", "What does {} say?", "{}?", "Tell me the {}.",
            "What is written after {}?", "Find the value of {}.", "Give the value of {}.", 'What is "{}"?', "What's the {}?",
            "What is given for {}?", "What is given as {}?", "What is printed next to {}?", "What stands after {}?",
            "What comes after {}?", "What does it say for {}?", "What does the {} field say?",
            "What value does {} have?", "What is the value of {}?", 'What is the value of "{}"?', "value of {}",
            "Value of {}?", "{}: ?", "{} = ?", "{} reads?", "{} says?", "{}", "Read {}.", "Read out the {}.",
            "Show me the {}.", "Give me the {}.", "Give {}.", "State the {}.", "Tell me what {} says.",
            "Tell me what is written next to {}.", "Could you look up {}?", "Could you tell me the {}?",
            "Find the {} and read it.", "I need the {}.", "I am looking for the {}.", "Please look for {}.",
            'Look for "{}" and read its value.', "Check {}.", "Extract {}.", "Extract the value of {}.", "Get the {}.",
            "Which value is given for {}?", "Which value stands behind {}?", "In the field {}, what is written?",
            "For {}, what does it say?", "The {} is what?", "Write down the {}.", "Name the {}.",
            "Which value has {}?", "Look up {}.",
        ],
    },
    "expiry": {
        "zh": [
            EXPIRY_PROMPT, "保质期到哪天？", "什么时候过期？", "有效期到什么时候？", "这个商品的保质期是哪天？",
            "到期日是哪天？", "哪天到期？", "请读出到期日期", "到什么时候过期？", "这东西什么时候过期？",
            "保质期是什么时候？", "保质期写的是哪天？", "保质期到几号？", "保质期？", "有效期？", "到期日？",
            "过期时间是什么时候？", "哪天过期？", "几号过期？", "最晚什么时候吃完？", "要在哪天之前吃完？",
            "能放到什么时候？", "可以存放到哪一天？", "请告诉我保质期", "告诉我什么时候过期", "帮我看看保质期",
            "帮我看一下哪天过期", "麻烦读一下保质期", "找出保质期", "查一下有效期", "写出到期日", "给出过期日期",
            "报出保质期", "看看有效期到哪天", "有效期至哪天？", "这个食品的有效期到哪天？", "包装上的到期日期是什么？",
            "标签上的保质期是多少？", "商品什么时候到期？", "请问到期时间是什么时候？", "失效日期是哪天？",
            "能不能告诉我有效期到哪天？", "保质到哪天？", "此日期前最佳，是哪天？",
            "最晚哪天前食用？", "过期日期是多少？",
        ],
        "en": [
            "What is the expiry date?", "When does it expire?", "Best before when?", "What is the use-by date?",
            "Until when is it good?", "Read the expiry date.", "expiry date?", "When is the best before date?",
            "When is it going to expire?", "When will this expire?", "What date does it expire?",
            "On what date does it expire?", "What is the expiration date?", "What is the best-before date?",
            "What is the best by date?", "What is the use by date printed on it?", "Which expiry date is printed?",
            "Which day does it go off?", "When does it go bad?", "When does this product expire?",
            "How long is it good for?", "How long does it keep?", "Until what date can I use it?",
            "By when should it be eaten?", "By what date should I use it?", "Tell me the expiry date.",
            "Tell me when it expires.", "Find the expiry date.", "Find the use-by date.",
            "Look up the expiration date.", "Look for the best before date.", "State the expiry date.",
            "Show me the expiration date.", "Write down the expiry date.", "Could you read the expiration date?",
            "Can you tell me when this expires?", "I need the expiry date.", "Please give me the best before date.",
            "expiration date", "best before?", "use by?", "expires when?", "Expiry?", "Shelf life?",
            "Valid until when?", "The expiry date is?",
            "On which day does this expire?", "Give the expiration date.",
        ],
    },
    "total": {
        "zh": [
            "总金额是多少？", "合计多少？", "一共多少钱？", "总价是多少？", "总共要付多少？", "小票的合计是多少？",
            "应付多少？", "总计多少钱？", "总共多少？", "总共多少钱？", "一共多少？", "一共要付多少钱？",
            "一共花了多少钱？", "全部加起来多少钱？", "合计是多少？", "合计是多少钱？", "总计是多少？",
            "总数是多少钱？", "总额是多少？", "总价？", "总额？", "合计？", "总金额？", "合计：？", "最后要付多少？",
            "最终金额是多少？", "应该付多少钱？", "需要付多少钱？", "账单总额是多少？", "这单一共多少？", "告诉我总价",
            "告诉我合计是多少", "帮我看一下总共多少钱", "帮我找出合计", "麻烦报一下总金额", "查一下总价", "找出总金额",
            "给出总额", "写出合计数", "读出合计", "念出总价", "请问总共多少钱？", "请问要付多少？",
            "能不能告诉我总金额？", "我要付多少？", "单据上的合计金额是多少？", "小票最下面的总价是多少？",
            "图里的总金额是多少？", "照片里的合计是多少？", "这张小票总共多少钱？", "这张单据的总额是多少？",
            "这张单子总共多少？", "合计金额",
        ],
        "en": [
            "What is the total?", "How much is the total?", "Total amount?", "What is the sum at the bottom?",
            "How much in total?", "What is the grand total?", "Read the total.", "How much has to be paid?",
            "What does it come to?", "What does it all come to?", "What does everything cost together?",
            "What is the total amount?", "What is the total price?", "What is the total cost?", "What's the total?",
            "What is the amount due?", "What is the sum total?", "What is the final amount?",
            "What is the bill in total?", "How much is it all together?", "How much altogether?",
            "How much is it in all?", "How much is the bill?", "How much do I have to pay?", "How much is to be paid?",
            "How much is due?", "Tell me the total.", "Tell me the grand total.", "Give the total.",
            "Give me the sum total.", "Show me the total.", "Find the total.", "Find the amount due.",
            "Look up the total amount.", "State the total.", "Write down the total.", "Could you read the total?",
            "Can you tell me the total amount?", "I need the total.", "I need to know the grand total.",
            "Please read out the total.", "total amount", "grand total", "Total price?", "sum total?", "The total is?",
            "In total?", "What total is printed?", "What do I owe?", "Total amount, please?",
            "What is the total in this picture?", "What is the total on this receipt?",
            "How much does it come to in all?",
            "Give me the total amount.", "total?",
        ],
    },
    "largest": {
        "zh": [
            "最大的金额是多少？", "哪个金额最大？", "最贵的是多少钱？", "最高的价格是多少？", "图中最大金额",
            "找出最大的金额", "最大的数额是多少？", "最大的一笔是多少？", "最大的一笔金额是多少钱？",
            "数额最大的是多少？", "最高价是多少？", "最高价？", "最贵多少钱？", "最高的价钱是多少？",
            "价钱最高的是多少？", "哪个价格最高？", "哪个价钱最高？", "金额最大的是多少？", "金额最高的是哪个？",
            "最大金额？", "最大金额是多少？", "图里最大的金额是多少？", "图上最高的价格是多少？", "给出最大的金额",
            "给出最高价", "告诉我最大的金额", "告诉我最高的价格是多少", "帮我找最大的金额", "帮我看一下最高价是多少",
            "麻烦找一下最高的价格", "指出最大的一个金额", "念出最大的金额", "报出最高的价格", "请问最大的金额是多少？",
            "请问哪个价格最高？", "能不能找出最大的金额？", "所有金额里最大的是哪个？", "这些价格中最高的是多少？",
            "最多的一笔钱是多少？", "读出最高的金额", "页面上最大的款额是多少？", "查一下最高价格",
            "价格里最高的是几？", "图片里最大的一个价格是多少？", "照片上最高的价钱是多少？",
            "画面中数额最大的是多少钱？",
            "最高金额是几？", "请写出最大的金额",
        ],
        "en": [
            "What is the largest amount?", "Which amount is the highest?", "Highest price?",
            "What is the biggest amount?", "Find the largest price.", "largest amount?", "What is the highest amount?",
            "What is the highest price?", "What is the greatest amount?", "What is the largest price?",
            "What is the largest sum?", "What is the maximum amount?", "What is the maximum price?",
            "What is the top price?", "What's the biggest price?", "Which amount is the largest?",
            "Which amount is the biggest?", "Which price is the highest?", "Which price is the largest?",
            "Which sum is the biggest?", "Which of the amounts is the greatest?", "Largest price?", "highest amount?",
            "maximum amount", "biggest amount?", "Max price?", "top price", "Find the highest amount.",
            "Find the maximum price.", "Give me the largest amount.", "Give the highest price.",
            "Show me the biggest amount.", "State the largest amount.", "Name the highest price.",
            "Tell me the largest amount.", "Tell me the biggest price.", "Pick out the largest amount.",
            "Could you find the highest price?", "Can you tell me the largest amount?", "I need the highest amount.",
            "Please give the maximum amount.", "Look for the highest price.", "Of all amounts, which is the largest?",
            "Among the prices, which one is highest?", "The largest amount is?", "How high is the highest price?",
            "How much is the largest amount?", "Read out the largest amount.",
            "What is the highest price in the picture?", "What is the largest amount on this page?",
            "Which is the biggest amount of money in the photo?",
            "Tell me the highest amount.", "Which price is the greatest?",
        ],
    },
    "has_price": {
        "zh": [
            "图中有价格吗？", "有没有显示价格？", "是否包含金额？", "图里有金额吗？", "是否显示具体价格数字？",
            "有价格吗？", "这张图上有没有金额？", "图中出现价格了吗？", "图中有没有价格？", "图上有没有金额？",
            "图片里有价钱吗？", "照片里有价格吗？", "页面上有价格吗？", "画面里有没有价钱？", "有金额吗？",
            "有价钱吗？", "有没有价格？", "有没有标价？", "标价格了吗？", "写价格了吗？", "写了价钱没有？",
            "上面写价格了吗？", "上面有没有写金额？", "是否有价格？", "是否有金额？", "是否标了价格？",
            "是否写明价格？", "有无价格？", "是不是有价格？", "请问有价格吗？", "请问图里有没有金额？",
            "看看有没有价格", "看一下图里有没有金额", "帮我看看有没有价格", "帮忙检查有没有金额", "检查是否含有价格",
            "判断图中是否有价格", "告诉我有没有价格", "能不能看到金额？", "能找到价格吗？", "找得到价格吗？",
            "有没有出现金额？", "有没有提到价格？", "图里出现金额了吗？", "存在价格吗？", "含有金额吗？", "有钱数吗？",
            "能看到价格吗？", "有金额出现吗？",
        ],
        "en": [
            "Is there a price?", "Does the picture show a price?", "Are there any amounts?", "Is any amount shown?",
            "Is a price visible?", "Does it contain prices?", "any price?", "Can you see a price?",
            "Is there any price?", "Is there any price on it?", "Is there an amount?",
            "Is there an amount of money in the picture?", "Is there any amount of money?", "Is a price given?",
            "Is a price shown?", "Is a price printed on it?", "Is any price written here?", "Is an amount visible?",
            "Are there prices?", "Are there any prices?", "Are there prices in the picture?",
            "Are amounts of money shown?", "Are any sums of money visible?", "Does it show a price?",
            "Does it show an amount?", "Does it have a price?", "Does the page have a price on it?",
            "Does the image contain an amount?", "Does the photo contain a price?", "Does a price appear?",
            "Does this mention a price?", "Do you see a price?", "Do you see any prices?", "Can you see an amount?",
            "Can a price be seen?", "Can you find a price?", "Any amounts?", "Any prices?", "Any price shown?",
            "Tell me whether there is a price.", "Tell me if a price is shown.", "Check whether there is a price.",
            "Check if any amount appears.", "Could you check if there is a price?",
            "I need to know if there is a price.", "Please say whether a price is visible.", "Price shown or not?",
            "Has it got a price?", "Is it priced?", "Is there a price tag or amount anywhere?",
            "Do you see an amount?", "Are prices shown here?",
        ],
    },
    "has_text": {
        "zh": [
            "图中有“{}”吗？", "有没有写“{}”？", "是否出现“{}”？", "图里能看到“{}”吗？", "上面写着“{}”吗？",
            "包含“{}”吗？", "图里有“{}”吗？", "图片上有没有“{}”？", "图上写了“{}”吗？", "写了“{}”没有？",
            "有“{}”吗？", "有没有“{}”？", "有没有“{}”这几个字？", "是不是写着“{}”？", "是否写着“{}”？",
            "是否有“{}”？", "是否包含“{}”？", "能看到“{}”吗？", "能找到“{}”吗？", "找得到“{}”吗？",
            "出现“{}”了吗？", "出现了“{}”吗？", "页面上有“{}”吗？", "照片里有“{}”吗？", "画面里写着“{}”吗？",
            "上面有“{}”吗？", "上面有没有写“{}”？", "文字里有“{}”吗？", "文字中是否包含“{}”？",
            "请问有没有“{}”？", "请问图里写了“{}”吗？", "看看有没有“{}”", "帮我看看有没有写“{}”",
            "麻烦查一下有没有“{}”", "告诉我有没有“{}”", "检查是否出现“{}”", "判断图中是否有“{}”",
            "“{}”在图里吗？", "“{}”出现了吗？", "“{}”有没有写在上面？", "图中有没有{}这几个字？",
            "图里写着「{}」吗？", "有「{}」吗？", "图中有没有「{}」？", "是否写了'{}'？", '有"{}"吗？',
            "能看到“{}”这几个字吗？", "看得到“{}”吗？", "看得见“{}”吗？", "你看到“{}”了吗？", "你能看到“{}”吗？", "能认出“{}”吗？", "能读到“{}”吗？",
            "能在图里看到“{}”吗？", "能在上面找到“{}”吗？", "在图中能找到“{}”吗？", "图里找得到“{}”吗？", "找到“{}”了吗？", "你找到“{}”了吗？",
            "能不能找到“{}”？", "能不能看到“{}”？", "看不看得到“{}”？", "上面印着“{}”吗？", "印有“{}”吗？", "是否印有“{}”？", "是否能看到“{}”？",
            "是否能找到“{}”？", "这里写着“{}”吗？", "这里有没有“{}”？", "有没有出现“{}”？", "有没有提到“{}”？", "“{}”写在上面吗？",
            "“{}”能在图里找到吗？", "“{}”看得到吗？", "一字不差地写着“{}”吗？", "图中文字里有没有“{}”？", "我在找“{}”，图里有吗？", "回答是或否：有“{}”吗？",
            "回答是或否：图里写了“{}”吗？", "找找看，有“{}”吗？", "看得到「{}」吗？", "能找到「{}」吗？", "“{}”，图上有吗？",
            "有“{}”这几个字吗？", "是否写有“{}”？",
        ],
        "en": [
            'Does it say "{}"?', 'Is "{}" on the page?', 'Do you see "{}"?', 'Is the text "{}" shown?',
            'Does "{}" appear?', 'Is there "{}"?', 'Does the page say "{}"?', 'Does the picture say "{}"?',
            'Does the text contain "{}"?', 'Does it contain "{}"?', 'Does the image contain the text "{}"?',
            'Does it read "{}" anywhere?', 'Does the word "{}" appear?', 'Does the text "{}" appear in the image?',
            'Do you find "{}"?', 'Do you see the word "{}"?', 'Do you see the text "{}" anywhere?',
            'Is "{}" in the picture?', 'Is "{}" there?', 'Is "{}" shown?', 'Is "{}" part of the text?',
            'Is "{}" printed on it?', 'Is the word "{}" on the page?', "Is the word “{}” written there?",
            "Is “{}” in the image?", "Is '{}' anywhere on the page?", 'Is there the word "{}"?',
            'Is there a "{}" in the text?', 'Is there any "{}" on it?', 'Can you see "{}"?',
            'Can you see the text "{}"?', 'Can the text "{}" be seen?', 'Can you read "{}" anywhere?',
            'Tell me whether it says "{}".', 'Tell me if "{}" is there.', 'Check whether "{}" appears.',
            'Check if the page says "{}".', 'Could you check for "{}"?', "Please check if '{}' is written.",
            "I want to know if it says “{}”.", '"{}": is it there?', '"{}" present?', 'Any "{}" in the text?',
            'Has it got "{}" on it?', 'Does it mention "{}"?', "Does “{}” stand there?", "Does it say '{}'?",
            "Does it say {} anywhere?",
            'Can you see "{}" anywhere?', 'Can you spot "{}"?', 'Can you spot "{}" anywhere on the page?',
            'Can you make out "{}"?', 'Can you make out the text "{}" anywhere?', "Can you see “{}” on it?",
            "Can you see '{}' here?", 'Could one find "{}" here?', 'Are you able to see "{}"?',
            'Are you able to find "{}" on it?', "Are you able to spot “{}”?", 'Do you find "{}" anywhere?',
            'Do you find the text "{}" on the page?', "Do you find “{}” in it?", 'Do you spot "{}"?',
            'Did you find "{}"?', 'Have you found "{}" on the page?', 'Is "{}" to be found in the picture?',
            'Is "{}" to be found anywhere?', 'Is "{}" to be seen?', 'Can "{}" be found here?',
            "Can “{}” be found in the text?", 'Can "{}" be seen anywhere?', 'Can "{}" be read on it?',
            'Can one read "{}" anywhere?', 'Can I see "{}" on this page?', 'Would I find "{}" on this page?',
            'Will I find "{}" in the text?', 'Could you see whether "{}" is on it?',
            'Is there "{}" anywhere?', 'Is "{}" in there?', 'Is "{}" among the words?',
            'Does "{}" stand anywhere on the page?', 'Does "{}" occur?', 'Does "{}" occur exactly so?',
            'Does it show "{}"?', 'Is the exact text "{}" there?', 'Yes or no: does it say "{}"?',
            'Yes or no: is "{}" there?', 'Search for "{}": is it there?', 'I am looking for "{}": is it on the page?',
            'Look for "{}". Is it there?', 'Is "{}" visible?', 'Is the word "{}" to be found here?',
            'Can you find "{}"?', 'Is "{}" written here?',
        ],
    },
    "has_shape": {
        "zh": [
            "图中有{}吗？", "有没有{}？", "是否有{}？", "能看到{}吗？", "这里有{}吗？", "图里有{}吗？",
            "图片里有{}吗？", "图上有没有{}？", "图中有没有{}？", "照片里有没有{}？", "画面里有{}吗？",
            "页面上有{}吗？", "有{}吗？", "有{}没有？", "有没有画{}？", "画了{}吗？", "画{}了吗？", "有没有出现{}？",
            "出现了{}吗？", "是不是有{}？", "是否画了{}？", "是否存在{}？", "图中是否有{}？", "能找到{}吗？",
            "找得到{}吗？", "能不能看到{}？", "看得到{}吗？", "看得见{}吗？", "你看到{}了吗？", "请问有{}吗？",
            "请问图里有没有{}？", "看看有没有{}", "看一下有没有{}", "帮我看看有没有{}", "麻烦看一下有没有{}",
            "告诉我有没有{}", "检查有没有{}", "判断图中是否有{}", "存在{}吗？", "里面有{}吗？", "里面有没有{}？",
            "上面画着{}吗？", "包含{}吗？", "{}有吗？", "{}出现了吗？",
            "是否出现{}？", "画面中有{}吗？",
        ],
        "en": [
            "Is there a {}?", "Do you see a {}?", "Does it show a {}?", "Is a {} in the picture?", "Any {}?",
            "Can you see a {}?", "Is there a {} here?", "Is there a {} in the picture?", "Is there any {}?",
            "Is there any {} in the image?", "Is any {} drawn here?", "Is any {} visible?", "Is a {} visible?",
            "Is a {} drawn?", "Is a {} there?", "Is a {} to be seen?", "Do you see any {}?", "Do you see a {} here?",
            "Do you find a {}?", "Does the picture show a {}?", "Does the image show a {}?",
            "Does the picture contain a {}?", "Does it have a {}?", "Does it contain a {}?", "Does this include a {}?",
            "Can you find a {}?", "Can you see any {}?", "Can you spot a {}?", "Can a {} be seen?", "Any {} here?",
            "Any {} in the picture?", "{}: yes or no?", "A {}: is there one?", "Tell me whether there is a {}.",
            "Tell me if you see a {}.", "Tell me if there is a {}.", "Check whether there is a {}.",
            "Check if a {} is drawn.", "Could you check if there is a {}?", "I want to know if there is a {}.",
            "Please say if a {} is there.", "Has someone drawn a {}?", "Has the picture got a {}?",
            "Look: is there a {}?", "Would I find a {} in this picture?", "Have you found a {}?",
            "Is a {} shown?", "Does a {} appear?",
        ],
    },
    "has_claim": {
        "zh": [
            "有违禁广告词吗？", "是否含违禁词？", "有没有绝对化用语？", "图中有违禁词吗？",
            "是否出现'最便宜''第一'等违禁广告词？", "广告词合规吗，有没有违禁词？", "有没有违禁词？", "有违禁词吗？",
            "是否有违禁词？", "是否有违禁广告词？", "是否包含违禁广告词？", "有没有违禁广告词？", "图里有违禁词吗？",
            "图片中有没有违禁词？", "图上有没有违禁广告语？", "画面里有没有违禁用语？", "页面上有违禁词吗？",
            "出现违禁词了吗？", "有没有出现违禁词？", "用了违禁词吗？", "有没有用违禁词？", "有没有使用禁用词？",
            "有禁用词吗？", "有没有禁用的广告词？", "有绝对化用语吗？", "是否用了绝对化用语？", "广告里有违禁词吗？",
            "广告词里有没有违禁的？", "文案里有违禁词吗？", "文案有没有违规词？", "有违规用词吗？",
            "请问有没有违禁词？", "请问含不含违禁词？", "看看有没有违禁词", "帮我检查有没有违禁词",
            "帮忙看一下有没有违禁广告词", "麻烦检查是否有违禁词", "判断是否含有违禁词", "告诉我有没有违禁词",
            "检查图中是否出现违禁词", "能看到违禁词吗？", "能找到违禁词吗？", "存在违禁词吗？",
            "有'最好''第一'这类违禁词吗？", "广告用语是否违规？",
            "含有违禁词吗？", "有没有违规广告词？",
        ],
        "en": [
            "Are there forbidden advertising words?", "Does it use banned claims?", "Any forbidden words?",
            "Does it contain a forbidden claim?", "Are banned advertising words shown?", "Is there a forbidden word?",
            "Are there any forbidden words?", "Are there any banned words?", "Are there banned advertising words?",
            "Are there prohibited claims?", "Are there any prohibited words?", "Are any banned words shown?",
            "Are any forbidden words used?", "Are forbidden words used here?", "Is any forbidden word used?",
            "Is any banned claim shown?", "Is there a banned word?", "Is there a banned advertising claim?",
            "Is there any prohibited wording?", "Is there anything forbidden in the advertising text?",
            "Is a forbidden claim made?", "Does it contain forbidden words?", "Does it contain banned words?",
            "Does it have any banned claims?", "Does the ad use forbidden words?",
            "Does the text use prohibited words?", "Does the advert make forbidden claims?",
            "Does the page contain a banned word?", "Does a forbidden word appear?", "Do you find any forbidden words?",
            "Do you see banned words?", "Do any forbidden words appear?", "Can you see a forbidden word?",
            "Can you find any banned claims?", "Any banned words?", "Any forbidden claims?", "Any prohibited wording?",
            "Tell me whether there are forbidden words.", "Tell me if it uses a banned word.",
            "Check for forbidden words: are there any?", "Check whether banned claims appear.",
            "Could you check if there are forbidden words?", "I need to know if a forbidden claim is shown.",
            "Please check if any banned word is used.", "Has it got forbidden advertising words?",
            "Forbidden words, yes or no?",
            "Do you see forbidden claims?", "Are any claims forbidden?",
        ],
    },
    "which_claims": {
        "zh": [
            "列出违禁广告词", "有哪些违禁词？", "找出违禁词", "图中出现了哪些违禁广告词？", "请列出违禁词",
            "哪些词违反广告规定？", "列出违禁词", "列出所有违禁词", "列出图中的违禁词", "列出全部违禁广告语",
            "有哪些违禁广告词？", "有哪些违禁广告语？", "有什么违禁词？", "出现了什么违禁词？", "出现了哪些违禁词？",
            "用了哪些违禁词？", "用了哪些禁用词？", "哪些词是违禁词？", "哪些词违禁？", "哪些是违禁广告词？",
            "哪些词不能用在广告里？", "哪些用词违规？", "违禁词是什么？", "违禁词？", "违禁广告词：", "违禁词列表",
            "找出所有违禁词", "找出图中的违禁广告词", "帮我找出违禁词", "帮我列出违禁词", "麻烦列出违禁广告词",
            "请指出违禁词", "请写出图里的违禁词", "指出哪些词违禁", "标明违禁词有哪几个", "提取违禁词",
            "提取图中的违禁广告词", "念出违禁词", "告诉我有哪些违禁词", "告诉我违禁词是哪些", "给出全部违禁词",
            "读出违禁词", "我需要知道有哪些违禁词", "能不能列出违禁词？", "绝对化用语有哪些？",
            "广告里哪些词违反规定？",
            "写出所有违禁词", "违禁词有哪些？",
        ],
        "en": [
            "List the forbidden advertising words.", "Which words are forbidden?", "Find the forbidden words.",
            "What banned claims are shown?", "List banned words.", "forbidden words?", "List the forbidden words.",
            "List all forbidden words.", "List every banned word.", "List the banned claims.",
            "List any prohibited words.", "Which words are banned?", "Which words are not allowed in advertising?",
            "Which forbidden words are used?", "Which banned words appear?", "Which claims are forbidden?",
            "Which claims are not allowed?", "Which of the words are prohibited?", "What forbidden words are there?",
            "What forbidden words do you see?", "What banned words are used?", "What are the forbidden words?",
            "What are the banned claims?", "What prohibited words does it use?", "Find all banned words.",
            "Find every forbidden claim.", "Give the forbidden words.", "Give me the banned words.",
            "Tell me the forbidden words.", "Tell me which words are forbidden.", "Tell me which claims are banned.",
            "Show me the forbidden words.", "Name the forbidden words.", "Name the banned words.",
            "Point out the forbidden words.", "Identify the banned claims.", "Extract the forbidden words.",
            "Extract all banned words.", "Could you list the forbidden words?", "Can you name the banned words?",
            "I need the forbidden words.", "Please list any banned advertising words.", "banned words?",
            "forbidden claims", "forbidden words:", "prohibited words?", "Read out the banned words.",
            "Write the forbidden words.", "Name all forbidden claims.",
        ],
    },
    "which_brand": {
        "zh": [
            "这是什么品牌？", "图中是哪个品牌的标志？", "品牌标志是什么？", "有哪个品牌的Logo？", "看到什么品牌？",
            "品牌名称是什么？", "什么牌子？", "什么品牌？", "哪个牌子？", "哪个品牌？", "品牌？", "品牌名？", "牌子？",
            "这是哪个品牌？", "这是哪个牌子的？", "这是什么牌子？", "图中是什么品牌？", "图里是什么牌子？",
            "图片上的品牌是什么？", "照片里是什么品牌？", "商品是什么品牌？", "这个商品是什么牌子的？",
            "上面的标志是哪个品牌？", "上面是什么品牌的标志？", "标志属于哪个品牌？", "这个标志是哪家的？",
            "Logo是哪个品牌的？", "这是谁的Logo？", "是哪个品牌的Logo？", "品牌叫什么？", "品牌叫什么名字？",
            "牌子叫什么？", "告诉我品牌名", "告诉我这是什么品牌", "看看是什么品牌", "看一下是哪个牌子",
            "帮我看看是什么牌子", "帮我认一下品牌", "麻烦看一下品牌", "请说出品牌名称", "请问是什么品牌？",
            "请问这是哪个牌子？", "说出品牌", "识别品牌", "识别图中的品牌标志", "写出品牌名称", "给出品牌名",
            "能认出是什么品牌吗？", "辨认一下品牌",
            "是什么牌子？", "请认出品牌标志",
        ],
        "en": [
            "Which brand is it?", "What brand logo is shown?", "Name the brand mark.", "Whose logo is this?",
            "Which logo do you see?", "brand?", "What brand is it?", "What brand is shown?", "What brand do you see?",
            "What brand does the logo belong to?", "What is the brand?", "What is the brand name?",
            "What is the name of the brand?", "What's the brand?", "What logo is this?", "What logo is shown?",
            "What logo do you see?", "What make is it?", "What make is this?", "Which brand is this?",
            "Which brand is shown?", "Which brand does this belong to?", "Which brand's logo is it?",
            "Which brand mark is it?", "Which logo is it?", "Which logo is shown?", "Whose logo is it?",
            "Whose logo do you see?", "Whose brand mark is this?", "Name the brand.", "Name the logo.",
            "Tell me the brand.", "Tell me which brand it is.", "Tell me whose logo that is.", "Give the brand name.",
            "Give me the brand.", "Identify the brand.", "Identify the brand mark.", "Recognise the logo: whose is it?",
            "Say which brand it is.", "State the brand.", "Could you name the brand?",
            "Can you tell which brand it is?", "I need the brand name.", "Please tell me the brand.", "logo?",
            "brand name", "Brand:", "which brand", "The logo is of which brand?", "By which brand is it?",
            "What brand is this?", "Identify the logo.",
        ],
    },
    "count_amounts": {
        "zh": [
            "图中有几个金额？", "一共有多少个金额？", "有几个价格？", "数一数有几个金额", "金额有多少个？",
            "出现了几个金额？", "有几个金额？", "有多少个金额？", "有多少个价格？", "有多少个价钱？",
            "总共有几个金额？", "总共有几个价格？", "一共几个价格？", "一共出现几个价格？", "图里有几个价格？",
            "图上有多少个金额？", "图片里有几个价钱？", "照片里有多少个价格？", "页面上有几个金额？",
            "画面里出现了几个价格？", "写了几个金额？", "写了几个价格？", "标了几个价格？", "列了几笔金额？",
            "有几笔金额？", "金额有几个？", "金额一共几个？", "价格一共有多少个？", "价格的个数是多少？",
            "金额的个数？", "金额个数", "金额的数量是多少？", "价格数量", "数一下金额", "数一下有几个价格",
            "数数有几个价格", "数一数价格的个数", "统计金额的个数", "统计一下有多少个价格", "帮我数一下金额有几个",
            "帮忙数数有几个价钱", "麻烦数一下有几个金额", "请数一数图中的金额有几个", "告诉我有几个金额",
            "告诉我价格有几个", "请问有几个价格？", "能不能数一下有几个金额？", "看看有几个金额",
            "共几个金额？", "价格有几个？",
        ],
        "en": [
            "How many amounts are there?", "Count the amounts.", "How many prices do you see?", "Number of amounts?",
            "How many prices are shown?", "Count the prices.", "How many amounts?", "How many prices?",
            "How many prices are there?", "How many prices are on the page?", "How many amounts are shown?",
            "How many amounts do you see?", "How many amounts do you count?", "How many amounts are in the picture?",
            "How many sums of money are there?",
            "How many sums of money do you see?", "How many amounts of money are shown?",
            "How many price figures are there in the image?", "How many prices can you count?",
            "How many prices appear?", "How many prices are listed?", "How many prices are printed here?",
            "What is the number of amounts?", "What is the number of prices?", "What number of prices is shown?",
            "Number of prices?", "number of amounts", "amount count", "price count?", "Count of prices?",
            "Count all amounts.", "Count all prices.", "Count how many amounts there are.",
            "Count how many prices are shown.", "Count the sums of money.", "Tell me how many amounts there are.",
            "Tell me how many prices you see.", "Give me the number of amounts.", "Give the number of prices.",
            "State how many prices are shown.", "Say how many amounts there are.", "Could you count the prices?",
            "Can you count the amounts?", "I need the number of prices.", "I want to know how many amounts there are.",
            "Please count the amounts.", "Please count the prices.",
            "How many amounts appear?", "Tell me the number of prices.",
        ],
    },
    "count_lines": {
        "zh": [
            "图中有几行文字？", "文字有几行？", "一共几行字？", "数一数有几行文字", "共有多少行文字？", "写了几行？",
            "有几行？", "有几行字？", "有几行文字？", "有多少行？", "有多少行文字？", "总共几行？", "总共有几行文字？",
            "总共有多少行字？", "一共有几行？", "一共有多少行文字？", "一共写了几行字？", "图里有几行字？",
            "图里一共有多少行？", "图片上有几行文字？", "照片里有几行字？", "页面上有多少行文字？", "画面里有几行字？",
            "上面写了几行字？", "上面有几行？", "写了多少行？", "文字一共几行？", "文字有多少行？",
            "文字的行数是多少？", "行数是多少？", "行数？", "文字行数", "字有几行？", "字一共有几行？", "数一下有几行",
            "数一下文字的行数", "数数有几行字", "数一数行数", "统计行数", "统计一下有多少行字", "帮我数一下有几行",
            "帮忙数数文字有几行", "麻烦数一下行数", "请数一数有几行文字", "请问有几行？", "告诉我有几行字",
            "告诉我行数", "能不能数一下有几行？", "看看有几行文字",
            "有多少行字？", "几行文字？",
        ],
        "en": [
            "How many lines of text are there?", "Count the lines of text.", "How many text lines?", "Number of lines?",
            "How many lines does it have?", "Count the lines.", "How many lines?", "How many lines are there?",
            "How many lines of text?", "How many lines of text do you see?", "How many lines of text does it have?",
            "How many lines do you see?", "How many lines do you count?", "How many lines are on the page?",
            "How many lines are in the picture?", "How many lines are written here?",
            "How many lines of writing are there?", "How many lines are printed?", "How many text lines are there?",
            "How many text lines are in the image?", "How many text lines can you count?",
            "How many rows of text are there?", "How many rows of text do you see?", "How many rows of writing?",
            "What is the number of lines?", "What is the number of text lines?", "What is the line count?",
            "Number of text lines?", "number of lines of text", "line count", "line count?", "lines?",
            "Count of lines?", "Count the text lines.", "Count all lines of text.", "Count the rows of text.",
            "Count how many lines there are.", "Tell me how many lines there are.",
            "Tell me how many lines of text you see.", "Give me the number of lines.", "Give the number of text lines.",
            "Say how many lines there are.", "State the number of lines.", "Could you count the lines of text?",
            "Can you count the lines?", "I need the number of lines.",
            "I want to know how many lines of text there are.", "Please count the lines.",
            "Please count the lines of text.", "It has how many lines?",
            "How many rows of text?", "Tell me the number of lines.",
        ],
    },
    "count_shapes": {
        "zh": [
            "图中有几个{}？", "有多少个{}？", "数一数{}有几个", "{}有几个？", "一共有几个{}？", "{}的数量是多少？",
            "有几个{}？", "有多少{}？", "图里有几个{}？", "图里有多少个{}？", "图上有几个{}？", "图片中有多少个{}？",
            "照片里有几个{}？", "画面里有几个{}？", "页面上有多少个{}？", "这里有几个{}？", "这里一共有多少个{}？",
            "总共有几个{}？", "总共有多少个{}？", "一共多少个{}？", "一共画了几个{}？", "画了多少个{}？",
            "出现了几个{}？", "能看到几个{}？", "你看到几个{}？", "看得到几个{}？", "{}有多少个？", "{}一共几个？",
            "{}一共有几个？", "{}总共多少个？", "{}的个数是多少？", "{}的个数？", "{}的数量？", "{}数量", "{}：几个？",
            "数一下{}", "数一下{}有几个", "数数{}", "数数有几个{}", "数一数{}", "数一数有多少个{}", "统计{}的个数",
            "统计一下{}有多少", "帮我数一下{}", "帮我数一数有几个{}", "帮忙数数{}有几个", "麻烦数一下有多少个{}",
            "请数出{}的个数", "请问有几个{}？", "告诉我有几个{}", "能不能数一下{}有几个？", "看看有几个{}",
            "画了几个{}？", "共几个{}？",
        ],
        "en": [
            "How many {} are there?", "Count the {}.", "How many {} do you see?", "Number of {}?",
            "How many {} are shown?", "How many {}?", "How many {} do you count?", "How many {} do you find?",
            "How many {} can you see?", "How many {} can you count?", "How many {} can be seen?",
            "How many {} are drawn?", "How many {} are drawn here?", "How many {} are here?",
            "How many {} are in the picture?", "How many {} are in this image?", "How many {} are on the page?",
            "How many {} are visible?", "How many {} does it show?", "How many {} does the picture have?",
            "How many {} have been drawn?", "How many {} in total?", "How many {} altogether?",
            "What is the number of {}?", "What is the count of {}?", "What number of {} do you see?", "number of {}",
            "Number of {} in the picture?", "count of {}", "count {}", "{}: how many?", "{}, how many?",
            "The {}: how many are there?", "Count all {}.", "Count all the {}.", "Count how many {} there are.",
            "Count up the {} you see.", "Tell me how many {} there are.", "Tell me how many {} you see.",
            "Give the number of {}.", "Give me the number of {}.", "Say how many {} there are.",
            "State the number of {}.", "Could you count the {}?", "Can you count the {}?", "I need the number of {}.",
            "I want to know how many {} there are.", "Please count the {}.", "Please tell me how many {} are drawn.",
            "Look for {} and count them.", "There are how many {}?",
            "Tell me the number of {}.", "How many {} appear?",
        ],
    },
    "shapes": {
        "zh": [
            "图中有哪些图形？", "描述图中的图形", "有什么图形？", "列出所有图形", "画了哪些图形？",
            "请说出图形的颜色和数量", "有哪些图形？", "有哪些形状？", "有什么形状？", "都有哪些图形？",
            "都有什么图形？", "图里有哪些图形？", "图里有什么图形？", "图里都画了些什么？", "图上画了什么图形？",
            "图中有什么形状？", "图片里有哪些形状？", "画面里有哪些图形？", "页面上画了哪些图形？",
            "照片里有什么图形？", "画了什么图形？", "画了些什么图形？", "画的是哪些图形？", "画着哪些形状？",
            "能看到哪些图形？", "你看到哪些图形？", "看看有哪些图形", "看一下画了什么图形", "列出图形",
            "列出图中的图形", "列出所有形状", "列出图中所有图形和颜色", "列出每种图形的颜色和个数", "请列出图里的形状",
            "说说有哪些图形", "说出所有图形", "说一说图中的形状", "写出图中的图形", "给出所有图形的颜色和数量",
            "告诉我有哪些图形", "告诉我画了什么图形", "描述一下图形", "描述画了哪些形状", "描述图中的形状和颜色",
            "帮我列出图形", "帮我看看画了哪些图形", "麻烦列一下图中的图形", "请问有哪些图形？", "能不能列出所有图形？",
            "各种图形分别有几个？", "图形有哪些，各有几个？", "图形", "图形清单", "找出所有图形",
            "图里画了什么？", "都有什么形状？",
        ],
        "en": [
            "What shapes are there?", "Describe the shapes.", "List the shapes.", "Which shapes do you see?",
            "What is drawn here?", "Name the shapes and their colours.", "What shapes?", "What shapes do you see?",
            "What shapes are in the picture?", "What shapes are in the image?", "What shapes are shown?",
            "What shapes are drawn?", "What shapes does it show?", "What shapes can you see?",
            "What figures are there?", "What figures do you see?", "What figures are drawn here?",
            "What kinds of shapes are there?", "What coloured shapes are there?", "What colored shapes do you see?",
            "Which shapes are there?", "Which shapes are drawn?", "Which shapes are shown in the picture?",
            "Which shapes can you find?", "Which figures do you see?", "Which shapes and colours are there?",
            "Which shapes, and how many of each?", "How many of each shape, and in which colours?", "shapes?",
            "list of shapes", "all shapes", "shapes and colors", "List all shapes.",
            "List all the shapes in the picture.", "List every shape with its colour.", "List the drawn figures.",
            "List the shapes and their colors.", "Name all shapes.", "Name the shapes.", "Name every shape you see.",
            "Describe the drawn shapes.", "Describe the figures that are drawn.", "Describe the shapes and colours.",
            "Describe all the shapes on the page.", "Tell me the shapes.", "Tell me which shapes are drawn.",
            "Tell me what shapes you see.", "Give me the shapes.", "Give all shapes with colour and number.",
            "Show me the list of shapes.", "Identify the shapes.", "Identify all shapes in the image.",
            "Could you list the shapes?", "Can you name the shapes?", "I need a list of the shapes.",
            "Please list the shapes.", "Please describe the shapes.", "Find all the shapes.",
            "Which figures are drawn?", "Tell me about the shapes.",
        ],
    },
    "colour": {
        "zh": [
            "{}是什么颜色？", "{}的颜色是什么？", "图中的{}是什么颜色的？", "{}什么颜色？", "请说出{}的颜色",
            "那个{}是什么颜色？", "{}什么色？", "{}什么颜色的？", "{}颜色？", "{}的颜色？", "{}的颜色",
            "{}：什么颜色？", "{}是什么色？", "{}是什么颜色的？", "{}是啥颜色？", "{}的颜色是哪一种？",
            "{}的颜色是哪种？", "{}呈什么颜色？", "{}用的是什么颜色？", "{}画成了什么颜色？", "{}看起来是什么颜色？",
            "{}属于什么颜色？", "图里的{}是什么颜色？", "图里{}的颜色是什么？", "图上的{}什么颜色？",
            "图片中{}是什么颜色？", "画面里的{}是什么颜色？", "照片里的{}是什么颜色？", "页面上的{}是哪种颜色？",
            "这个{}是什么颜色？", "那个{}的颜色是什么？", "什么颜色的{}？", "什么颜色，{}？", "颜色：{}？",
            "说出{}的颜色", "说说{}是什么颜色", "写出{}的颜色", "给出{}的颜色", "指出{}的颜色", "报出{}的颜色",
            "告诉我{}的颜色", "告诉我{}是什么颜色", "看看{}是什么颜色", "看一下{}的颜色", "帮我看看{}是什么颜色",
            "帮我看一下{}的颜色", "麻烦说一下{}的颜色", "请告诉我{}是什么颜色", "请问{}是什么颜色？",
            "请问{}的颜色是什么？", "能不能说出{}的颜色？", "我想知道{}的颜色",
            "{}是哪种颜色？", "{}涂的什么颜色？",
        ],
        "en": [
            "What colour is the {}?", "What is the colour of the {}?", "Colour of the {}?", "Which colour has the {}?",
            "Name the colour of the {}.", "The {} is what color?", "What colour is the {} in the picture?",
            "What color is the {} in the image?", "What colour does the {} have?", "What color does the {} have?",
            "What colour has the {}?", "What colour is that {}?", "What color is this {}?",
            "What is the color of the {}?", "What's the colour of the {}?", "What's the color of the {}?",
            "What is the {}'s colour?", "What is the {}'s color?", "Which colour is the {}?",
            "Which colour does the {} have?", "Which color does the {} have?", "Which colour is used for the {}?",
            "In which colour is the {}?", "In which color is the {} drawn?", "In what colour is the {} painted?",
            "Of what colour is the {}?", "color of the {}", "colour of {}?", "color of {}?", "Color of the {}?",
            "{} colour?", "{} color?", "{}: which colour?", "{}: what color?", "The {} is which colour?",
            "The {} has what colour?", "The colour of the {} is?", "Name the color of the {}.",
            "Give the colour of the {}.", "Give me the color of the {}.", "State the colour of the {}.",
            "Identify the color of the {}.", "Say which colour the {} is.", "Tell me the colour of the {}.",
            "Tell me the color of the {}.", "Tell me what colour the {} is.", "Tell me which color the {} has.",
            "Find the {} and tell me its colour.", "Look at the {}: which colour?", "Look at the {}. What color is it?",
            "Could you tell me the colour of the {}?", "Can you say what color the {} is?",
            "I need the colour of the {}.", "I want to know what colour the {} is.",
            "Please name the colour of the {}.",
            "What color is the {}?", "Which color is the {}?",
        ],
    },
    "box": {
        "zh": [
            "“{}”在哪里？", "请给出“{}”的位置框", "框出“{}”", "“{}”的坐标是多少？", "定位“{}”",
            "找到“{}”的位置", "“{}”在什么位置？", "“{}”在图中什么位置？", "“{}”在图的哪里？", "“{}”在哪儿？",
            "“{}”写在哪里？", "“{}”写在什么地方？", "“{}”位于哪里？", "“{}”的位置", "“{}”的位置在哪里？",
            "“{}”的位置框", "“{}”的位置坐标", "“{}”的坐标", "“{}”的坐标？", "“{}”的框", "“{}”：坐标？",
            "标出“{}”", "标出“{}”的位置", "标注“{}”的位置", "标记“{}”所在的位置", "圈出“{}”", "框住“{}”",
            "框一下“{}”", "用框标出“{}”", "找出“{}”的位置", "找一下“{}”在哪里", "指出“{}”在哪里",
            "指出“{}”的位置", "给出“{}”的坐标", "给出“{}”的位置", "给出“{}”的边框", "告诉我“{}”在哪里",
            "告诉我“{}”的坐标", "写出“{}”的坐标", "输出“{}”的坐标框", "查找“{}”的位置", "帮我定位“{}”",
            "帮我找“{}”在哪里", "帮我框出“{}”", "麻烦标出“{}”", "请标出“{}”的坐标", "请定位“{}”这几个字",
            "请问“{}”在哪里？", "请指出“{}”的位置", "能不能框出“{}”？", "哪里写着“{}”？", "哪里有“{}”？",
            "在哪里能看到“{}”？", "「{}」在哪里？", "框出「{}」", "定位'{}'的位置", '"{}"的坐标是多少？',
            "文字{}在哪里？", "我需要“{}”的坐标",
            "“{}”的边框坐标", "请框选“{}”",
        ],
        "en": [
            'Where is "{}"?', 'Give the box of "{}".', 'Locate "{}".', 'Box of "{}"?', 'Find the position of "{}".',
            'Where does "{}" stand?', 'Where is the text "{}"?', 'Where is the word "{}"?', 'Where is "{}" written?',
            'Where is "{}" printed?', 'Where is "{}" in the picture?', "Where is '{}'?", "Where is “{}” on the page?",
            'Where on the page is "{}"?', 'Where in the image is "{}"?', 'Where does it say "{}"?',
            'Where does "{}" appear?', 'Where can I find "{}"?', 'Where do you see "{}"?',
            "Where do I find the text “{}”?", 'What is the position of "{}"?', 'What is the box of "{}"?',
            'What are the coordinates of "{}"?', 'What is the bounding box of "{}"?', 'At which coordinates is "{}"?',
            'In which place is "{}"?', 'Position of "{}"?', 'Coordinates of "{}"?', 'coordinates of "{}"',
            'location of "{}"', 'bounding box for "{}"', "box for '{}'", '"{}": where?', '"{}", where is it?',
            'Mark "{}".', 'Mark the text "{}".', 'Mark where "{}" is.', "Mark “{}” with a box.", 'Box "{}".',
            'Box the text "{}".', 'Draw a box around "{}".', 'Put a box around "{}".', 'Find "{}" and give its box.',
            'Find where "{}" is.', 'Find the location of "{}".', "Find the coordinates of '{}'.",
            'Locate the text "{}".', "Locate the word “{}”.", 'Show me where "{}" is.', 'Show where "{}" stands.',
            'Point out where "{}" is.', 'Give the position of "{}".', 'Give the coordinates of "{}".',
            'Give me the bounding box of "{}".', "Give me the location of “{}”.", 'Tell me where "{}" is.',
            'Tell me where it says "{}".', 'Return the box of "{}".', 'Could you locate "{}"?',
            'Could you mark "{}" with a box?', 'Can you show me where "{}" is?', 'I need the box of "{}".',
            'I need the coordinates of "{}".', 'Please locate "{}".', 'Please mark the position of "{}".',
            'Highlight "{}".', "Where does it say {}?",
            'Bounding box of "{}".', 'Point to "{}".',
        ],
    },
    "shape_box": {
        "zh": [
            "{}在哪里？", "请给出{}的位置框", "框出{}", "{}的坐标是多少？", "定位{}", "找到{}的位置", "{}在什么位置？",
            "{}在图中什么位置？", "{}在图的哪里？", "{}在哪儿？", "{}画在哪里？", "{}画在什么地方？", "{}位于哪里？",
            "{}的位置", "{}的位置在哪里？", "{}的位置框", "{}的位置坐标", "{}的坐标", "{}的坐标？", "{}的框",
            "{}：坐标？", "标出{}", "标出{}的位置", "标注{}的位置", "标记{}所在的位置", "圈出{}", "框住{}", "框一下{}",
            "用框标出{}", "找出{}的位置", "找一下{}在哪里", "指出{}在哪里", "指出{}的位置", "给出{}的坐标",
            "给出{}的位置", "给出{}的边框", "告诉我{}在哪里", "告诉我{}的坐标", "写出{}的坐标", "输出{}的坐标框",
            "查找{}的位置", "帮我定位{}", "帮我找{}在哪里", "帮我框出{}", "麻烦标出{}", "请标出{}的坐标",
            "请问{}在哪里？", "请指出{}的位置", "请把{}框出来", "把{}框出来", "能不能框出{}？", "哪里有{}？",
            "在哪里能看到{}？", "图里的{}在哪里？", "那个{}在什么位置？", "我需要{}的坐标",
            "{}的边框坐标", "请框选{}",
        ],
        "en": [
            "Where is the {}?", "Give the box of the {}.", "Locate the {}.", "Box of the {}?",
            "Find the position of the {}.", "Position of the {}?", "Where is the {} in the picture?",
            "Where is the {} drawn?", "Where is the {} located?", "Where on the page is the {}?",
            "Where in the image is the {}?", "Where does the {} stand?", "Where can I find the {}?",
            "Where do you see the {}?", "Where do I find the {}?", "What is the position of the {}?",
            "What is the box of the {}?", "What are the coordinates of the {}?", "What is the bounding box of the {}?",
            "What is the location of the {}?", "At which coordinates is the {}?", "Coordinates of the {}?",
            "coordinates of the {}", "location of the {}", "bounding box for the {}", "box for the {}", "box of {}",
            "{}: where?", "{}: coordinates?", "The {}, where is it?", "Mark the {}.", "Mark the position of the {}.",
            "Mark where the {} is.", "Mark the {} with a box.", "Box the {}.", "Draw a box around the {}.",
            "Put a box around the {}.", "Find the {} and give its box.", "Find where the {} is.",
            "Find the location of the {}.", "Find the coordinates of the {}.", "Locate the {} in the picture.",
            "Show me where the {} is.", "Show where the {} is drawn.", "Point out where the {} is.",
            "Give the position of the {}.", "Give the coordinates of the {}.", "Give me the bounding box of the {}.",
            "Give me the location of the {}.", "Tell me where the {} is.", "Tell me the position of the {}.",
            "Return the box of the {}.", "Could you locate the {}?", "Could you mark the {} with a box?",
            "Can you show me where the {} is?", "I need the box of the {}.", "I need the coordinates of the {}.",
            "Please locate the {}.", "Please mark the position of the {}.", "Highlight the {}.",
            "Bounding box of the {}.", "Point to the {}.",
        ],
    },
    "amount_boxes": {
        "zh": [
            "框出所有金额", "给出每个金额的位置", "所有金额在哪里？", "列出金额和坐标", "每个金额的位置框是多少？",
            "定位所有金额", "标出所有金额", "标出每个金额", "标出图中的所有价格", "标出所有价格的坐标",
            "标注每个价格的位置", "标记图里的全部金额", "圈出所有金额", "圈出每个价格", "框出所有价格", "框出每个金额",
            "框住图中所有的价格", "把所有金额框出来", "把价格都框出来", "用框标出每个金额", "用方框标出所有价钱",
            "定位所有价格", "定位每一个金额", "定位图中的价钱", "找出所有金额的位置", "找出每个价格的坐标",
            "指出所有金额在哪里", "指出每个价格的位置", "给出所有金额的坐标", "给出每个价格的位置框",
            "给出各个价格的位置", "给出全部价钱的边框", "列出所有金额的坐标", "列出价格和坐标",
            "列出每个价格和它的位置", "写出每个金额及坐标", "输出所有金额的位置框", "告诉我所有金额的位置",
            "告诉我每个价格在哪里", "帮我框出所有价格", "帮我标出每个金额的位置", "帮我定位全部金额",
            "麻烦标出所有金额", "请标出所有价格的位置", "请给出每个金额的坐标", "请框选所有金额",
            "请问金额都在什么位置？", "能不能框出所有金额？", "价格都在哪里？", "价格分别在什么位置？",
            "金额都在图中什么位置？", "每个价格在哪儿？", "每个金额的坐标是多少？", "所有价格的位置", "所有金额的坐标",
            "金额坐标", "金额的位置框", "我需要每个金额的坐标",
            "标出所有金额的位置", "金额分别在哪里？",
        ],
        "en": [
            "Where are the amounts?", "Give the box of every amount.", "Locate all amounts.",
            "List the amounts with their boxes.", "Box every price.", "Find the position of each amount.",
            "Where are the prices?", "Where are all the amounts?", "Where are all the prices?",
            "Where are the amounts in the picture?", "Where are the sums of money?", "Where is each amount?",
            "Where is every price?", "Where is each price on the page?", "Where do the amounts stand?",
            "Where do the prices stand in the image?", "What are the positions of the amounts?",
            "What are the coordinates of the prices?", "What are the boxes of the amounts?",
            "At which coordinates are the amounts?", "Give the boxes of all amounts.", "Give the box of each price.",
            "Give the coordinates of every amount.", "Give me the positions of all prices.",
            "Give me the bounding boxes of the amounts.", "Give every amount with its box.", "Locate all prices.",
            "Locate every amount.", "Locate each price in the image.", "Locate the amounts of money.",
            "List the prices with their boxes.", "List all amounts and their coordinates.",
            "List every price with its position.", "List the amounts together with where they are.", "Box all amounts.",
            "Box all the prices.", "Box each amount.", "Draw a box around every amount.",
            "Draw boxes around the prices.", "Put a box around each price.", "Mark all the amounts.",
            "Mark all prices.", "Mark each price.", "Mark where every amount is.",
            "Mark every sum of money with a box.", "Find all amounts and give their boxes.",
            "Find all prices and their positions.", "Find the boxes of all prices.",
            "Find the coordinates of each amount.", "Point to all the amounts.", "Point out where the prices are.",
            "Show where every amount is.", "Show me where all the prices are.", "Highlight all amounts.",
            "Highlight every price.", "Bounding boxes of all amounts.", "Bounding box of every price.",
            "boxes of the prices", "coordinates of all amounts", "positions of the prices?", "amounts and boxes",
            "Tell me where the amounts are.", "Tell me the position of every price.", "Return the box of every amount.",
            "Could you mark all the prices?", "Could you box the amounts?", "Can you locate all amounts?",
            "I need the boxes of all amounts.", "I need the coordinates of the prices.", "Please mark all amounts.",
            "Please locate every price.",
            "Boxes of all amounts.", "Mark every amount.",
        ],
    },
    "describe": {
        "zh": [
            "这张图是什么?", "请描述这张图片的内容", "这是什么？", "图里是什么？", "这张图片是什么内容？",
            "看看这是什么图", "描述一下这张图", "这是一张什么图？", "这是什么图片？", "这是什么图？",
            "这是一张什么图片？", "这是一张什么样的图片？", "这张图是什么内容？", "这张图讲的是什么？",
            "这张图片是什么？", "这张图片显示的是什么？", "这张照片是什么？", "这个页面是什么？", "这页是什么？",
            "这是什么东西？", "图中是什么？", "图中有什么？", "图里有什么？", "图片里有什么？", "图片里是什么？",
            "图片显示了什么？", "图上是什么？", "画面里是什么？", "画面内容是什么？", "画面中有什么？",
            "照片里是什么？", "看到了什么？", "你看到了什么？", "你看见什么？", "描述这张图", "描述图片",
            "描述一下图片", "描述一下画面", "描述这张照片", "请描述这张图", "请描述一下这张照片的内容", "请描述画面",
            "请说明这张图是什么", "请介绍一下这张图片", "介绍一下图片内容", "概括一下这张图", "概括图片内容",
            "说说这张图", "说一下图里是什么", "讲讲这张图是什么", "告诉我这是什么", "告诉我图里有什么",
            "帮我看看这是什么", "帮我描述一下这张图", "麻烦看看这张图是什么", "看图说说是什么",
            "能不能描述一下这张图？", "能说说这是什么吗？", "请问这是什么？", "请问图中有什么？", "我在看什么图？",
            "图片描述", "我看到的是什么？", "我现在看到的是什么？", "我手里拿的是什么？", "我拍到的是什么？",
            "我刚打开的是什么？", "我面前的是什么？", "眼前这是什么？", "这会是什么？", "这大概是什么？", "这算什么图？",
            "这是哪一类图片？", "这是什么类型的图片？", "这是什么样的页面？", "你知道这是什么吗？", "你觉得这是什么？",
            "看得出这是什么吗？", "认一认这是什么", "用一句话说这是什么", "简短地描述一下", "描述你看到的", "说出你看到的",
            "这幅图画的是什么？", "这张照片拍的是什么？", "扫描件里是什么？", "这到底是什么？", "给我讲讲图里有什么",
            "图片内容是什么？", "简单介绍这张图",
        ],
        "en": [
            "What is in this image?", "What is this?", "Describe the picture.", "What kind of picture is this?",
            "What do you see?", "Describe this image.", "what is this picture", "What does the image show?",
            "What's this?", "What's in this picture?", "What's in the image?", "What is in the picture?",
            "What is in this photo?", "What is shown here?", "What is shown in this image?", "What is on this page?",
            "What is on the picture?", "What is this image?", "What is this image about?", "What is this a picture of?",
            "What is this picture about?", "What is this page?", "What kind of image is it?",
            "What kind of document is this?", "What kind of page is this?", "What sort of picture is it?",
            "What type of image is this?", "What can you see?", "What can you see in this picture?",
            "What do you see here?", "What do you see in the image?", "What do you see in this photo?",
            "What does this picture show?", "What does the picture show?", "What does the photo show?",
            "What does it show?", "What does this page show?", "What have we got here?", "Describe it.",
            "Describe this.", "Describe the image.", "Describe this picture.", "Describe this page.",
            "Describe the photo.", "Describe what you see.", "Describe what is shown.",
            "Describe briefly what this is.", "Tell me what you see.", "Tell me what is in the picture.",
            "Tell me what this picture is.", "Tell me about this image.", "Give a description of the picture.",
            "Give me a short description.", "Give a short summary of the image.", "Say what this is.",
            "Say what you see.", "Explain what this picture is.", "Summarise this image.", "Summarize the picture.",
            "Could you describe this picture?", "Can you describe the image?", "Can you tell me what this is?",
            "I need a description of this image.", "Please describe the picture.", "Please tell me what this shows.",
            "Please say what is in this image.", "description?", "image description", "Look at this: what is it?",
            "Show me what you can see here, in words.", "What am I seeing?", "What am I seeing here?",
            "What am I viewing here?", "What am I holding?", "What am I being shown?", "What did I just open?",
            "What did I take a picture of?", "What have I photographed?", "What have I got here?",
            "What do I have here?", "What do we have here?", "What do we see here?", "What are we seeing?",
            "What is it that I see here?", "What is in front of me?", "What is this in front of me?",
            "What sort of thing is this?", "What kind of thing is this?", "What type of page is this?",
            "What type of document is it?", "What might this be?", "What could this be?", "What would you call this?",
            "What is pictured here?", "What is depicted here?", "What is displayed?", "What appears in this image?",
            "What does this scan show?",
            "What is this photograph of?", "What is that?", "What is it?", "What's it show?", "What's here?",
            "Do you know what this is?", "Can you see what this is?", "Any idea what this is?", "How would you describe this?",
            "How would you describe the picture?", "In one sentence, what is this?", "Briefly, what is this?",
            "I wonder what this is.", "I'd like to know what this is.", "Let me know what this is.", "Name what you see.",
            "Identify this.", "Identify what is shown.", "Have a look: what do you see?", "Take a look. What is it?",
            "Tell me what this is.", "What am I looking at?",
        ],
    },
}  # fmt: skip
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
_NO_PERSON = {
    "zh": "图中没有人物，我只能读出文字和认出简单图形。",
    "en": "There is no person here; I can only read text and name simple shapes.",
}
_NO_PHOTO = {
    "zh": "我认不出照片里的东西，只能读出文字和认出简单图形。",
    "en": "I cannot recognise things in photographs; I can only read text and name simple shapes.",
}
_NO_ANSWER = {
    "zh": "我回答不了这个问题，只能读出文字和认出简单图形。",
    "en": "I cannot answer that; I can only read text and name simple shapes.",
}
_MORE_CANNOT: dict[str, list[tuple[dict[str, str], list[str]]]] = {
    "zh": [
        (_NO_PERSON, [
            "图中的人是谁？", "图里的人叫什么名字？", "这个人在干什么？", "图中人物是男是女？", "他多大年纪？",
            "他穿的是什么衣服？", "图里的女孩穿什么颜色的衣服？", "图中的人在笑吗？", "数一数图里有多少人",
            "图中有没有小孩？", "描述一下这个人的长相", "这个人心情怎么样？", "他们是什么关系？", "这位明星是谁？",
            "认一下图中的人物", "她头发是什么颜色？", "这个人在看哪里？", "图中人物的表情是什么？",
            "说说画面里的人在做什么",
        ]),
        (_NO_PHOTO, [
            "这是什么植物？", "这是什么花？", "这是什么品种的狗？", "图里有猫吗，是什么猫？", "这是哪里的风景？",
            "这张照片是在哪里拍的？", "这座山叫什么？", "这是什么车？", "这栋楼在哪个城市？", "这道菜叫什么名字？",
            "这是什么鸟？", "照片里是什么季节？", "照片是白天拍的还是晚上拍的？", "这件衣服是什么材质？",
            "认一下这是什么动物",
        ]),
        (_NO_ANSWER, [
            "这个怎么用？", "值这个价吗？", "买这个划算吗？", "质量好不好？", "安全吗？", "对身体好吗？",
            "孩子能吃吗？", "哪里能买到？", "谁生产的最好？", "给我讲个故事", "根据这张图写一首诗", "看图写一个故事",
            "给这张图写个标题", "这张图好看吗？", "你喜欢这张图吗？", "这是真的还是假的？", "这张图是谁做的？",
            "下一步我该怎么办？", "有什么优惠建议吗？", "能帮我订一个吗？", "明天还会是这个价吗？",
        ]),
    ],
    "en": [
        (_NO_PERSON, [
            "Who is this person?", "Who is that?", "What is the person doing?", "What is she wearing?",
            "What is the man doing?", "Describe the person in the picture.", "Describe the clothes of the person.",
            "How old is the person?", "How many people do you see?", "Count the people.",
            "Is the person a man or a woman?", "Is anyone smiling?", "Are there any children?",
            "What colour is her hair?", "What colour is his shirt?", "Does the person look sad?",
            "Name the people in this picture.", "Which celebrity is this?", "Where is the person looking?",
            "Tell me what the people are doing.",
        ]),
        (_NO_PHOTO, [
            "What plant is this?", "What flower is it?", "What kind of dog is this?", "What breed is the cat?",
            "What bird is this?", "Where was this photo taken?", "Which country is this?", "What mountain is that?",
            "What car is it?", "Which building is this?", "What dish is this?", "What food is on the plate?",
            "What season is it in the photo?", "Was this photo taken by day or by night?", "Identify the animal.",
            "What is it made of?",
        ]),
        (_NO_ANSWER, [
            "Is it healthy?", "Is it any good?", "Is the quality good?", "Should I buy this?", "Is this a good deal?",
            "Can children eat this?", "Where can I buy it?", "How do I use it?", "Who made this picture?",
            "Is it real or fake?", "Do you like this picture?", "Is this picture beautiful?",
            "Write a poem about this picture.", "Write a caption for this picture.", "Make up a story about the image.",
            "Tell me a joke about this.", "What should I do next?", "Can you order one for me?",
            "Will it cost the same tomorrow?", "Is there something better?", "How does it taste?",
        ]),
    ],
}  # fmt: skip
for _language, _groups in _MORE_CANNOT.items():
    CANNOT[_language] += [(_question, _answer[_language]) for _answer, _known in _groups for _question in _known]
UNREADABLE = {"zh": "图片太模糊，我看不清文字。", "en": "The picture is too blurred for me to read."}
NO_TRANSLATION = {"zh": "我还不会翻译，以上是原文。", "en": "I cannot translate; this is the original text."}
TRANSLATE = {
    "zh": [
        "请识别图中所有文字内容,并翻译成英文", "读出文字并翻译成英文", "把图中的文字翻译成英文", "请翻译图中的内容",
        "翻译图中的文字", "翻译一下", "翻译成英文", "把这张图翻译成英文", "把图里的字翻译成英语",
        "把上面的文字翻译一下", "请把图片内容翻译成英文", "请翻译图片上的文字", "帮我翻译这张图",
        "帮我把图中的字翻译成英语", "麻烦翻译一下图里的内容", "能不能把图中的文字翻译成英文？",
        "读出图中文字，再翻译成英文", "识别文字并翻译", "提取文字并译成英文", "这上面的字用英文怎么说？",
        "图中文字的英文翻译是什么？", "请把这一页译成英文", "给出图中文字的译文", "请翻译成中文",
        "把图中的英文翻译成中文", "我需要图中文字的翻译",
    ],
    "en": [
        "Read the text and translate it.", "Translate the text into Chinese.", "Translate this picture.",
        "Please translate what it says.", "Translate.", "Translate it.", "Translate this.", "Translate this, please.",
        "Translate the text.", "Translate the picture into Chinese.", "Translate the image into English.",
        "Translate what is written here.", "Translate everything on the page.", "Translate this page.",
        "Translate the text in the picture into French.", "Translate this into German.",
        "Read this and translate it into Chinese.", "Read all the text, then translate it.",
        "Extract the text and translate it.", "Give me a translation of this picture.",
        "Give the text and its translation.", "I need a translation of this.", "Could you translate this?",
        "Can you translate the text for me?", "Please translate the picture.",
        "Please translate the text into Chinese.", "What does it say in Chinese?",
        "What is the translation of this text?", "How do you say this in Chinese?",
    ],
}  # fmt: skip
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
        (
            [
                "你好", "您好", "你好！", "在吗？", "早上好", "晚上好", "你好呀", "你好你好", "哈罗", "你好啊", "喂，你好",
                "早", "早安", "上午好", "下午好", "晚上好！", "大家好", "你好，在吗", "在不在？", "有人吗？", "您好！",
                "哈罗，你好", "你好，请问在吗？", "你好，很高兴见到你",
            ],
            "你好！请给我一张有文字的图片，我来读。",
        ),
        (
            [
                "你是谁？", "你叫什么名字？", "介绍一下你自己", "你是什么模型？", "你是什么？", "请问你是谁？",
                "你是哪个模型？", "你是谁开发的模型？", "你叫什么？", "怎么称呼你？", "你的名字是什么？", "说说你是谁",
                "自我介绍一下", "请做个自我介绍", "请介绍一下你自己", "你是机器人吗？", "你是人工智能吗？",
                "告诉我你是谁", "你是什么东西？", "我在和谁说话？", "你是谁", "你是什么类型的模型？",
            ],
            "我是 flashweb-nano，一个很小的读图模型，会读文字和金额。",
        ),
        (
            [
                "你能做什么？", "你会什么？", "有什么功能？", "怎么用你？", "你可以做什么？", "你能干什么？",
                "你能干嘛？", "你会干什么？", "你有什么用？", "你有哪些功能？", "你有什么本领？", "你能帮我做什么？",
                "你能帮我什么忙？", "能做些什么？", "你都会些什么？", "说说你能做什么", "介绍一下你的功能", "帮助",
                "使用说明", "我该怎么用你？", "请问怎么使用？", "告诉我你会什么", "你擅长什么？", "你的功能是什么？",
            ],
            "我能读出图片里的文字、金额、字段和简单图形，其他的我不会。",
        ),
        (
            [
                "谢谢", "多谢", "谢谢你！", "谢谢！", "谢谢啦", "谢了", "多谢了", "多谢你", "非常感谢", "感谢",
                "感谢你", "十分感谢", "太谢谢了", "谢谢你的帮助", "谢谢您", "辛苦了", "麻烦你了，谢谢", "好的，谢谢",
                "真是太感谢了", "谢谢，帮大忙了",
            ],
            "不客气。",
        ),
        (
            [
                "再见", "拜拜", "再见！", "拜拜！", "下次见", "回头见", "明天见", "我走了，再见", "好的，再见",
                "先这样，拜拜", "那就这样，再见", "回见", "晚安", "再会", "我先走了", "改天再聊", "下次再聊，拜拜", "再见啦", "我下线了", "拜",
            ],
            "再见！",
        ),
        (
            [
                "读出图中文字", "列出金额", "图中有什么？", "这张图是什么?", "图里写了什么？", "图中有哪些金额？",
                "图片里是什么？", "请描述这张图片", "读一下这张图", "这张图片上写的什么？", "看看这张图",
                "描述一下这张照片", "图里有几个图形？", "照片里有什么？", "总金额是多少？看图", "识别图中文字",
                "图片里的价格是多少？", "帮我看看这张图片", "请看图", "提取图中所有金额", "图上有价格吗？",
                "框出图中的金额", "图里的圆形是什么颜色？", "这张小票的合计是多少？", "图中的保质期是哪天？",
            ],
            "我没有看到图片，请先给我一张图片。",
        ),
    ],
    "en": [
        (
            [
                "hello", "Hi", "Hello!", "hey", "Good morning", "Hi there", "hi", "hello there", "hello!", "Hello",
                "Hey!", "Hey there", "Hi!", "hi, how are you?", "Hello, how are you?", "Good evening", "Good afternoon",
                "good morning!", "Morning!", "Greetings", "Hi, anybody there?", "Are you there?",
                "Hello, are you there?", "Hello hello", "Howdy", "Nice to meet you",
            ],
            "Hello! Send me a picture with text and I will read it.",
        ),
        (
            [
                "Who are you?", "What is your name?", "What model are you?", "Introduce yourself.", "who are you",
                "What are you?", "Who am I talking to?", "What's your name?", "what is your name",
                "Tell me who you are.", "Tell me your name.", "Please introduce yourself.",
                "Could you introduce yourself?", "What do I call you?", "Which model are you?",
                "What kind of model are you?", "Are you a robot?", "Are you an AI?", "Are you a person?",
                "What should I call you?", "May I ask who you are?", "Say something about yourself.", "Who is this?",
            ],
            "I am flashweb-nano, a very small model that reads text and amounts in pictures.",
        ),
        (
            [
                "What can you do?", "help", "How do I use you?", "What are you good at?", "What can you do for me?",
                "What do you do?", "what can you do", "How can you help me?", "How can you help?", "Can you help me?",
                "Help!", "Help me, please.", "What are your abilities?", "What are your features?",
                "What are you able to do?", "What can I ask you?", "How does this work?", "How do you work?",
                "How should I use you?", "Tell me what you can do.", "What are you made for?", "List your functions.",
                "Which tasks can you do?", "I need help.",
            ],
            "I can read text, amounts, fields and simple shapes in pictures, and nothing else.",
        ),
        (
            [
                "Thanks", "Thank you!", "thank you", "thanks", "Thanks!", "Thanks a lot", "Thanks a lot!",
                "Many thanks", "Thank you", "Thank you very much.", "Thank you so much!", "thank you very much", "Thx",
                "Cheers", "Great, thanks", "OK, thanks", "Perfect, thank you!", "Thanks for your help.",
                "Thank you for your help.", "That helped, thanks.", "I appreciate it.", "Much appreciated.",
            ],
            "You are welcome.",
        ),
        (
            [
                "bye", "Goodbye", "Bye", "Bye!", "bye bye", "Bye for now", "goodbye", "See you", "See you!",
                "See you later", "See you soon.", "Talk to you later.", "OK, bye", "Thanks, bye", "Good night",
                "Farewell", "I have to go, bye.", "That is all, goodbye.", "Until next time", "Take care",
                "Have a nice day, bye",
            ],
            "Goodbye!",
        ),
        (
            [
                "List the amounts", "Read the text", "What is in this image?", "What is this?",
                "What does the picture show?", "What does it say in the picture?", "List all amounts in the picture.",
                "Describe the image.", "Describe this picture.", "Read this picture.", "Read the text in the image",
                "What is written in the image?", "What is the total on this receipt?",
                "How many shapes are in the picture?", "What colour is the circle?", "Look at this picture.",
                "Is there a price in the picture?", "What do you see?", "Can you read this image?",
                "Please describe the photo.", "Which prices are in this photo?", "Where is the logo in the picture?",
                "Find the expiry date in the image.", "Extract the amounts from this picture.", "What's in this photo?",
            ],
            "I see no picture; please send me one first.",
        ),
    ],
}  # fmt: skip
OPEN_QUESTIONS = {
    "zh": [
        "什么是{}？", "请解释{}", "写一首关于{}的诗", "{}怎么样？", "如何理解{}？", "给我讲讲{}", "{}和{}有什么区别？",
        "帮我写一篇{}的文章", "为什么要{}？", "{}是什么？", "什么叫{}？", "解释一下{}", "请介绍一下{}", "介绍{}",
        "跟我说说{}", "说说你对{}的看法", "你觉得{}怎么样？", "你喜欢{}吗？", "怎样学好{}？", "怎么做{}？",
        "{}有什么用？", "{}的意思是什么？", "{}是什么意思？", "“{}”是什么意思？", "{}和{}哪个好？",
        "{}与{}有什么关系？", "{}的历史是什么？", "用“{}”造句", "用{}写一个故事", "写一篇关于{}的作文",
        "讲一个关于{}的故事", "给我写一段关于{}的话", "为什么人们需要{}？", "哪里可以买到{}？", "谁发明了{}？",
        "{}用英文怎么说？", "帮我查一下什么是{}", "请问{}从哪里来？", "怎么看待{}？", "{}的作用是什么？",
        "推荐一些关于{}的书", "你知道{}吗？", "给我一些关于{}的建议",
    ],
    "en": [
        "What is {}?", "Explain {}.", "Write a poem about {}.", "Why do people like {}?", "How does {} work?",
        "Tell me about {}.", "What is the difference between {} and {}?", "Write an essay on {}.",
        "What is the capital of {}?", "Explain {} to me.", "What does {} mean?", "What is the meaning of {}?",
        "What do you know about {}?", "What do you think about {}?", "What do you think of {} and {}?", "Define {}.",
        "Give me a definition of {}.", "Can you explain {}?", "Could you tell me about {}?",
        "Please explain what {} is.", "How do I learn about {}?", "How do you make {}?", "How is {} made?",
        "Who invented {}?", "Where does {} come from?", "Where can I buy {}?", "Why is {} important?",
        "Why do we need {}?", "Is {} better than {}?", "Which is better, {} or {}?", "What is the history of {}?",
        "What is {} used for?", "Do you like {}?", "Do you know {}?", "Write a story about {}.",
        "Write a song about {} and {}.", "Write a short text about {}.", "Compare {} with {}.",
        "Give me some advice on {}.", "Recommend a book about {}.", "Use {} in a sentence.",
        "Translate {} into French.", "Teach me about {}.", "tell me a joke about {}",
    ],
}  # fmt: skip
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
_SEEN_OR_NOT = frozenset(("find", "read", "see", "spot"))
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
        if word in _SEEN_OR_NOT and lead.split(" ")[0] in ("Could", "Can", "Would"):
            lead = "Please "  # "Can you find it?" asks whether it is there
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
        leads: tuple[str, ...] = _TO_ALL_ZH
        if not polite and r.random() < 0.65:
            order = body.startswith(_ORDERS_ZH) and not body.endswith("吗")
            leads = _TO_ORDERS_ZH if order else _TO_ASKS_ZH if asks else _TO_ALL_ZH
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
