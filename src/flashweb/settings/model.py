"""`ModelSettings`: which checkpoint, and how its weights are held."""

from __future__ import annotations

from typing import Literal

from flashweb.settings.section import Section, option

BUNDLED_MODEL = "flashweb-nano"


class ModelSettings(Section):
    """Which checkpoint, and how its weights are held."""

    model: str = option(BUNDLED_MODEL, "the bundled model, a hub id such as zai-org/GLM-4.6V-Flash, or a folder")
    served_model_name: tuple[str, ...] = option(
        (), "further names clients may ask for besides the model's own and the built-in aliases, as a comma list"
    )
    revision: str | None = option(None, "branch, tag or commit of a Hugging Face id")
    dtype: Literal["auto", "bfloat16", "float32"] = option("auto", "number format the model computes in")
    load_format: Literal["auto", "dummy"] = option("auto", "dummy fills random weights, for measuring only")
    quantization: Literal["auto", "none", "fp8", "int8", "int4"] = option(
        "auto",
        "hold the decoder's weights in fewer bits; auto: on a GPU the widest format that fits its memory, on a CPU "
        "none; a checkpoint that is quantised already keeps its numbers where they are no wider. int4 and fp8 need a "
        "CUDA GPU (fp8 an Ada or Hopper one); under int8 on a CPU an answer may depend on the requests beside it",
    )
