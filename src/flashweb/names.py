"""Which model names are answered: the loaded model's own, what the operator added, and the contract's aliases."""

from __future__ import annotations

import time
from collections.abc import Sequence

from flashweb.errors import ModelNotFound

# The names the product's documents use for GLM-4.6V-Flash; every loaded model answers to them.
ALIASES = ("glm-4.6v-flash", "glm-4v-flash-web", "glm-4.6v-flash-web")


class ModelNames:
    def __init__(self, own: str, further: Sequence[str] = ()) -> None:
        self.own = own
        self.all = tuple(dict.fromkeys((own, *further, *ALIASES)))
        self.created = int(time.time())

    def check(self, asked: str | None) -> str:
        """The name to echo. Raises ModelNotFound for a name nobody here answers to."""
        if asked is None:
            return self.own
        if asked not in self.all:
            raise ModelNotFound(
                f"The model {asked[:100]!r} is not served here; this server answers to {', '.join(self.all)}.",
                param="model",
            )
        return asked
