"""`pattern` and `format` of JSON Schema as regular expressions of the compiler's: what a whole text must match.

A pattern is searched for, anywhere in a text (ECMA-262); its `\\d` and `\\w` are of ASCII. llguidance takes a `^` at
the very beginning and a `$` at the very end for anchors, and knows no others, no look-around and no back-references.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ANYTHING = "(?s:.*)"
_CLASSES = {r"\d": "[0-9]", r"\w": "[A-Za-z0-9_]", r"\$": r"\x24"}
_TOKEN = re.compile(
    r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[pPk][{<][^}>]*[}>]|.)"  # an escape
    r"|\[(?:\\.|[^\]\\])*\]"  # a class
    r"|\((?:\?(?:<?[=!]|:|[a-zA-Z-]*:|P?<[^>]*>|[a-zA-Z-]*\)))?"  # a group's beginning
    r"|.",
    re.DOTALL,
)
_IN_CLASS = re.compile(r"\\.", re.DOTALL)
_BEYOND = re.compile(r"\\[1-9bBkAZz]|\(\?<?[=!]")

_DATE = (
    "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|[12][0-9]))"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_CLOCK = "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_HEX = "[0-9A-Fa-f]{1,4}"
_URI = "(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
# RFC 3339 (date, time, and its appendix A: duration), 5321 (email: no quoted names), 1123 (hostname), 2673 (ipv4),
# 4291 (ipv6: without a dotted end), 4122 (uuid), 3986 (uri).
FORMATS: dict[str, str] = {
    "date-time": f"(?:{_DATE})T{_TIME}",
    "time": _TIME,
    "date": _DATE,
    "duration": f"P(?:[0-9]+W|(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)(?:{_CLOCK})?|{_CLOCK})",
    "email": rf"{_ATOM}(?:\.{_ATOM})*@{_HOST}",
    "hostname": _HOST,
    "ipv4": _IPV4,
    "ipv6": f"(?:{_HEX}:){{7}}{_HEX}|:(?:(?::{_HEX}){{1,7}}|:)|"
    + "|".join(f"(?:{_HEX}:){{{left}}}(?::{_HEX}){{1,{7 - left}}}" for left in range(1, 7))
    + f"|(?:{_HEX}:){{1,7}}:",
    "uuid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "uri": f"[A-Za-z][A-Za-z0-9+.-]*:{_URI}+(?:#{_URI}*)?",
}


def searched(pattern: str) -> str:
    """The same pattern as llguidance reads it: anchors only at the very ends."""
    branches = _branches(pattern)
    if len(branches) == 1 or not any(_anchors(tokens) != (False, False) for tokens in branches):
        return "|".join(map("".join, branches))
    return f"^(?:{'|'.join(map(_whole, branches))})$"


def beyond(pattern: str) -> str:
    """Why the compiler could not take it, as far as that can be seen from here; as a rule ""."""
    for tokens in _branches(pattern):
        left, right = _anchors(tokens)
        inner = tokens[left : len(tokens) - right]
        if found := next((token for token in inner if token in ("^", "$") or _BEYOND.match(token)), None):
            return f"cannot be enforced: it has {found} inside; no look-around, references or anchors but at its ends"
    return ""


def whole(pattern: str) -> str:
    """An expression that has to match all of a text in which the pattern is found. Raises ValueError with the reason
    where there is none."""
    try:
        re.compile(pattern)
    except re.error as error:
        # Python lacks some of ECMA's escapes (\\p) and groups (?<name>); the compiler of grammars judges those.
        if not re.match("bad escape|unknown extension", str(error)):
            raise ValueError(f"is no regular expression: {error}") from None
    if reason := beyond(pattern):
        raise ValueError(reason)
    return "|".join(map(_whole, _branches(pattern)))


def _branches(pattern: str) -> list[list[str]]:
    """The tokens of each of its alternatives."""
    branches: list[list[str]] = [[]]
    depth = 0
    for token in _tokens(pattern):
        depth += token.startswith("(") and not token.endswith(")")
        depth -= token == ")"
        if token == "|" and depth == 0:
            branches.append([])
        else:
            branches[-1].append(token)
    return branches


def _tokens(pattern: str) -> Iterator[str]:
    for found in _TOKEN.finditer(pattern):
        token = found.group()
        yield _IN_CLASS.sub(_inside, token) if token.startswith("[") and len(token) > 1 else _CLASSES.get(token, token)


def _inside(escape: re.Match[str]) -> str:
    """As part of a class, where no range can be read into it."""
    behind = escape.string[escape.end() : escape.end() + 2]
    is_safe = not (behind.startswith("-") and behind != "-]")
    return _CLASSES[escape.group()][1:-1] if escape.group() in (r"\d", r"\w") and is_safe else escape.group()


def _anchors(tokens: list[str]) -> tuple[bool, bool]:
    return tokens[:1] == ["^"], tokens[-1:] == ["$"]


def _whole(tokens: list[str]) -> str:
    left, right = _anchors(tokens)
    inner = "".join(tokens[left : len(tokens) - right])
    return f"{'' if left else ANYTHING}(?:{inner}){'' if right else ANYTHING}"
