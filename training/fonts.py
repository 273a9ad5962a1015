"""Find, subset, check and load the faces that pages are drawn with.

`python -m training.fonts OUT` makes a pack: every face cut down to our characters, and `fonts.json` with its licence
text, its split (train or held out) and the characters it truly draws. A face never draws a character that it lacks.
Nothing of a pack is shipped with the product. Knows no layout and no word.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ImageFont

from training.charset import CHARSET, HANZI

PACK_VARIABLE = "TRAINING_FONTS"
ATLAS_VARIABLE = "TRAINING_ATLAS"
DEFAULT_PACK = Path(__file__).resolve().parent.parent / ".scratch" / "fonts"
SYSTEM_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a face comes from. `package` is a Debian package, or `npm:` and an npm package (see README.md)."""

    file: str
    script: str  # "cjk" or "latin"
    split: str  # "train" or "heldout"
    package: str
    licence: str
    index: int = 0  # face inside a collection
    min_size: int = 14


_OFL, _GPLFE, _ARPHIC = "OFL-1.1", "GPL-with-font-exception", "Arphic-1999"

# Held-out faces share no design with a trained one: AR PL UMing (same glyphs as SungtiL) and Carlito (a Lato) are
# therefore in neither list.
SOURCES: tuple[Source, ...] = (
    Source("NotoSansCJK-Regular.ttc", "cjk", "train", "fonts-noto-cjk", _OFL, 2),
    Source("NotoSansCJK-Bold.ttc", "cjk", "train", "fonts-noto-cjk", _OFL, 2),
    Source("NotoSansCJK-Light.ttc", "cjk", "train", "fonts-noto-cjk-extra", _OFL, 2),
    Source("NotoSansCJK-Black.ttc", "cjk", "train", "fonts-noto-cjk-extra", _OFL, 2, 16),
    Source("NotoSerifCJK-Regular.ttc", "cjk", "train", "fonts-noto-cjk", _OFL, 2),
    Source("NotoSerifCJK-SemiBold.ttc", "cjk", "train", "fonts-noto-cjk-extra", _OFL, 2),
    Source("wqy-microhei.ttc", "cjk", "train", "fonts-wqy-microhei", "Apache-2.0"),
    Source("ukai.ttc", "cjk", "train", "fonts-arphic-ukai", _ARPHIC, 0),
    Source("LXGWWenKai-Regular.ttf", "cjk", "train", "fonts-lxgw-wenkai", _OFL),
    Source("LXGWWenKai-Bold.ttf", "cjk", "train", "fonts-lxgw-wenkai", _OFL),
    Source("SmileySans-Oblique.ttf", "cjk", "train", "fonts-smiley-sans", _OFL, 0, 16),
    Source("TW-Sung-98_1.ttf", "cjk", "train", "fonts-cns11643-sung", _OFL),
    Source(
        "zcool-xiaowei-chinese-simplified-400-normal.woff", "cjk", "train", "npm:@fontsource/zcool-xiaowei", _OFL, 0, 22
    ),
    Source(
        "zcool-kuaile-chinese-simplified-400-normal.woff", "cjk", "train", "npm:@fontsource/zcool-kuaile", _OFL, 0, 20
    ),
    *(
        Source(f"{name}-chinese-simplified-400-normal.woff", "cjk", "train", f"npm:@fontsource/{name}", _OFL, 0, least)
        for name, least in (
            ("zcool-qingke-huangyou", 18),
            ("ma-shan-zheng", 22),
            ("long-cang", 24),
        )  # two are hand-like
    ),
    Source("wqy-zenhei.ttc", "cjk", "heldout", "fonts-wqy-zenhei", _GPLFE),
    Source("gbsn00lp.ttf", "cjk", "heldout", "fonts-arphic-gbsn00lp", _ARPHIC),
    *(
        Source(file, "latin", "train", package, licence)
        for package, licence, files in (
            ("fonts-dejavu-core", "Bitstream-Vera", "DejaVuSans.ttf DejaVuSans-Bold.ttf DejaVuSansMono.ttf"),
            ("fonts-dejavu-extra", "Bitstream-Vera", "DejaVuSansCondensed.ttf"),
            (
                "fonts-liberation",
                _OFL,
                "LiberationSans-Regular.ttf LiberationSans-Bold.ttf LiberationSans-Italic.ttf "
                "LiberationSerif-Regular.ttf LiberationSerif-Bold.ttf LiberationMono-Regular.ttf "
                "LiberationSansNarrow-Regular.ttf",
            ),
            ("fonts-lato", _OFL, "Lato-Regular.ttf Lato-Bold.ttf Lato-Light.ttf"),
            ("fonts-open-sans", "Apache-2.0", "OpenSans-Regular.ttf OpenSans-Semibold.ttf OpenSans-CondBold.ttf"),
            ("fonts-freefont-ttf", _GPLFE, "FreeSansBold.ttf FreeSerif.ttf FreeMonoBold.ttf"),
            ("fonts-crosextra-caladea", "Apache-2.0", "Caladea-Regular.ttf"),
            ("fonts-hack", "MIT", "Hack-Regular.ttf"),
            ("fonts-inconsolata", _OFL, "Inconsolata.otf"),
            ("fonts-cantarell", _OFL, "Cantarell-Regular.otf Cantarell-Bold.otf"),
            ("fonts-firacode", _OFL, "FiraCode-Regular.ttf"),
            ("fonts-noto-core", _OFL, "NotoSans-Regular.ttf NotoSerif-Regular.ttf NotoSans-BoldItalic.ttf"),
            ("fonts-ebgaramond", _OFL, "EBGaramond12-Regular.otf"),
            ("fonts-linuxlibertine", _OFL, "LinBiolinum_R.otf LinLibertine_R.otf"),
            ("fonts-comfortaa", _OFL, "Comfortaa-Regular.ttf"),
            ("fonts-quicksand", _OFL, "Quicksand-Medium.ttf"),
            ("fonts-jetbrains-mono", _OFL, "JetBrainsMono-Medium.ttf"),
            ("fonts-cabin", _OFL, "Cabin-Regular.otf"),
            ("fonts-paratype", _OFL, "PTS55F.ttf PTF75F.ttf PTN57F.ttf"),
            ("fonts-urw-base35", "AGPL-with-font-exception", "C059-Roman.otf P052-Bold.otf URWBookman-Light.otf"),
            ("fonts-urw-base35", "AGPL-with-font-exception", "URWGothic-Book.otf NimbusMonoPS-Bold.otf"),
            ("fonts-inter", _OFL, "Inter-Medium.otf"),
            ("fonts-karla", _OFL, "Karla-Regular.otf"),
            ("fonts-jura", _OFL, "Jura-SemiBold.otf"),
            ("fonts-yanone-kaffeesatz", _OFL, "YanoneKaffeesatz-Regular.otf"),
            ("fonts-sil-andika", _OFL, "Andika-Regular.ttf"),
        )
        for file in files.split()
    ),
    *(
        Source(f"{name}-latin-400-normal.woff", "latin", "train", f"npm:@fontsource/{name}", _OFL, 0, least)
        for name, least in (("patrick-hand", 18), ("caveat", 22), ("indie-flower", 20))  # hand-like
    ),
    *(
        Source(file, "latin", "heldout", package, licence)
        for package, licence, files in (
            ("fonts-roboto-unhinted", "Apache-2.0", "Roboto-Regular.ttf Roboto-Bold.ttf RobotoCondensed-Regular.ttf"),
            ("fonts-roboto-slab", "Apache-2.0", "RobotoSlab-Regular.otf"),
            ("fonts-dejavu-extra", "Bitstream-Vera", "DejaVuSerif.ttf DejaVuSerif-Bold.ttf"),
            ("fonts-sil-gentium-basic", _OFL, "GenBkBasR.ttf"),
            ("fonts-oxygen", _OFL, "Oxygen-Sans.ttf"),
            ("fonts-play", _OFL, "Play-Regular.otf"),
        )
        for file in files.split()
    ),
)


