"""Bytes to pixels: the bytes decide the format, headers are checked first, odd pictures are read, bad ones are 4xx."""

from __future__ import annotations

import contextlib
import gc
import io
import re
import resource
import sys
import zlib

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from flashweb.errors import FlashwebError, InvalidImage, TooLarge, UnsupportedMediaType
from flashweb.media.decode import decode, read_header, sniff
from flashweb.media.settings import MediaSettings
from tests.media.pictures import (
    bmp_claiming,
    encoded,
    gif_claiming,
    jpeg_claiming,
    noise,
    png_chunk,
    png_claiming,
    webp_claiming,
)

SETTINGS = MediaSettings()


def read(data: bytes, settings: MediaSettings = SETTINGS) -> Image.Image:
    return decode(data, read_header(data, settings))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF"])
def test_every_offered_format_is_read(format: str) -> None:
    image = read(encoded(noise(40, 60), format))
    assert image.size == (60, 40)
    assert image.mode in ("RGB", "L")


def test_the_bytes_decide_not_the_name() -> None:
    assert sniff(encoded(noise(4, 4), "WEBP")) == "WEBP"
    assert sniff(encoded(noise(4, 4), "AVIF")) == "AVIF"
    assert sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == "HEIF"
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0avifmif1miaf") == "AVIF"


@pytest.mark.parametrize("format", ["TIFF", "ICO", "PDF", "EPS", "JPEG2000", "PPM", "TGA", "DDS", "SGI", "PCX", "ICNS"])
def test_other_formats_of_pillow_cannot_be_reached(format: str) -> None:
    with pytest.raises((UnsupportedMediaType, InvalidImage), match="PNG, JPEG, WebP, GIF, BMP, AVIF or HEIC"):
        read(encoded(noise(32, 32), format))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF"])
def test_pillow_is_asked_for_the_one_format_that_the_bytes_show(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    open_picture = Image.open

    def spy(file: io.BytesIO, **options: tuple[str, ...]) -> Image.Image:
        asked.append(options["formats"])
        return open_picture(file, **options)

    monkeypatch.setattr(Image, "open", spy)
    read(encoded(noise(8, 8), format))
    assert set(asked) == {(format,)}


@pytest.mark.parametrize(
    "data",
    [
        b"SIMPLE  =                    T" + b" " * 3000,
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"<!DOCTYPE html><html></html>",
        b"PK\x03\x04....",
        b'{"error": "not found"}',
    ],
)
def test_known_other_files_are_named_in_the_message(data: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="the bytes are a"):
        read(data)


@pytest.mark.parametrize("data", [b"", b"\0", b"hello", b"\xff\xd8", b"\x89PNG", b"RIFF\0\0\0\0WAVE", bytes(5000)])
def test_bytes_of_no_kind_are_a_clear_error(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="PNG, JPEG"):
        read(data)


def test_heic_without_its_library_is_a_clear_415(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(UnsupportedMediaType, match="pi-heif"):
        read(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))


def test_heic_is_read_within_the_bounds_of_all_pictures() -> None:
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (90, 60), (200, 20, 20))).save(file, quality=90)
    image = read(file.getvalue())
    assert image.size == (90, 60)
    assert np.abs(np.asarray(image).astype(int) - (200, 20, 20)).max() < 8
    with pytest.raises(TooLarge, match="90x60"):
        read_header(file.getvalue(), MediaSettings(max_pixels=5000))
    for share in (0.3, 0.9):
        with pytest.raises(InvalidImage, match=r"truncated|damaged"):
            read(file.getvalue()[: int(len(file.getvalue()) * share)])


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_a_truncated_picture_is_a_clear_400(format: str, share: float) -> None:
    data = encoded(noise(200, 300), format)
    with pytest.raises(InvalidImage, match=r"truncated|damaged|no picture|empty"):
        read(data[: max(1, int(len(data) * share))])


