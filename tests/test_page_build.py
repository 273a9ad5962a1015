"""The built page in the package is what `web/` gives, loads fast, and holds nothing of another host. What needs Node is
skipped without it; the rest needs only Python."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from flashweb.api.static_files import TYPES

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
PAGE = ROOT / "src" / "flashweb" / "page"


def tool(name: str) -> ModuleType:
    """A script of web/tools as a module."""
    spec = importlib.util.spec_from_file_location(f"web_tools_{name}", WEB / "tools" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


built, openapi, page = tool("built"), tool("openapi"), tool("page")


def needs_node() -> None:
    missing = page.missing_node()
    if missing or not page.is_installed():
        pytest.skip(missing or "the page's packages are not installed (npm ci)")


def run_node(*command: str, folder: Path = WEB) -> None:
    done = subprocess.run(["npx", "--no", *command], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_built_page_was_made_from_these_sources() -> None:
    noted = (PAGE / "source.sha256").read_text().strip()
    assert noted == built.source_digest(), "web/ changed since the page was built: make web"


def test_the_first_load_is_small() -> None:
    assert built.first_load() <= built.MAX_FIRST_SCRIPT_BYTES, "\n".join(built.table())


def test_the_server_has_a_type_for_every_file_and_finds_every_one_that_is_named() -> None:
    assert {path.name for path in PAGE.iterdir()} == {"index.html.gz", "assets", "source.sha256"}
    assets = set(built.asset_names())
    assert {Path(name).suffix for name in assets} <= TYPES.keys() - {".html"}
    assert set(re.findall(r"/assets/([^\"']+)", built.text_of("index.html"))) <= assets
    for name in assets:
        if name.endswith(".js"):
            assert set(built.STATIC_IMPORT.findall(built.text_of(f"assets/{name}"))) <= assets, name


def test_text_lies_packed_only_and_its_packing_tells_neither_when_nor_where() -> None:
    for path in PAGE.rglob("*"):
        if path.is_dir() or path.name == "source.sha256":
            continue
        assert (path.suffix == ".gz") == (path.suffix not in {".woff2", ".webp", ".png"}), path.name
        if path.suffix == ".gz":
            # RFC 1952: no flags (so no name and no comment), no time, best compression, no system.
            assert path.read_bytes()[:10] == b"\x1f\x8b\x08\0" + b"\0" * 4 + b"\x02\xff", path.name
            gzip.decompress(path.read_bytes())  # raises when its sum is wrong


def test_index_html_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    text = built.text_of("index.html")
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?://|<script(?![^>]*\ssrc=)", text)


def test_styles_load_nothing_from_elsewhere_and_fonts_come_once() -> None:
    for name in built.asset_names():
        for address in re.findall(r"url\(([^)]*)\)", built.text_of(f"assets/{name}") if name.endswith(".css") else ""):
            assert address.strip("\"'").startswith("/assets/"), f"{name}: {address}"
    fonts = {Path(name).suffix for name in built.asset_names()} & {".woff", ".woff2", ".ttf", ".otf", ".eot"}
    assert fonts <= {".woff2"}


def test_the_pages_api_types_are_those_of_the_app() -> None:
    assert openapi.FILE.read_text(encoding="utf-8") == openapi.text(), "the API changed: make web"


def test_the_shapes_keep_every_field_and_no_sentence() -> None:
    document, shapes = openapi.described(), openapi.shapes_of(openapi.described())
    for name, schema in shapes["components"]["schemas"].items():
        whole = document["components"]["schemas"][name]
        assert schema.get("properties", {}).keys() == whole.get("properties", {}).keys()
    fields = shapes["components"]["schemas"]["ChatRequest"]["properties"]
    assert all("description" not in field and "examples" not in field for field in fields.values())
    assert openapi.without_words({"properties": {"title": {"title": "Title", "type": "string"}}}) == {
        "properties": {"title": {"type": "string"}}
    }


def test_schema_d_ts_is_made_from_the_shapes(tmp_path: Path) -> None:
    needs_node()
    run_node("openapi-typescript", "openapi.json", "-o", str(tmp_path / "schema.d.ts"))
    assert (tmp_path / "schema.d.ts").read_text() == (WEB / "src/api/schema.d.ts").read_text(), "make web"


def test_building_the_page_elsewhere_gives_the_same_page(tmp_path: Path) -> None:
    """In a folder of another name: nothing of where it was built, or when, is in it. So is the build's own note of its
    sources, which the first test above makes anew in Python."""
    needs_node()
    copy = tmp_path / "elsewhere" / "web"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(WEB / "node_modules")
    run_node("vite", "build", "--outDir", str(tmp_path / "page"), folder=copy)
    assert content_of(tmp_path / "page") == content_of(PAGE), "web/ gives another page: make web"


def content_of(folder: Path) -> dict[str, str]:
    """What each file holds; packed ones unpacked, as versions of zlib pack the same text into other bytes."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def sha256_of(path: Path) -> str:
    stored = path.read_bytes()
    return hashlib.sha256(gzip.decompress(stored) if path.suffix == ".gz" else stored).hexdigest()


