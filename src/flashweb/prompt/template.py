"""`ChatTemplate`: a chat -> text pieces and control ids, by the checkpoint's own Jinja template in a sandbox.

The template writes control tokens as text (`<|user|>`), and so may a caller. To tell them apart, every character of
the caller's text that could begin a control token is replaced, before rendering, by a mark that no caller can send
(a lone surrogate, which is not text: those of the caller become U+FFFD first). In the rendered text only the template
itself can then spell a control token; afterwards the marks turn back into what they stand for, as plain text. For
text without such characters the template sees exactly what it would see elsewhere.

Knows nothing of pictures beyond "here stands one", and nothing of the tokenizer beyond the control tokens' names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flashweb.errors import CheckpointError, InvalidRequest
from flashweb.types import Chat, DocumentPart, ImagePart, Message, Part, TextPart, VideoPart

IMAGE_TOKEN, VIDEO_TOKEN = "<|image|>", "<|video|>"

# Written for this project after the format's description; used when a checkpoint brings no template.
DEFAULT_TEMPLATE = Path(__file__).with_name("glm4v.jinja")

_SURROGATES = re.compile(r"[\ud800-\udfff]")
_FIRST_MARK = 0xDC00
# Behind the text that is to be continued: where the prompt is cut off. The blank shows whether the template trims.
_CUT_HERE = "\udfff "
_THINK_BLOCK = re.compile(r"\s*<think>(?P<reasoning>.*?)</think>\s*(?P<answer>.*)", re.DOTALL)


class ChatTemplate:
    """Renders chats. Raises CheckpointError when the template cannot be compiled."""

    def __init__(self, source: str, control_names: Iterable[str]) -> None:
        names = sorted(control_names, key=len, reverse=True)
        assert IMAGE_TOKEN in names, "the caller checks that the tokenizer has an image token"
        self._control = re.compile("(" + "|".join(map(re.escape, names)) + ")")
        firsts = sorted({name[0] for name in names})
        self._mark = {ord(first): _FIRST_MARK + index for index, first in enumerate(firsts)}
        self._unmark = {mark: first for first, mark in self._mark.items()}
        try:
            self._template = _environment().from_string(source)
        except jinja2.TemplateError as error:
            raise CheckpointError(f"the chat template cannot be compiled: {error}") from error

    @classmethod
    def load(cls, folder: Path, control_names: Iterable[str]) -> ChatTemplate:
        """`chat_template.jinja`, else the entry in `tokenizer_config.json`, else the family's own."""
        return cls(_read_source(folder), control_names)

    def render(self, chat: Chat) -> list[tuple[str, bool]]:
        """Pieces (text, is_control) in order; a control piece is one token's name. Raises InvalidRequest."""
        text = self._render_marked(chat)
        pieces: list[tuple[str, bool]] = []
        for index, piece in enumerate(self._control.split(text)):
            is_control = index % 2 == 1  # re.split with one group alternates: plain, control, plain, ...
            if piece:
                pieces.append((piece if is_control else piece.translate(self._unmark), is_control))
        return pieces

    def _render_marked(self, chat: Chat) -> str:
        messages = [self._message(message) for message in chat.messages]
        if chat.continue_final_message:
            assert chat.messages[-1].role == "assistant" and not chat.add_generation_prompt, "checked at conversion"
            messages[-1]["content"] += _CUT_HERE
        variables: dict[str, Any] = {
            "messages": messages,
            "tools": self._marked(list(chat.tools)) if chat.tools else None,
            "documents": None,
            "add_generation_prompt": chat.add_generation_prompt,
            "enable_thinking": chat.enable_thinking,
        }
        try:
            text = self._template.render(**variables)
        except InvalidRequest:
            raise
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise InvalidRequest(
                f"the model's chat template refuses these messages: {error}; check roles, content and tool calls",
                param="messages",
            ) from error
        return _cut_off(text) if chat.continue_final_message else text

    def _message(self, message: Message) -> dict[str, Any]:
        content, reasoning = self._content(message), message.reasoning
        # Clients send raw answers back; templates look for the block as control text, which a caller's never is.
        if message.role == "assistant" and reasoning is None and isinstance(content, str):
            block = _THINK_BLOCK.fullmatch(content)
            reasoning, content = (block["reasoning"].strip(), block["answer"]) if block else (None, content)
        rendered: dict[str, Any] = {"role": message.role, "content": self._marked(content)}
        if reasoning is not None:
            rendered["reasoning_content"] = self._marked(reasoning)
        if message.tool_calls:
            rendered["tool_calls"] = [self._tool_call(call) for call in message.tool_calls]
        if message.tool_call_id is not None:
            rendered["tool_call_id"] = self._marked(message.tool_call_id)
        return rendered

    def _content(self, message: Message) -> str | list[dict[str, str]]:
        """A string when the message is only text (also when empty: None would render as "None"), else parts."""
        assert not any(isinstance(part, DocumentPart) for part in message.parts), "documents are opened before"
        if not any(isinstance(part, ImagePart | VideoPart) for part in message.parts):
            return message.text
        return [_rendered(part) for part in message.parts]

    def _tool_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        name, arguments = call["name"], call["arguments"]
        assert isinstance(arguments, Mapping), "arguments are parsed where the request is converted"
        function = {"name": self._marked(name), "arguments": self._marked(dict(arguments))}
        return {"type": "function", "function": function}

    def _marked(self, value: Any) -> Any:
        """The same value, rebuilt from plain types, with every string disarmed."""
        if isinstance(value, str):
            if not value.isascii():
                value = _SURROGATES.sub("\ufffd", value)
            return value.translate(self._mark)
        if isinstance(value, Mapping):
            return {self._marked(str(key)): self._marked(item) for key, item in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes):
            return [self._marked(item) for item in value]
        assert value is None or isinstance(value, (bool, int, float)), f"{type(value)} is no JSON value"
        return value


def _rendered(part: Part) -> dict[str, str]:
    """Templates know `image` and `video`; OpenAI's `image_url` would be dropped without a word."""
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "video" if isinstance(part, VideoPart) else "image"}


def _cut_off(text: str) -> str:
    """The prompt up to the end of the text to be continued; trailing white space goes where the template drops it (as
    transformers `render_jinja_template` does for continue_final_message)."""
    end = text.rfind(_CUT_HERE.strip())
    if end < 0:
        raise InvalidRequest(
            "continue_final_message: the model's chat template leaves the last message out, so it cannot be continued.",
            param="messages",
        )
    return text[:end] if text.startswith(_CUT_HERE, end) else text[:end].rstrip()


def _read_source(folder: Path) -> str:
    path = folder / "chat_template.jinja"
    try:
        if path.is_file():
            return path.read_text(encoding="utf-8")
        path = folder / "tokenizer_config.json"
        if path.is_file():
            source = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
            if isinstance(source, str):
                return source
        return DEFAULT_TEMPLATE.read_text(encoding="utf-8")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be used: {error}; fetch the file again") from error


def _environment() -> ImmutableSandboxedEnvironment:
    """The environment that checkpoints' templates are written for (transformers `chat_template_utils`)."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)