# --- loading and drawing -------------------------------------------------------------------------------------------

Alpha: TypeAlias = npt.NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Bitmap:
    """One character at one size: alpha uint8 [h, w], offset of its corner from the pen on the baseline, advance."""

    alpha: Alpha
    left: int
    top: int
    advance: float
    height: int = field(init=False)
    width: int = field(init=False)

    def __post_init__(self) -> None:
        self.height, self.width = self.alpha.shape


MAX_CACHED_BITMAPS = 300_000  # at most 250 MB a process, less with atlases


class Face:
    """One font file and the bitmaps drawn from it so far."""

    _num_cached = 0

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.name: str = Path(info["file"]).stem
        self.path = path
        self.script: str = info["script"]
        self.split: str = info["split"]
        self.min_size: int = info["min_size"]
        self.chars: frozenset[str] = frozenset(_drawable(self.script)) - frozenset(info["missing"])
        self._bitmaps: dict[tuple[int, bool], dict[str, Bitmap]] = {}
        self._fonts: dict[int, ImageFont.FreeTypeFont] = {}
        self._hanzi_advances: dict[int, float] = {}
        self._atlases: dict[tuple[int, bool], _Atlas | None] = {}

    def bitmaps(self, size: int, smooth: bool) -> dict[str, Bitmap]:
        """The cache of one size; `smooth` holds unhinted shapes (drawn twice as large, then halved)."""
        return self._bitmaps.setdefault((size, smooth), {})

    def draw(self, char: str, size: int, smooth: bool) -> Bitmap:
        """Draw and keep one character (or take it from the atlas); the caller has looked into `bitmaps` first."""
        if Face._num_cached > MAX_CACHED_BITMAPS:
            clear_bitmaps()
        bitmap = self._from_atlas(char, size, smooth) or self.render(char, size, smooth)
        self._bitmaps.setdefault((size, smooth), {})[char] = bitmap
        Face._num_cached += 1
        return bitmap

    def render(self, char: str, size: int, smooth: bool) -> Bitmap:
        """Draw one character."""
        return self._smooth(char, size) if smooth else self._hinted(char, size)

    def _font(self, size: int) -> ImageFont.FreeTypeFont:
        if size not in self._fonts:
            self._fonts[size] = ImageFont.truetype(str(self.path), size, layout_engine=ImageFont.Layout.BASIC)
        return self._fonts[size]

    def _hinted(self, char: str, size: int) -> Bitmap:
        font = self._font(size)
        core, (left, top) = font.getmask2(char, mode="L", anchor="ls")
        box = core.getbbox()
        advance = self._advance(char, size)
        if box is None:
            return Bitmap(_EMPTY, 0, 0, advance)
        inked = core.crop(box)
        width, height = inked.size
        return Bitmap(
            np.frombuffer(bytes(inked), np.uint8).reshape(height, width), left + box[0], top + box[1], advance
        )

    def _advance(self, char: str, size: int) -> float:
        """Advance width; all hanzi of a face share one."""
        if char < "一":
            return self._font(size).getlength(char)
        if size not in self._hanzi_advances:
            self._hanzi_advances[size] = self._font(size).getlength("国")
        return self._hanzi_advances[size]

    def _smooth(self, char: str, size: int) -> Bitmap:
        big = self._hinted(char, 2 * size)
        if not big.width:
            return Bitmap(_EMPTY, 0, 0, big.advance / 2)
        pad_left, pad_top = big.left % 2, big.top % 2
        height, width = big.height + pad_top, big.width + pad_left
        canvas = np.zeros((height + height % 2, width + width % 2), np.uint16)
        canvas[pad_top : pad_top + big.height, pad_left : pad_left + big.width] = big.alpha
        half = (canvas[::2, ::2] + canvas[1::2, ::2] + canvas[::2, 1::2] + canvas[1::2, 1::2]) >> 2
        # a border row of `half` holds a quarter of an inked one: the box stays that of the ink, near enough
        return Bitmap(half.astype(np.uint8), (big.left - pad_left) // 2, (big.top - pad_top) // 2, big.advance / 2)

    def _from_atlas(self, char: str, size: int, smooth: bool) -> Bitmap | None:
        if char < "一" or self.script != "cjk":
            return None
        key = (size, smooth)
        if key not in self._atlases:
            self._atlases[key] = _open_atlas(atlas_path(self, size, smooth))
        atlas = self._atlases[key]
        index = _HANZI_INDEX.get(char)
        if atlas is None or index is None:
            return None
        start, width, height, left, top, advance = atlas.table[index].tolist()
        alpha = atlas.ink[start : start + width * height].reshape(height, width)
        return Bitmap(alpha, left, top, advance / 64)


_EMPTY: Alpha = np.zeros((0, 0), np.uint8)
_all_faces: list[Face] = []


def _drawable(script: str) -> str:
    """What a face of this script is asked to draw."""
    return CHARSET if script == "cjk" else CHARSET.replace(HANZI, "")


def clear_bitmaps() -> None:
    """Forget every bitmap of this process."""
    for face in _all_faces:
        face._bitmaps.clear()
    Face._num_cached = 0


# --- atlas: every hanzi of a face at a size, drawn once for all processes of a machine -------------------------------

SIZES: tuple[int, ...] = (12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44)
_HANZI_INDEX = {char: index for index, char in enumerate(HANZI)}


@dataclass(frozen=True, slots=True)
class _Atlas:
    """`table` int32 [hanzi, 6]: start in `ink`, width, height, left, top, advance in 1/64 px."""

    table: npt.NDArray[np.int32]
    ink: Alpha


@lru_cache(4)
def atlas_folder(pack: Path) -> Path:
    """Where the atlases of a pack lie: not in the pack, which travels, but in a folder of this machine."""
    digest = hashlib.sha256((pack / "fonts.json").read_bytes()).hexdigest()[:12]
    name = f"flashweb-atlas-{digest}"
    told = os.environ.get(ATLAS_VARIABLE)
    in_memory = _MEMORY / name
    if not told and (in_memory.is_dir() or _free_bytes(_MEMORY) >= _ATLAS_ROOM):
        return in_memory
    return Path(told or tempfile.gettempdir()) / name


_MEMORY = Path("/dev/shm")  # a busy disk took twenty times as long as the drawing
_ATLAS_ROOM = 4 << 30  # the atlases, and as much again and more for the batches in shared memory


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free if folder.is_dir() else 0


def atlas_path(face: Face, size: int, smooth: bool) -> Path:
    """The atlas of a face and size, without its ending."""
    return atlas_folder(face.path.parent) / f"{face.name}-{size}{'-smooth' if smooth else ''}"


def _open_atlas(path: Path) -> _Atlas | None:
    if not path.with_suffix(".ink.npy").is_file():
        return None
    return _Atlas(
        np.load(path.with_suffix(".table.npy")), np.load(path.with_suffix(".ink.npy"), mmap_mode="r").view(np.ndarray)
    )


def _write_atlas(job: tuple[str, str, str, int, bool]) -> None:
    folder, split, name, size, smooth = job
    face = next(face for face in load(split, folder).cjk if face.name == name)
    rows, inks, start = [], [], 0
    for char in HANZI:
        bitmap = face.render(char, size, smooth) if char in face.chars else Bitmap(_EMPTY, 0, 0, size)
        rows.append((start, bitmap.width, bitmap.height, bitmap.left, bitmap.top, round(bitmap.advance * 64)))
        inks.append(bitmap.alpha.ravel())
        start += bitmap.alpha.size
    path = atlas_path(face, size, smooth)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path.with_suffix(".table.npy"), np.array(rows, np.int32))
    np.save(path.with_suffix(".new.npy"), np.concatenate(inks))
    path.with_suffix(".new.npy").rename(path.with_suffix(".ink.npy"))


