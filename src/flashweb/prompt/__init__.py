"""Prompts: from a chat and its pictures to token ids and positions. `PromptProcessor` is the one way in."""

from flashweb.prompt.processor import GenerationDefaults, PromptProcessor
from flashweb.prompt.tokenizer import Tokenizer

__all__ = ["GenerationDefaults", "PromptProcessor", "Tokenizer"]
