"""`FileStore`: files that callers hand in once and name later, and those that batches leave.

A file's bytes lie under its random id in `files/` of the data folder, what is known of it in `files.sqlite`; a row
exists only for a file that is whole, and no text of a client is part of a path. Whose a file is decides who finds it.
Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeVar

from flashweb.disk import private_folder, storage_error, sync, sync_folder
from flashweb.errors import InvalidRequest, ObjectNotFound, StorageBroken, TooLarge, UnsupportedMediaType
from flashweb.jobs.sql import Transaction
from flashweb.jobs.sqlite import SqliteDriver
from flashweb.settings import StorageSettings

T = TypeVar("T")
Order = Literal["asc", "desc"]
MAX_NAME_CHARS = 255
LEFT_OVER_SECONDS = 24 * 3600.0  # an upload that nobody finished, a copy that nobody came back for
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, ordinal INTEGER NOT NULL, owner TEXT NOT NULL, purpose TEXT NOT NULL, filename TEXT NOT NULL,
    bytes INTEGER NOT NULL, created REAL NOT NULL, expires REAL, kind TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS files_listed ON files (owner, ordinal)",
    """CREATE TABLE IF NOT EXISTS copies (
    name TEXT PRIMARY KEY, file TEXT NOT NULL, owner TEXT NOT NULL, bytes INTEGER NOT NULL, created REAL NOT NULL)""",
)
_COLUMNS = "id, owner, purpose, filename, bytes, created, expires, kind"
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"BM", "image/bmp"),
    (b"%PDF-", "application/pdf"), (b"\x1a\x45\xdf\xa3", "video/webm"),
)  # fmt: skip
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"isom": "video/mp4",
    b"mp41": "video/mp4",
    b"mp42": "video/mp4",
    b"qt  ": "video/quicktime",
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`kind` is the media type that its first bytes tell; `created` and `expires` are seconds since 1970."""

    id: str
    owner: str
    purpose: str
    filename: str
    bytes: int
    created: float
    expires: float | None
    kind: str


