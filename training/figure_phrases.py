"""The ways to ask about drawn shapes, coloured text, price columns and boxes: merged into `phrases.PHRASES`.

As there, the last two of every list are held out of training.
"""

from __future__ import annotations

FIGURE_PHRASES: dict[str, dict[str, list[str]]] = {
    "which_shape": {  # "最左边的", "the largest", ...
        "zh": [
            "{}图形是什么？", "{}是什么图形？", "{}图形是什么颜色和形状？", "请说出{}图形", "{}是哪个图形？",
            "{}那个图形是什么？", "看看{}图形是什么", "{}是什么颜色的什么图形？",
            "请问{}图形是哪一个？", "说说{}图形是什么",
        ],
        "en": [
            "Which shape is {}?", "What shape is {}?", "Name the shape that is {}.", "Tell me which shape is {}.",
            "What is the shape that is {}?", "Which figure is {}?", "What figure is {}?",
            "Give colour and kind of the shape that is {}.",
            "Identify the shape that is {}.", "Say which shape is {}.",
        ],
    },
    "compare_shapes": {
        "zh": [
            "{}多还是{}多？", "{}和{}哪个多？", "是{}多，还是{}多？", "哪种更多，{}还是{}？", "比一比，{}和{}哪个多？",
            "{}与{}相比哪个多？",
            "数一数{}和{}，哪种多？", "{}和{}，哪一种更多？",
        ],
        "en": [
            "Are there more {} or more {}?", "Which are more, {} or {}?", "More {} or more {}?",
            "What is there more of, {} or {}?", "Compare {} and {}: which are more?", "{} or {}: which are more?",
            "Which do you see more of, {} or {}?", "Of {} and {}, which are there more of?",
        ],
    },
    "side_of": {  # shape, shape, side
        "zh": [
            "{0}在{1}的{2}吗？", "{0}是在{1}的{2}吗？", "{0}是不是在{1}的{2}？", "{0}位于{1}的{2}吗？",
            "请问{0}在{1}的{2}吗？", "{0}画在{1}的{2}吗？",
            "看一下，{0}在{1}的{2}吗？", "{0}的位置在{1}的{2}吗？",
        ],
        "en": [
            "Is the {0} {2} the {1}?", "Does the {0} stand {2} the {1}?", "Is the {0} drawn {2} the {1}?",
            "Do you see the {0} {2} the {1}?", "Look: is the {0} {2} the {1}?",
            "Is it true that the {0} is {2} the {1}?",
            "Can the {0} be found {2} the {1}?", "Is the {0} placed {2} the {1}?",
        ],
    },
    "count_is": {  # number, what
        "zh": [
            "图中有{}个{}吗？", "是不是有{}个{}？", "一共有{}个{}吗？", "图里正好有{}个{}吗？", "有{}个{}，对吗？",
            "画了{}个{}吗？",
            "总共是{}个{}吗？", "这里有{}个{}，是吗？",
        ],
        "en": [
            "Are there exactly {} {}?", "Are there {} {}?", "Do you count {} {}?", "Does it show {} {}?",
            "Is it true that there are {} {}?", "Can you see {} {}?",
            "Are {} {} drawn?", "Would you say there are {} {}?",
        ],
    },
    "colour_is": {
        "zh": [
            "{}是{}的吗？", "{}是不是{}？", "{}的颜色是{}吗？", "图中的{}是{}的吗？", "请问{}是{}吗？",
            "那个{}是{}的，对吗？",
            "{}涂成了{}吗？", "{}看起来是{}的吗？",
        ],
        "en": [
            "Is the {} {}?", "Does the {} look {}?", "Is the colour of the {} {}?", "Is it true that the {} is {}?",
            "Would you call the {} {}?", "Is the {} drawn in {}?",
            "Is the {} painted {}?", "Can one say the {} is {}?",
        ],
    },
    "all_colour": {
        "zh": [
            "所有图形都是{}的吗？", "图形全是{}的吗？", "是不是所有图形都是{}？", "每个图形都是{}的吗？",
            "图里的图形都是{}吗？", "全部图形都是{}的，对吗？",
            "这些图形都是{}的吗？", "图形的颜色都是{}吗？",
        ],
        "en": [
            "Are all shapes {}?", "Is every shape {}?", "Are the shapes all {}?", "Is each of the shapes {}?",
            "Are all of them {}?", "Is it true that all shapes are {}?",
            "Are there only {} shapes?", "Does every shape look {}?",
        ],
    },
    "text_colour": {
        "zh": [
            "“{}”是什么颜色的字？", "“{}”是什么颜色？", "“{}”这行字是什么颜色？", "“{}”用的什么颜色？",
            "写“{}”的字是什么颜色的？", "请说出“{}”的颜色",
            "“{}”的文字颜色是什么？", "“{}”这几个字是哪种颜色？",
        ],
        "en": [
            'What colour is the text "{}"?', 'What colour is "{}"?', 'In which colour is "{}" written?',
            'Colour of the text "{}"?', 'What color is the text "{}"?', 'Name the colour of "{}".',
            'Which color does "{}" have?', 'Tell me the colour of "{}".',
        ],
    },
    "text_in_colour": {
        "zh": [
            "哪行字是{}的？", "{}的字写的是什么？", "用{}写的是什么？", "读出{}的文字", "哪些字是{}的？",
            "图中{}的文字是什么？",
            "{}那行写了什么？", "请读{}的那行字",
        ],
        "en": [
            "Which text is {}?", "What is written in {}?", "Read the {} text.", "What does the {} text say?",
            "Which line is {}?", "What is the text in {}?",
            "Tell me what is written in {}.", "Read what is {}.",
        ],
    },
    "text_colour_is": {
        "zh": [
            "“{}”是{}的吗？", "“{}”的字是{}的吗？", "“{}”是不是用{}写的？", "“{}”的颜色是{}吗？",
            "“{}”这行是{}的吗？", "“{}”写成了{}吗？",
            "“{}”是{}的字吗？", "“{}”这几个字是{}的，对吗？",
        ],
        "en": [
            'Is "{}" {}?', 'Is the text "{}" {}?', 'Is "{}" written in {}?', 'Does "{}" have the colour {}?',
            'Is the colour of "{}" {}?', 'Is it true that "{}" is {}?',
            'Does "{}" look {}?', 'Is "{}" printed in {}?',
        ],
    },
    "cell": {  # row, column
        "zh": [
            "{}的{}是多少？", "{}的{}？", "查一下{}的{}", "{}这一行的{}是多少？", "“{}”的{}是什么？",
            "请问{}的{}是多少？", "告诉我{}的{}", "{}一行，{}一列写的是什么？",
            "请读出{}的{}", "{}对应的{}是多少？",
        ],
        "en": [
            "What is the {1} of {0}?", "{0}: {1}?", "Give the {1} of {0}.", "Read the {1} for {0}.",
            "What {1} has {0}?", "In the row {0}, what is the {1}?", "Tell me the {1} of {0}.",
            "What stands under {1} for {0}?",
            "Look up the {1} of {0}.", "Which {1} belongs to {0}?",
        ],
    },
    "dearest": {
        "zh": [
            "哪一样最贵？", "最贵的是什么？", "价格最高的是哪一项？", "哪个卖得最贵？", "什么东西最贵？",
            "哪一项价格最高？",
            "最贵的一项叫什么？", "哪样东西价格最高？",
        ],
        "en": [
            "Which item is the most expensive?", "What costs the most?", "Name the dearest item.",
            "Which item has the highest price?", "What is the most expensive item?", "Most expensive item?",
            "Which one costs most?", "Tell me which item is dearest.",
        ],
    },
    "cheapest_item": {
        "zh": [
            "哪一样价格最低？", "价格最低的是什么？", "哪个卖得价钱最少？", "什么东西价格最低？", "哪一项价格最低？",
            "价格最低的一项叫什么？",
            "哪样东西价钱最低？", "价钱最少的是哪一样？",
        ],
        "en": [
            "Which item has the lowest price?", "What costs the least?", "Name the item with the lowest price.",
            "Which one costs least?", "What is the least expensive item?", "Least expensive item?",
            "Which item is the least expensive?", "Tell me which item costs least.",
        ],
    },
    "smallest": {
        "zh": [
            "最小的金额是多少？", "哪个金额最小？", "最低的价格是多少？", "图中最小金额", "找出最小的金额",
            "最低金额是几？",
            "请写出最小的金额", "金额里最小的是多少？",
        ],
        "en": [
            "What is the smallest amount?", "Which amount is the lowest?", "Lowest price?", "Find the smallest amount.",
            "What is the lowest amount?", "smallest amount?",
            "Tell me the lowest amount.", "Which price is the smallest?",
        ],
    },
    "largest_box": {
        "zh": [
            "最大的金额在哪里？", "框出最大的金额", "请给出最大金额的位置框", "最高的价格在哪里？", "定位最大的金额",
            "最大金额的坐标是多少？",
            "最高金额在图中什么位置？", "请框选最大的金额",
        ],
        "en": [
            "Where is the largest amount?", "Give the box of the largest amount.", "Locate the highest price.",
            "Box of the largest amount?", "Where does the highest amount stand?", "Bounding box of the largest amount.",
            "Find the position of the highest price.", "Point to the largest amount.",
        ],
    },
    "value_box": {  # a field's or an item's name: where its value stands
        "zh": [
            "{}的值在哪里？", "框出{}后面的内容", "请给出{}的数值的位置框", "定位{}对应的内容",
            "{}写在哪里，请给出内容的坐标", "{}一栏的内容在哪里？",
            "请框选{}的内容", "{}的内容坐标是多少？",
        ],
        "en": [
            "Where is the value of {}?", "Give the box of the value of {}.", "Locate the value for {}.",
            "Box of what stands after {}?", "Find the position of the value of {}.",
            "Where does the value of {} stand?",
            "Bounding box of the value of {}.", "Point to the value for {}.",
        ],
    },
    "brand_box": {
        "zh": [
            "品牌标志在哪里？", "框出品牌标志", "请给出品牌标志的位置框", "Logo在哪里？", "定位品牌标志",
            "品牌标志的坐标是多少？",
            "请框选Logo", "找到品牌标志的位置",
        ],
        "en": [
            "Where is the brand mark?", "Give the box of the logo.", "Locate the brand mark.", "Where is the logo?",
            "Box of the logo?", "Find the position of the brand logo.",
            "Bounding box of the logo.", "Point to the brand mark.",
        ],
    },
    "has_brand": {
        "zh": [
            "有品牌标志吗？", "图中有没有品牌Logo？", "是否出现品牌标志？", "能看到品牌标志吗？", "图里有Logo吗？",
            "是否出现未授权品牌Logo？",
            "画面上有品牌标志吗？", "有没有出现品牌标志？",
        ],
        "en": [
            "Is there a brand mark?", "Does it show a brand logo?", "Do you see a brand mark?",
            "Is a brand logo visible?", "Any brand logo?", "Can you see a brand mark?",
            "Is a brand mark shown?", "Does a brand logo appear?",
        ],
    },
}  # fmt: skip