def test_a_changed_source_changes_the_digest_and_a_changed_test_does_not(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "index.html").write_text("a")
    (tmp_path / "src" / "main.ts").write_text("b")
    before = built.source_digest(tmp_path)
    (tmp_path / "src" / "main.spec.ts").write_text("a test")
    (tmp_path / "src" / "schema.d.ts").write_text("types")
    (tmp_path / "README.md").write_text("words")
    assert built.source_digest(tmp_path) == before
    (tmp_path / "src" / "main.ts").write_text("c")
    changed = built.source_digest(tmp_path)
    (tmp_path / "src" / "main.ts").rename(tmp_path / "src" / "other.ts")
    assert len({before, changed, built.source_digest(tmp_path)}) == 3


def test_first_scripts_follow_what_is_imported_at_once_and_not_what_comes_later(tmp_path: Path) -> None:
    scripts = {
        "index-A": 'import{a as b}from"./vue-B.js";import"./side-C.js";const l=()=>import("./view-D.js");',
        "vue-B": 'export*from"./deep-E.js";',
        **{name: "x".join(map(str, range(500))) for name in ("side-C", "view-D", "deep-E")},
    }
    files = {f"assets/{name}.js": text for name, text in scripts.items()}
    files["index.html"] = '<script type="module" crossorigin src="/assets/index-A.js"></script>'
    (tmp_path / "assets").mkdir()
    for name, text in files.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    assert sorted(built.first_scripts(tmp_path)) == ["deep-E.js", "index-A.js", "side-C.js", "vue-B.js"]
    packed = {path.name: path.stat().st_size for path in (tmp_path / "assets").iterdir()}
    assert built.first_load(tmp_path) == sum(packed.values()) - packed["view-D.js.gz"]


def lock_of(folder: Path, packages: dict[str, object], *, installed: dict[str, object] | None = None) -> Path:
    (folder / "node_modules").mkdir(exist_ok=True)
    (folder / "package-lock.json").write_text(json.dumps({"packages": {"": {}, **packages}}))
    if installed is not None:
        (folder / "node_modules" / ".package-lock.json").write_text(json.dumps({"packages": installed}))
    return folder


def test_packages_are_installed_anew_only_when_they_are_not_the_lock_files(tmp_path: Path) -> None:
    vue, other = {"node_modules/vue": {"version": "3.5.1"}}, {"node_modules/vue": {"version": "3.5.2"}}
    for_another_machine = {"node_modules/mac": {"version": "1.0.0", "optional": True}}
    assert not page.is_installed(lock_of(tmp_path, vue))
    assert page.is_installed(lock_of(tmp_path, vue, installed=vue))
    assert page.is_installed(lock_of(tmp_path, vue | for_another_machine, installed=vue))
    assert not page.is_installed(lock_of(tmp_path, other, installed=vue))
    assert not page.is_installed(lock_of(tmp_path, vue | {"node_modules/more": {"version": "1.0.0"}}, installed=vue))
    assert not page.is_installed(lock_of(tmp_path, vue, installed=vue | {"node_modules/old": {"version": "1.0.0"}}))


def test_the_lock_file_names_no_registry() -> None:
    packages = page.packages_of(WEB / "package-lock.json")
    assert packages and not [path for path, package in packages.items() if "resolved" in package]
