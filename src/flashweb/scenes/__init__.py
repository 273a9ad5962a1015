"""The business scenes: what is asked of a picture and which shape the answer has, one .toml file each."""

from flashweb.scenes.book import BrokenScene, SceneBook
from flashweb.scenes.scene import Scene

__all__ = ["BrokenScene", "Scene", "SceneBook"]
