"""Every character that the bundled model's world holds: drawn on pages, asked in questions, given in answers.

Knows no font and no tokenizer; both are built from `CHARSET`.
"""

from __future__ import annotations

ASCII: str = "".join(map(chr, range(0x20, 0x7F)))
CJK_PUNCTUATION: str = "，。、：；！？（）《》【】“”‘’…—·～％×÷°℃★"
CURRENCY: str = "¥￥€£"  # "$" is ASCII


def level_one_hanzi() -> str:
    """The 3,755 level-1 hanzi of GB2312 in its own order (pinyin): rows 16 to 55, of which the last has 89 cells."""
    cells = ((row, cell) for row in range(16, 56) for cell in range(1, 95 if row < 55 else 90))
    return "".join(bytes((0xA0 + row, 0xA0 + cell)).decode("gb2312") for row, cell in cells)


HANZI: str = level_one_hanzi()
CHARSET: str = ASCII + "\n" + CJK_PUNCTUATION + CURRENCY + HANZI

assert len(HANZI) == 3755
assert len(set(CHARSET)) == len(CHARSET)
