"""Held-out pictures of the bundled model and the rules by which answers are scored.

The same rules score a training run, `flashweb eval` and the model card. Knows nothing of HTTP, models or drawing.
"""

from flashweb.evaluate.heldout import SETS, Case, load, load_folder
from flashweb.evaluate.scoring import Score, calls_as_text, score, summarise

__all__ = ["SETS", "Case", "Score", "calls_as_text", "load", "load_folder", "score", "summarise"]
