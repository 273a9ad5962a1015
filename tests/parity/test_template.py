"""Our prompts against transformers: token ids of rendered chats, and three-axis positions."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flashweb
from flashweb.prompt import PromptProcessor
from flashweb.prompt.positions import rope_positions
from flashweb.prompt.template import DEFAULT_TEMPLATE, ChatTemplate
from flashweb.types import Chat, Grid, ImagePart, Message, PixelPatches, TextPart

NANO = Path(flashweb.__file__).parent / "models" / "flashweb-nano"

TOOL = {
    "type": "function",
    "function": {
        "name": "get_price",
        "description": "价格 <b>lookup</b>",
        "parameters": {"type": "object", "properties": {"item": {"type": "string"}, "n": {"type": "integer"}}},
    },
}
CALL = {"name": "get_price", "arguments": {"item": "茶 a/b", "n": 3, "tags": ["x", "y"], "deep": {"k": None}}}


def user(*texts: str | None) -> Message:
    """A user turn; None stands for a picture."""
    return Message("user", tuple(ImagePart(data=b"") if text is None else TextPart(text) for text in texts))


def said(role: Any, text: str, **more: Any) -> Message:
    return Message(role, (TextPart(text),), **more)


CHATS = {
    "hi": (user("hi"),),
    "system": (said("system", "S"), user("hi")),
    "chinese": (said("system", "你是助手。"), user("提取图中所有金额数字,并按出现顺序列出")),
    "picture": (user(None, "describe"),),
    "picture behind": (user("describe ", None),),
    "pictures between": (user("a", None, "b", None, None, "c"),),
    "turns": (user(None, "one"), said("assistant", "1\n"), user("two", None), said("assistant", "  2"), user("three")),
    "code": (user("a <b> [c] /d </e> x<y && z[0]/2 < 3 <- <| |> \t\n\n  "),),
    "emoji": (user("👩‍👩‍👧‍👦 é e\u0301 \u200b ﷽"),),
    "empty": (user(""),),
    "empty answer": (user("a"), said("assistant", ""), user("b")),
    "reasoning": (user("a"), said("assistant", "b", reasoning="why"), user("c")),
    "tools": (user("price?"),),
    "tool loop": (
        user("price?"),
        said("assistant", "", reasoning="look it up", tool_calls=(CALL,)),
        said("tool", "12.50"),
        said("tool", "13"),
    ),
    "two calls": (user("p"), said("assistant", "let me", tool_calls=(CALL, CALL)), said("tool", "1"), user("so?")),
}


@lru_cache(maxsize=1)
def ours() -> PromptProcessor:
    return PromptProcessor(NANO)


@lru_cache(maxsize=1)
def theirs() -> Any:
    """The reference's tokenizer, as it reads the same folder."""
    transformers = pytest.importorskip("transformers")
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(NANO / "tokenizer.json"))


