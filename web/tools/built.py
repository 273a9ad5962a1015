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


def asset_names(page: Path = PAGE) -> list[str]:
    """As a browser asks for them."""
    return sorted(path.name.removesuffix(".gz") for path in (page / "assets").iterdir())


def bytes_of(name: str, page: Path = PAGE) -> bytes:
    """Of a file of the page by the name that it is asked for with; text lies packed."""
    packed = page / f"{name}.gz"
    return gzip.decompress(packed.read_bytes()) if packed.is_file() else (page / name).read_bytes()


def text_of(name: str, page: Path = PAGE) -> str:
    return bytes_of(name, page).decode("utf-8")


def size_on_the_way(name: str, page: Path = PAGE) -> int:
    """As the server sends it: as it lies there."""
    packed = page / f"{name}.gz"
    return (packed if packed.is_file() else page / name).stat().st_size


def first_scripts(page: Path = PAGE) -> list[str]:
    """Names of the scripts that index.html needs before anything is shown: its own, and what they import at once."""
    waiting = SCRIPT.findall(text_of("index.html", page))
    found: list[str] = []
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting += STATIC_IMPORT.findall(text_of(f"assets/{name}", page))
    return found


def first_load(page: Path = PAGE) -> int:
    """Packed bytes of all first scripts."""
    return sum(size_on_the_way(f"assets/{name}", page) for name in first_scripts(page))


def table(page: Path = PAGE) -> Iterator[str]:
    first = set(first_scripts(page)) | set(STYLE.findall(text_of("index.html", page)))
    packed = {name: size_on_the_way(f"assets/{name}", page) for name in asset_names(page)}
    yield f"{'file':44} {'bytes':>9} {'packed':>9}  first"
    for name in sorted(packed, key=lambda name: (name not in first, -packed[name])):
        if name.endswith((".js", ".css")):
            mark = "yes" if name in first else ""
            yield f"{name:44} {len(bytes_of(f'assets/{name}', page)):9,} {packed[name]:9,}  {mark}".rstrip()
    others = [size for name, size in packed.items() if not name.endswith((".js", ".css"))]
    yield f"{f'{len(others)} fonts and pictures':44} {sum(others):9,}"
    yield f"all assets, as they lie there: {sum(packed.values()):,} bytes"
    yield f"scripts of the first load: {first_load(page):,} of {MAX_FIRST_SCRIPT_BYTES:,} bytes, packed"


def main() -> int:
    if not (PAGE / "index.html.gz").is_file():
        print("the page is not built: make web")
        return 1
    print("\n".join(table()))
    is_current = (PAGE / "source.sha256").read_text().strip() == source_digest()
    print("built from these sources" if is_current else "the sources changed since it was built: make web")
    return 0 if is_current and first_load() <= MAX_FIRST_SCRIPT_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
