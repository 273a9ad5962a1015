"""`MediaSettings`: pictures, documents and clips: how large, how many, from where."""

from __future__ import annotations

from typing import Literal

from flashweb.settings.section import Section, Size, option


class MediaSettings(Section):
    """Pictures: how large, how many, from where."""

    max_upload_size: Size = option(10 << 20, "largest picture in a JSON body, decoded", unit="bytes", ge=1024)
    max_multipart_size: Size = option(32 << 20, "largest picture in a multipart form", unit="bytes", ge=1024)
    max_image_size: int = option(
        2048,
        "longest side the model sees; larger pictures are scaled down, never refused; 0 leaves the model's own limit",
        unit="pixels",
        ge=0,
    )
    max_image_pixels: int = option(
        50_000_000, "pictures with more pixels than this are refused before decoding", unit="pixels", ge=1
    )
    max_aspect_ratio: float = option(200.0, "pictures longer than this times their width are refused", ge=1)
    max_images: int = option(16, "pictures in one request", ge=0)
    media_allow_hosts: tuple[str, ...] = option(
        (),
        "hosts whose private or loopback addresses image_url may name, and webhooks, these over http too, as a comma "
        "list of host or host:port",
    )
    fetch_timeout: float = option(10.0, "whole time a remote picture may take", unit="seconds", gt=0)
    max_fetch_size: Size = option(20 << 20, "largest remote picture", unit="bytes", ge=1024)
    max_redirects: int = option(3, "redirects followed for a remote picture, each checked anew", ge=0)
    media_workers: int = option(
        0, "pictures that are decoded and resized at the same time; 0 means by the number of cores", ge=0, le=256
    )
    media_resize: Literal["exact", "fast"] = option(
        "exact", "exact gives the reference's pixels; fast is within 2 of 255 levels, in processes of 220 MB each"
    )
    media_cache_memory: Size = option(
        128 << 20, "memory for recent pictures, decoded and resized; 0 prepares every one anew", unit="bytes", ge=0
    )
    media_uuid_memory: Size = option(
        64 << 20, "memory for pictures that callers sent with a uuid; 0 keeps none", unit="bytes", ge=0
    )
    max_document_pages: int = option(50, "pages of PDF documents in one request", ge=0)
    max_document_dpi: int = option(200, "finest drawing of a page that a request may ask for", ge=36, le=1200)
    document_page_timeout: float = option(10.0, "time that one page of a PDF may take to draw", unit="seconds", gt=0)
    document_memory: Size = option(
        1 << 30, "memory that a process which draws PDF pages may take for them", unit="bytes", ge=64 << 20
    )
    document_workers: int = option(
        0, "PDF pages that are drawn at the same time, each in a process; 0 means by the number of cores", ge=0, le=64
    )
    document_cache_memory: Size = option(
        128 << 20, "memory for recently drawn pages of PDF documents; 0 draws every one anew", unit="bytes", ge=0
    )
    max_videos: int = option(4, "clips in one request", ge=0)
    max_video_size: Size = option(32 << 20, "largest clip, however it comes", unit="bytes", ge=1024)
    max_video_seconds: float = option(300.0, "longest clip", unit="seconds", gt=0)
    max_video_frames: int = option(18_000, "frames that a clip's file may hold; far fewer are looked at", ge=2)
    max_video_pixels: int = option(9_000_000, "pixels of a clip's frames", unit="pixels", ge=1)
    max_video_tokens: int = option(70_000, "tokens that the clips of one request may become", unit="tokens", ge=1)
    video_timeout: float = option(30.0, "time that reading one clip may take", unit="seconds", gt=0)
    video_memory: Size = option(
        1 << 30, "memory that a process which decodes clips may take for them", unit="bytes", ge=64 << 20
    )
    video_workers: int = option(
        0, "clips that are decoded at the same time, each in a process; 0 means by the number of cores", ge=0, le=64
    )
    video_cache_memory: Size = option(
        128 << 20, "memory for recent clips, decoded and resized; 0 decodes every one anew", unit="bytes", ge=0
    )
