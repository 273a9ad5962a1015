"""The limits and choices of the picture path, as plain frozen data. Knows nothing of flags, files or environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

MiB = 1 << 20

ResizeMode = Literal["exact", "fast"]


class MediaOptions(Protocol):
    """The `media` branch of the settings tree, as far as pictures are concerned."""

    @property
    def max_upload_size(self) -> int: ...
    @property
    def max_multipart_size(self) -> int: ...
    @property
    def max_image_size(self) -> int: ...
    @property
    def max_image_pixels(self) -> int: ...
    @property
    def max_aspect_ratio(self) -> float: ...
    @property
    def max_images(self) -> int: ...
    @property
    def media_allow_hosts(self) -> tuple[str, ...]: ...
    @property
    def fetch_timeout(self) -> float: ...
    @property
    def max_fetch_size(self) -> int: ...
    @property
    def max_redirects(self) -> int: ...
    @property
    def media_workers(self) -> int: ...
    @property
    def media_resize(self) -> ResizeMode: ...
    @property
    def media_cache_memory(self) -> int: ...
    @property
    def media_uuid_memory(self) -> int: ...
    @property
    def max_document_pages(self) -> int: ...
    @property
    def max_document_dpi(self) -> int: ...
    @property
    def document_page_timeout(self) -> float: ...
    @property
    def document_memory(self) -> int: ...
    @property
    def document_workers(self) -> int: ...
    @property
    def document_cache_memory(self) -> int: ...
    @property
    def max_videos(self) -> int: ...
    @property
    def max_video_size(self) -> int: ...
    @property
    def max_video_seconds(self) -> float: ...
    @property
    def max_video_frames(self) -> int: ...
    @property
    def max_video_pixels(self) -> int: ...
    @property
    def max_video_tokens(self) -> int: ...
    @property
    def video_timeout(self) -> float: ...
    @property
    def video_memory(self) -> int: ...
    @property
    def video_workers(self) -> int: ...
    @property
    def video_cache_memory(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """Every limit of the picture path. Sizes in bytes or pixels, times in seconds.

    max_image_bytes: a picture inside a JSON body, after base64 decoding. max_raw_bytes: a picture given as raw bytes
    (multipart). max_image_size: longest side the model sees, 0 = only the checkpoint's own rule. max_pixels: of one
    picture, max_request_pixels and max_request_bytes: of all pictures of one request together; all refused before
    anything is decoded. resize: "exact" gives Pillow's (and so the reference's) pixels, "fast" is within two levels.
    cache_bytes: of prepared pictures kept for the next request with the same file, 0 = none. named_bytes: of files kept
    under their callers' names, 0 = none. max_document_pages: of all documents of one request; document_page_seconds and
    document_memory_bytes: what drawing one page may take; document_cache_bytes: of drawn pages kept.
    max_videos: clips of one request; max_video_bytes, _seconds, _frames (in the file), _pixels (of a frame): of each;
    max_video_tokens: of all; video_seconds and video_memory_bytes: what reading one may take;
    video_cache_bytes: of clips kept, decoded and resized.
    """

    max_image_bytes: int = 10 * MiB
    max_raw_bytes: int = 32 * MiB
    max_image_size: int = 2048
    max_pixels: int = 50_000_000
    max_request_pixels: int = 200_000_000
    max_request_bytes: int = 128 * MiB
    max_images: int = 16
    max_aspect_ratio: float = 200.0
    fetch_timeout_seconds: float = 10.0
    fetch_max_bytes: int = 20 * MiB
    fetch_max_redirects: int = 3
    allow_hosts: tuple[str, ...] = ()
    num_workers: int = 0  # 0 = one per core
    resize: ResizeMode = "exact"
    cache_bytes: int = 128 * MiB
    named_bytes: int = 64 * MiB
    max_document_pages: int = 50
    max_document_dpi: int = 200
    document_page_seconds: float = 10.0
    document_memory_bytes: int = 1024 * MiB
    num_document_workers: int = 0  # 0 = one for two cores, at most 4
    document_cache_bytes: int = 128 * MiB
    max_videos: int = 4
    max_video_bytes: int = 32 * MiB
    max_video_seconds: float = 300.0
    max_video_frames: int = 18_000
    max_video_pixels: int = 9_000_000
    max_video_tokens: int = 70_000
    video_seconds: float = 30.0
    video_memory_bytes: int = 1024 * MiB
    num_video_workers: int = 0  # 0 = one for four cores, at most 2
    video_cache_bytes: int = 128 * MiB

    @classmethod
    def from_options(cls, options: MediaOptions) -> MediaSettings:
        """The same limits under the names of the settings tree (`flashweb.settings`, section media)."""
        return cls(
            max_image_bytes=options.max_upload_size,
            max_raw_bytes=options.max_multipart_size,
            max_image_size=options.max_image_size,
            max_pixels=options.max_image_pixels,
            max_request_pixels=4 * options.max_image_pixels,
            max_images=options.max_images,
            max_aspect_ratio=options.max_aspect_ratio,
            fetch_timeout_seconds=options.fetch_timeout,
            fetch_max_bytes=options.max_fetch_size,
            fetch_max_redirects=options.max_redirects,
            allow_hosts=options.media_allow_hosts,
            num_workers=options.media_workers,
            resize=options.media_resize,
            cache_bytes=options.media_cache_memory,
            named_bytes=options.media_uuid_memory,
            max_document_pages=options.max_document_pages,
            max_document_dpi=options.max_document_dpi,
            document_page_seconds=options.document_page_timeout,
            document_memory_bytes=options.document_memory,
            num_document_workers=options.document_workers,
            document_cache_bytes=options.document_cache_memory,
            max_videos=options.max_videos,
            max_video_bytes=options.max_video_size,
            max_video_seconds=options.max_video_seconds,
            max_video_frames=options.max_video_frames,
            max_video_pixels=options.max_video_pixels,
            max_video_tokens=options.max_video_tokens,
            video_seconds=options.video_timeout,
            video_memory_bytes=options.video_memory,
            num_video_workers=options.video_workers,
            video_cache_bytes=options.video_cache_memory,
        )
