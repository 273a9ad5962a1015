"""Arithmetic problems, a pupil's answers to them, and the closed list of errors. Knows no page and no pixel.

An error has the type that the rule of `error_type` gives it, whatever the generator meant: the printed numbers alone
decide, so a reader can work it out too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

# key: (Chinese, English) as answered. Order: the first rule that fits names the error.
ERRORS: dict[str, tuple[str, str]] = {
    "unanswered": ("未作答", "unanswered"),
    "sign": ("符号错误", "sign error"),  # another operation's result: 12-5=17
    "point": ("小数点错误", "decimal point error"),  # right digits, point shifted: 1.2+3.4=46
    "carry": ("进位错误", "carry error"),  # every carry forgotten: 27+15=32
    "borrow": ("退位错误", "borrow error"),  # every borrow forgotten: 52-27=35
    "calculation": ("计算错误", "calculation error"),  # anything else
}
_OTHER_OPERATION = {"+": "-", "-": "+", "×": "+", "÷": "-"}


def written(value: Decimal) -> str:
    """A number without exponent and trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def calculate(left: Decimal, operator: str, right: Decimal) -> Decimal:
    """The result of one operation; divisions are made to come out even."""
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    return left * right if operator == "×" else left / right


@dataclass(frozen=True, slots=True)
class Problem:
    """`left operator right = result`, of which the pupil finds `wanted`: the result, or a side that is not printed.

    `form` is "sum" (12+35=), "box" (3+□=8) or "equation" (x+4=9, answered x=5); `unknown` "result", "left", "right".
    """

    left: Decimal
    operator: str
    right: Decimal
    result: Decimal
    form: str = "sum"
    unknown: str = "result"
    letter: str = "x"

    @property
    def wanted(self) -> Decimal:
        """The right answer."""
        return {"result": self.result, "left": self.left, "right": self.right}[self.unknown]

    @property
    def sides(self) -> tuple[str, str, str]:
        """left, right, result as printed; the unknown one is "□", the letter, or "" after the equals sign."""
        hole = {"sum": "", "box": "□", "equation": self.letter}[self.form]
        known = {"left": self.left, "right": self.right, "result": self.result}
        left, right, result = (hole if name == self.unknown else written(value) for name, value in known.items())
        return left, right, result

    @property
    def prompt(self) -> str:
        """What is printed, in one spelling: 12+35= or 3+□=8 or x+4=9."""
        left, right, result = self.sides
        return f"{left}{self.operator}{right}={result}"

    @property
    def solved(self) -> str:
        """The problem with its right answer: 12+35=47, or 3+□=8 □=5."""
        if self.form == "sum":
            return self.prompt + written(self.wanted)
        return f"{self.prompt} {'□' if self.form == 'box' else self.letter}={written(self.wanted)}"

    def as_written(self, answer: Decimal | None, blank: str) -> str:
        """The line as the pupil left it: 7×8=54, or 3+□=8 □=6; an empty place is named by `blank`."""
        value = blank if answer is None else written(answer)
        if self.form == "sum":
            return self.prompt + (f" {blank}" if answer is None else value)
        return f"{self.prompt} {'□' if self.form == 'box' else self.letter}={value}"


# --- problems ---------------------------------------------------------------------------------------------------------


def problem(r: Random, decimals: bool, equations: bool, letter: str = "x") -> Problem:
    """One problem of primary school: whole numbers to three digits, products of one or two digits, some decimals."""
    if decimals and r.random() < 0.45:
        return _decimal_sum(r)
    operator = r.choice("++--××÷")
    left, right = _OPERANDS[operator](r)
    result = calculate(Decimal(left), operator, Decimal(right))
    form, unknown = "sum", "result"
    if equations and operator in "+-×" and left < 100 and result < 100 and r.random() < 0.5:
        form = r.choice(("box", "equation"))
        unknown = r.choice(("left", "right")) if form == "box" and operator != "-" else "left"
    return Problem(Decimal(left), operator, Decimal(right), result, form, unknown, letter)


def _added(r: Random) -> tuple[int, int]:
    most = r.choice((20, 99, 99, 99, 499))
    return r.randint(1, most), r.randint(1, most)


def _subtracted(r: Random) -> tuple[int, int]:
    most = r.choice((20, 99, 99, 99, 999))
    left = r.randint(3, most)
    return left, r.randint(1, left - 1)


def _multiplied(r: Random) -> tuple[int, int]:
    kind = r.random()
    if kind < 0.55:
        return r.randint(2, 9), r.randint(2, 9)
    if kind < 0.95:
        pair = (r.randint(11, 99), r.randint(2, 9))
        return pair if r.random() < 0.7 else pair[::-1]
    return r.randint(11, 15), r.randint(11, 15)


