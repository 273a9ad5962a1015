"""docs/api.md and /openapi.json name every route there is, and none that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from flashweb.api.pages import PAGE_ROUTES
from tests.api.routes import all_routes, description

# Not for programs: the alias is a slip in the API guide's own sample, kept for it, the others are the page's files.
HIDDEN = {
    ("POST", "/v1/multimodal/completions-multipart-multipart"), ("GET", "/static/{}"), ("GET", "/favicon.ico"),
    ("GET", "/assets/{}"),
}  # fmt: skip
METHODS = {"GET", "POST", "DELETE", "PUT", "PATCH"}


def plain(path: str) -> str:
    """Without the names of what varies: /v1/files/{file_id} -> /v1/files/{}."""
    return re.sub(r"\{[^}]*\}", "{}", path)


PAGES = {("GET", plain(path)) for path in (*PAGE_ROUTES, "/docs", "/openapi.json", "/samples/{name}")}


def served() -> set[tuple[str, str]]:
    return {(method, plain(route.path)) for route in all_routes() for method in route.methods - {"HEAD"}}


def documented(text: str) -> Iterator[tuple[str, str]]:
    """The first column of the table of endpoints: `POST`, `GET /v1/files`, `/v1/files/{id}`, `.../{id}/content`. A path
    without a method has that of the one before it; `...` is what the path before it begins with."""
    (table,) = re.findall(r"^## Endpoints\n(.*?)^`model` may", text, re.MULTILINE | re.DOTALL)
    known = {path for _, path in served()} | {path for _, path in PAGES}
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        methods: list[str] = []
        before, is_used = "", True
        for span in re.findall(r"`([^`]+)`", row):
            *named, path = span.split(" ") if span.rpartition(" ")[2] not in METHODS else (span, "")
            assert set(named) <= METHODS, span
            methods = [*([] if is_used and named else methods), *named]
            is_used = bool(path)
            if not path:
                continue
            whole = plain(path.split("?")[0])
            if path.startswith("..."):
                parents = [before[:at] for at in range(len(before), 0, -1) if before[at : at + 1] in ("", "/")]
                whole = next(found for parent in parents if (found := parent + plain(path[3:])) in known)
            for method in methods:
                yield method, whole
            before = whole


def test_the_document_has_every_route_and_no_other(root: Path) -> None:
    found = set(documented((root / "docs/api.md").read_text(encoding="utf-8")))
    assert len(found) > 40
    assert found - PAGES == served() - HIDDEN - PAGES
    assert found >= PAGES


def test_the_description_has_every_route_and_no_other() -> None:
    described = {
        (method.upper(), plain(path)) for path, methods in description()["paths"].items() for method in methods
    }
    assert described - PAGES == served() - HIDDEN - PAGES


def test_a_row_is_read_as_a_person_reads_it() -> None:
    table = (
        "## Endpoints\n| `POST`, `GET /v1/files`, `GET`, `DELETE /v1/files/{id}`, `GET .../content` | x |\n`model` may"
    )
    assert list(documented(table)) == [
        ("POST", "/v1/files"), ("GET", "/v1/files"), ("GET", "/v1/files/{}"), ("DELETE", "/v1/files/{}"),
        ("GET", "/v1/files/{}/content"),
    ]  # fmt: skip
