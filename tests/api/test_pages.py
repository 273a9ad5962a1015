"""The built page as browsers get it: which addresses are the page, how files are kept and packed, what it may do."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest

from flashweb.api.pages import PAGE_ROUTES, samples_folder
from flashweb.api.static_files import names_tag, takes_gzip
from tests.house import House, ScriptedEngine, open_house

SCRIPT = "console.log('a script that is long enough to be packed')\n" * 100
INDEX = '<!doctype html><script type="module" src="/assets/index-B1.js"></script><div id="app"></div>'
TEXTS = {"index-B1.js": SCRIPT, "small-C2.css": "a{}", "i-G6.svg": "<svg/>"}
AS_THEY_ARE = ("f-D3.woff2", "p-E4.png", "p-F5.webp")
ROUTES = ["/", "/chat/0c9d", "/scenes", "/scenes/audit", "/scenes/一", "/compare", "/structured", "/operator"]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A folder as `make web` leaves it."""
    assets = tmp_path / "page" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "source.sha256").write_text("secret of nobody, and no file of the page\n")
    for name, text in {"index.html": INDEX, **{f"assets/{name}": text for name, text in TEXTS.items()}}.items():
        (assets.parent / f"{name}.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    for name in AS_THEY_ARE:
        (assets / name).write_bytes(name.encode() * 200)
    (tmp_path / "outside.js").write_text("never served")
    return assets.parent


async def get(page: Path, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """With underscores in header names; the client decodes by itself, so bodies here are as the page sees them."""
    async with open_house(ScriptedEngine(), options={"page": page}) as house:
        named = {"accept-encoding": "identity", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await house.client.request(method, path, headers=named)


@pytest.mark.parametrize("path", ROUTES)
async def test_every_route_of_the_page_is_its_index_asked_for_again_each_time(page: Path, path: str) -> None:
    answer = await get(page, path)
    assert (answer.status_code, answer.text) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache" and answer.headers["etag"]


def shape_of(path: str) -> str:
    """Without the names of what varies: /chat/:id and /chat/{chat_id} -> /chat/*."""
    return re.sub(r":\w+|\{\w+\}", "*", path)


def test_the_routes_are_those_of_the_pages_own_router(root: Path) -> None:
    """A route that the page knows and the server does not would be a 404 for who loads it again."""
    text = (root / "web" / "src" / "router.ts").read_text(encoding="utf-8")
    known = {path for path in re.findall(r"path:\s*['\"](/[^'\"]*)['\"]", text) if "(" not in path}
    assert {shape_of(path) for path in known} == {shape_of(path) for path in PAGE_ROUTES}


@pytest.mark.parametrize("path", ["/chat", "/chat/", "/scenes/a/b", "/operator/keys", "/index.html", "/nothing"])
async def test_what_is_no_route_of_the_page_is_a_404_and_not_the_page(page: Path, path: str) -> None:
    answer = await get(page, path)
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("index-B1.js", "text/javascript; charset=utf-8"), ("small-C2.css", "text/css; charset=utf-8"),
        ("f-D3.woff2", "font/woff2"), ("p-E4.png", "image/png"), ("p-F5.webp", "image/webp"),
        ("i-G6.svg", "image/svg+xml"),
    ],
)  # fmt: skip
async def test_an_asset_has_its_type_and_is_kept_for_a_year(page: Path, name: str, kind: str) -> None:
    answer = await get(page, f"/assets/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.text == TEXTS[name] if name in TEXTS else answer.content == (page / "assets" / name).read_bytes()


@pytest.mark.parametrize("name", [
    "../index.html", "..%2findex.html", "%2e%2e/index.html", "..%5cindex.html", "../../outside.js", "index-B1.js/",
    "%2fetc%2fpasswd", "index.html", "source.sha256", "..%2fsource.sha256", "index-B1.js.gz", "index-B1.js%00",
    "INDEX-B1.JS", "old-A0.js", "",
])  # fmt: skip
async def test_a_name_that_is_no_asset_is_a_404_that_is_not_kept_for_a_year(page: Path, name: str) -> None:
    async with open_house(ScriptedEngine(), options={"page": page}) as house:
        url = httpx.URL("http://127.0.0.1:8080").copy_with(raw_path=f"/assets/{name}".encode())
        answer = await house.client.get(url)
    assert answer.status_code == 404 and "error" in answer.json(), answer.text
    assert "immutable" not in answer.headers.get("cache-control", "")


async def test_a_script_is_packed_for_who_takes_it_under_a_tag_of_its_own(page: Path) -> None:
    plain = await get(page, "/assets/index-B1.js")
    packed = await get(page, "/assets/index-B1.js", accept_encoding="gzip")
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(SCRIPT) / 10 and packed.text == plain.text == SCRIPT
    assert plain.headers["etag"] != packed.headers["etag"]
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert all("Accept-Encoding" in answer.headers["vary"] for answer in (plain, packed))


async def test_who_takes_gzip_gets_the_very_bytes_of_the_file_and_who_does_not_their_content(page: Path) -> None:
    stored = (page / "assets" / "index-B1.js.gz").read_bytes()
    async with open_house(ScriptedEngine(), options={"page": page}) as house:
        for coding, body in [("identity", SCRIPT.encode()), ("gzip", stored), ("identity", SCRIPT.encode())]:
            headers = {"accept-encoding": coding}
            async with house.client.stream("GET", "/assets/index-B1.js", headers=headers) as answer:
                assert b"".join([piece async for piece in answer.aiter_raw()]) == body
                assert answer.headers["content-length"] == str(len(body))


async def test_a_range_is_answered_with_the_whole_file(page: Path) -> None:
    answer = await get(page, "/assets/index-B1.js", range="bytes=0-9")
    assert (answer.status_code, answer.text) == (200, SCRIPT) and "content-range" not in answer.headers


@pytest.mark.parametrize("name", AS_THEY_ARE)
async def test_fonts_and_pictures_are_sent_as_they_are(page: Path, name: str) -> None:
    answer = await get(page, f"/assets/{name}", accept_encoding="gzip")
    assert "content-encoding" not in answer.headers and "Accept-Encoding" not in answer.headers.get("vary", "")


@pytest.mark.parametrize("path", ["/", "/assets/index-B1.js"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_who_has_a_file_gets_a_304_without_it(page: Path, path: str, coding: str) -> None:
    first = await get(page, path, accept_encoding=coding)
    again = await get(page, path, accept_encoding=coding, if_none_match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == first.headers["cache-control"]
    assert (await get(page, path, accept_encoding=coding, if_none_match='"other"')).status_code == 200


@pytest.mark.parametrize("path", ["/", "/chat/1", "/assets/index-B1.js", "/samples/receipt.png"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_head_tells_what_get_would(page: Path, path: str, coding: str) -> None:
    got = await get(page, path, accept_encoding=coding)
    head = await get(page, path, "HEAD", accept_encoding=coding)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "cache-control"):
        assert head.headers[name] == got.headers[name]


async def test_the_policy_lets_the_page_load_its_own_files_and_the_camera_and_nothing_else(page: Path) -> None:
    answer = await get(page, "/")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data: blob:",
        "media-src": "'self' blob:", "connect-src": "'self'", "font-src": "'self'", "worker-src": "'self'",
        "manifest-src": "'self'", "form-action": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'",
    }  # fmt: skip
    machine = answer.headers["permissions-policy"]
    assert "camera=(self)" in machine and "microphone=()" in machine
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    asset = await get(page, "/assets/index-B1.js")
    assert asset.headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_copy_without_the_page_says_how_to_build_it(tmp_path: Path) -> None:
    for path in ROUTES:
        answer = await get(tmp_path / "nothing", path)
        assert answer.status_code == 200 and "make web" in answer.text and "curl" in answer.text
    assert (await get(tmp_path / "nothing", "/assets/index-B1.js")).status_code == 404


async def test_a_page_that_is_built_anew_shows_at_the_next_start_and_harms_no_running_one(page: Path) -> None:
    async with open_house(ScriptedEngine(), options={"page": page}) as house:
        (page / "assets" / "index-B1.js.gz").unlink()
        (page / "index.html.gz").write_bytes(b"half a")
        assert (await house.client.get("/")).text == INDEX
        assert (await house.client.get("/assets/index-B1.js")).text == SCRIPT


async def test_the_page_needs_no_key_and_takes_nothing_of_anybodys_limit(page: Path) -> None:
    limits = {"auth__api_keys": ("shop:sk-0123456789abcdef",), "server__rate_limit": "1/minute"}
    async with open_house(ScriptedEngine(), options={"page": page}, **limits) as house:
        for path in [*ROUTES, "/assets/index-B1.js", "/samples/receipt.png"] * 2:
            assert (await house.client.get(path)).status_code == 200, path
        assert (await house.client.get("/v1/models")).status_code == 401


async def samples_of(house: House) -> list[str]:
    scenes = (await house.client.get("/api/scenes")).json()["scenes"]
    return [scene["sample"] for scene in scenes]


async def test_every_scenes_sample_is_a_picture_that_is_served() -> None:
    async with open_house(ScriptedEngine()) as house:
        names = await samples_of(house)
        assert len(names) >= 7 and all(names)
        for name in names:
            answer = await house.client.get(f"/samples/{name}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), name
            assert answer.content == (samples_folder() / name).read_bytes()
            assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["cases.jsonl", "README.md", "..%2fREADME.md", "nothing.png", "receipt"])
async def test_only_pictures_of_the_folder_are_samples(name: str) -> None:
    async with open_house(ScriptedEngine()) as house:
        url = httpx.URL("http://127.0.0.1:8080").copy_with(raw_path=f"/samples/{name}".encode())
        assert (await house.client.get(url)).status_code == 404


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("", False), ("gzip", True), ("GZIP", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*", True), ("*;q=0", False), ("gzip;q=0, *", False), ("identity", False), ("br", False), ("x-gzip", False),
        ("gzip;q=1.0", True), ("deflate, gzip", True),
    ],
)  # fmt: skip
def test_gzip_is_sent_to_who_says_that_it_is_taken(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


@pytest.mark.parametrize(
    ("given", "named"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False), ("", False)],
)
def test_a_tag_is_found_in_the_list_that_a_browser_sends(given: str, named: bool) -> None:
    assert names_tag(given, "a") is named