def kind_of(head: bytes) -> str:
    """The media type of a file by its first bytes (64 are enough); what is known to be none of ours is
    application/octet-stream."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "application/octet-stream")
    if b"\0" in head:
        return "application/octet-stream"
    return "application/jsonl" if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else "text/plain"


def check_kind(purpose: str, kind: str) -> None:
    """Raises UnsupportedMediaType for bytes that cannot serve the purpose."""
    if purpose == "vision" and not kind.startswith(("image/", "video/")):
        raise UnsupportedMediaType(
            f"purpose is vision, but the file's bytes are {kind}; send a PNG, JPEG, WebP, GIF, BMP, AVIF or HEIC "
            "picture or an MP4 or WebM clip, or give another purpose.",
            param="file",
        )
    if purpose == "batch" and kind != "application/jsonl":
        raise UnsupportedMediaType(
            f"purpose is batch, but the file's bytes are {kind}; send JSON lines: one object a line, in UTF-8.",
            param="file",
        )


class FileStore:
    """Every method that waits does its work on a thread. Raises StorageFull and StorageUnavailable."""

    def __init__(self, storage: StorageSettings, clock: Callable[[], float] = time.time) -> None:
        self.max_bytes = storage.max_file_size
        self.quota_bytes = storage.file_quota
        self._folder = storage.folder
        self._clock = clock
        self._driver: SqliteDriver | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flashweb-files")

    async def close(self) -> None:
        """Idempotent; a later use opens it again."""
        await self._do(self._close)

    # --- in -------------------------------------------------------------------------------------------------------

    async def receive(self, owner: str) -> Incoming:
        """A file that is about to come; `async with` it."""
        used = await self._do(lambda: self._used(owner))
        return Incoming(self, owner, self.quota_bytes - used)

    async def keep_own(
        self, id: str, owner: str, filename: str, lines: Iterable[bytes], expires: float | None
    ) -> StoredFile | None:
        """Keep what a batch made under an id that the batch decides, so that to do it twice leaves one file. None where
        there were no lines. Not held to the quota."""
        return await self._do(lambda: self._keep_own(id, owner, filename, lines, expires))

    # --- out ------------------------------------------------------------------------------------------------------

    async def get(self, id: str, owner: str) -> StoredFile:
        """Raises ObjectNotFound, also for a file of somebody else's and for one whose time is over."""
        return await self._do(lambda: self._get(id, owner))

    async def listed(
        self, owner: str, purpose: str | None, after: str | None, limit: int, order: Order
    ) -> list[StoredFile]:
        """From behind the file `after`. Raises ObjectNotFound when there is none of that id."""
        return await self._do(lambda: self._listed(owner, purpose, after, limit, order))

    async def bytes_of(self, id: str, owner: str, most: int | None = None) -> bytes:
        """A whole file of at most so many bytes. Raises ObjectNotFound, TooLarge."""
        found = await self.get(id, owner)
        if most is not None and found.bytes > most:
            raise TooLarge(
                f"The file {id[:80]!r} has {found.bytes:,} bytes; here it may have {most:,}. Send a smaller one.",
                param="file_id",
                code="file_too_large",
            )
        with await self._open(found) as file, self._told():
            return await asyncio.to_thread(file.read)

    async def opened(self, id: str, owner: str) -> tuple[StoredFile, IO[bytes]]:
        """A file and its bytes, which are there until they are closed, whoever deletes the file meanwhile. Raises
        ObjectNotFound."""
        found = await self.get(id, owner)
        return found, await self._open(found)

    async def _open(self, found: StoredFile) -> IO[bytes]:
        with self._told():
            try:
                return await asyncio.to_thread(self.path_of(found.id).open, "rb")
            except FileNotFoundError:  # deleted since it was found
                raise _no_such(found.id) from None

    def path_of(self, id: str) -> Path:
        return self._folder / "files" / id

    async def copy_to(self, id: str, owner: str, path: Path) -> bool:
        """A second name for the bytes, which stays when the file is deleted, and is then in its owner's quota until it
        is dropped; a copy where the disk knows no links. False where the name is taken: by a copy that was made before.
        Raises ObjectNotFound."""
        return await self._do(lambda: self._copy_to(id, owner, path))

    async def drop_copy(self, path: Path) -> None:
        """Idempotent."""
        await self._do(lambda: self._drop_copy(path))

    async def old_copies(self) -> list[tuple[str, str]]:
        """Names and owners of those that were made so long ago that whoever made them is done."""
        return await self._do(self._old_copies)

    async def delete(self, id: str, owner: str) -> None:
        """Raises ObjectNotFound."""
        await self._do(lambda: self._delete(id, owner))

    async def sweep(self) -> None:
        """Remove files whose time is over, and what uploads that broke off have left."""
        await self._do(self._sweep)

    # --- on the thread --------------------------------------------------------------------------------------------

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._or_closed, work)

    def _or_closed(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except StorageBroken:
            self._close()  # the next use opens it anew: another file may be in its place by then
            raise

    def _close(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(error, self._folder) from error

    def _opened(self, *, make: bool) -> SqliteDriver | None:
        """None where nothing was ever kept, and nothing is to be."""
        path = self._folder / "files.sqlite"
        if self._driver is None and (make or path.exists()):
            driver = SqliteDriver(path)
            with driver.writing(durable=True) as tx:
                for statement in _SCHEMA:
                    tx.run(statement)
            self._driver = driver
        return self._driver

    def _used(self, owner: str) -> int:
        driver = self._opened(make=False)
        if driver is None:
            return 0
        with driver.reading() as tx:
            return _used(tx, owner, self._clock())

    def _get(self, id: str, owner: str) -> StoredFile:
        driver = self._opened(make=False)
        if driver is not None:
            with driver.reading() as tx:
                rows = tx.all(f"SELECT {_COLUMNS} FROM files WHERE id = ? AND owner = ?", id, owner)
            if rows and (rows[0][6] is None or rows[0][6] > self._clock()):
                return StoredFile(*rows[0])
        raise _no_such(id)

    def _listed(self, owner: str, purpose: str | None, after: str | None, limit: int, order: Order) -> list[StoredFile]:
        if after is not None:
            self._get(after, owner)
        driver = self._opened(make=False)
        if driver is None:
            return []
        where, values = "owner = ? AND (expires IS NULL OR expires > ?)", [owner, self._clock()]
        if purpose is not None:
            where, values = where + " AND purpose = ?", [*values, purpose]
        if after is not None:
            sign = ">" if order == "asc" else "<"
            where, values = f"{where} AND ordinal {sign} (SELECT ordinal FROM files WHERE id = ?)", [*values, after]
        with driver.reading() as tx:
            rows = tx.all(
                f"SELECT {_COLUMNS} FROM files WHERE {where} ORDER BY ordinal {order} LIMIT ?", *values, limit
            )
        return [StoredFile(*row) for row in rows]

    def _add(self, file: StoredFile, temporary: Path, *, quota: int | None) -> StoredFile:
        """The file is whole and on the disk: its name, then its row. One that is there under its id stays as it is.
        Raises TooLarge when another upload took the room meanwhile."""
        with suppress(ObjectNotFound):
            return self._get(file.id, file.owner)
        driver = self._opened(make=True)
        assert driver is not None
        with driver.writing(durable=True) as tx:
            ((last,),) = tx.all("SELECT COALESCE(MAX(ordinal), 0) FROM files")
            if quota is not None and _used(tx, file.owner, self._clock()) + file.bytes > quota:
                raise _over_quota(quota)
            os.replace(temporary, self.path_of(file.id))
            sync_folder(self.path_of(file.id).parent)
            tx.run(
                f"INSERT OR REPLACE INTO files (ordinal, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(last + 1, file.id, file.owner, file.purpose, file.filename, file.bytes, file.created, file.expires),
                file.kind,
            )
        return file

    def _keep_own(
        self, id: str, owner: str, filename: str, lines: Iterable[bytes], expires: float | None
    ) -> StoredFile | None:
        with self._told():
            temporary, opened = self._temporary()
            try:
                with opened:
                    size = sum(opened.write(line + b"\n") for line in lines)
                    sync(opened)
                if not size:
                    return None
                file = StoredFile(
                    id, owner, "batch_output", filename, size, self._clock(), expires, "application/jsonl"
                )
                return self._add(file, temporary, quota=None)
            finally:
                temporary.unlink(missing_ok=True)

    def _temporary(self) -> tuple[Path, IO[bytes]]:
        folder = private_folder(private_folder(self._folder) / "files")
        path = folder / f"incoming-{secrets.token_hex(12)}"
        return path, os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def _copy_to(self, id: str, owner: str, path: Path) -> bool:
        found, is_new = self._get(id, owner), not path.exists()
        driver = self._opened(make=True)
        assert driver is not None
        with driver.writing(durable=True) as tx:  # first: no copy without a row, by which it is counted and found again
            tx.run(
                "INSERT INTO copies (name, file, owner, bytes, created) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                *(path.name, id, owner, found.bytes, self._clock()),
            )
        try:
            with self._told():
                private_folder(path.parent)
                if is_new:
                    self._link(id, path)
                sync_folder(path.parent)
        except BaseException:
            if is_new:
                self._drop_copy(path)
            raise
        return is_new

    def _link(self, id: str, path: Path) -> None:
        try:
            os.link(self.path_of(id), path)
        except FileNotFoundError:
            raise _no_such(id) from None
        except OSError:
            temporary, opened = self._temporary()
            try:
                with opened, self.path_of(id).open("rb") as source:
                    shutil.copyfileobj(source, opened)
                    sync(opened)
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)

    def _drop_copy(self, path: Path) -> None:
        with self._told():
            path.unlink(missing_ok=True)
        driver = self._opened(make=False)
        if driver is not None:
            with driver.writing(durable=True) as tx:
                tx.run("DELETE FROM copies WHERE name = ?", path.name)

    def _old_copies(self) -> list[tuple[str, str]]:
        driver = self._opened(make=False)
        if driver is None:
            return []
        with driver.reading() as tx:
            rows = tx.all("SELECT name, owner FROM copies WHERE created < ?", self._clock() - LEFT_OVER_SECONDS)
        return [(name, owner) for name, owner in rows]

    def _delete(self, id: str, owner: str) -> None:
        self._get(id, owner)
        self._remove([id])

    def _remove(self, ids: Sequence[str]) -> None:
        driver = self._opened(make=True)
        assert driver is not None
        with driver.writing(durable=True) as tx:
            tx.many("DELETE FROM files WHERE id = ?", [(id,) for id in ids])
        with self._told():
            for id in ids:
                self.path_of(id).unlink(missing_ok=True)

    def _sweep(self) -> None:
        driver = self._opened(make=False)
        if driver is None:
            return
        with driver.reading() as tx:
            over = [id for (id,) in tx.all("SELECT id FROM files WHERE expires <= ?", self._clock())]
            known = {id for (id,) in tx.all("SELECT id FROM files")}
        self._remove(over)
        with self._told(), suppress(FileNotFoundError):
            for path in (self._folder / "files").iterdir():
                if path.name not in known and time.time() - path.stat().st_mtime > LEFT_OVER_SECONDS:
                    path.unlink(missing_ok=True)


class Incoming:
    """A file on its way to the disk: `take` and `flush` what has come, then `finish`; leaving the block without that
    leaves nothing behind."""

    FLUSH_BYTES = 1 << 20

    def __init__(self, store: FileStore, owner: str, room: int) -> None:
        self._store = store
        self._owner = owner
        self._room = room
        self._pieces: list[bytes] = []
        self._num_pending = 0
        self._size = 0
        self._head = b""
        self._temporary: Path | None = None
        self._opened: IO[bytes] | None = None

    async def __aenter__(self) -> Incoming:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Not a thread's work alone: a cancelled request must leave nothing either.
        if self._opened is not None:
            with suppress(OSError), closing(self._opened):
                pass
        if self._temporary is not None:
            await asyncio.shield(asyncio.to_thread(self._temporary.unlink, missing_ok=True))

    def take(self, piece: bytes) -> None:
        """Raises TooLarge past the caller's quota; the bound of one file is the form's."""
        self._size += len(piece)
        if self._size > self._room:
            raise _over_quota(self._store.quota_bytes)
        if len(self._head) < 64:
            self._head += piece[:64]
        self._pieces.append(piece)
        self._num_pending += len(piece)

    async def flush(self) -> None:
        """Write what has come, once it is worth a thread's time."""
        if self._num_pending >= self.FLUSH_BYTES:
            await self._write()

    async def _write(self) -> None:
        pieces, self._pieces, self._num_pending = self._pieces, [], 0
        writing = asyncio.create_task(asyncio.to_thread(self._write_pieces, pieces))
        try:
            with self._store._told():
                await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})  # what its thread makes meanwhile has to be there to be removed
            raise

    def _write_pieces(self, pieces: Sequence[bytes]) -> None:
        if self._opened is None:
            self._temporary, self._opened = self._store._temporary()
        self._opened.writelines(pieces)

    async def finish(self, purpose: str, filename: str, life_seconds: float | None, id: str) -> StoredFile:
        """The file is whole; a second one under an id is the first. Raises UnsupportedMediaType for bytes that cannot
        serve the purpose."""
        kind = kind_of(self._head)
        check_kind(purpose, kind)
        await self._write()
        assert self._opened is not None and self._temporary is not None
        with self._store._told():
            await asyncio.to_thread(sync, self._opened)
        name = "".join(char for char in filename if char.isprintable())[:MAX_NAME_CHARS] or "file"
        now, temporary = self._store._clock(), self._temporary
        expires = None if life_seconds is None else now + life_seconds
        file = StoredFile(id, self._owner, purpose, name, self._size, now, expires, kind)
        return await self._store._do(lambda: self._store._add(file, temporary, quota=self._store.quota_bytes))


