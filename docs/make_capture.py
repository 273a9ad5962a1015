"""Makes docs/capture.svg, the README's picture: a real session of the command at a pseudo-terminal, as it was printed.

    .venv/bin/python docs/make_capture.py

Starts no server beforehand: `flashweb chat` brings its own engine. Nothing is drawn that the command did not print; the
example pictures are put beside it because the reader cannot see what the model saw otherwise.
"""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SESSION = (
    'flashweb chat examples/receipt.png "list the amounts"',
    'flashweb chat examples/receipt.png "What is the total?"',
    'flashweb chat examples/menu-zh.png "提取图中所有金额数字,并按出现顺序列出"',
)
PICTURES = ("examples/receipt.png", "examples/menu-zh.png")
COLUMNS, CELL, LINE, MARGIN, PICTURE = 80, 8.4, 20, 18, 150


def main() -> None:
    lines: list[str] = []
    for command in SESSION:
        lines += ["$ " + command, *printed_by(command), ""]
    lines.pop()
    target = ROOT / "docs" / "capture.svg"
    target.write_text(svg(lines, PICTURES), encoding="utf-8")
    print("\n".join(lines), f"\nwritten to {target.relative_to(ROOT)}", sep="\n")


def printed_by(command: str) -> list[str]:
    """The lines on the terminal after the command has ended, as a person would see them."""
    words = [sys.executable, "-m", *shlex.split(command)]
    parent, child = pty.openpty()
    process = subprocess.Popen(words, cwd=ROOT, stdin=child, stdout=child, stderr=child, env=environment())
    os.close(child)
    seen = b""
    while True:
        ready, _, _ = select.select([parent], [], [], 120)
        try:
            piece = os.read(parent, 65536) if ready else b""
        except OSError:  # the other end is closed: everything has been read
            piece = b""
        if not piece:
            break
        seen += piece
    os.close(parent)
    if process.wait(30) != 0:
        raise SystemExit(f"{command!r} ended with {process.returncode}: {seen.decode(errors='replace')}")
    return visible(seen.decode())


def environment() -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FLASHWEB_")}
    return clean | {"TERM": "xterm", "COLUMNS": str(COLUMNS), "PYTHONWARNINGS": "ignore"}


def visible(output: str) -> list[str]:
    """What a terminal shows at the end: progress bars that erased themselves are gone."""
    lines = []
    for line in output.replace("\r\n", "\n").split("\n"):
        last = re.split(r"\r|\x1b\[K", line)[-1] if ("\r" in line or "\x1b[K" in line) else line
        lines.append(re.sub(r"\x1b\[[0-9;]*m", "", last))
    while lines and not lines[-1]:
        lines.pop()
    return lines


def svg(lines: Sequence[str], pictures: Sequence[str]) -> str:
    """A terminal window with the pictures beside it."""
    rows = [row for line in lines for row in wrapped(line)]
    text_width = COLUMNS * CELL + 2 * MARGIN
    placed, y = [], MARGIN
    for name in pictures:
        image = Image.open(ROOT / name)
        height = round(PICTURE * image.height / image.width)
        placed.append(
            f'<image x="{text_width:g}" y="{y}" width="{PICTURE}" height="{height}" href="{data_url(image)}"/>'
        )
        y += height + MARGIN
    width, height = text_width + PICTURE + MARGIN, max(len(rows) * LINE + 2 * MARGIN, y)
    body = [row_svg(number, row) for number, row in enumerate(rows)]
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<title>{escape(lines[0])}</title>",
        '<rect width="100%" height="100%" rx="10" fill="#16181d"/>',
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14">',
        *body,
        "</g>",
        *placed,
        "</svg>\n",
    ])  # fmt: skip


def row_svg(number: int, row: str) -> str:
    colour = "#8bd5ca" if row.startswith("$ ") else "#e6e6e6"
    y = MARGIN + 14 + number * LINE
    return f'<text x="{MARGIN}" y="{y}" fill="{colour}" xml:space="preserve">{escape(row)}</text>'


def wrapped(line: str) -> list[str]:
    """Rows of at most COLUMNS cells; Chinese characters take two."""
    rows, used = [""], 0
    for char in line:
        cells = 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if used + cells > COLUMNS:
            rows.append("")
            used = 0
        rows[-1] += char
        used += cells
    return rows


def data_url(image: Image.Image) -> str:
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


if __name__ == "__main__":
    main()
