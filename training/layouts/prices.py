"""Amounts of one page: any, of very different sizes, or so much alike that only a digit or two tells them apart."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from training import content
from training.content import Text


def pricer(r: Random) -> Callable[[tuple[str, str]], Text]:
    """How this page's amounts come about: a function from a notation to one amount."""
    kind = r.random()
    if kind < 0.45:
        return lambda signs: content.price(r, signs)
    if kind < 0.72:
        return lambda signs: content.written(_any_size(r), signs)
    base = _any_size(r)
    return lambda signs: content.written(_alike(r, base), signs)


def _any_size(r: Random) -> str:
    """From less than one to tens of thousands, each order of size as often as the others."""
    value = 10 ** r.uniform(-0.3, 4.6)
    kind = r.random()
    return f"{value:.2f}" if kind < 0.75 or value < 1 else f"{value:.1f}" if kind < 0.82 else str(int(value))


def _alike(r: Random, base: str) -> str:
    """The amount with one or two digits changed or exchanged, seldom with one more or one less."""
    digits = [k for k, char in enumerate(base) if char.isdigit()]
    new = list(base)
    if len(digits) > 2 and r.random() < 0.35:
        one, other = r.sample(digits, 2)
        new[one], new[other] = new[other], new[one]
    else:
        for k in r.sample(digits, min(len(digits), r.choice((1, 1, 2)))):
            new[k] = r.choice("0123456789")
    text = "".join(new)
    if r.random() < 0.12:
        text = r.choice("123456789") + text if len(digits) < 6 else text
    whole, dot, cents = text.partition(".")
    text = (whole.lstrip("0") or "0") + dot + cents
    return text if float(text) else base
