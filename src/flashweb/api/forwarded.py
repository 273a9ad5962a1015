"""Who is really calling, behind proxies that the operator trusts. From nobody else is a forwarded header believed."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
IPV6_PREFIX = 64  # what one customer is given at least: fewer bits are one caller


class Forwarded:
    """Sets `scope["client"]` and the scheme to what the last untrusted hop was, when trusted proxies are listed."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self.app = app
        self._trusted = [ipaddress.ip_network(text, strict=False) for text in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if self._trusted and scope["type"] == "http" and client is not None:
            peer = parse_address(client[0])
            if peer is not None and self._is_trusted(peer):
                headers = Headers(scope=scope)
                hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
                scope["client"] = (str(self._caller(peer, hops)), 0)
                scheme = headers.get("x-forwarded-proto", "").strip().lower()
                if scheme in ("http", "https"):
                    scope["scheme"] = scheme
        await self.app(scope, receive, send)

    def _caller(self, peer: Address, hops: Sequence[str]) -> Address:
        """The right-most hop that is not ours: what stands left of it, its sender may have made up."""
        caller = peer
        for text in reversed(hops):
            address = parse_address(text)
            if address is None:
                break
            caller = address
            if not self._is_trusted(address):
                break
        return caller

    def _is_trusted(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)


def parse_address(text: str) -> Address | None:
    """An address with or without port, as proxies write it; an IPv4 address in IPv6 clothes is the IPv4 one."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network_of(scope: Scope) -> str:
    """The caller's address as limits count it: IPv4 whole, IPv6 by /64; what has no address is one caller."""
    client = scope.get("client")
    address = None if client is None else parse_address(client[0].partition("%")[0])
    if address is None:
        return "local"
    if address.version == 6:
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)