def build_atlases(processes: int, folder: str | os.PathLike[str] | None = None, split: str = "train") -> int:
    """Draw all hanzi of all sizes once (about 1 GB); gives how many atlases were made.

    Not needed, but a drawing process then finds a new character in 2 us where drawing it takes 100.
    """
    where = str(pack_folder(folder))
    jobs = [
        (where, split, face.name, size, smooth)
        for face in load(split, where).cjk
        for size in SIZES
        for smooth in (False, True)
        if size >= face.min_size and not atlas_path(face, size, smooth).with_suffix(".ink.npy").is_file()
    ]
    jobs.sort(key=lambda job: -job[3] * (1 + job[4]))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_write_atlas, jobs))
    return len(jobs)


@dataclass(frozen=True, slots=True)
class FontPack:
    """The faces of a pack by script, for one split."""

    cjk: tuple[Face, ...]
    latin: tuple[Face, ...]


def pack_folder(path: str | os.PathLike[str] | None = None) -> Path:
    """Folder of the pack: argument, else the environment, else `.scratch/fonts` of the checkout."""
    return Path(path or os.environ.get(PACK_VARIABLE) or DEFAULT_PACK)


@lru_cache(4)
def _load(folder: Path) -> dict[str, FontPack]:
    manifest = folder / "fonts.json"
    if not manifest.is_file():
        raise FileNotFoundError(f"no font pack in {folder}: make one with `python -m training.fonts {folder}`")
    faces = [Face(folder / info["file"], info) for info in json.loads(manifest.read_text("utf-8"))["faces"]]
    _all_faces.extend(faces)
    packs = {}
    for split in ("train", "heldout"):
        mine = [face for face in faces if face.split == split]
        packs[split] = FontPack(
            tuple(face for face in mine if face.script == "cjk"), tuple(face for face in mine if face.script == "latin")
        )
    return packs


