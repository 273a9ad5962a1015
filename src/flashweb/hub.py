"""From a model's name to a folder with its files: the bundled model, a folder, or a download from a model hub.

Knows the hub's URL layout (`<hub>/<org>/<name>/resolve/<revision>/<file>`), which files a checkpoint needs, and how to
fetch them so that a broken line costs nothing: parts are resumed by Range requests, sizes and digests are checked,
and a file gets its name only when it is whole. Does not know what is in the files, but for the index that lists the
weight shards. Environment: `FLASHWEB_HUB_URL` (else `HF_ENDPOINT`), `HF_TOKEN`, `HF_HUB_OFFLINE`, `XDG_CACHE_HOME`,
and `HF_HUB_CACHE`/`HF_HOME` for the hub client's own cache, which is read and never written.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx

from flashweb import __version__
from flashweb.errors import CheckpointError, ConfigError
from flashweb.progress import ProgressBar, human_bytes

PUBLIC_HUB = "https://huggingface.co"
BUNDLED = ("flashweb-nano",)
NEEDED = ("config.json", "tokenizer.json")
# Fetched where they exist; a checkpoint has its template in one of two places and may lack the rest.
WELCOME = ("generation_config.json", "preprocessor_config.json", "tokenizer_config.json", "chat_template.jinja")
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*")
_SHARD = re.compile(r"[A-Za-z0-9][\w.-]*\.safetensors")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PARALLEL_FILES = 4
_CHUNK_BYTES = 1 << 20
_MAX_REDIRECTS = 5
_MAX_SMALL_FILE = 64 << 20  # config, tokenizer, index: anything larger is not what it claims to be
_TRIES_WITHOUT_PROGRESS = 5
_SPARE_BYTES = 64 << 20  # left on the disk after the download


def resolve_model(name: str, revision: str | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The folder of a checkpoint, downloading it when need be (progress on standard error).

    `name` is a bundled model's name, a folder, or a hub id `org/name`. Raises ConfigError for a name that is none of
    these and CheckpointError when the files cannot be had.
    """
    environ = os.environ if environ is None else environ
    if name in BUNDLED:
        return _checked_folder(Path(__file__).parent / "models" / name)
    path = Path(name).expanduser()
    if name and path.is_dir():
        return _checked_folder(path.resolve())
    if name.startswith(("/", "./", "../", "~")) or not _HUB_ID.fullmatch(name) or ".." in name:
        raise ConfigError(
            f"model {name!r} is no folder, no hub id (org/name) and no bundled model ({', '.join(BUNDLED)}); "
            "correct the name or the path"
        )
    if revision is not None and (".." in revision or not _REVISION.fullmatch(revision)):
        raise ConfigError(f"revision {revision!r} is no branch, tag or commit name")
    return Hub.from_environment(environ).fetch(name, revision or "main")


def missing_files(folder: Path) -> list[str]:
    """Names of files the checkpoint in `folder` still lacks; empty when it is complete."""
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    index = folder / INDEX
    if index.is_file():
        shards = _shards(index.read_bytes(), str(index))
        return missing + [name for name in shards if not (folder / name).is_file()]
    return missing + ([] if (folder / SINGLE).is_file() else [SINGLE])


def _checked_folder(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} is no model folder: config.json is missing; it needs {', '.join(NEEDED)} and {SINGLE} "
            f"(or {INDEX} with its shards)"
        )
    return folder


