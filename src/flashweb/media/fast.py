"""`PictureWorkers`: the fast resize, in processes of its own so that the web process never imports torch.

Each worker handles one picture at a time; patches come back through shared memory, without a copy. A worker that
dies or hangs is replaced, and only the picture it had fails. Knows nothing of how a worker does its work.
"""

from __future__ import annotations

import mmap
import os
import queue
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

import flashweb
from flashweb import errors
from flashweb.errors import FlashwebError, InvalidImage
from flashweb.media.decode import Header
from flashweb.media.geometry import ImageGeometry
from flashweb.media.wire import Done, Job, receive_answer, send_job
from flashweb.types import Enhancement, PictureTimes

_SECONDS_PER_PICTURE = 60.0  # the worker's start included

# glibc: keep the memory of the last picture for the next one. Fetching 100 MB of fresh pages per photograph from the
# kernel costs as much as resizing it. More than this is given back.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(64 << 20), "MALLOC_TRIM_THRESHOLD_": str(160 << 20), "MALLOC_ARENA_MAX": "2"}


class PictureWorkers:
    """A fixed number of worker processes; `prepare` may be called from any thread and waits for a free one."""

    def __init__(self, num_workers: int) -> None:
        self._workers = [_Worker() for _ in range(num_workers)]
        self._free: queue.Queue[_Worker] = queue.Queue()
        for worker in self._workers:
            self._free.put(worker)

    def prepare(
        self,
        data: bytes,
        header: Header,
        geometry: ImageGeometry,
        max_image_size: int,
        enhance: Enhancement | None = None,
        times: PictureTimes | None = None,
    ) -> NDArray[np.uint8]:
        """A checked picture -> its patches, within two levels of the exact ones. Raises InvalidImage, TooLarge."""
        grid = geometry.grid(header.height, header.width, max_image_size)
        target = geometry.target_size(header.height, header.width, max_image_size)
        columns = 3 * geometry.patch_size**2
        with _shared_memory(grid.num_patches * columns) as memory:
            worker = self._free.get()
            num_idle = self._free.qsize()
            job = Job(header, target, (grid.t, grid.h, grid.w), geometry, 2 if num_idle else 1, len(data), enhance)
            try:
                done = worker.run(job, data, memory.fileno())
            finally:
                self._free.put(worker)
            if times is not None:
                times.decodes.append(done.decode_seconds)
                times.preparations.append(done.prepare_seconds)
            # The mapping outlives the descriptor; it is unmapped with the last array that looks into it.
            shared = mmap.mmap(memory.fileno(), grid.num_patches * columns)
        return np.frombuffer(shared, dtype=np.uint8).reshape(grid.num_patches, columns)

    def close(self) -> None:
        """End every worker. Idempotent."""
        for worker in self._workers:
            worker.stop()


class _Worker:
    """One process and the line to it; started at once, so that torch is loaded when the first picture comes."""

    def __init__(self) -> None:
        self._start()

    def run(self, job: Job, data: bytes, memory: int) -> Done:
        """Returns when the patches lie in `memory`."""
        if self._process.poll() is not None:
            self._restart()
        try:
            send_job(self._line, job, data, memory)
            answer = receive_answer(self._line)
        except (EOFError, OSError, TimeoutError):
            self._restart()
            raise InvalidImage(
                "the picture made its decoder crash or hang; save it again with another program and send that"
            ) from None
        if isinstance(answer, Done):
            return answer
        kind = getattr(errors, answer.kind)
        assert issubclass(kind, FlashwebError)
        raise kind(answer.message, param=answer.param, code=answer.code)

    def stop(self) -> None:
        self._line.close()
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        self._line, theirs = socket.socketpair()
        self._line.settimeout(_SECONDS_PER_PICTURE)
        source = str(Path(flashweb.__file__).resolve().parents[1])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flashweb.media.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **_MALLOC, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # Ctrl-C is the server's business
            )

    def _restart(self) -> None:
        self.stop()
        self._start()


def _shared_memory(num_bytes: int) -> IO[bytes]:
    """An anonymous file of this size, in memory where the system offers that."""
    file: IO[bytes]
    if sys.platform == "linux":
        file = os.fdopen(os.memfd_create("flashweb-patches"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    os.ftruncate(file.fileno(), num_bytes)
    return file