def _used(tx: Transaction, owner: str, now: float) -> int:
    """Bytes of an owner's files; not of those whose time is over, which nobody but the next sweep can delete. And of
    copies whose file is gone: until then they are other names of the same bytes."""
    there = "FROM files WHERE owner = ? AND (expires IS NULL OR expires > ?)"
    ((used,),) = tx.all(f"SELECT COALESCE(SUM(bytes), 0) {there}", owner, now)
    ((copied,),) = tx.all(
        "SELECT COALESCE(SUM(bytes), 0) FROM (SELECT DISTINCT file, bytes FROM copies WHERE owner = ? "
        f"AND file NOT IN (SELECT id {there}))",
        *(owner, owner, now),
    )
    return int(used) + int(copied)


def _no_such(id: str) -> ObjectNotFound:
    return ObjectNotFound(f"No such File object: {id[:80]!r}.", param="id", code="file_not_found")


def _over_quota(quota: int) -> TooLarge:
    return TooLarge(
        f"Your files, with the inputs of batches that have not ended, would have more than {quota:,} bytes together, "
        "the limit; delete some, or start the server with a larger --file-quota.",
        code="file_quota_exceeded",
    )


def check_purpose(purpose: str | None) -> str:
    """Raises InvalidRequest for what callers cannot upload."""
    offered = ("batch", "vision", "user_data", "assistants")
    if purpose not in offered:
        shown = "missing" if purpose is None else f"{purpose[:60]!r}"
        raise InvalidRequest(f"purpose is {shown}; give one of {', '.join(offered)}.", param="purpose")
    return purpose
