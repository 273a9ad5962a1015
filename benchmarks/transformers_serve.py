"""Starts `transformers serve`, the peer of serve_ratio.py, on a GLM-4V checkpoint without torchvision.

As installed it refuses this model, because its processor insists on a video part that needs torchvision. This gives
it a processor with the image part alone; nothing else of the server is changed.
"""

from __future__ import annotations

import sys
from typing import Any

import transformers
from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil
from transformers.models.glm4v.processing_glm4v import Glm4vProcessor


class Glm4vImageOnlyProcessor(Glm4vProcessor):  # type: ignore[misc]
    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        return type(None) if argument is None else super().check_argument_for_proper_class(argument_name, argument)


# The processor's saved configuration and its messages go by the class name.
Glm4vImageOnlyProcessor.__name__ = "Glm4vProcessor"


def load_processor(folder: str, **_: Any) -> Glm4vImageOnlyProcessor:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    images = Glm4vImageProcessorPil.from_pretrained(folder)
    return Glm4vImageOnlyProcessor(images, tokenizer, None, chat_template=tokenizer.chat_template)


if __name__ == "__main__":
    from transformers.cli.transformers import main

    transformers.AutoProcessor.from_pretrained = staticmethod(load_processor)
    sys.argv[0] = "transformers"
    main()
