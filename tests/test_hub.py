"""`resolve_model` against a small hub on loopback that breaks in every way a real one can."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from flashweb import hub as hub_module
from flashweb.cli import doctor, main
from flashweb.errors import CheckpointError, ConfigError
from flashweb.hub import Hub, missing_files, resolve_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "acme/tiny-vl"
SHARD = os.urandom(3_000_000)


@dataclass
class FakeHub:
    """What the hub holds and how it misbehaves; `log` is every request as (method, path, range)."""

    files: dict[str, bytes]
    log: list[tuple[str, str, str | None]] = field(default_factory=list)
    tokens: list[tuple[str, str | None]] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)  # how many bytes the next transfers of a shard bring
    ignore_range: bool = False
    lie_about_size: int = 0
    lie_about_digest: bool = False
    storage: str | None = None  # redirect shards there
    fail_with: list[int] = field(default_factory=list)
    need_token: str | None = None
    moved: bool = False  # small files answer with a redirect to another path of the hub, and only it names the commit
    etags: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def ranges(self, name: str) -> list[str | None]:
        return [r for method, path, r in self.log if method == "GET" and path.endswith(name)]

    def gets(self) -> list[str]:
        return [path.rsplit("/", 1)[1] for method, path, _ in self.log if method == "GET"]


def _checkpoint(shards: int = 2) -> dict[str, bytes]:
    names = [f"model-{i:05d}-of-{shards:05d}.safetensors" for i in range(1, shards + 1)]
    files = {name: SHARD[i:] for i, name in enumerate(names)}
    weight_map = {f"w{i}": name for i, name in enumerate(names)}
    files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
    files["config.json"], files["tokenizer.json"] = b'{"model_type": "glm4v"}', b"{}"
    return files | {"chat_template.jinja": b"{{ x }}"}


def _handler(fake: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _empty(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.send_header("content-length", "0")
            self.end_headers()

        def _answer(self, *, body: bool) -> None:
            asked = self.headers.get("range")
            fake.log.append((self.command, self.path, asked))
            fake.tokens.append((self.path, self.headers.get("authorization")))
            if fake.fail_with:
                return self._empty(fake.fail_with.pop(0))
            name = unquote(self.path).rsplit("/", 1)[1]
            data = fake.files.get(name)
            if fake.moved and "/resolve/" in self.path and data is not None and not name.endswith(".safetensors"):
                return self._empty(307, location=f"/{NAME}/resolve-cache/{name}", x_repo_commit=COMMIT)
            in_storage = self.path.startswith("/storage/")
            if not in_storage and fake.need_token and self.headers.get("authorization") != f"Bearer {fake.need_token}":
                return self._empty(401)
            if data is None or not (in_storage or self.path.startswith(f"/{NAME}/resolve")):
                return self._empty(404)
            large = name.endswith(".safetensors")
            digest = hashlib.sha256(data).hexdigest() if large else _blob_id(data)
            digest = fake.etags.get(name, digest)
            if fake.lie_about_digest and large:
                digest = "f" * 64
            size = len(data) + (fake.lie_about_size if large else 0)
            if large and fake.storage and not in_storage:
                location = f"{fake.storage}/storage/{name}"
                return self._empty(
                    302, location=location, x_linked_size=str(size), x_linked_etag=f'"{digest}"', x_repo_commit=COMMIT
                )
            return self._send(data, asked, digest, size, body=body, large=large)

        def _send(self, data: bytes, asked: str | None, digest: str, size: int, *, body: bool, large: bool) -> None:
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and not fake.ignore_range else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("content-range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("etag", f'"{digest}"')
            if not fake.moved:
                self.send_header("x-repo-commit", COMMIT)
            self.send_header("content-length", str(size if not body else len(data) - start))
            self.end_headers()
            if not body:
                return
            if large and fake.cut_after:
                self.wfile.write(data[start : start + fake.cut_after.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)
                return
            self.wfile.write(data[start:])

    return Handler


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    hub = FakeHub(_checkpoint())
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(fake: FakeHub, tmp_path: Path) -> Hub:
    return Hub(fake.url, tmp_path / "cache", backoff_seconds=0.01, log=lambda text: None)


def assert_complete(folder: Path, fake: FakeHub) -> None:
    for name, data in fake.files.items():
        assert (folder / name).read_bytes() == data, name
    leftovers = [p.name for p in folder.iterdir() if p.name.startswith(".") and p.name != ".complete"]
    assert not leftovers


def test_a_hub_id_is_downloaded_once_and_then_found(fake: FakeHub, client: Hub) -> None:
    folder = client.fetch(NAME, "main")
    assert_complete(folder, fake)
    assert folder.name == COMMIT
    fake.log.clear()
    assert client.fetch(NAME, "main") == folder
    assert fake.gets() == []


def test_a_download_that_breaks_is_resumed_where_it_stopped(fake: FakeHub, client: Hub) -> None:
    fake.files = _checkpoint(shards=1)
    fake.cut_after = [1_200_000, 700_000]
    assert_complete(client.fetch(NAME, "main"), fake)
    ranges = fake.ranges("00001-of-00001.safetensors")
    starts = [int(r.removeprefix("bytes=").rstrip("-")) if r else 0 for r in ranges]
    assert len(starts) == 3 and starts[0] == 0 and starts == sorted(set(starts)), starts


def test_a_download_given_up_is_resumed_by_the_next_start(fake: FakeHub, client: Hub) -> None:
    fake.files = _checkpoint(shards=1)
    fake.cut_after = [2_000_000] + [0] * 10
    with pytest.raises(CheckpointError, match="start again to continue"):
        client.fetch(NAME, "main")
    fake.cut_after, fake.log = [], []
    assert_complete(client.fetch(NAME, "main"), fake)
    (asked,) = fake.ranges("00001-of-00001.safetensors")
    assert asked is not None and int(asked.removeprefix("bytes=").rstrip("-")) > 0


def test_a_hub_that_ignores_ranges_costs_time_but_gives_the_right_file(fake: FakeHub, client: Hub) -> None:
    fake.files = _checkpoint(shards=1)
    fake.cut_after, fake.ignore_range = [1_500_000], True
    assert_complete(client.fetch(NAME, "main"), fake)


def test_shards_behind_a_redirect_are_checked_by_the_digest_of_the_hub(fake: FakeHub, client: Hub) -> None:
    fake.storage = fake.url.replace("127.0.0.1", "localhost")
    assert_complete(client.fetch(NAME, "main"), fake)
    assert any(path.startswith("/storage/") for _, path, _ in fake.log)


def test_small_files_moved_inside_the_hub_are_followed_and_keep_their_commit(fake: FakeHub, client: Hub) -> None:
    fake.moved = True
    folder = client.fetch(NAME, "main")
    assert_complete(folder, fake)
    assert folder.name == COMMIT


def test_a_mirror_may_mark_files_by_plain_sha1_or_by_anything_else(fake: FakeHub, client: Hub) -> None:
    fake.etags = {
        "config.json": hashlib.sha1(fake.files["config.json"]).hexdigest(),
        "tokenizer.json": "5f3c-62a1",
        "chat_template.jinja": hashlib.md5(b"anything").hexdigest(),
    }
    assert_complete(client.fetch(NAME, "main"), fake)
    fake.etags["generation_config.json"] = hashlib.sha1(b"something else").hexdigest()
    fake.files["generation_config.json"] = b"{}"
    for path in client.cache.rglob(".complete"):
        path.unlink()
    with pytest.raises(CheckpointError, match="generation_config"):
        client.fetch(NAME, "main")


def test_the_token_goes_to_the_hub_and_never_to_its_storage(fake: FakeHub, tmp_path: Path) -> None:
    fake.storage, fake.need_token = fake.url.replace("127.0.0.1", "localhost"), "secret"
    client = Hub(fake.url, tmp_path, token="secret", log=lambda text: None)
    assert_complete(client.fetch(NAME, "main"), fake)
    assert {token for path, token in fake.tokens if path.startswith("/storage/")} == {None}


def test_a_gated_model_names_the_token(fake: FakeHub, client: Hub) -> None:
    fake.need_token = "secret"
    with pytest.raises(CheckpointError, match="HF_TOKEN"):
        client.fetch(NAME, "main")


@pytest.mark.parametrize("lie", [{"lie_about_digest": True}, {"lie_about_size": -5}])
def test_a_file_that_is_not_what_was_announced_is_removed_and_refused(
    fake: FakeHub, client: Hub, lie: dict[str, object]
) -> None:
    for key, value in lie.items():
        setattr(fake, key, value)
    with pytest.raises(CheckpointError, match="instead of"):
        client.fetch(NAME, "main")
    assert not list(client.cache.rglob("*.safetensors"))


def test_a_file_shorter_than_announced_is_an_error_not_a_checkpoint(fake: FakeHub, client: Hub) -> None:
    fake.lie_about_size = 5
    with pytest.raises(CheckpointError, match="broke off"):
        client.fetch(NAME, "main")


def test_an_unknown_model_is_a_clear_error(fake: FakeHub, client: Hub) -> None:
    with pytest.raises(CheckpointError, match="acme/nothing"):
        client.fetch("acme/nothing", "main")


def test_a_checkpoint_without_safetensors_is_refused(fake: FakeHub, client: Hub) -> None:
    fake.files = {k: v for k, v in fake.files.items() if "safetensors" not in k}
    with pytest.raises(CheckpointError, match="only safetensors"):
        client.fetch(NAME, "main")


def test_an_index_cannot_name_a_file_outside_the_folder(fake: FakeHub, client: Hub) -> None:
    for evil in ("../../evil.safetensors", "/etc/evil.safetensors", "a/b.safetensors", "x.bin", 3):
        fake.files["model.safetensors.index.json"] = json.dumps({"weight_map": {"w": evil}}).encode()
        with pytest.raises(CheckpointError, match="plain"):
            client.fetch(NAME, "main")
        for path in client.cache.rglob("*.json"):
            path.unlink()


def test_a_hub_in_trouble_is_asked_again(fake: FakeHub, client: Hub) -> None:
    fake.fail_with = [503, 429, 502]
    assert_complete(client.fetch(NAME, "main"), fake)


def test_without_the_hub_a_complete_copy_still_serves(fake: FakeHub, client: Hub) -> None:
    folder = client.fetch(NAME, "main")
    fake.fail_with = [503] * 50
    assert client.fetch(NAME, "main") == folder


def test_offline_serves_the_cache_and_names_the_switch_otherwise(fake: FakeHub, client: Hub, tmp_path: Path) -> None:
    offline = Hub(fake.url, tmp_path / "cache", offline=True, log=lambda text: None)
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE"):
        offline.fetch(NAME, "main")
    assert fake.log == []
    folder = client.fetch(NAME, "main")
    fake.log.clear()
    assert offline.fetch(NAME, "main") == folder
    assert fake.log == []


def test_a_full_disk_is_noticed_before_the_download(
    fake: FakeHub, client: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 70 << 20})())
    client.fetch(NAME, "main")  # 6 MB and the spare 64 MiB fit
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 65 << 20})())
    for shard in client.cache.rglob("*.safetensors"):
        shard.unlink()
    fake.log.clear()
    with pytest.raises(CheckpointError, match="free"):
        client.fetch(NAME, "main")
    assert not any(name.endswith(".safetensors") for name in fake.gets())


def test_two_starts_at_once_download_every_file_once(fake: FakeHub, tmp_path: Path) -> None:
    hubs = [Hub(fake.url, tmp_path, log=lambda text: None) for _ in range(2)]
    found: list[Path] = []
    threads = [threading.Thread(target=lambda h=h: found.append(h.fetch(NAME, "main"))) for h in hubs]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert_complete(found[0], fake)
    assert len(fake.gets()) == len(set(fake.gets()))


def test_the_hub_clients_own_cache_is_used_and_not_written(fake: FakeHub, tmp_path: Path) -> None:
    home = tmp_path / "foreign" / "models--acme--tiny-vl"
    snapshot = home / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    for name, data in fake.files.items():
        (snapshot / name).write_bytes(data)
    before = sorted((tmp_path / "foreign").rglob("*"))
    client = Hub(fake.url, tmp_path / "own", foreign_cache=tmp_path / "foreign", log=lambda text: None)
    assert client.fetch(NAME, "main") == snapshot
    assert sorted((tmp_path / "foreign").rglob("*")) == before and fake.log == []
    (snapshot / "model-00002-of-00002.safetensors").unlink()  # incomplete there: ours to fetch
    assert client.fetch(NAME, "main") != snapshot


def test_a_peek_tells_the_size_without_downloading_the_weights(fake: FakeHub, client: Hub) -> None:
    folder, weight_bytes = client.peek(NAME, "main")
    assert weight_bytes == sum(len(data) for name, data in fake.files.items() if name.endswith(".safetensors"))
    assert missing_files(folder) == sorted(name for name in fake.files if name.endswith(".safetensors"))
    assert_complete(client.fetch(NAME, "main"), fake)


def test_doctor_judges_a_model_before_its_download(
    fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nano = Path(hub_module.__file__).parent / "models" / "flashweb-nano"
    fake.files = {path.name: path.read_bytes() for path in nano.glob("*.json")} | {"model.safetensors": SHARD}
    monkeypatch.setattr(doctor, "probe_torch", lambda: {"version": "2", "built_for_cuda": None, "devices": []})
    monkeypatch.setenv("FLASHWEB_HUB_URL", fake.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["doctor", NAME, "--port", "0", "--ui-port", "0"]) == 0
    out = capsys.readouterr().out
    assert "not downloaded yet, 2.9 MiB of weights" in out and "KV cache per token" in out
    assert "model.safetensors" not in fake.gets()


def test_names_that_leave_the_cache_are_refused(tmp_path: Path) -> None:
    for name in ("../no-such-folder", "a/../b", "org/..", "/no/such/folder", "a/b/c", "no-such-name", "org/name?x", ""):
        with pytest.raises(ConfigError, match="no hub id"):
            resolve_model(name, environ={"HOME": str(tmp_path)})
    for revision in ("../x", "a/../../b", "", "/etc", "a b"):
        with pytest.raises(ConfigError, match="revision"):
            resolve_model(NAME, revision, environ={"HOME": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def test_a_folder_is_taken_as_it_stands_and_told_when_it_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        resolve_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert resolve_model(str(tmp_path)) == tmp_path.resolve()
    assert missing_files(tmp_path) == ["tokenizer.json", "model.safetensors"]


def test_the_environment_names_the_hub_and_the_cache(fake: FakeHub, tmp_path: Path) -> None:
    environ = {"HOME": "/nonexistent", "XDG_CACHE_HOME": str(tmp_path), "HF_ENDPOINT": fake.url}
    folder = resolve_model(NAME, environ=environ)
    assert folder.is_relative_to(tmp_path / "flashweb")
    assert_complete(folder, fake)
    with pytest.raises(ConfigError, match="FLASHWEB_HUB_URL"):
        resolve_model(NAME, environ=environ | {"FLASHWEB_HUB_URL": "ftp://example.org"})