BOMBS = {
    "png": png_claiming(100_000, 100_000),
    "png sides": png_claiming(2**31 - 1, 1),
    "png 16 bit": png_claiming(60_000, 60_000, depth=16, colour=6),
    "gif": gif_claiming(65535, 65535),
    "bmp": bmp_claiming(60_000, 60_000),
    "bmp upside down": bmp_claiming(60_000, -60_000),
    "webp": webp_claiming(16_777_216, 16_777_216),
    "webp wide": webp_claiming(16_777_216, 1),
    "jpeg": jpeg_claiming(65500, 65500),
    "just over": png_claiming(50_000_001 // 5000 + 1, 5000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_header(name: str) -> None:
    with pytest.raises((TooLarge, InvalidImage), match=r"limit|damaged|pixels"):
        read_header(BOMBS[name], SETTINGS)


def test_a_bomb_that_tells_the_truth_is_refused_before_decoding() -> None:
    """51 megapixels of one colour are 150 KB as PNG; decoding them would take 150 MB."""
    raw = zlib.compress(bytes((7200 * 3 + 1) * 7100), 1)
    header = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", (7200).to_bytes(4) + (7100).to_bytes(4) + b"\x08\x02\0\0\0")
    data = header + png_chunk(b"IDAT", raw) + png_chunk(b"IEND", b"")
    with pytest.raises(TooLarge, match=r"51,120,000 pixels, the limit is 50,000,000"):
        read_header(data, SETTINGS)


@pytest.mark.parametrize(("width", "height", "fits"), [(5000, 10000, True), (5001, 10000, False), (10000, 5001, False)])
def test_the_pixel_limit_holds_to_the_row(width: int, height: int, fits: bool) -> None:
    data = png_claiming(width, height)
    if fits:
        assert read_header(data, SETTINGS).num_pixels == 50_000_000
    else:
        with pytest.raises(TooLarge):
            read_header(data, SETTINGS)


@pytest.mark.parametrize(
    ("size", "fits"), [((200, 1), True), ((1, 200), True), ((201, 1), False), ((44, 52800), False)]
)
def test_ribbons_are_refused_over_200_to_1(size: tuple[int, int], fits: bool) -> None:
    data = png_claiming(*size)
    if fits:
        assert (read_header(data, SETTINGS).width, read_header(data, SETTINGS).height) == size
    else:
        with pytest.raises(TooLarge, match=r"the limit is 200:1"):
            read_header(data, SETTINGS)


@pytest.mark.parametrize("data", [png_claiming(0, 10), png_claiming(10, 0), bmp_claiming(0, 5), gif_claiming(0, 0)])
def test_a_zero_sided_picture_is_a_400(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read(data)


@pytest.mark.parametrize("data", [webp_claiming(1, 1), jpeg_claiming(0, 0), jpeg_claiming(0, 16)])
def test_a_header_without_a_picture_is_a_400(data: bytes) -> None:
    with pytest.raises(FlashwebError):
        read(data)


def test_a_progressive_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = encoded(noise(64, 64), "JPEG", progressive=True)
    assert read(data).size == (64, 64)
    at = data.rindex(b"\xff\xda")
    scan = data[at:-2]
    with pytest.raises(InvalidImage, match="scans, the limit is 200"):
        read(data[:-2] + scan * 300 + data[-2:])


def test_a_small_png_with_endless_data_behind_it_costs_little() -> None:
    """200 MB of zeros are 200 KB as one deflate stream; a 10x10 picture needs 310 bytes of them."""
    packer = zlib.compressobj(9)
    stream = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    header = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", (10).to_bytes(4) + (10).to_bytes(4) + b"\x08\x02\0\0\0")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(InvalidImage):
        assert read(header + png_chunk(b"IDAT", stream) + png_chunk(b"IEND", b"")).size == (10, 10)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_png_with_packed_metadata_of_gigabytes_costs_little(kind: bytes) -> None:
    packer = zlib.compressobj(9)
    stream = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    image = encoded(noise(10, 10))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(InvalidImage):
        read(image[:33] + png_chunk(kind, b"name\0\0" + stream) + image[33:])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_the_limits_of_pillow_stay_on() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS <= 200_000_000
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_the_smallest_pictures_are_read() -> None:
    for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF"):
        assert read(encoded(noise(1, 1), format)).size == (1, 1)


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    image.putpixel((1, 0), (10, 20, 30, 0))
    assert list(np.asarray(read(encoded(image)))[0].tolist()) == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa"])
def test_invisible_pixels_are_white_in_every_mode(mode: str) -> None:
    image = Image.new("RGBA", (3, 3), (200, 0, 0, 0)).convert("LA" if mode in ("LA", "La") else "RGBA")
    data = encoded(image, "PNG")
    assert np.asarray(read(data).convert("RGB")).min() == 255


def test_transparent_grey_and_palette_are_laid_on_white() -> None:
    grey = encoded(Image.new("L", (2, 2), 7), "PNG", transparency=7)
    assert np.asarray(read(grey).convert("RGB")).min() == 255
    rgb = encoded(Image.new("RGB", (2, 2), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert np.asarray(read(rgb)).min() == 255
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    assert np.asarray(read(encoded(palette, "GIF", transparency=1)).convert("RGB")).min() == 255


def test_sixteen_bit_grey_keeps_its_upper_byte() -> None:
    values = np.array([[0, 255, 256, 0x8000, 0xFFFF]], dtype=np.uint16)
    image = read(encoded(Image.fromarray(values), "PNG"))
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[0, 0, 1, 128, 255]]


def test_one_bit_pictures_are_black_and_white() -> None:
    image = read(encoded(Image.new("1", (8, 8), 1)))
    assert (image.mode, image.getextrema()) == ("L", (255, 255))


def test_a_cmyk_jpeg_is_read_as_colours() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = read(data).getpixel((8, 8))  # type: ignore[misc]
    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_only_the_first_frame_of_an_animation_is_read(format: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    red, green, blue = read(data).convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert (red > 200, green < 50, blue < 50) == (True, True, True)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(format: str, orientation: int) -> None:
    """A picture with a dark left half, stored turned: after decoding the dark half is on the left again."""
    upright = Image.new("L", (32, 16), 255)
    upright.paste(0, (0, 0, 16, 16))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored.convert("RGB"), format, exif=exif.tobytes())
    header = read_header(data, SETTINGS)
    assert (header.height, header.width) == (16, 32)
    pixels = np.asarray(decode(data, header).convert("L"), dtype=int)
    assert pixels[:, :12].max() < 60
    assert pixels[:, 20:].min() > 195


def test_broken_metadata_does_not_hide_the_picture() -> None:
    image = noise(20, 30)
    assert read(encoded(image, "JPEG", icc_profile=b"not a profile", exif=b"Exif\0\0garbage" * 3)).size == (30, 20)
    assert read(encoded(image, "PNG", icc_profile=b"\0" * 64)).size == (30, 20)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_counts_as_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read(encoded(noise(10, 20), "JPEG", exif=exif.tobytes())).size == (20, 10)


@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF"]), st.data())
@settings(max_examples=150)
def test_damaged_bytes_are_a_picture_or_an_error_of_ours_without_addresses(format: str, data: st.DataObject) -> None:
    original = bytearray(encoded(noise(24, 36), format))
    for _ in range(data.draw(st.integers(1, 6))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = read(bytes(original))
    except FlashwebError as error:
        assert not re.search(r"0x[0-9a-f]{6,}|/usr|/home|site-packages|object at", error.message)
    else:
        assert image.mode in ("RGB", "L")


def test_decoding_leaves_no_open_files() -> None:
    data = encoded(noise(10, 10), "PNG")
    read(data)
    gc.collect()
    assert not [o for o in gc.get_objects() if type(o) is io.BytesIO and not o.closed and o.getvalue() == data]
