"""Pictures of the world outside the drawn one: a pack of photographs with known licences, and scenes made of noise.

`python -m training.photos OUT --packages ROOT` makes the pack: ROOT holds one folder per package of `SOURCES`, unpacked
(`dpkg -x`, or the source archive for scikit-image). Every picture is cut and scaled to at most 448 px; `photos.json`
records package, file, licence and split, and no photograph is in two splits. Nothing of a pack is shipped, but for the
held-out set `refusals`, which names its sources. Without a pack `scene` paints skies, hills, blobs and textures.
None of these pictures holds text, amounts, a drawn shape or one of our brand marks. Knows no questions.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.draw import Pixels
from training.fonts import pack_folder

LONGEST = 448  # px of a stored photograph
LONGEST_CUTOUT = 320
MAX_BYTES = 10_000_000  # of the pack


@dataclass(frozen=True, slots=True)
class Source:
    """Pictures of one package: a pattern below its folder, what to leave out (text, logos, drawings), the licence."""

    package: str
    pattern: str
    licence: str
    split: str = "train"  # "by-name": every eighth file is held out
    without: str = "$^"
    only: str = ""
    cutout: bool = False


_WRITING = (
    "highlighter|pen_dry|measuring|toolbox|grave|dreydl|police|fire(truck|man200)|mailbox|post_box|7spoke|indycar|747|"
    "garbagetruck|korean|camera_35|tennis_r|austral|football|basketball|voyager|0_sun|1_mercury|tooth|eye|pizza|hedgehog|"
    "glass|stryker|bradley|raptor|cartoon|hobbies/.*candy|mathspad|button|monument|flags|roadsigns|inukshuk-out|albino|shrimp|walnut_shelled"
)
SOURCES: tuple[Source, ...] = (
    Source("lomiri-wallpapers-16.04", "**/backgrounds/*.jpg", "CC-BY-4.0, CC-BY-SA-4.0 or CC0-1.0", "heldout",
           "umang|analog"),
    Source("python3-sklearn", "**/datasets/images/*.jpg", "CC-BY-2.0", "heldout"),
    Source("scikit-image", "skimage/data/*.png", "public domain or CC0-1.0", "heldout", only="chelsea|coffee"),
    Source("scikit-image", "skimage/data/*", "public domain or CC0-1.0", only="rocket|brick|grass|gravel|moon|hubble"),
    Source("lomiri-wallpapers-20.04", "**/backgrounds/*.jpg", "CC-BY-SA-3.0", without="Painting"),
    Source("mate-backgrounds", "**/nature/*.jpg", "GPL-2+"),
    Source("mate-backgrounds", "**/abstract/*", "GPL-2+", without="Transparent|_3840|_5640|Gulp|Spring|Waves"),
    Source("gnome-backgrounds", "**/gnome/*.webp", "CC-BY-SA-3.0 or GPL-2+", without="symbolic|pixels"),
    Source("palapeli-data", "**/collection/*.jpg", "GPL-2+"),
    Source("plasma-workspace-wallpapers", "**/images/*", "GPL-2+",
           without="screenshot|Konqui|1622x|/images/(360|720|1080)"),
    Source("ukui-wallpapers", "**/backgrounds/*", "CC-BY-SA-3.0", without="focal|mouse|firstgen|city|desert|rollpaper"),
    Source("tuxpaint-stamps-default", "**/stamps/**/*.png", "GPL-2", "by-name", _WRITING,
           "/(animals|food|plants|household|vehicles|space|people|hobbies|sports)/", True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture of the pack."""

    path: Path
    name: str
    package: str
    licence: str
    split: str
    cutout: bool


def photo_folder() -> Path:
    """Where the pack lies: `photos` inside the font pack."""
    return pack_folder() / "photos"


@lru_cache(maxsize=4)
def pack(split: str, folder: Path | None = None) -> tuple[Photo, ...]:
    """The pack's pictures of "train" or "heldout"; empty without a pack."""
    folder = folder or photo_folder()
    index = folder / "photos.json"
    if not index.is_file():
        return ()
    rows = json.loads(index.read_text("utf-8"))["photos"]
    return tuple(
        Photo(folder / row["file"], row["name"], row["package"], row["licence"], row["split"], row["cutout"])
        for row in rows
        if row["split"] == split
    )


@lru_cache(maxsize=512)
def _opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGBA" if picture.mode == "RGBA" else "RGB")


# --- for training ----------------------------------------------------------------------------------------------------


