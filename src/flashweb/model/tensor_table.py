"""A checkpoint's tensors: one table of names and shapes.

It maps each of the network's tensors to the checkpoint tensors it is made of, in row order: that is all the renaming
and fusing there is. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from flashweb.model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor as a checkpoint stores it."""

    name: str
    shape: tuple[int, ...]


Table = dict[str, tuple[StoredTensor, ...]]


def tensor_table(config: ModelConfig) -> Table:
    """The network's tensors, each with the checkpoint tensors that make it up from top to bottom."""
    return {**_text_table(config), **_vision_table(config)}


def stored_tensors(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every name a checkpoint of this config must hold, with its shape, and no other."""
    return {part.name: part.shape for parts in tensor_table(config).values() for part in parts}


def num_parameters(config: ModelConfig) -> int:
    return sum(prod(shape) for shape in stored_tensors(config).values())


def _text_table(config: ModelConfig) -> Table:
    text, root = config.text, "model.language_model."
    hidden, q, kv = text.hidden_size, text.num_heads * text.head_dim, text.num_kv_heads * text.head_dim
    table: Table = {
        "text.embed_tokens.weight": (StoredTensor(root + "embed_tokens.weight", (text.vocab_size, hidden)),),
        "text.norm.weight": (StoredTensor(root + "norm.weight", (hidden,)),),
    }
    if not config.tie_word_embeddings:
        table["text.lm_head.weight"] = (StoredTensor("lm_head.weight", (text.vocab_size, hidden)),)
    for i in range(text.num_layers):
        ours, theirs = f"text.layers.{i}.", f"{root}layers.{i}."
        heads = (("q_proj", q), ("k_proj", kv), ("v_proj", kv))
        table[ours + "qkv.weight"] = tuple(
            StoredTensor(f"{theirs}self_attn.{name}.weight", (rows, hidden)) for name, rows in heads
        )
        table[ours + "qkv.bias"] = tuple(
            StoredTensor(f"{theirs}self_attn.{name}.bias", (rows,)) for name, rows in heads
        )
        for name, stored, shape in (
            ("o_proj", "self_attn.o_proj", (hidden, q)),
            ("gate_up", "mlp.gate_up_proj", (2 * text.intermediate_size, hidden)),
            ("down_proj", "mlp.down_proj", (hidden, text.intermediate_size)),
            ("input_layernorm", "input_layernorm", (hidden,)),
            ("post_self_attn_layernorm", "post_self_attn_layernorm", (hidden,)),
            ("post_attention_layernorm", "post_attention_layernorm", (hidden,)),
            ("post_mlp_layernorm", "post_mlp_layernorm", (hidden,)),
        ):
            table[f"{ours}{name}.weight"] = (StoredTensor(f"{theirs}{stored}.weight", shape),)
    return table


def _vision_table(config: ModelConfig) -> Table:
    vision, root = config.vision, "model.visual."
    hidden, out, merger = vision.hidden_size, vision.out_hidden_size, vision.intermediate_size
    kernel = (hidden, vision.in_channels, vision.temporal_patch_size, vision.patch_size, vision.patch_size)
    merge = vision.spatial_merge_size
    table: Table = {}

    def add(name: str, *parts: tuple[str, tuple[int, ...]]) -> None:
        table["vision." + name] = tuple(StoredTensor(root + stored, shape) for stored, shape in parts)

    add("patch_embed.weight", ("patch_embed.proj.weight", kernel))
    add("patch_embed.bias", ("patch_embed.proj.bias", (hidden,)))
    add("position_embedding.weight", ("embeddings.position_embedding.weight", (vision.table_side**2, hidden)))
    for name in ("post_conv_layernorm.weight", "post_layernorm.weight"):
        add(name, (name, (hidden,)))
    for i in range(vision.depth):
        block = f"blocks.{i}."
        for name, shape in (
            ("norm1.weight", (hidden,)),
            ("attn.qkv.weight", (3 * hidden, hidden)),
            ("attn.proj.weight", (hidden, hidden)),
            ("norm2.weight", (hidden,)),
            ("mlp.down_proj.weight", (hidden, out)),
        ):
            add(block + name, (block + name, shape))
        gate, up = (block + f"mlp.{half}_proj.weight" for half in ("gate", "up"))
        add(block + "gate_up.weight", (gate, (out, hidden)), (up, (out, hidden)))
    add("downsample.weight", ("downsample.weight", (out, hidden, merge, merge)))
    add("downsample.bias", ("downsample.bias", (out,)))
    add("merger.proj.weight", ("merger.proj.weight", (out, out)))
    for name in ("merger.post_projection_norm.weight", "merger.post_projection_norm.bias"):
        add(name, (name, (out,)))
    gate, up = (f"merger.{half}_proj.weight" for half in ("gate", "up"))
    add("merger.gate_up.weight", (gate, (merger, out)), (up, (merger, out)))
    add("merger.down_proj.weight", ("merger.down_proj.weight", (out, merger)))
    return table
