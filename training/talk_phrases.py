"""Phrasings of what is asked inside conversations. As in `training.phrases`, the last two of every list are held out."""

from __future__ import annotations

from random import Random

from training.phrases import NUM_HELDOUT

TALK: dict[str, dict[str, list[str]]] = {
    # --- a second question about the same picture ---
    "then_largest": {
        "zh": ["那最大的呢?", "其中最大的是哪个？", "那最大的是多少？", "最高的呢？", "这些里面哪个最大？", "哪个是最大的？", "里面最大的呢？"],
        "en": ["And the largest?", "Which of them is the largest?", "And the highest one?", "Which is the biggest of these?",
               "And which is the largest?", "What about the largest one?", "Which one is highest?"],
    },
    "then_total": {
        "zh": ["那合计呢？", "一共呢？", "那总共多少？", "合计是多少呢？", "那总金额呢？", "加起来写的是多少？", "总计呢？"],
        "en": ["And the total?", "What about the total?", "And in total?", "and the total?", "What is their total on the page?",
               "And the sum at the bottom?", "Total?"],
    },
    "then_count": {
        "zh": ["一共有几个？", "那有几个？", "有多少个呢？", "数一下有几个", "总共几个？", "是几个？", "共有多少个？"],
        "en": ["How many are there?", "How many is that?", "And how many are they?", "Count them.", "So how many?",
               "How many of them?", "Their number?"],
    },
    "then_who": {
        "zh": ["那是哪一项？", "是哪一项的？", "它是什么的价格？", "那是什么东西？", "对应哪一项？", "是什么的金额？", "这是哪个的价格？"],
        "en": ["Which item is that?", "What is it for?", "Which item has it?", "And what is that the price of?", "For what?",
               "Which item does it belong to?", "What costs that?"],
    },
    "then_other": {
        "zh": ["那{}呢？", "{}呢？", "那么{}呢？", "再看{}", "{}是多少呢？", "还有{}呢？", "换成{}呢？"],
        "en": ["And {}?", "What about {}?", "and {}?", "How about {}?", "Then {}?", "{} as well?", "Now {}?"],
    },
    "then_dearer": {
        "zh": ["这两个哪个更贵？", "哪个更贵？", "两个里面哪个贵？", "它们谁更贵？", "哪一个价格更高？", "哪个贵一些？", "谁的价格高？"],
        "en": ["Which of them is more expensive?", "Which of the two costs more?", "Which one is dearer?", "Which costs more?",
               "So which is more expensive?", "Which has the higher price?", "Which is the dearer one?"],
    },
    "then_next": {
        "zh": ["然后呢", "然后呢？", "下一行呢？", "再下一行呢？", "接着呢？", "后面一行写的什么？", "下面呢？", "继续"],
        "en": ["And then?", "And the next line?", "What comes next?", "The next one?", "And after that?", "Go on.", "Next?"],
    },
    "first_line": {
        "zh": ["第一行写的是什么？", "读第一行", "第一行是什么？", "最上面一行写了什么？", "请读出第一行", "首行是什么？", "开头一行是什么？"],
        "en": ["What is the first line?", "Read the first line.", "What does the first line say?", "What is on the top line?",
               "Read only line one.", "The top line, please.", "Which text comes first?"],
    },
    "last_line": {
        "zh": ["最后一行呢？", "那最后一行呢？", "最后一行写的是什么？", "最下面一行呢？", "末行是什么？", "最底下写了什么？"],
        "en": ["And the last line?", "What is the last line?", "What does the last line say?", "And the bottom line?",
               "Read the last one.", "The line at the bottom?"],
    },
    "then_values": {
        "zh": ["是多少？", "都是多少？", "分别是多少？", "写的是多少？", "具体是多少？", "是哪些？"],
        "en": ["How much?", "What are they?", "Which ones?", "How much is it?", "Tell me them.", "What amounts?"],
    },
    "then_read": {
        "zh": ["上面写了什么？", "那写的是什么？", "读一下上面的字", "把字读出来", "都写了什么？", "具体写了哪些字？"],
        "en": ["What does it say?", "And what is written on it?", "Read it, please.", "Read what it says.", "What is on it?",
               "So what is the text?"],
    },
    "sure": {
        "zh": ["你确定吗？", "确定吗？", "真的吗？", "再看一遍", "请再检查一下", "没看错吧？"],
        "en": ["Are you sure?", "Really?", "Please check again.", "Look again.", "Is that right?", "Check it once more."],
    },
    "again": {
        "zh": ["再说一遍", "请重复一遍", "再说一次", "没看清，再来一遍", "重复一下", "请再回答一次"],
        "en": ["Say it again.", "Please repeat.", "Once more, please.", "Repeat that.", "Can you repeat it?", "Again?"],
    },
    "in_other": {  # asked in the language of the answer
        "zh": ["请用中文再说一遍", "用中文回答", "中文怎么说？用中文再答一次", "请用中文回答", "改用中文", "换成中文说"],
        "en": ["In English, please.", "Say it in English.", "Answer in English.", "Now in English.", "English, please.",
               "The same in English."],
    },
    "then_colour_count": {
        "zh": ["其中{}的有几个？", "{}的呢？有几个？", "那{}的有几个？", "有几个是{}的？", "{}的有多少？", "里面{}的有几个？"],
        "en": ["How many of them are {}?", "And how many are {}?", "How many {} ones?", "Of these, how many are {}?",
               "The {} ones, how many?", "How many are {} then?"],
    },
    "shape_total": {
        "zh": ["一共有几个图形？", "总共几个图形？", "图形一共几个？", "那一共几个？", "图形总数是多少？", "加起来有几个图形？"],
        "en": ["How many shapes in all?", "How many shapes altogether?", "So how many shapes is that?", "All shapes together?",
               "The number of all shapes?", "How many shapes in total?"],
    },
    # --- two pictures ---
    "two_what": {
        "zh": ["{}是什么？", "{}里是什么？", "{}是什么图？", "请说说{}", "{}是一张什么图？", "{}的内容是什么？"],
        "en": ["What is {}?", "What is in {}?", "Describe {}.", "What does {} show?", "What kind of picture is {}?",
               "Tell me what {} is."],
    },
    "two_read": {
        "zh": ["只读{}的文字", "{}写了什么？", "读出{}的文字", "请读出{}上的所有文字", "把{}的字写出来", "{}上面写的是什么？"],
        "en": ["Read only {}.", "What does {} say?", "Read the text of {}.", "What is written in {}?", "Transcribe {}.",
               "Copy the text of {}."],
    },
    "two_amounts": {
        "zh": ["{}里有哪些金额？", "列出{}的金额", "{}的金额有哪些？", "提取{}的所有金额", "{}上的价格都是多少？", "只看{}，列出金额"],
        "en": ["List the amounts in {}.", "What amounts are in {}?", "Which prices does {} show?", "The amounts of {}?",
               "Extract the prices of {}.", "Only {}: list its amounts."],
    },
    "two_price": {
        "zh": ["{}里有价格吗？", "{}有金额吗？", "{}有没有价格？", "{}上能看到价格吗？", "{}显示价格了吗？", "{}里出现金额了吗？"],
        "en": ["Is there a price in {}?", "Does {} show a price?", "Are there amounts in {}?", "Any price in {}?",
               "Can you see a price in {}?", "Does {} have amounts?"],
    },
    "two_total": {
        "zh": ["{}的合计是多少？", "{}一共多少钱？", "{}的总金额？", "{}合计多少？", "{}总共多少？", "{}的总计是多少？"],
        "en": ["What is the total of {}?", "How much is the total in {}?", "Total of {}?", "And the total in {}?",
               "What does {} come to?", "The total amount of {}?"],
    },
    "which_total": {
        "zh": ["哪张图的合计更高？", "哪一张的总金额更大？", "哪张小票花的钱更多？", "两张的合计哪个高？", "哪一张合计多？", "比较两张图的合计"],
        "en": ["Which one has the higher total?", "Which picture has the larger total?", "Which total is higher?",
               "Compare the totals.", "Which of the two comes to more?", "Whose total is larger?"],
    },
    "which_price": {
        "zh": ["哪张图有价格？", "哪一张里有金额？", "哪张显示了价格？", "价格在哪张图里？", "两张图哪张有金额？", "哪一张有价格？"],
        "en": ["Which picture has a price?", "Which one shows prices?", "Which has amounts?", "In which picture are amounts?",
               "Which of them has a price?", "Where do you see a price, first or second?"],
    },
    "which_kind": {
        "zh": ["哪张图是{}？", "哪一张是{}？", "两张里哪张是{}？", "{}是第几张？", "哪张是{}？", "请指出哪张是{}"],
        "en": ["Which picture is {}?", "Which one is {}?", "Which of the two is {}?", "Is the first or the second {}?",
               "Which is {}?", "Tell me which one is {}."],
    },
    "which_text": {
        "zh": ["哪张图里有“{}”？", "“{}”在哪张图里？", "哪一张写着“{}”？", "“{}”写在第几张？", "哪张出现了“{}”？", "“{}”是哪张图上的？"],
        "en": ['Which picture says "{}"?', 'In which picture is "{}"?', 'Where is "{}" written, first or second?',
               'Which one contains "{}"?', 'Which of them has "{}"?', '"{}" is in which picture?'],
    },
    "which_readable": {
        "zh": ["哪张图有文字？", "哪一张能读？", "哪张图上有字？", "文字在哪张图里？", "两张图哪张写了字？", "哪一张里有文字？"],
        "en": ["Which picture has text?", "Which one can be read?", "Which picture contains writing?", "Where is the text?",
               "Which of them has text?", "In which picture is something written?"],
    },
    "which_more": {
        "zh": ["哪张图的金额更多？", "哪张的价格个数多？", "哪一张列的金额多？", "两张图谁的金额个数更多？", "哪张价格更多？", "比较金额的个数"],
        "en": ["Which picture has more amounts?", "Which one lists more prices?", "Which has more prices?",
               "Where are more amounts?", "Which of them shows more amounts?", "Compare the number of prices."],
    },
    "same": {
        "zh": ["这两张图一样吗？", "两张图相同吗？", "它们是同一张图吗？", "两张图有区别吗？", "这两张是一样的吗？", "两张图内容相同吗？"],
        "en": ["Are the two pictures the same?", "Are these pictures identical?", "Is it the same picture twice?",
               "Do they show the same?", "Are both the same?", "Is the second the same as the first?"],
    },
    "differs": {
        "zh": ["这两张图有什么不同？", "两张图的区别是什么？", "比较这两张图", "有什么区别？", "请对比两张图", "它们哪里不一样？"],
        "en": ["What is the difference between the pictures?", "How do the two differ?", "Compare the two pictures.",
               "What differs?", "In what do they differ?", "Compare them."],
    },
    "both_what": {
        "zh": ["这两张图分别是什么？", "请分别描述两张图", "两张图各是什么？", "两张图是什么？", "分别说说这两张图", "各是什么图？"],
        "en": ["What are these two pictures?", "Describe both pictures.", "What is in each picture?", "Describe each of them.",
               "What do the two show?", "Name what each picture is."],
    },
    "both_amounts": {
        "zh": ["分别列出两张图的金额", "两张图各有哪些金额？", "提取两张图的金额", "列出每张图的金额", "每张图的价格是多少？", "两张图的金额分别是多少？"],
        "en": ["List the amounts of each picture.", "Which amounts does each picture show?", "Extract the prices of both.",
               "Amounts of both pictures?", "Give the amounts, picture by picture.", "What amounts are in each?"],
    },
    "then_second": {
        "zh": ["那第二张呢？", "第二张呢？", "那另一张呢？", "再看第二张", "第二张图呢？", "另外一张呢？"],
        "en": ["And the second one?", "What about the second picture?", "And the other one?", "Now the second.",
               "And picture two?", "The second as well, please."],
    },
    "now_this": {
        "zh": ["这张呢？", "那这张呢？", "再看这张", "这一张呢？", "还有这张呢？", "换这张呢？"],
        "en": ["And this one?", "What about this one?", "Now this one.", "And here?", "How about this picture?", "This one too?"],
    },
    # --- rules in the system prompt or behind the question: how the answer is to look ---
    "rule_english": {"zh": ["请用英文回答", "用英语回答", "只用英文回答。", "回答必须是英文", "一律用英文作答", "请以英文作答"],
                     "en": ["Answer in English.", "Always answer in English.", "Reply in English only.", "English answers only.",
                            "Use English in your replies.", "Respond in English."]},
    "rule_chinese": {"zh": ["请用中文回答", "用中文回答。", "只用简体中文回答", "回答必须是中文", "一律用中文作答", "请以中文作答"],
                     "en": ["Answer in Chinese.", "Always answer in Chinese.", "Reply in Chinese only.", "Chinese answers only.",
                            "Use Chinese in your replies.", "Respond in Chinese."]},
    "rule_sentence": {"zh": ["请用一句话回答", "用一句话回答", "用一句完整的话回答", "请用完整的句子回答", "一句话作答", "回答要成句"],
                      "en": ["Answer in one sentence.", "Reply with one full sentence.", "Use a complete sentence.",
                             "Answer with a full sentence.", "Write one sentence.", "Respond in a full sentence."]},
    "rule_number": {"zh": ["只用数字回答", "只回答数字", "只输出数字，不要其他文字", "答案只写数字", "只给出数字", "仅以数字作答"],
                    "en": ["Answer only with numbers.", "Reply with digits only.", "Numbers only.", "Output only the number.",
                           "Just the number, no words.", "Give a number and nothing else."]},
    "rule_json": {"zh": ['只输出JSON：{"answer": "..."}', '用JSON回答，字段为answer', '仅输出JSON，键为 answer', '请以JSON返回，字段 answer',
                         '答案放在JSON的answer里', '返回JSON，键名是answer'],
                  "en": ['Reply only with JSON: {"answer": "..."}', 'JSON only, with the key "answer".', 'Answer as JSON with the field answer.',
                         'Output JSON with one key, answer.', 'Put the answer into JSON under "answer".', 'Return JSON; the key is answer.']},
    "rule_lines": {"zh": ["每行写一个", "一行一个", "每个金额单独一行", "请分行列出", "逐行列出", "一个一行地写"],
                   "en": ["One per line.", "Put each on its own line.", "List one per line.", "Write every amount on a new line.",
                          "Each on a line.", "Use one line for each."]},
    "rule_semicolon": {"zh": ["用分号隔开", "用分号分隔", "用;分开", "以分号分隔", "中间用分号", "请用分号隔开各项"],
                       "en": ["Separate them with semicolons.", "Use ; between them.", "Semicolons between the values.",
                              "Separated by semicolons.", "Join them with ;", "Put semicolons between."]},
    "rule_capitals": {"zh": ["用大写字母回答", "英文字母请大写", "全部用大写字母", "答案用大写", "请大写", "字母都用大写"],
                      "en": ["Answer in capital letters.", "Use upper case only.", "Write in capitals.", "UPPER CASE, please.",
                             "All capitals.", "Reply in upper case."]},
}  # fmt: skip


def say(r: Random, name: str, language: str, heldout: bool) -> str:
    """One phrasing; held-out ones only for the split that asks for them."""
    known = TALK[name][language]
    return r.choice(known[-NUM_HELDOUT:] if heldout else known[:-NUM_HELDOUT])
