"""Pictures: from what a caller sent to patches of the right size. `MediaLoader` is the one way in."""

from flashweb.media.geometry import ImageGeometry
from flashweb.media.loader import BytesOf, MediaLoader
from flashweb.media.memory import keep_picture_memory
from flashweb.media.settings import MediaSettings

__all__ = ["BytesOf", "ImageGeometry", "MediaLoader", "MediaSettings", "keep_picture_memory"]
