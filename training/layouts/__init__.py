"""Arrangements of text on a page. To add one, write `def name(sheet: Sheet) -> Plan` and list it here with a weight."""

from __future__ import annotations

from collections.abc import Callable

from training.layouts import forms, goods, heldout, sales, shapes, text
from training.layouts.plan import Plan, Sheet

# weight, smallest width and height in px
TRAIN: dict[str, tuple[Callable[[Sheet], Plan], float, int, int]] = {
    "lines": (text.lines, 20, 28, 28),
    "paragraph": (text.paragraph, 5, 140, 84),
    "scatter": (text.scatter, 8, 56, 56),
    "poster": (text.poster, 10, 112, 112),
    "receipt": (sales.receipt, 18, 140, 140),
    "menu": (sales.menu, 10, 140, 112),
    "price_tag": (sales.price_tag, 8, 112, 112),
    "table": (sales.table, 8, 196, 112),
    "invoice": (sales.invoice, 6, 252, 168),
    "label": (goods.label, 14, 140, 112),
    "form": (forms.form, 15, 140, 112),
    "signed": (forms.signed, 7, 140, 112),
    "nameplate": (forms.nameplate, 6, 168, 112),
    "details": (forms.details, 6, 196, 112),
    "card": (forms.card, 7, 140, 112),
    "flyer": (forms.flyer, 10, 140, 112),
    "shapes": (shapes.shapes, 55, 84, 84),
    "figures": (shapes.figures, 18, 140, 140),
    "coloured": (shapes.coloured, 13, 112, 56),
    "blank": (shapes.blank, 0.7, 56, 56),
}
HELDOUT: dict[str, tuple[Callable[[Sheet], Plan], float, int, int]] = {
    "ticket": (heldout.ticket, 1, 196, 168),
    "coupon": (heldout.coupon, 1, 196, 168),
    "statement": (heldout.statement, 1, 224, 168),
    "arc": (heldout.arc, 0.5, 168, 140),
    "signboard": (heldout.signboard, 0.3, 168, 112),
}
