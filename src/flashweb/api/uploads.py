"""Uploads are larger than other bodies: they go to the disk as they come, so their bound is another one."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from flashweb.settings import Settings

PATH = "/v1/files"
FORM_BYTES = 1 << 20  # around the file: its form's boundaries and other fields
UPLOAD_WAY_OUT = "Split the file, or start the server with a larger --max-file-size."


def max_upload_body(settings: Settings) -> int:
    return max(settings.server.max_body_size, settings.storage.max_file_size + FORM_BYTES)


class ByUpload:
    """The one layer for uploads, the other for everything else."""

    def __init__(self, usual: ASGIApp, upload: ASGIApp) -> None:
        self.app = usual
        self._upload = upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST"
        await (self._upload if is_upload else self.app)(scope, receive, send)
