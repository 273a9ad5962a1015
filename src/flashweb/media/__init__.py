"""Pictures, documents and clips: from what a caller sent to patches of the right size. `MediaLoader` is the one way in,
after `Documents` has made pictures of pages; `Videos` is that of clips."""

from flashweb.media.documents import Documents
from flashweb.media.geometry import ImageGeometry
from flashweb.media.loader import MediaLoader
from flashweb.media.memory import keep_picture_memory
from flashweb.media.settings import MediaSettings
from flashweb.media.uploaded import BytesOf
from flashweb.media.videos import Videos

__all__ = ["BytesOf", "Documents", "ImageGeometry", "MediaLoader", "MediaSettings", "Videos", "keep_picture_memory"]
