"""What the suites of this folder share: where the servers are, and a place in one of them that is taken."""

from __future__ import annotations

import base64
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

EXAMPLES = Path(__file__).parents[3] / "examples"
BASE_URL = os.environ["BASE_URL"]  # /v1 of a server with the bundled model and no keys
GUARDED_URL = os.environ["GUARDED_URL"]  # of one with the echo engine, keys, a rate, and place for one request
MODEL = "flashweb-nano"
AMOUNTS = "24.90, 39.90"


def picture_url(name: str = "price-tag.png") -> str:
    return "data:image/png;base64," + base64.b64encode((EXAMPLES / name).read_bytes()).decode()


def picture_messages(question: str = "list the amounts") -> list[dict[str, object]]:
    image = {"type": "image_url", "image_url": {"url": picture_url()}}
    return [{"role": "user", "content": [image, {"type": "text", "text": question}]}]


def weather_tool() -> dict[str, object]:
    city = {"type": "string", "enum": ["Paris", "北京"]}
    parameters = {"type": "object", "properties": {"city": city}, "required": ["city"], "additionalProperties": False}
    return {"type": "function", "function": {"name": "get_weather", "parameters": parameters, "strict": True}}


@contextmanager
def full_house(key: str, seconds: float) -> Iterator[None]:
    """The guarded server's only place is taken for so long: by a request whose body does not come."""
    address = urlsplit(GUARDED_URL)
    held = socket.create_connection((address.hostname, address.port))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n"
    held.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n".encode())
    letting_go = threading.Timer(seconds, held.close)
    letting_go.start()
    try:
        yield
    finally:
        letting_go.join()
