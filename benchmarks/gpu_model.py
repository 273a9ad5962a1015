"""A checkpoint folder with GLM-4.6V-Flash's real shapes and no weights, for `--load-format dummy`.

Speed does not depend on the weights' values, only on shapes: `CONFIG` holds the published ones. The tokenizer is made
here: one token for each byte and no merges, so that a text of N characters is N tokens in every measurement, fillers up
to the real vocabulary's size, and the bundled model's control tokens, which have the real ones' names and order, under
the real ids.

    .venv/bin/python benchmarks/gpu_model.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from common import NANO

FIRST_CONTROL_ID = 151329  # <|endoftext|>
EOS = [151329, 151336, 151338, 151348]
CONFIG: dict[str, Any] = {
    "architectures": ["Glm4vForConditionalGeneration"],
    "model_type": "glm4v",
    "dtype": "bfloat16",
    "image_start_token_id": 151339,
    "image_end_token_id": 151340,
    "video_start_token_id": 151341,
    "video_end_token_id": 151342,
    "image_token_id": 151363,
    "video_token_id": 151364,
    "tie_word_embeddings": False,
    "text_config": {
        "model_type": "glm4v_text",
        "dtype": "bfloat16",
        "attention_bias": True,
        "attention_dropout": 0.0,
        "pad_token_id": 151329,
        "eos_token_id": EOS,
        "hidden_act": "silu",
        "hidden_size": 4096,
        "initializer_range": 0.02,
        "intermediate_size": 13696,
        "max_position_embeddings": 131072,
        "num_attention_heads": 32,
        "num_hidden_layers": 40,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-05,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 500000.0,
            "partial_rotary_factor": 0.5,
            "mrope_section": [8, 12, 12],
        },
        "use_cache": True,
        "vocab_size": 151552,
    },
    "vision_config": {
        "model_type": "glm4v_vision",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "depth": 24,
        "hidden_act": "silu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": 1536,
        "image_size": 336,
        "in_channels": 3,
        "initializer_range": 0.02,
        "intermediate_size": 13696,
        "num_heads": 12,
        "out_hidden_size": 4096,
        "patch_size": 14,
        "rms_norm_eps": 1e-05,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
# What one question with one picture needs, in this family's form: 5 tokens around the text, 2 around the picture.
TEMPLATE = (
    "[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>\n"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
    "{% if part.type == 'image' or part.type == 'image_url' %}<|begin_of_image|><|image|><|end_of_image|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def write_model(folder: Path) -> Path:
    """Everything a server reads but the weights. Other engines read it too (they want the template twice)."""
    folder.mkdir(parents=True, exist_ok=True)
    processor = json.loads((NANO / "preprocessor_config.json").read_text(encoding="utf-8"))
    processor["size"] = {"shortest_edge": 12544, "longest_edge": 9633792}
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    sampling = {"do_sample": True, "temperature": 0.8, "top_p": 0.6, "top_k": 2}
    documents = {
        "config.json": CONFIG,
        "generation_config.json": {"eos_token_id": EOS, "pad_token_id": FIRST_CONTROL_ID, **sampling},
        "preprocessor_config.json": processor,
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": {**names, "model_max_length": 131072, "chat_template": TEMPLATE},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def tokenizer() -> dict[str, Any]:
    """The bundled model's tokenizer with its words replaced by fillers and its control tokens moved to the real ids."""
    document: dict[str, Any] = json.loads((NANO / "tokenizer.json").read_text(encoding="utf-8"))
    letters = [word for word, id in document["model"]["vocab"].items() if id < 256]
    assert len(letters) == 256 and all(len(letter) == 1 for letter in letters), "one token for each byte comes first"
    vocab = {letter: id for id, letter in enumerate(letters)}
    vocab |= {f"w{id}": id for id in range(256, FIRST_CONTROL_ID)}
    document["model"] |= {"vocab": vocab, "merges": []}
    control = document["added_tokens"]
    shift = FIRST_CONTROL_ID - control[0]["id"]
    real = CONFIG["video_token_id"]  # the last one; the bundled model has pieces of JSON after it
    document["added_tokens"] = [
        {**token, "id": token["id"] + shift} for token in control if token["id"] + shift <= real
    ]
    return document


if __name__ == "__main__":
    print(write_model(Path(sys.argv[1])))