def load(split: str = "train", folder: str | os.PathLike[str] | None = None) -> FontPack:
    """The faces of one split ("train" or "heldout"), cached per process."""
    return _load(pack_folder(folder))[split]


# --- making a pack -------------------------------------------------------------------------------------------------


def find(folders: Iterable[Path]) -> dict[str, Path]:
    """Every font file below the folders by base name; the first one found wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            found.setdefault(path.name, path)
    return found


def _subset(path: Path, source: Source, target: Path) -> dict[str, str]:
    """Write the face cut to our characters; gives its copyright and licence texts."""
    from fontTools import subset

    options = subset.Options()
    options.layout_features = []
    options.hinting = source.script == "latin"
    options.font_number = source.index
    options.flavor = None
    options.notdef_outline = True
    options.glyph_names = False
    options.desubroutinize = False
    options.drop_tables += ["EBDT", "EBLC", "EBSC", "DSIG", "FFTM", "meta"]
    font = subset.load_font(str(path), options)
    names = {label: str(font["name"].getDebugName(number) or "") for label, number in _NAMES.items()}
    cutter = subset.Subsetter(options)
    cutter.populate(text=_drawable(source.script))
    cutter.subset(font)
    subset.save_font(font, str(target), options)
    return names


_NAMES = {"family": 1, "style": 2, "copyright": 0, "licence_text": 13, "licence_url": 14}


def missing_characters(path: Path, text: str) -> str:
    """The characters that this face does not really draw: not mapped, no ink, or drawn as its missing-glyph box."""
    from fontTools.ttLib import TTFont

    mapped = set(TTFont(str(path)).getBestCmap())
    font = ImageFont.truetype(str(path), 24, layout_engine=ImageFont.Layout.BASIC)
    tofu = _ink(font, "\ue123")
    return "".join(
        char for char in text if char not in " \n" and (ord(char) not in mapped or _ink(font, char) in (b"", tofu))
    )


def _ink(font: ImageFont.FreeTypeFont, char: str) -> bytes:
    core, _ = font.getmask2(char, mode="L")
    return bytes(core) if any(bytes(core)) else b""


def build(out: Path, extra: Path | None = None) -> dict[str, Any]:
    """Make the pack in `out`; faces that are not installed are listed, not invented."""
    out.mkdir(parents=True, exist_ok=True)
    found = find([*([extra] if extra else []), *SYSTEM_FOLDERS])
    faces, absent = [], []
    for source in SOURCES:
        if source.file not in found:
            absent.append(f"{source.file} ({source.package})")
            continue
        target = out / (Path(source.file).stem + (".otf" if source.file.endswith(".otf") else ".ttf"))
        names = _subset(found[source.file], source, target)
        faces.append(
            {
                "file": target.name,
                "script": source.script,
                "split": source.split,
                "min_size": source.min_size,
                "package": source.package,
                "licence": source.licence,
                "missing": missing_characters(target, _drawable(source.script)),
                **names,
            }
        )
    manifest = {"faces": faces, "absent": absent}
    (out / "fonts.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1), "utf-8")
    return manifest


def _summary(manifest: dict[str, Any], out: Path) -> Iterator[str]:
    for script in ("cjk", "latin"):
        for split in ("train", "heldout"):
            count = sum(face["script"] == script and face["split"] == split for face in manifest["faces"])
            yield f"{script:5} {split:7} {count} faces"
    yield f"{sum(path.stat().st_size for path in out.iterdir()) / 2**20:.1f} MiB in {out}"
    for face in manifest["faces"]:
        if face["missing"]:
            yield f"{face['file']} lacks {face['missing']}"
    for name in manifest["absent"]:
        yield f"not installed: {name}"


def main() -> int:
    """Command line: make the pack and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m training.fonts", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=pack_folder())
    parser.add_argument("--extra", type=Path, help="another folder with font files, searched first")
    parser.add_argument("--atlas", type=int, metavar="PROCESSES", help="draw all hanzi of an existing pack once, ahead")
    arguments = parser.parse_args()
    if arguments.atlas:
        print(f"{build_atlases(arguments.atlas, arguments.out)} atlases made in {atlas_folder(arguments.out)}")
        return 0
    manifest = build(arguments.out, arguments.extra)
    print("\n".join(_summary(manifest, arguments.out)))
    return 0 if manifest["faces"] else 1


if __name__ == "__main__":
    sys.exit(main())
