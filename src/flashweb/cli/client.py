"""An OpenAI-compatible chat server as the command line sees it: models, health, and streamed chat completions.

Knows HTTP and server-sent events; works against any such server, not only ours. Does not know what is asked or why.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from flashweb import __version__
from flashweb.errors import ConfigError, FlashwebError
from flashweb.types import Chat, ImagePart, Message, Part, TextPart, VideoPart

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_MAGIC = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"GIF8", "gif"), (b"BM", "bmp"))


class ServerError(FlashwebError):
    """The server said no; `status` is its HTTP status, None for an error inside a started stream."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ServerUnreachable(FlashwebError):
    """Nobody answers at that address, or the line broke."""


class ChatServer:
    """`async with ChatServer(url) as server: async for chunk in server.stream(body): ...`"""

    def __init__(self, url: str, *, key: str | None = None, timeout_seconds: float = 600.0) -> None:
        self.url = base_url(url)
        self.key = key
        loopback = urlsplit(self.url).hostname in _LOOPBACK
        headers = {"user-agent": f"flashweb/{__version__}"} | ({"authorization": f"Bearer {key}"} if key else {})
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(timeout_seconds, connect=10.0),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            trust_env=not loopback,  # a proxy of the environment has no business between two programs of one machine
        )

    async def __aenter__(self) -> ChatServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def health(self, timeout_seconds: float = 1.0) -> dict[str, Any] | None:
        """What `/health` says, None when nobody answers there or it is no JSON object."""
        try:
            response = await self._http.get("/health", timeout=timeout_seconds)
            body = response.json()
        except (httpx.HTTPError, ValueError):
            return None
        return body | {"status_code": response.status_code} if isinstance(body, dict) else None

    async def models(self) -> list[str]:
        """Model names in the server's order, at least one. Raises ServerError, ServerUnreachable."""
        try:
            response = await self._http.get("/v1/models")
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        _raise_for(response.status_code, response.content)
        try:
            names = [str(entry["id"]) for entry in response.json()["data"]]
        except (ValueError, KeyError, TypeError):
            names = []
        if not names:
            raise ServerError(
                f"{self.url}/v1/models lists no models; is it an OpenAI-compatible server? (or give --model)"
            )
        return names

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Chunks of one streamed chat completion. Raises ServerError, ServerUnreachable; closing it hangs up."""
        content = msgspec.json.encode({**body, "stream": True})
        headers = {"content-type": "application/json"}
        try:
            async with self._http.stream("POST", "/v1/chat/completions", content=content, headers=headers) as response:
                if response.status_code != 200:
                    _raise_for(response.status_code, await response.aread())
                async for event in _events(response.aiter_bytes()):
                    chunk = msgspec.json.decode(event, type=dict[str, Any])
                    if chunk.get("error"):
                        raise ServerError(_error_text(chunk))
                    yield chunk
        except msgspec.DecodeError as error:
            raise ServerError(f"{self.url} sent an event that is no JSON object: {error}") from error
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> ServerUnreachable:
        why = str(error) or type(error).__name__
        return ServerUnreachable(f"no answer from {self.url} ({why}); is the server running? start it: flashweb serve")


def base_url(url: str) -> str:
    """`127.0.0.1:9000`, `http://host/v1/` -> the address without `/v1`. Raises ConfigError."""
    url = url if "://" in url else f"http://{url}"
    split = urlsplit(url)
    if split.scheme not in ("http", "https") or not split.hostname:
        raise ConfigError(f"--url {url!r} is no http(s) address such as http://127.0.0.1:8080")
    return url.rstrip("/").removesuffix("/v1")


def chat_body(chat: Chat) -> dict[str, Any]:
    """A chat in OpenAI's wire format; bytes become data URLs."""
    thinking = {"chat_template_kwargs": {"enable_thinking": True}} if chat.enable_thinking else {}
    tools = {"tools": list(chat.tools)} if chat.tools else {}
    return {"messages": list(_messages(chat))} | thinking | tools


def _messages(chat: Chat) -> Iterator[dict[str, Any]]:
    """Calls without ids get some: what follows them are their results, in the same order."""
    unanswered: list[str] = []
    for index, message in enumerate(chat.messages):
        one: dict[str, Any] = {"role": message.role, "content": _content(message.parts)}
        if message.tool_calls:
            ids = [call.get("id") or f"call_{index}_{number}" for number, call in enumerate(message.tool_calls)]
            calls = zip(ids, message.tool_calls, strict=True)
            one["tool_calls"] = [{"id": id, "type": "function", "function": _function(call)} for id, call in calls]
            unanswered = ids
        if message.role == "tool":
            next_id = unanswered.pop(0) if unanswered else ""
            one["tool_call_id"] = message.tool_call_id or next_id
        yield one


def _function(call: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": call["name"], "arguments": msgspec.json.encode(call["arguments"]).decode()}


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, TextPart))
    return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, VideoPart):
        bound = {"max_frames": part.max_frames} if part.max_frames else {}
        return {"type": "video_url", "video_url": {"url": picture_url(part)}} | bound
    return {"type": "image_url", "image_url": {"url": picture_url(part)}}


def picture_url(part: Part) -> str:
    """A link, or a `data:` one of the bytes; of a clip too, which the command line has as an animated picture."""
    assert isinstance(part, ImagePart | VideoPart), "the command line has texts, pictures and clips"
    if part.url is not None:
        return part.url
    assert part.data is not None
    kind = next((name for magic, name in _MAGIC if part.data.startswith(magic)), None)
    kind = kind or ("webp" if part.data[8:12] == b"WEBP" else "octet-stream")
    mime = f"image/{kind}" if kind != "octet-stream" else "application/octet-stream"
    return f"data:{mime};base64," + base64.b64encode(part.data).decode()


def user_message(text: str, pictures: Sequence[ImagePart] = ()) -> Message:
    """One turn of the user: the pictures, then the text."""
    return Message("user", (*pictures, *([TextPart(text)] if text else [])))


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of each server-sent event up to `[DONE]`; comments and other fields are skipped."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                yield data


def _raise_for(status: int, content: bytes) -> None:
    if status == 200:
        return
    try:
        text = _error_text(msgspec.json.decode(content))
    except (msgspec.DecodeError, AttributeError):
        text = content[:200].decode(errors="replace")
    raise ServerError(f"the server answered with status {status}: {text}", status)


def _error_text(body: Mapping[str, Any]) -> str:
    error = body.get("error", body.get("detail", body))
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)
