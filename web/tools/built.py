"""What the built page is made from and how much of it is loaded first; needs no Node.

python3 web/tools/built.py        prints the sizes, and whether the page is built from these sources
"""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

WEB = Path(__file__).resolve().parents[1]
PAGE = WEB.parent / "src" / "flashweb" / "page"
MAX_FIRST_SCRIPT_BYTES = 250_000  # packed; what has to arrive before anything is seen
# As tools/plugins.ts has it.
PARTS = ("index.html", "package-lock.json", "public", "src", "tools/plugins.ts", "tsconfig.json", "vite.config.ts")
NOT_BUILT = re.compile(r"\.spec\.ts$|\.d\.ts$|(^|/)fixtures/")
SCRIPT = re.compile(r'<script[^>]*\ssrc="/assets/([^"]+\.js)"')
STYLE = re.compile(r'<link[^>]*\srel="stylesheet"[^>]*\shref="/assets/([^"]+\.css)"')
STATIC_IMPORT = re.compile(r"""(?:\bimport|\bfrom|[};]import|\}from)\s*["']\./([^"']+\.js)["']""")


def source_digest(web: Path = WEB) -> str:
    listed = [path for part in PARTS for path in ([web / part] if (web / part).is_file() else (web / part).rglob("*"))]
    names = sorted(path.relative_to(web).as_posix() for path in listed if path.is_file())
    whole = hashlib.sha256()
    for name in names:
        if not NOT_BUILT.search(name):
            one = hashlib.sha256((web / name).read_bytes()).hexdigest()
            whole.update(f"{one}  {name}\n".encode())
    return whole.hexdigest()


def first_scripts(page: Path = PAGE) -> list[str]:
    """Names of the scripts that index.html needs before anything is shown: its own, and what they import at once."""
    waiting = SCRIPT.findall((page / "index.html").read_text(encoding="utf-8"))
    found: list[str] = []
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting += STATIC_IMPORT.findall((page / "assets" / name).read_text(encoding="utf-8"))
    return found


def packed_size(path: Path) -> int:
    """Bytes on the way, as the server sends it."""
    return len(gzip.compress(path.read_bytes(), 9, mtime=0))


def first_load(page: Path = PAGE) -> int:
    """Packed bytes of all first scripts."""
    return sum(packed_size(page / "assets" / name) for name in first_scripts(page))


def table(page: Path = PAGE) -> Iterator[str]:
    first = set(first_scripts(page)) | set(STYLE.findall((page / "index.html").read_text(encoding="utf-8")))
    files = sorted((page / "assets").iterdir(), key=lambda path: (path.name not in first, -path.stat().st_size))
    yield f"{'file':44} {'bytes':>9} {'packed':>9}  first"
    for path in files:
        if path.suffix in (".js", ".css"):
            mark = "yes" if path.name in first else ""
            yield f"{path.name:44} {path.stat().st_size:9,} {packed_size(path):9,}  {mark}".rstrip()
    others = [path.stat().st_size for path in files if path.suffix not in (".js", ".css")]
    yield f"{f'{len(others)} fonts and pictures':44} {sum(others):9,}"
    yield f"scripts of the first load: {first_load(page):,} of {MAX_FIRST_SCRIPT_BYTES:,} bytes, packed"


def main() -> int:
    if not (PAGE / "index.html").is_file():
        print("the page is not built: make web")
        return 1
    print("\n".join(table()))
    is_current = (PAGE / "source.sha256").read_text().strip() == source_digest()
    print("built from these sources" if is_current else "the sources changed since it was built: make web")
    return 0 if is_current and first_load() <= MAX_FIRST_SCRIPT_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
