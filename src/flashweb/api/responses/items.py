"""The items of an input as they are kept, and as they are listed: in the official types, pictures by request only."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter

from flashweb.api.responses import wire
from flashweb.errors import InvalidRequest

_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
_ITEMS: TypeAdapter[list[wire.Item]] = TypeAdapter(list[wire.Item])
MAX_LISTED = 100


def new_id(type: str) -> str:
    return f"{_PREFIXES[type]}_{secrets.token_hex(16)}"


def kept_items(given: str | Sequence[wire.Item] | None) -> list[dict[str, Any]]:
    """Only fields we know, each item with an id."""
    if given is None:
        return []
    if isinstance(given, str):
        given = [said(given)]
    return [_kept(item) for item in given]


def said(text: str) -> wire.MessageItem:
    """An input that is only a text, as an item."""
    return wire.MessageItem.model_validate({"role": "user", "content": text})


def _kept(item: wire.Item) -> dict[str, Any]:
    document = item.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {**document, "id": item.id or new_id(item.type), "type": item.type}


def read_items(documents: Iterable[dict[str, Any]]) -> list[wire.Item]:
    """Items of ours, kept or answered, as those of an input."""
    return _ITEMS.validate_python(list(documents))


def page(
    items: Sequence[dict[str, Any]], *, limit: int, order: str, after: str | None, before: str | None = None
) -> dict[str, Any]:
    """OpenAI's list of kept items, oldest first with order asc. Raises InvalidRequest."""
    if not 1 <= limit <= MAX_LISTED:
        raise InvalidRequest(f"limit must be 1 to {MAX_LISTED}, got {limit}.", param="limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest(f"order must be asc or desc, got {order[:80]!r}.", param="order")
    ordered = list(items) if order == "asc" else list(reversed(items))
    ids = [item["id"] for item in ordered]
    first, last = _place(ids, after, "after", -1) + 1, _place(ids, before, "before", len(ids))
    shown = ordered[first : min(last, first + limit)]
    return {
        "object": "list",
        "data": [_listed(item) for item in shown],
        "first_id": shown[0]["id"] if shown else "",
        "last_id": shown[-1]["id"] if shown else "",
        "has_more": first + limit < last,
    }


def _place(ids: Sequence[str], id: str | None, param: str, otherwise: int) -> int:
    if id is None:
        return otherwise
    if id not in ids:
        raise InvalidRequest(f"{param}: there is no item {id[:80]!r} in this list.", param=param)
    return ids.index(id)


def _listed(item: dict[str, Any]) -> dict[str, Any]:
    match item["type"]:
        case "message":
            form = "output_text" if item["role"] == "assistant" else "input_text"
            return {**item, "status": "completed", "content": _parts(item["content"], form)}
        case "function_call_output":
            output = item["output"]
            listed = output if isinstance(output, str) else _parts(output, "input_text")
            return {**item, "status": "completed", "output": listed}
        case "reasoning":
            return {"summary": [], **item}
        case _:
            return {**item, "status": "completed"}


def _parts(content: Any, form: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    return [_part(part, form) for part in (content if isinstance(content, list) else [content])]


def _part(part: dict[str, Any], form: str) -> dict[str, Any]:
    if "text" in part:
        more: dict[str, Any] = {"annotations": []} if form == "output_text" else {}
        return {"type": form, "text": part["text"], **more}
    if part["type"] in ("image_url", "input_image", "image"):
        source = part.get("source") or {}
        link = part.get("image_url", part.get("image", part.get("url", part.get("base64", source.get("data")))))
        inner = link if isinstance(link, dict) else {}
        detail = inner.get("detail") or part.get("detail") or "auto"
        listed = {"type": "input_image", "detail": detail, "image_url": inner.get("url") if inner else link}
        file_id = part.get("file_id", source.get("file_id"))
        return listed if file_id is None else {**listed, "file_id": file_id}
    if part["type"] == "image_file":
        file = part.get("image_file") or part
        return {"type": "input_image", "detail": file.get("detail") or "auto", "file_id": file.get("file_id")}
    return _file(part)


def _file(part: dict[str, Any]) -> dict[str, Any]:
    """Never with the document's password."""
    inner = [one for one in (part.get("file"), part.get("file_url"), part.get("source")) if isinstance(one, dict)]
    given = {name: value for one in (part, *inner) for name, value in one.items()}
    names = {"filename": ("filename", "title"), "file_data": ("file_data", "data"), "file_id": ("file_id",)}
    listed = {name: next((given[one] for one in ways if one in given), None) for name, ways in names.items()}
    urls = (given.get("file_url"), given.get("url"))
    listed["file_url"] = next((url for url in urls if isinstance(url, str)), None)
    wanted = {name: part.get(name) for name in ("detail", "pages", "dpi")}
    if wanted["detail"] == "original":  # which OpenAI knows of pictures alone, and means the same here
        wanted["detail"] = "high"
    told = {name: value for name, value in (listed | wanted).items() if value is not None}
    return {"type": "input_file", **told}
