"""Sums of money in words, Chinese capitals and English, as contracts write them. Pure functions on cents."""

from __future__ import annotations

_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()


def _group(number: int) -> str:
    """One to four digits in capitals, zeros inside named once, none at the end."""
    text, zero = "", False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            text += ("零" if zero and text else "") + _DIGITS[digit] + _PLACES[place]
            zero = False
        else:
            zero = True
    return text


def chinese_capitals(cents: int) -> str:
    """123000 -> 壹仟贰佰叁拾元整; up to 9,999,999 yuan."""
    yuan, rest = divmod(cents, 100)
    high, low = divmod(yuan, 10_000)
    text = _group(high) + "万" if high else ""
    if low:
        text += ("零" if high and low < 1000 else "") + _group(low)
    text += "元"
    jiao, fen = divmod(rest, 10)
    if not rest:
        return text + "整"
    text += _DIGITS[jiao] + "角" if jiao else "零"
    return text + (_DIGITS[fen] + "分" if fen else "整")


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest and rest < 20:
        words.append(_ONES[rest])
    elif rest:
        words.append(_TENS[tens] + (f"-{_ONES[ones]}" if ones else ""))
    return " ".join(words)


def english_words(cents: int) -> str:
    """123000 -> one thousand two hundred thirty dollars only; 1250 -> twelve dollars and fifty cents."""
    dollars, rest = divmod(cents, 100)
    thousands, low = divmod(dollars, 1000)
    parts = [f"{_below_thousand(thousands)} thousand"] if thousands else []
    parts += [_below_thousand(low)] if low else []
    text = f"{' '.join(parts)} dollars"
    return f"{text} and {_below_thousand(rest)} cents" if rest else f"{text} only"


def digits(cents: int) -> str:
    """The answer form: 1230.00."""
    return f"{cents // 100}.{cents % 100:02d}"