def draw(r: Random, width: int, height: int, split: str = "train") -> Pixels:
    """A picture of something that is not of the drawn world: a photograph, a thing on a ground, or a painted scene.

    The two splits share no photograph; painted scenes are in both.
    """
    known = pack(split)
    photographs, things = [p for p in known if not p.cutout], [p for p in known if p.cutout]
    kind = r.random()
    if known and kind < 0.45 and photographs:
        image = _crop(r, _opened(r.choice(photographs).path), width, height)
    elif known and kind < 0.85 and things:
        image = _still_life(r, things, photographs, width, height)
    else:
        image = scene(r, width, height)
    return _aged(r, image)


def crop(r: Random, photo: Photo, width: int, height: int) -> Pixels:
    """A part of one photograph of the pack."""
    return np.array(_crop(r, _opened(photo.path), width, height))


def _crop(r: Random, picture: Image.Image, width: int, height: int) -> Image.Image:
    """A random part in the wanted proportions, sometimes mirrored."""
    w, h = picture.size
    scale = min(w / width, h / height) * r.uniform(0.55, 1.0)
    cut_w, cut_h = max(1.0, width * scale), max(1.0, height * scale)
    x, y = r.uniform(0, w - cut_w), r.uniform(0, h - cut_h)
    out = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR, (x, y, x + cut_w, y + cut_h))
    return out.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if r.random() < 0.5 else out


def _still_life(r: Random, things: list[Photo], photographs: list[Photo], width: int, height: int) -> Image.Image:
    """One to three cut-out things on a plain, a painted or a photographed ground."""
    kind = r.random()
    if kind < 0.5:
        colour = tuple(r.randint(150, 255) for _ in range(3)) if r.random() < 0.5 else (255, 255, 255)
        ground = Image.new("RGB", (width, height), colour)
    elif kind < 0.75 and photographs:
        ground = _crop(r, _opened(r.choice(photographs).path), width, height)
    else:
        ground = scene(r, width, height)
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        thing = _opened(r.choice(things).path)
        scale = min(width / thing.width, height / thing.height) * r.uniform(0.5, 1.1)
        size = (max(8, int(thing.width * scale)), max(8, int(thing.height * scale)))
        shown = thing.convert("RGBA").resize(size, Image.Resampling.BILINEAR)
        if r.random() < 0.5:
            shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        place = (int((width - size[0]) * r.random()), int((height - size[1]) * r.random()))
        ground.paste(shown, place, shown)
    return ground


def _aged(r: Random, image: Image.Image) -> Pixels:
    """Light, blur and JPEG as photographs have them."""
    if r.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(r.uniform(0.3, 1.6)))
    if r.random() < 0.3:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=r.randint(35, 90))
        image = Image.open(stream)
    pixels = np.asarray(image.convert("RGB"))
    if r.random() < 0.4:
        light = pixels.astype(np.float32) * r.uniform(0.6, 1.15) + r.uniform(-15, 15)
        pixels = np.clip(light, 0, 255).astype(np.uint8)
    return np.array(pixels)


def scene(r: Random, width: int, height: int) -> Image.Image:
    """Painted: a sky over hills, soft blobs, or a grainy texture. No edge of it is a shape that we name."""
    kind = r.random()
    if kind < 0.35:
        image = _gradient(r, width, height)
        painter = ImageDraw.Draw(image)
        for level in range(r.randint(1, 4)):
            base, colour = height * (0.35 + 0.18 * level), tuple(r.randint(10, 200) for _ in range(3))
            tops = _wave(r, width, base, height * r.uniform(0.03, 0.25))
            painter.polygon([(0, height), *tops, (width, height)], fill=colour)
    elif kind < 0.7:
        image = _gradient(r, width, height)
        painter = ImageDraw.Draw(image)
        for _ in range(r.randint(4, 24)):
            x, y, a = r.uniform(0, width), r.uniform(0, height), r.uniform(0.05, 0.35) * min(width, height) + 4
            dots = [(x + a * r.uniform(0.4, 1.3) * c, y + a * r.uniform(0.4, 1.3) * s) for c, s in _ROUND]
            painter.polygon(dots, fill=tuple(r.randint(0, 255) for _ in range(3)))
        image = image.filter(ImageFilter.GaussianBlur(r.uniform(1.5, 6)))
    else:
        image = _noise(r, width, height)
    if r.random() < 0.6:
        image = Image.blend(image, _noise(r, width, height), r.uniform(0.05, 0.3))
    return image


_ROUND = tuple((float(np.cos(t)), float(np.sin(t))) for t in np.linspace(0, 2 * np.pi, 11)[:-1])


def _gradient(r: Random, width: int, height: int) -> Image.Image:
    corners = np.array([[[r.randint(0, 255) for _ in range(3)] for _ in range(2)] for _ in range(2)], np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC)