def _divided(r: Random) -> tuple[int, int]:
    right = r.randint(2, 9)
    return right * (r.randint(2, 9) if r.random() < 0.75 else r.randint(10, 32)), right


_OPERANDS: dict[str, Callable[[Random], tuple[int, int]]] = {
    "+": _added, "-": _subtracted, "×": _multiplied, "÷": _divided,
}  # fmt: skip


def _decimal_sum(r: Random) -> Problem:
    """Two numbers with one decimal, added or subtracted."""
    left, right = (Decimal(r.randint(3, 199)) / 10 for _ in range(2))
    operator = r.choice("+-")
    if operator == "-":
        left, right = max(left, right) + Decimal("0.1"), min(left, right)
    return Problem(left, operator, right, calculate(left, operator, right))


# --- wrong answers ----------------------------------------------------------------------------------------------------


def without_carry(problem: Problem) -> Decimal | None:
    """The sum or product with every carry forgotten; None where nothing is carried."""
    if problem.form != "sum":
        return None
    if problem.operator == "+":
        return _by_columns(problem, lambda a, b: (a + b) % 10)
    if problem.operator == "×" and min(problem.left, problem.right) < 10 <= max(problem.left, problem.right):
        many, one = str(int(max(problem.left, problem.right))), int(min(problem.left, problem.right))
        rest = [int(digit) * one % 10 for digit in many[1:]]
        found = Decimal(int(str(int(many[0]) * one) + "".join(map(str, rest))))
        return None if found == problem.result else found
    return None


def without_borrow(problem: Problem) -> Decimal | None:
    """The difference with every borrow forgotten; None where nothing is borrowed."""
    return (
        _by_columns(problem, lambda a, b: (a - b) % 10) if problem.form == "sum" and problem.operator == "-" else None
    )


def _by_columns(problem: Problem, rule: Callable[[int, int], int]) -> Decimal | None:
    """The rule on every pair of digits below each other; the highest column keeps its carry."""
    scale = 10 if problem.left % 1 or problem.right % 1 else 1
    a, b, place, found = int(problem.left * scale), int(problem.right * scale), 1, 0
    while a or b:
        highest = a < 10 and b < 10
        found += place * (a + b if highest and problem.operator == "+" else rule(a % 10, b % 10))
        a, b, place = a // 10, b // 10, place * 10
    value = Decimal(found) / scale
    return None if value == problem.result else value


def other_operation(problem: Problem) -> Decimal | None:
    """What comes out with the opposite sign: an equation solved the wrong way, or another operation; never below 0."""
    if problem.form == "sum":
        value = calculate(problem.left, _OTHER_OPERATION[problem.operator], problem.right)
    else:
        known = problem.right if problem.unknown == "left" else problem.left
        value = {"+": problem.result + known, "-": problem.result - known, "×": problem.result - known}[
            problem.operator
        ]
    return None if value < 0 or value == problem.wanted else value


def error_type(problem: Problem, answer: Decimal | None) -> str | None:
    """The key of `ERRORS` that a pupil's answer deserves, None for a right one."""
    if answer is None:
        return "unanswered"
    if answer == problem.wanted:
        return None
    if answer == other_operation(problem):
        return "sign"
    if _has_point(problem) and answer in (problem.wanted * 10, problem.wanted / 10):
        return "point"
    if answer == without_carry(problem):
        return "carry"
    return "borrow" if answer == without_borrow(problem) else "calculation"


def _has_point(problem: Problem) -> bool:
    return any(value % 1 for value in (problem.left, problem.right, problem.result))


def wrong_answer(r: Random, problem: Problem) -> Decimal | None:
    """A wrong answer of a type that this problem allows; None leaves the place empty."""
    kinds = ["unanswered", *["calculation"] * 5]
    found = {
        "sign": other_operation(problem),
        "carry": without_carry(problem),
        "borrow": without_borrow(problem),
        "point": problem.wanted * 10 if _has_point(problem) and problem.wanted % 1 else None,
    }
    for kind, weight in (("sign", 2), ("carry", 6), ("borrow", 6), ("point", 6)):
        kinds += [kind] * weight if found[kind] is not None else []
    kind = r.choice(kinds)
    if kind == "unanswered":
        return None
    return _slip(r, problem) if kind == "calculation" else found[kind]


def _slip(r: Random, problem: Problem) -> Decimal:
    """A number near the right one that no other rule explains."""
    step = Decimal("0.1") if _has_point(problem) else Decimal(1)
    while True:
        value = problem.wanted + step * r.choice((-10, -9, -3, -2, -2, -1, -1, -1, 1, 1, 1, 2, 2, 3, 9, 10))
        if value >= 0 and error_type(problem, value) == "calculation":
            return value