def _shards(index: bytes, where: str) -> list[str]:
    """The weight files an index names, each a plain file name beside it. Raises CheckpointError."""
    try:
        names = sorted(set(json.loads(index)["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{where} is no index of weight shards ({type(error).__name__}); get it anew") from error
    for name in names:
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise CheckpointError(f"{where} names a weight file {name!r}; only plain *.safetensors names are read")
    return names


# --- the hub --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemoteFile:
    name: str
    size: int | None
    etag: str | None  # sha256 of a large file, git's blob id of a small one, or the server's own mark
    commit: str | None

    @property
    def part_name(self) -> str | None:
        """Where an unfinished download waits. The etag in it keeps two versions apart; without one, no resuming."""
        return f".{self.name}.{hashlib.sha256(self.etag.encode()).hexdigest()[:16]}.part" if self.etag else None


class Hub:
    """One hub and the cache of what came from it. Safe to use from several processes (a lock per model)."""

    def __init__(
        self,
        url: str,
        cache: Path,
        *,
        token: str | None = None,
        offline: bool = False,
        foreign_cache: Path | None = None,
        backoff_seconds: float = 1.0,
        log: Callable[[str], None] | None = None,
    ) -> None:
        split = urlsplit(url)
        if split.scheme not in ("http", "https") or not split.hostname:
            raise ConfigError(f"the hub's address {url!r} is no http(s) URL; correct FLASHWEB_HUB_URL or HF_ENDPOINT")
        self.url = url.rstrip("/")
        self.cache = cache / "hub" / re.sub(r"[^\w.-]", "_", split.netloc.rpartition("@")[2])
        self.token, self.offline, self.foreign_cache = token, offline, foreign_cache
        self.backoff_seconds = backoff_seconds
        self._log = log or (lambda text: print(text, file=sys.stderr, flush=True))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Hub:
        caches = Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".cache")
        home = Path(environ.get("HF_HOME") or caches / "huggingface")
        return cls(
            environ.get("FLASHWEB_HUB_URL") or environ.get("HF_ENDPOINT") or PUBLIC_HUB,
            caches / "flashweb",
            token=environ.get("HF_TOKEN") or None,
            offline=environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"),
            foreign_cache=Path(environ.get("HF_HUB_CACHE") or home / "hub"),
        )

    def fetch(self, name: str, revision: str) -> Path:
        """The folder with the checkpoint `name` at `revision`; only what is missing is downloaded."""
        home = self.cache / name.replace("/", "--")
        if self.offline or _COMMIT.fullmatch(revision):  # a commit never changes: no need to ask
            ready = self.cached(name, revision)
            if ready is None and self.offline:
                raise CheckpointError(
                    f"{name} ({revision}) is not in the cache {home} and HF_HUB_OFFLINE is set; unset it to download"
                )
            if ready is not None:
                return ready
        foreign = None if self._cached(home, revision) else self._foreign(name, revision)
        if foreign is not None:
            self._log(f"using {name} from the hub client's cache: {foreign}")
            return foreign
        try:
            home.mkdir(parents=True, exist_ok=True)
            with _locked(home / ".lock", lambda: self._log(f"another process is downloading {name}; waiting for it")):
                return self._fetch_online(name, revision, home)
        except OSError as error:
            raise CheckpointError(f"cannot write the cache {home}: {error}; set XDG_CACHE_HOME elsewhere") from error

    def cached(self, name: str, revision: str) -> Path | None:
        """A complete copy that is already here, ours or the hub client's; asks nobody."""
        return self._cached(self.cache / name.replace("/", "--"), revision) or self._foreign(name, revision)

    def peek(self, name: str, revision: str) -> tuple[Path, int]:
        """A folder with everything but the weights, and the weights' size in bytes: what one wants to know before a
        download. Raises CheckpointError."""
        with self._client() as client:
            download = _Download(self, client, name, revision)
            try:
                folder = self._locate(download, self.cache / name.replace("/", "--"))
                download.small_files(folder)
                return folder, sum(file.size or 0 for file in download.weights(folder))
            except _Unreachable as error:
                raise CheckpointError(str(error)) from error

    def _fetch_online(self, name: str, revision: str, home: Path) -> Path:
        with self._client() as client:
            download = _Download(self, client, name, revision)
            try:
                folder = self._locate(download, home)
            except _Unreachable as error:
                ready = self._cached(home, revision)
                if ready is None:
                    raise CheckpointError(str(error)) from error
                self._log(f"{error}; using the copy of {name} in {ready}")
                return ready
            if not ((folder / ".complete").is_file() and not missing_files(folder)):
                download.into(folder)
        (home / "refs").mkdir(exist_ok=True)
        _write_whole(home / "refs" / revision.replace("/", "--"), folder.name.encode())
        return folder

    def _client(self) -> httpx.Client:
        timeout = httpx.Timeout(30.0, connect=15.0)
        return httpx.Client(timeout=timeout, headers={"user-agent": f"flashweb/{__version__}"})

    def _locate(self, download: _Download, home: Path) -> Path:
        """Pin the download to the commit the revision stands for now, and name its folder after that."""
        first = download.probe("config.json")
        if first is None:
            raise CheckpointError(
                f"{self.url} has no model {download.name!r} with a config.json at revision {download.revision!r}; "
                "check the name, or set HF_TOKEN if it is private"
            )
        folder = home / (first.commit or download.revision.replace("/", "--"))
        download.revision = first.commit or download.revision
        return folder

    def _cached(self, home: Path, revision: str) -> Path | None:
        """A complete earlier download of this revision."""
        try:
            folder = home / (home / "refs" / revision.replace("/", "--")).read_text()
        except OSError:
            folder = home / revision.replace("/", "--")
        return folder if (folder / ".complete").is_file() and not missing_files(folder) else None

    def _foreign(self, name: str, revision: str) -> Path | None:
        """The same model in the cache of the hub's own client, when it is complete there."""
        if self.foreign_cache is None:
            return None
        home = self.foreign_cache / ("models--" + name.replace("/", "--"))
        try:
            commit = revision if _COMMIT.fullmatch(revision) else (home / "refs" / revision).read_text().strip()
        except OSError:
            return None
        folder = home / "snapshots" / commit
        try:
            whole = bool(_COMMIT.fullmatch(commit)) and folder.is_dir() and not missing_files(folder)
        except (OSError, CheckpointError):  # half-written by somebody else: not ours to mend
            return None
        return folder if whole else None


class _Unreachable(Exception):
    """The hub did not answer; a cached copy may still serve."""


class _Broken(Exception):
    """The transfer broke off; what has come stays and is continued."""


class _Download:
    """One model at one revision: what exists, what is missing, and the transfer of it."""

    def __init__(self, hub: Hub, client: httpx.Client, name: str, revision: str) -> None:
        self.hub, self.client, self.name, self.revision = hub, client, name, revision
        self._done_bytes = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def into(self, folder: Path) -> None:
        """Bring the whole checkpoint into `folder`. Raises CheckpointError."""
        try:
            self.small_files(folder)
            self._bring_large([file for file in self.weights(folder) if not (folder / file.name).is_file()], folder)
        except _Unreachable as error:
            raise CheckpointError(f"{error}; start again to continue where the download broke off") from error
        _write_whole(folder / ".complete", b"")

    def small_files(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*NEEDED, *WELCOME, INDEX):
            self._bring_small(name, folder, needed=name in NEEDED)

    def weights(self, folder: Path) -> list[RemoteFile]:
        """The weight files, once `folder` holds the small ones."""
        index = folder / INDEX
        names = _shards(index.read_bytes(), f"{self.name}/{INDEX}") if index.is_file() else [SINGLE]
        return [self._must_exist(name) for name in names]

    def probe(self, name: str) -> RemoteFile | None:
        """Size, etag and commit of one file, None when the hub has none. The first answer carries the hub's own
        headers; the storage behind a redirect may not know them."""
        response = self._asking(lambda: self._head(name))
        if response.status_code == 404:
            return None
        self._refuse(response, name)
        headers = response.headers
        size = headers.get("x-linked-size") or (None if response.is_redirect else headers.get("content-length"))
        etag = headers.get("x-linked-etag") or (None if response.is_redirect else headers.get("etag"))
        commit = headers.get("x-repo-commit", "")
        return RemoteFile(
            name,
            int(size) if size and size.isdigit() else None,
            etag.removeprefix("W/").strip('"') if etag else None,
            commit if _COMMIT.fullmatch(commit) else None,
        )

    # --- single requests

    def _url(self, name: str) -> str:
        return f"{self.hub.url}/{self.name}/resolve/{quote(self.revision, safe='')}/{name}"

    def _headers(self, url: str) -> dict[str, str]:
        """The token goes to the hub itself, never to a host it redirects to."""
        headers = {"accept-encoding": "identity"}  # sizes and digests are those of the file, not of a compressed line
        if self.hub.token and urlsplit(url)[:2] == urlsplit(self.hub.url)[:2]:
            headers["authorization"] = f"Bearer {self.hub.token}"
        return headers

    def _head(self, name: str) -> httpx.Response:
        """HEAD, following redirects inside the hub (renamed models) but not to its storage."""
        url, commit = self._url(name), ""
        for _ in range(_MAX_REDIRECTS):
            response = self.client.head(url, headers=self._headers(url))
            commit = commit or response.headers.get("x-repo-commit", "")  # the first hop may be the only one to say
            response.headers["x-repo-commit"] = commit
            target = urljoin(url, response.headers.get("location", ""))
            if not response.is_redirect or urlsplit(target).netloc != urlsplit(url).netloc:
                return response
            if "x-linked-etag" in response.headers:
                return response
            url = target
        raise CheckpointError(f"{self.hub.url} redirects {name} in a circle")

    @contextmanager
    def _get(self, name: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        url = self._url(name)
        for _ in range(_MAX_REDIRECTS):
            with self.client.stream("GET", url, headers=self._headers(url) | headers) as response:
                if not response.is_redirect:
                    yield response
                    return
                target = urljoin(url, response.headers.get("location", ""))
            if urlsplit(target).scheme not in ("https", urlsplit(self.hub.url).scheme):
                raise CheckpointError(f"{self.hub.url} redirects {name} to {target!r}, which is not followed")
            url = target
        raise CheckpointError(f"{self.hub.url} redirects {name} more than {_MAX_REDIRECTS} times")

    def _asking(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """Repeat a small question while the line or the hub falters."""
        for attempt in range(_TRIES_WITHOUT_PROGRESS):
            try:
                response = ask()
                if response.status_code != 429 and response.status_code < 500:
                    return response
                why = f"status {response.status_code}"
            except httpx.HTTPError as error:
                why = str(error) or type(error).__name__
            if attempt + 1 < _TRIES_WITHOUT_PROGRESS:
                self._stop.wait(self.hub.backoff_seconds * 2**attempt)
        raise _Unreachable(f"the hub {self.hub.url} cannot be reached ({why}); check the network or FLASHWEB_HUB_URL")

    def _refuse(self, response: httpx.Response, name: str) -> None:
        if response.status_code in (401, 403):
            raise CheckpointError(
                f"{self.hub.url} refuses {self.name}/{name} (status {response.status_code}): the model may be gated or "
                "the name wrong; accept its licence on the hub and set HF_TOKEN"
            )
        if response.status_code >= 400:
            raise CheckpointError(f"{self.hub.url} answers {self.name}/{name} with status {response.status_code}")

    def _must_exist(self, name: str) -> RemoteFile:
        remote = self.probe(name)
        if remote is None:
            raise CheckpointError(f"{self.name} has no {name} on {self.hub.url}; only safetensors checkpoints are read")
        return remote

    # --- files

    def _bring_small(self, name: str, folder: Path, *, needed: bool) -> None:
        if (folder / name).is_file():
            return
        remote = self._must_exist(name) if needed else self.probe(name)
        if remote is None:
            return
        if remote.size is not None and remote.size > _MAX_SMALL_FILE:
            raise CheckpointError(f"{self.name}/{name} claims {human_bytes(remote.size)}; at most 64 MiB is believable")
        self._bring(remote, folder)

    def _bring_large(self, files: Sequence[RemoteFile], folder: Path) -> None:
        total = sum(file.size or 0 for file in files)
        kept = sum(_size(folder / file.part_name) for file in files if file.part_name)
        free = shutil.disk_usage(folder).free
        if total - kept + _SPARE_BYTES > free:
            raise CheckpointError(
                f"{self.name} needs {human_bytes(total - kept)} more in {folder}; only {human_bytes(free)} are free: "
                "make room or set XDG_CACHE_HOME to a larger disk"
            )
        if not files:
            return
        self.hub._log(f"downloading {self.name} ({human_bytes(total)}) from {self.hub.url} into {folder}")
        self._done_bytes = 0
        with ProgressBar(self.name, total, is_bytes=True) as bar, ThreadPoolExecutor(_PARALLEL_FILES) as pool:
            waiting: set[Future[None]] = {pool.submit(self._bring, file, folder) for file in files}
            try:
                while waiting:
                    done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                    bar.update(self._done_bytes)
                    for future in done:
                        future.result()
            finally:  # the first failure, or Ctrl-C: the others stop at their next chunk and keep their parts
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)

    def _bring(self, remote: RemoteFile, folder: Path) -> None:
        """One file, resumed as often as it gets further; renamed to its own name when it is whole and right."""
        part = folder / (remote.part_name or f".{remote.name}.part")
        if remote.part_name is None:
            part.unlink(missing_ok=True)
        self._count(_size(part))
        failures = 0
        while True:
            before = _size(part)
            try:
                self._transfer(remote, part)
                break
            except (httpx.HTTPError, _Broken) as error:
                if self._stop.is_set():
                    raise _Unreachable("the download was stopped") from error
                failures = 1 if _size(part) > before else failures + 1
                if failures >= _TRIES_WITHOUT_PROGRESS:
                    why = str(error) or type(error).__name__
                    raise _Unreachable(f"{remote.name} of {self.name} broke off {failures} times ({why})") from error
                self._stop.wait(self.hub.backoff_seconds * 2 ** (failures - 1))
        self._verify(remote, part)
        os.replace(part, folder / remote.name)

    def _transfer(self, remote: RemoteFile, part: Path) -> None:
        """Append what is missing to `part`; _Broken when less came than was promised."""
        have = _size(part)
        if remote.size is not None and have >= remote.size:
            return
        with self._get(remote.name, {"range": f"bytes={have}-"} if have else {}) as response:
            if response.status_code == 429 or response.status_code >= 500:
                raise _Broken(f"status {response.status_code}")
            if response.status_code == 416 or (response.status_code == 206 and not _continues(response, have)):
                self._forget(part)
                raise _Broken("the hub continued at another place")
            self._refuse(response, remote.name)
            if have and response.status_code == 200:  # the range was ignored: everything comes again
                self._forget(part)
            with part.open("ab") as file:
                for chunk in response.iter_raw():  # as it comes: nothing that arrived is lost when the line breaks
                    file.write(chunk)
                    self._count(len(chunk))
                    if remote.size is not None and file.tell() > remote.size:
                        break
                    if self._stop.is_set():
                        raise _Broken("stopped")
        if remote.size is not None and _size(part) < remote.size:
            raise _Broken(f"{_size(part)} of {remote.size} bytes came")

    def _verify(self, remote: RemoteFile, part: Path) -> None:
        size = _size(part)
        wrong = None
        if remote.size is not None and size != remote.size:
            wrong = f"has {size} bytes instead of {remote.size}"
        elif (digests := _digests_like(remote.etag, part, size)) and remote.etag not in digests:
            wrong = f"has the digest {min(digests)} instead of {remote.etag}"
        if wrong is not None:
            part.unlink(missing_ok=True)
            raise CheckpointError(
                f"{remote.name} of {self.name} {wrong}; it was removed: start again, or try another mirror"
            )

    def _forget(self, part: Path) -> None:
        self._count(-_size(part))
        part.unlink(missing_ok=True)

    def _count(self, num_bytes: int) -> None:
        with self._lock:
            self._done_bytes += num_bytes


# --- small things ---------------------------------------------------------------------------------------------------


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _continues(response: httpx.Response, have: int) -> bool:
    return str(response.headers.get("content-range", "")).startswith(f"bytes {have}-")


def _digests_like(etag: str | None, path: Path, size: int) -> set[str]:
    """The file's digests of the kind the etag is: sha256 (64 hex), sha1 plain or as git's blob id (40 hex); none for
    any other mark, which says nothing about the content."""
    if etag is None or not re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", etag):
        return set()
    sums: list[Any] = [hashlib.sha256()]
    if len(etag) == 40:
        sums = [hashlib.sha1(), hashlib.sha1(f"blob {size}\0".encode())]
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            for one in sums:
                one.update(chunk)
    return {str(one.hexdigest()) for one in sums}


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    os.replace(temporary, path)


@contextmanager
def _locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the file's lock; it ends with the process, however that ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.2)
        yield