def _wave(r: Random, width: int, base: float, reach: float) -> list[tuple[float, float]]:
    waves = [(r.uniform(0.5, 9), r.uniform(0, 6.3), r.random()) for _ in range(4)]
    return [
        (x, base - reach * sum(a * float(np.sin(f * x / width * 6.3 + p)) for f, p, a in waves) / 2)
        for x in range(0, width + 8, 8)
    ]


def _noise(r: Random, width: int, height: int) -> Image.Image:
    """Colour noise of several grains added up."""
    source = np.random.default_rng(r.getrandbits(32))
    total = np.zeros((height, width, 3), np.float32)
    for grain in r.sample((2, 4, 8, 16, 32, 64), 3):
        small = source.integers(0, 256, (-(-height // grain) + 1, -(-width // grain) + 1, 3), np.uint8)
        total += np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.float32) / 3
    tint = np.array([r.uniform(0.4, 1.2) for _ in range(3)], np.float32)
    return Image.fromarray(
        np.clip((total - 128) * r.uniform(0.6, 1.8) * tint + r.uniform(60, 190), 0, 255).astype(np.uint8)
    )


# --- the pack --------------------------------------------------------------------------------------------------------


def make(packages: Path, out: Path) -> int:
    """Write the pack; gives its size in bytes. Packages that are not there are left out and listed."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.webp"):
        old.unlink()
    rows, size = list[dict[str, object]](), 0
    for source in SOURCES:
        folder = packages / source.package
        if not folder.is_dir():
            print(f"{source.package}: not in {packages}, left out", file=sys.stderr)
            continue
        for count, path in enumerate(_files(source, folder)):
            for part, picture in enumerate(_parts(path, source.cutout)):
                name = f"{source.package}-{path.stem if source.package[:6] != 'plasma' else path.parts[-4]}-{part}"
                file = re.sub(r"[^A-Za-z0-9.-]", "_", name) + ".webp"
                picture.save(out / file, "WEBP", quality=85 if not source.cutout else 80)
                size += (out / file).stat().st_size
                split = source.split if source.split != "by-name" else "heldout" if count % 8 == 5 else "train"
                row: dict[str, object] = {"file": file, "name": name, "package": source.package, "split": split}
                rows.append(row | {"licence": source.licence, "cutout": source.cutout})
    about = {"about": "see training/photos.py; licences as the packages' own copyright files state them"}
    (out / "photos.json").write_text(json.dumps(about | {"photos": rows}, indent=1) + "\n", "utf-8")
    if size > MAX_BYTES:
        raise SystemExit(f"{out}: {size} bytes are more than {MAX_BYTES}")
    return size


def _files(source: Source, folder: Path) -> list[Path]:
    kept = []
    for path in sorted(folder.resolve().glob(source.pattern)):
        inside = str(path.relative_to(folder.resolve()))
        if path.suffix.lower() not in (".jpg", ".jpeg", ".png", ".webp") or path.stat().st_size < 8000:
            continue
        if re.search(source.without, inside) or not re.search(source.only, inside):
            continue
        kept.append(path)
    if source.package.startswith("plasma"):  # the same picture in many sizes: the largest of each folder
        kept = sorted({path.parent: path for path in sorted(kept, key=lambda one: one.stat().st_size)}.values())
    return kept


def _parts(path: Path, cutout: bool) -> Iterator[Image.Image]:
    """The whole picture and, of a photograph, its middle as well."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # pictures of distributions, some of them large
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * LONGEST, 2 * LONGEST))
            picture = opened.convert("RGBA" if cutout else "RGB")
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    if cutout:
        box = picture.getchannel("A").getbbox()
        picture = picture.crop(box) if box else picture
        picture.thumbnail((LONGEST_CUTOUT, LONGEST_CUTOUT))
        yield picture
        return
    w, h = picture.size
    middle = picture.crop((w // 4, h // 4, 3 * w // 4, 3 * h // 4))
    for part in (picture, middle):
        part.thumbnail((LONGEST, LONGEST))
        yield part


def main() -> int:
    """Command line: make the pack."""
    parser = argparse.ArgumentParser(prog="python -m training.photos", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=photo_folder())
    parser.add_argument("--packages", type=Path, required=True, help="folder of unpacked packages, one folder each")
    arguments = parser.parse_args()
    size = make(arguments.packages, arguments.out)
    photos = [*pack("train", arguments.out), *pack("heldout", arguments.out)]
    held = sum(photo.split == "heldout" for photo in photos)
    print(f"{len(photos)} pictures ({held} held out), {size / 2**20:.1f} MiB in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