def as_dicts(chat: Chat) -> list[dict[str, Any]]:
    """The chat as the reference wants it."""
    messages = []
    for message in chat.messages:
        parts: list[dict[str, Any]] = [
            {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image"}
            for part in message.parts
        ]
        plain = all(part["type"] == "text" for part in parts)
        content: Any = "".join(part["text"] for part in parts) if plain else parts
        one: dict[str, Any] = {"role": message.role, "content": content}
        if message.reasoning is not None:
            one["reasoning_content"] = message.reasoning
        if message.tool_calls:
            one["tool_calls"] = [{"type": "function", "function": dict(call)} for call in message.tool_calls]
        messages.append(one)
    return messages


def picture(h: int, w: int) -> PixelPatches:
    return PixelPatches(np.zeros((h * w, 588), np.uint8), Grid(1, h, w), bytes(32), (h * 14, w * 14))


@pytest.mark.parametrize("thinking", [False, True], ids=["plain", "thinking"])
@pytest.mark.parametrize("source", [NANO / "chat_template.jinja", DEFAULT_TEMPLATE], ids=["bundled", "default"])
@pytest.mark.parametrize("name", CHATS)
def test_token_ids_equal_the_references(name: str, source: Path, thinking: bool, tmp_path: Path) -> None:
    tools = (TOOL,) if "tool" in name or "calls" in name else ()
    chat = Chat(CHATS[name], enable_thinking=thinking, tools=tools)
    template = source.read_text(encoding="utf-8")
    rendered = theirs().apply_chat_template(
        as_dicts(chat),
        tools=list(tools) or None,
        chat_template=template,
        add_generation_prompt=True,
        enable_thinking=thinking,
        tokenize=False,
    )
    grids = [(4, 6), (2, 2), (6, 4), (8, 8)][: len(chat.images)]
    pieces = rendered.split("<|image|>")
    expanded = pieces[0]
    for (h, w), piece in zip(grids, pieces[1:], strict=True):
        expanded += "<|image|>" * (h * w // 4) + piece
    expected = theirs()(expanded, add_special_tokens=False)["input_ids"]

    for file in ("config.json", "tokenizer.json"):
        (tmp_path / file).write_bytes((NANO / file).read_bytes())
    if source is not DEFAULT_TEMPLATE:
        (tmp_path / "chat_template.jinja").write_text(template, encoding="utf-8")
    prompt = PromptProcessor(tmp_path).build(chat, [picture(*grid) for grid in grids])
    assert list(prompt.token_ids) == expected
    assert [span.start for span in prompt.spans] == _run_starts(expected, ours().image_token_id)


CONTINUED = {
    "one word": (user("q"), said("assistant", "The")),
    "turns": (said("system", "S"), user(None, "one"), said("assistant", "1"), user("two"), said("assistant", "2, 3,")),
    "spaces around": (user("q"), said("assistant", "  Once upon  ")),
    "line break": (user("q"), said("assistant", "1. tea\n2.\n")),
    "said before": (user("The"), said("assistant", "The The")),
    "JSON": (user("q"), said("assistant", '{"amounts": ["')),
    "blank inside": (user("q"), said("assistant", "a  \n\n b")),
    "thought": (user("q"), said("assistant", "So", reasoning="why")),
}


@pytest.mark.parametrize("source", [NANO / "chat_template.jinja", DEFAULT_TEMPLATE], ids=["bundled", "default"])
@pytest.mark.parametrize("name", CONTINUED)
def test_a_turn_left_open_is_rendered_like_the_references(name: str, source: Path) -> None:
    chat = Chat(CONTINUED[name], add_generation_prompt=False, continue_final_message=True)
    text = source.read_text(encoding="utf-8")
    expected = theirs().apply_chat_template(
        as_dicts(chat), chat_template=text, continue_final_message=True, enable_thinking=False, tokenize=False
    )
    template = ChatTemplate(text, ours().tokenizer.control_ids)
    assert "".join(piece for piece, _ in template.render(chat)) == expected


def _run_starts(ids: list[int], image_id: int) -> list[int]:
    return [i for i, id in enumerate(ids) if id == image_id and (i == 0 or ids[i - 1] != image_id)]


@given(st.text(max_size=60))
@settings(max_examples=150)
def test_clean_text_is_tokenised_like_the_reference(text: str) -> None:
    if any(name in text for name in ours().tokenizer.control_ids):
        return
    assert ours().tokenizer.encode(text) == theirs()(text, add_special_tokens=False)["input_ids"]
    ids = ours().tokenizer.encode(text)
    assert ours().tokenizer.decode(ids) == theirs().decode(ids, clean_up_tokenization_spaces=False) == text


segments = st.lists(
    st.one_of(st.integers(1, 30), st.tuples(st.integers(1, 8), st.integers(1, 8))), min_size=1, max_size=8
)


@given(segments)
@settings(max_examples=100)
def test_positions_equal_the_references(parts: list[int | tuple[int, int]]) -> None:
    torch = pytest.importorskip("torch")
    reference = _rope_reference()
    types: list[int] = []
    grids: list[list[int]] = []
    spans: list[tuple[int, Grid]] = []
    for part in parts:
        if isinstance(part, int):
            types += [0] * part
            continue
        if types and types[-1] == 1:
            types.append(0)  # the reference tells pictures apart by the text between them
        h, w = part[0] * 2, part[1] * 2
        spans.append((len(types), Grid(1, h, w)))
        grids.append([1, h, w])
        types += [1] * (h * w // 4)
    expected, delta = reference.get_rope_index(
        torch.zeros(1, len(types), dtype=torch.long),
        torch.tensor([types], dtype=torch.int),
        image_grid_thw=torch.tensor(grids, dtype=torch.long).reshape(-1, 3),
    )
    positions, our_delta = rope_positions(len(types), spans)
    assert np.array_equal(positions, expected[:, 0].numpy())
    assert our_delta == int(delta[0, 0])


@lru_cache(maxsize=1)
def _rope_reference() -> Any:
    """`Glm4vModel.get_rope_index` needs only the configuration of an instance."""
    module = pytest.importorskip("transformers.models.glm4v.modeling_glm4v")
    model = object.__new__(module.Glm4vModel)
    config = module.Glm4vModel.config_class(vision_config={"spatial_merge_size": 2})
    model.__dict__["config"] = config
    return model


def test_the_bundled_tokenizer_has_the_familys_control_tokens() -> None:
    added = json.loads((NANO / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    pieces_of_text = {token["content"] for token in added if not token["special"] and token["content"][0] in 'n{"'}
    assert len(pieces_of_text) == 6  # the JSON pieces of the audit answer
    assert {token["content"] for token in added} - pieces_of_text == set(ours().tokenizer.control_ids)
    assert "<|image|>" in ours().tokenizer.control_ids
