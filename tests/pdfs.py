"""A small writer of PDF files for the tests: a few objects by hand (ISO 32000-1), pages of text, colour or pictures."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

LETTER = (612, 792)  # width, height in points
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] "
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R %s >>"


@dataclass
class Page:
    """`content`: its drawing operators. `box`: width and height in points. `more`: further entries of it."""

    content: bytes = b""
    box: tuple[float, float] = LETTER
    more: bytes = b""
    pictures: Sequence[bytes] = ()  # JPEG files, called /P0, /P1, ...


def text(words: str, size: int = 36) -> Page:
    return Page(b"BT /F1 %d Tf 72 600 Td (%s) Tj ET" % (size, words.encode("latin-1")))


def colour(red: float, green: float, blue: float, box: tuple[float, float] = LETTER) -> Page:
    return Page(b"%g %g %g rg 0 0 20000 20000 re f" % (red, green, blue), box)


def picture(image: Image.Image, box: tuple[float, float] = LETTER) -> Page:
    """The picture as large as it fits on the page, from its upper left corner."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=95)
    scale = min(box[0] / image.width, box[1] / image.height)
    width, height = image.width * scale, image.height * scale
    place = b"q %g 0 0 %g 0 %g cm /P0 Do Q" % (width, height, box[1] - height)
    return Page(place, box, pictures=(file.getvalue(),))


@dataclass
class Writer:
    """Objects by number, from 1; a catalogue, a page tree and a font come first."""

    objects: list[bytes] = field(default_factory=lambda: [b"", b"", FONT])

    def add(self, body: bytes) -> int:
        self.objects.append(body)
        return len(self.objects)

    def stream(self, data: bytes, entries: bytes = b"") -> int:
        return self.add(b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data))

    def page(self, page: Page) -> int:
        placed = b""
        for index, jpeg in enumerate(page.pictures):
            with Image.open(io.BytesIO(jpeg)) as image:
                size = b"/Width %d /Height %d" % image.size
            kind = b"/Type /XObject /Subtype /Image /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode "
            placed += b"/P%d %d 0 R " % (index, self.stream(jpeg, kind + size))
        content = self.stream(zlib.compress(page.content), b"/Filter /FlateDecode")
        resources = b"<< /Font << /F1 3 0 R >> /XObject << %s >> >>" % placed
        return self.add(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %g %g] /Resources %s /Contents %d 0 R %s >>"
            % (*page.box, resources, content, page.more)
        )

    def file(self, kids: Sequence[int], catalogue: bytes = b"", trailer: bytes = b"") -> bytes:
        """`kids`: the pages, in order."""
        self.objects[0] = b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalogue
        listed = b" ".join(b"%d 0 R" % kid for kid in kids)
        self.objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), listed)
        out, places = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), []
        for number, body in enumerate(self.objects, 1):
            places.append(len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        start = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
        out += b"".join(b"%010d 00000 n \n" % place for place in places)
        size = len(places) + 1
        return bytes(out + b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start))


def pdf(*pages: Page, **parts: Any) -> bytes:
    writer = Writer()
    return writer.file([writer.page(page) for page in pages], **parts)


def numbered(num_pages: int) -> bytes:
    """Pages that say their number."""
    return pdf(*(text(f"This is page {number}") for number in range(1, num_pages + 1)))


def alike(num_pages: int) -> bytes:
    """One page that the tree names many times."""
    writer = Writer()
    return writer.file([writer.page(text("the same"))] * num_pages)


def encrypted() -> bytes:
    """The standard handler's dictionary for a password that nobody knows: its check values are made up."""
    entry = b"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <%s> /U <%s> >>" % (b"11" * 32, b"22" * 32)
    return pdf(text("secret"), trailer=b"/Encrypt %s /ID [<33> <33>]" % entry)


_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def locked(password: str, words: str = "secret") -> bytes:
    """A page of text that only the password opens, by the oldest of the standard handler's ciphers (7.6.3, 40 bits)."""
    padded = (password.encode("latin-1") + _PADDING)[:32]
    owner = _rc4(_md5(padded)[:5], padded)
    key = _md5(padded + owner + (-4).to_bytes(4, "little", signed=True) + b"3")[:5]
    writer = Writer()
    number = len(writer.objects) + 1
    content = _rc4(_md5(key + number.to_bytes(3, "little") + b"\0\0")[:10], text(words).content)
    page = writer.add(PAGE % (writer.stream(content), b"/Resources << /Font << /F1 3 0 R >> >>"))
    entry = b"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <%s> /U <%s> >>"
    checks = owner.hex().encode(), _rc4(key, _PADDING).hex().encode()
    return writer.file([page], trailer=b"/Encrypt %s /ID [<33> <33>]" % (entry % checks))


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def endless() -> bytes:
    """Forms that draw forms that draw forms: ten lines of file, ten thousand million fillings of a page."""
    writer = Writer()
    below = writer.stream(b"0 0 600 700 re f", FORM)
    for _ in range(10):
        below = writer.stream(b"/X Do " * 10, FORM + b"/Resources << /XObject << /X %d 0 R >> >>" % below)
    content = writer.stream(b"/X Do")
    return writer.file([writer.add(PAGE % (content, b"/Resources << /XObject << /X %d 0 R >> >>" % below))])


def swelling(num_megabytes: int) -> bytes:
    """A content stream of a few kilobytes that unpacks to so many megabytes of operators."""
    packer, megabyte = zlib.compressobj(9), b"0 0 m 1 1 l " * (1024 * 1024 // 12)
    first = packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH)  # depends on nothing before it
    writer = Writer()
    content = writer.stream(first + again * (num_megabytes - 1) + packer.flush(), b"/Filter /FlateDecode")
    return writer.file([writer.add(PAGE % (content, b""))])


def nested(depth: int) -> bytes:
    """A page whose content is an array in an array in an array."""
    return pdf(Page(b"[" * depth + b"]" * depth + b" TJ"), catalogue=b"/Deep " + b"[" * depth + b"]" * depth)
