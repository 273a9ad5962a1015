"""Writes web/openapi.json: what the page's types are made of, from the app as it is (`make web`).

Only what the page asks, and of that only shapes: without words, examples, headers and errors (whose envelope is
src/api/http.ts's business) a better sentence in the description changes nothing here.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from flashweb.api import create_app
from flashweb.serve import build_pipeline
from flashweb.settings import load_settings

FILE = Path(__file__).resolve().parents[1] / "openapi.json"
USED = ("/v1/chat/completions", "/v1/models", "/v1/files", "/health", "/tokenize", "/api/")
WORDS = {"description", "summary", "title", "example", "examples", "operationId", "tags", "security", "headers"}
NAMES_INSIDE = {"properties", "patternProperties", "schemas", "content", "responses", "paths"}  # keys here are names


def described() -> dict[str, Any]:
    """/openapi.json of a server with the settings it has when nobody says any."""
    settings = load_settings({"engine.engine": "echo"}, {}).settings
    app: Any = create_app(settings, *build_pipeline(settings))
    while not isinstance(app, FastAPI):
        app = app.app  # the layers around it
    return app.openapi()


def shapes_of(document: dict[str, Any]) -> dict[str, Any]:
    used = {path: of for path, of in document["paths"].items() if path.startswith(USED)}
    paths = {path: {method: _asked(one) for method, one in of.items()} for path, of in used.items()}
    schemas = without_words(document["components"]["schemas"], names=True)
    paths = without_words(paths, names=True)
    needed: set[str] = set()
    _collect(paths, schemas, needed)
    return {
        "openapi": document["openapi"],
        "info": {"title": "flashweb", "version": "of the checkout"},  # a release alone changes no type
        "paths": paths,
        "components": {"schemas": {name: schemas[name] for name in needed}},
    }


def _asked(operation: dict[str, Any]) -> dict[str, Any]:
    """What is sent, and what comes when all goes well. Headers are the same everywhere: those that are shared."""
    answers = {status: answer for status, answer in operation["responses"].items() if status[0] == "2"}
    parameters = [one for one in operation.get("parameters", []) if one.get("in") in ("path", "query")]
    return {**operation, "responses": answers, "parameters": parameters}


def without_words(part: Any, *, names: bool = False) -> Any:
    """`names`: the keys of this dictionary are names of things, one of which may well be called title."""
    if isinstance(part, list):
        return [without_words(one) for one in part]
    if not isinstance(part, dict):
        return part
    kept = {key: one for key, one in part.items() if names or key not in WORDS}
    done = {key: without_words(one, names=not names and key in NAMES_INSIDE) for key, one in kept.items()}
    # The format asks for a description of every answer; an empty one is one.
    return {"description": "", **done} if "content" in done and "required" not in done and not names else done


def _collect(part: Any, schemas: dict[str, Any], needed: set[str]) -> None:
    """Adds the names of all schemas that `part` comes to."""
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _collect(one, schemas, needed)
    name = str(part.get("$ref", "")).rpartition("/schemas/")[2] if isinstance(part, dict) else ""
    if name and name not in needed:
        needed.add(name)
        _collect(schemas[name], schemas, needed)


def text() -> str:
    """The file's whole text; the same for the same code."""
    flat = partial(json.dumps, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    document = shapes_of(described())
    parts = {"paths": document.pop("paths"), "schemas": document.pop("components")["schemas"]}
    # A line for each path and schema, so that a change can be read.
    paths, schemas = [
        ",\n".join(f" {flat(name)}:{flat(part)}" for name, part in sorted(of.items())) for of in parts.values()
    ]
    head = flat(document).removesuffix("}")
    return f'{head},"paths":{{\n{paths}\n}},"components":{{"schemas":{{\n{schemas}\n}}}}}}\n'


def main() -> None:
    now = text()
    if not FILE.is_file() or FILE.read_text(encoding="utf-8") != now:  # a file that is right keeps its time
        FILE.write_text(now, encoding="utf-8")
        sys.stderr.write(f"wrote web/{FILE.name} ({len(now):,} bytes)\n")


if __name__ == "__main__":
    main()
