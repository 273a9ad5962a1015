"""flashweb-nano as it is trained: the Glm4v architecture over packed rows, with an auxiliary reading head.

All pictures of a step lie end to end in one row of patches, all conversations in one row of tokens; offsets say where
each begins. Every shape is therefore the same at every step, whatever the pictures' sizes, which is what lets a whole
training step be one captured CUDA graph. Knows nothing of data, tokenizer or optimiser. Why it is not the serving
model: docs/decisions/0001-training-network.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.page import NUM_CELLS

PATCH = 14
MERGE = 2
POSITION_SIDE = 24  # the position table is 24 x 24 patches (image_size 336)
EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the model. Defaults are the shipped flashweb-nano: 15.5 M parameters, 31 MB in bf16."""

    vocab_size: int = 4480
    hidden: int = 384
    layers: int = 5
    heads: int = 6
    kv_heads: int = 2
    mlp: int = 576
    vision_hidden: int = 384
    vision_layers: int = 6
    merger_mlp: int = 768
    rope_theta: float = 10000.0
    partial_rotary: float = 0.5
    mrope_section: tuple[int, int, int] = (4, 6, 6)
    max_positions: int = 4096

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads

    @property
    def vision_heads(self) -> int:
        return self.vision_hidden // 64


@dataclass(slots=True)
class Packed:
    """One step's input on the device. P patches in merge-block order, V = P/4 visual tokens, T text tokens.

    `patches` [P, 588] normalised pixels (C, 14, 14); `patch_yx`, `patch_grid` [P, 2] place and picture size in patches;
    `vision_offsets` [S+1], `text_offsets` [R+1] int32; `tokens` [T]; `positions` [3, T]; `image_slots` [V] where each
    visual token goes in the text row; `label_slots`, `labels`, `label_weights` [L]; `glyph_token`, `glyph_cell`,
    `glyph_label`, `glyph_weights` [A] for the reading head. Weights of 0 mark padding.
    """

    patches: Tensor
    patch_yx: Tensor
    patch_grid: Tensor
    vision_offsets: Tensor
    tokens: Tensor
    positions: Tensor
    text_offsets: Tensor
    image_slots: Tensor
    label_slots: Tensor
    labels: Tensor
    label_weights: Tensor
    glyph_token: Tensor
    glyph_cell: Tensor
    glyph_label: Tensor
    glyph_weights: Tensor
    max_patches: int
    max_tokens: int


class RMSNorm(nn.Module):
    def __init__(self, width: int, start: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + EPS)
        return (self.weight * y).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, longest: int, causal: bool) -> Tensor:
    """Attention within each segment; q, k, v [N, heads, 64] packed, `offsets` [segments + 1] int32."""
    if q.is_cuda:
        from torch.nn.attention.varlen import varlen_attn

        # torch 2.11 says is_causal, later versions window_size
        if "is_causal" in _varlen_parameters():
            return varlen_attn(q, k, v, offsets, offsets, longest, longest, is_causal=causal)
        return varlen_attn(q, k, v, offsets, offsets, longest, longest, window_size=(-1, 0) if causal else (-1, -1))
    bounds = offsets.tolist()
    pieces = []
    for begin, end in zip(bounds[:-1], bounds[1:], strict=True):
        if end > begin:
            part = [t[begin:end].transpose(0, 1).unsqueeze(0) for t in (q, k, v)]
            pieces.append(F.scaled_dot_product_attention(*part, is_causal=causal)[0].transpose(0, 1))
    return torch.cat(pieces)


def _varlen_parameters() -> tuple[str, ...]:
    import inspect

    from torch.nn.attention.varlen import varlen_attn

    return tuple(inspect.signature(varlen_attn).parameters)


class VisionBlock(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.vision_hidden
        self.heads = shape.vision_heads
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * shape.hidden, bias=False)  # Glm4v: block MLP width is out_hidden_size
        self.down = nn.Linear(shape.hidden, width, bias=False)

    def before(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v of [N, heads, 64], rotated over all dims in half-split pairs."""
        q, k, v = self.qkv(self.norm1(x)).view(x.shape[0], 3, self.heads, -1).unbind(1)
        return rotate_halves(q, cos, sin), rotate_halves(k, cos, sin), v.contiguous()

    def after(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.proj(attended.reshape(x.shape[0], -1))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class TextBlock(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = shape.heads, shape.kv_heads, shape.head_dim
        q_width, kv_width = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.input_norm, self.mlp_norm = RMSNorm(shape.hidden), RMSNorm(shape.hidden)
        self.attention_out_norm, self.mlp_out_norm = RMSNorm(shape.hidden), RMSNorm(shape.hidden)
        self.q = nn.Linear(shape.hidden, q_width)
        self.k = nn.Linear(shape.hidden, kv_width)
        self.v = nn.Linear(shape.hidden, kv_width)
        self.o = nn.Linear(q_width, shape.hidden, bias=False)
        self.gate_up = nn.Linear(shape.hidden, 2 * shape.mlp, bias=False)
        self.down = nn.Linear(shape.mlp, shape.hidden, bias=False)

    def before(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v of [T, heads, head_dim]; keys and values repeated so that each query head has its own."""
        n, y = x.shape[0], self.input_norm(x)
        q = rotate_pairs(self.q(y).view(n, self.heads, -1), cos, sin)
        k = rotate_pairs(self.k(y).view(n, self.kv_heads, -1), cos, sin)
        repeats = self.heads // self.kv_heads
        v = self.v(y).view(n, self.kv_heads, -1)
        return q, k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)

    def after(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.attention_out_norm(self.o(attended.reshape(x.shape[0], -1)))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, -1)
        return x + self.mlp_out_norm(self.down(F.silu(gate) * up))


class Merger(nn.Module):
    """Four patches to one text-wide token: 2 x 2 convolution, projection, LayerNorm, GELU, SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.downsample = nn.Linear(4 * shape.vision_hidden, shape.hidden)
        self.proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.norm = nn.LayerNorm(shape.hidden, eps=EPS)
        self.gate_up = nn.Linear(shape.hidden, 2 * shape.merger_mlp, bias=False)
        self.down = nn.Linear(shape.merger_mlp, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.proj(self.downsample(x.reshape(x.shape[0] // 4, -1)))
        gate, up = self.gate_up(F.gelu(self.norm(y.float())).to(y.dtype)).chunk(2, -1)
        return self.down(F.silu(gate) * up)


class ReadingHead(nn.Module):
    """Names the character at a place inside a visual token, or the thing or colour there; in training only, never
    exported.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(NUM_CELLS, shape.hidden) * 0.5)
        self.inner = nn.Linear(shape.hidden, shape.hidden)
        self.outer = nn.Linear(shape.hidden, shape.hidden)

    def forward(self, visual: Tensor, token: Tensor, cell: Tensor) -> Tensor:
        x = visual.index_select(0, token).float()
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) + self.places[cell]
        return self.outer(F.gelu(self.inner(x)))


class Network(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.vision_hidden
        self.patch = nn.Linear(3 * PATCH * PATCH, width)  # the two equal time slices already summed
        self.position = nn.Parameter(torch.randn(POSITION_SIDE * POSITION_SIDE, width) * 0.02)
        self.after_patch, self.after_blocks = RMSNorm(width), RMSNorm(width)
        self.vision = nn.ModuleList(VisionBlock(shape) for _ in range(shape.vision_layers))
        self.merger = Merger(shape)
        self.embedding = nn.Embedding(shape.vocab_size, shape.hidden)
        self.text = nn.ModuleList(TextBlock(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.hidden)
        self.reading = ReadingHead(shape)
        self.register_buffer("vision_frequencies", frequencies(32, 10000.0), persistent=False)
        rotary = int(shape.head_dim * shape.partial_rotary)
        self.register_buffer("text_frequencies", frequencies(rotary, shape.rope_theta), persistent=False)
        self.register_buffer("interpolation", interpolation_table(), persistent=False)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Start so that word embeddings and visual tokens have equal size and every logit is about 1.

        The residual stream is 0.1 wide (tied head: logits = norm weight 0.5 x embedding), visual tokens leave the
        merger at about the same width, and branch-closing norms start at 0.4 of it.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02 * math.sqrt(512 / module.in_features))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in self.vision:
            block.proj.weight.mul_(0.35)
            block.down.weight.mul_(0.35)
        for block in self.text:
            block.attention_out_norm.weight.fill_(0.04)
            block.mlp_out_norm.weight.fill_(0.04)
        self.merger.gate_up.weight.mul_(3.0)
        self.merger.down.weight.mul_(1.0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.norm.weight.fill_(0.5)

    def embed_patches(self, patches: Tensor, yx: Tensor, grid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embedded patches [P, vision_hidden] with cos and sin [P, 32] of their places (rows, then columns).

        The bicubic samples of the position table are two small products instead of a gather of 16 taps.
        """
        x = self.after_patch(self.patch(patches))
        wy, wx = self.interpolation[grid[:, 0], yx[:, 0]], self.interpolation[grid[:, 1], yx[:, 1]]
        x = x + ((wy[:, :, None] * wx[:, None, :]).flatten(1) @ self.position).to(x.dtype)
        angles = (yx[:, :, None].float() * self.vision_frequencies).flatten(1)
        return x, angles.cos(), angles.sin()

    def merge(self, x: Tensor) -> Tensor:
        return self.merger(self.after_blocks(x))

    def embed_text(
        self, tokens: Tensor, positions: Tensor, slots: Tensor, visual: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Token embeddings with visual tokens in their slots [T, hidden]; cos and sin [T, rotary / 2].

        Visual tokens of padding have slots from T on and fall away.
        """
        x = self.embedding.weight.index_select(0, tokens).to(visual.dtype)
        x = torch.cat((x, torch.zeros_like(visual))).index_copy(0, slots, visual)[: tokens.shape[0]]
        angles = positions[:, :, None].float() * self.text_frequencies  # [3, T, rotary / 2]
        parts = angles.split(list(self.shape.mrope_section), -1)
        angles = torch.cat([part[axis] for axis, part in enumerate(parts)], -1)
        return x, angles.cos(), angles.sin()

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.embedding.weight.to(hidden.dtype))

    def answer_loss(self, x: Tensor, slots: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        return cross_entropy(self.logits(self.norm(x.index_select(0, slots))), labels, weights)

    def reading_loss(self, visual: Tensor, token: Tensor, cell: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        return cross_entropy(self.logits(self.reading(visual, token, cell) * self.norm.weight), labels, weights)

    def encode(self, batch: Packed, ops: Ops) -> Tensor:
        """Visual tokens [V, hidden]."""
        x, cos, sin = ops.embed_patches(self, batch.patches, batch.patch_yx, batch.patch_grid)
        for block in self.vision:
            q, k, v = ops.vision_before(block, x, cos, sin)
            x = ops.vision_after(block, x, attend(q, k, v, batch.vision_offsets, batch.max_patches, causal=False))
        return ops.merge(self, x)  # type: ignore[no-any-return]

    def decode(self, batch: Packed, visual: Tensor, ops: Ops) -> Tensor:
        """Hidden states [T, hidden] before the last norm."""
        x, cos, sin = ops.embed_text(self, batch.tokens, batch.positions, batch.image_slots, visual)
        for block in self.text:
            q, k, v = ops.text_before(block, x, cos, sin)
            x = ops.text_after(block, x, attend(q, k, v, batch.text_offsets, batch.max_tokens, causal=True))
        return x

    def forward(self, batch: Packed, ops: Ops | None = None) -> tuple[Tensor, Tensor]:
        """(answer loss, reading loss), each a mean over its weighted items."""
        ops = ops or PLAIN
        visual = self.encode(batch, ops)
        x = self.decode(batch, visual, ops)
        answer = ops.answer_loss(self, x, batch.label_slots, batch.labels, batch.label_weights)
        reading = ops.reading_loss(
            self, visual, batch.glyph_token, batch.glyph_cell, batch.glyph_label, batch.glyph_weights
        )
        return answer, reading


@dataclass(frozen=True, slots=True)
class Ops:
    """The parts between attentions, plain or compiled; attention itself is a library kernel either way."""

    embed_patches: Callable[..., Any] = Network.embed_patches
    vision_before: Callable[..., Any] = VisionBlock.before
    vision_after: Callable[..., Any] = VisionBlock.after
    merge: Callable[..., Any] = Network.merge
    embed_text: Callable[..., Any] = Network.embed_text
    text_before: Callable[..., Any] = TextBlock.before
    text_after: Callable[..., Any] = TextBlock.after
    answer_loss: Callable[..., Any] = Network.answer_loss
    reading_loss: Callable[..., Any] = Network.reading_loss


PLAIN = Ops()


def compiled_ops() -> Ops:
    """Every part compiled for fixed shapes; one compilation serves all blocks of a kind."""
    return Ops(**{f.name: torch.compile(getattr(PLAIN, f.name), dynamic=False) for f in fields(Ops)})


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    losses = F.cross_entropy(logits.float(), labels, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp_min(1.0)


def frequencies(width: int, theta: float) -> Tensor:
    return 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.float32) / width)


def rotate_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Vision RoPE: dim d pairs with d + 32; x [N, heads, 64], cos and sin [N, 32]."""
    first, second = x.float().chunk(2, -1)
    c, s = cos[:, None], sin[:, None]
    return torch.cat((first * c - second * s, second * c + first * s), -1).to(x.dtype)


def rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Text RoPE: dims 2j and 2j + 1 of the first part rotate, the rest passes; cos and sin [T, rotary / 2]."""
    rotary = 2 * cos.shape[-1]
    turning, still = x[..., :rotary].float(), x[..., rotary:]
    even, odd = turning[..., 0::2], turning[..., 1::2]
    c, s = cos[:, None], sin[:, None]
    turned = torch.stack((even * c - odd * s, odd * c + even * s), -1).flatten(-2)
    return torch.cat((turned.to(x.dtype), still), -1)


def interpolation_table(largest: int = 96) -> Tensor:
    """[grid, place, 24]: weights of the 24 table rows for patch `place` of a picture `grid` patches long.

    Bicubic with a = -0.75, align_corners=False, border padding: the rule of Glm4v's `grid_sample`.
    """
    table = torch.zeros(largest + 1, largest, POSITION_SIDE)
    for grid in range(1, largest + 1):
        where = (torch.arange(grid, dtype=torch.float64) + 0.5) / grid * POSITION_SIDE - 0.5
        base = where.floor()
        for tap in range(-1, 3):
            distance = (where - (base + tap)).abs()
            near = 1.25 * distance**3 - 2.25 * distance**2 + 1
            far = -0.75 * (distance**3 - 5 * distance**2 + 8 * distance - 4)
            weight = torch.where(distance <= 1, near, far).float()
            index = (base + tap).clamp(0, POSITION_SIDE - 1).long()
            table[grid, torch.arange(grid)] += F.one_hot(index, POSITION_SIDE) * weight[:, None]
    return table


# --- the checkpoint's names ---------------------------------------------------------------------------------------


def to_checkpoint(state: Mapping[str, Tensor], shape: Shape) -> dict[str, Tensor]:
    """The weights under their Glm4v names and shapes (the head is tied, so it is not stored)."""
    width, out = shape.vision_hidden, {}
    half = state["patch.weight"].view(width, 3, 1, PATCH, PATCH) / 2  # a still picture is the same frame twice
    visual = "model.visual."
    out[visual + "patch_embed.proj.weight"] = half.expand(-1, -1, 2, -1, -1).contiguous()
    out[visual + "patch_embed.proj.bias"] = state["patch.bias"]
    out[visual + "embeddings.position_embedding.weight"] = state["position"]
    out[visual + "post_conv_layernorm.weight"] = state["after_patch.weight"]
    out[visual + "post_layernorm.weight"] = state["after_blocks.weight"]
    for i in range(shape.vision_layers):
        ours, theirs = f"vision.{i}.", f"{visual}blocks.{i}."
        gate, up = state[ours + "gate_up.weight"].chunk(2)
        for norm in ("norm1.weight", "norm2.weight"):
            out[theirs + norm] = state[ours + norm]
        for linear in ("qkv.weight", "proj.weight"):
            out[theirs + "attn." + linear] = state[ours + linear]
        out[theirs + "mlp.gate_proj.weight"], out[theirs + "mlp.up_proj.weight"] = gate, up
        out[theirs + "mlp.down_proj.weight"] = state[ours + "down.weight"]
    down = state["merger.downsample.weight"].view(shape.hidden, MERGE, MERGE, width).permute(0, 3, 1, 2)
    gate, up = state["merger.gate_up.weight"].chunk(2)
    out[visual + "downsample.weight"], out[visual + "downsample.bias"] = down, state["merger.downsample.bias"]
    out[visual + "merger.proj.weight"] = state["merger.proj.weight"]
    out[visual + "merger.post_projection_norm.weight"] = state["merger.norm.weight"]
    out[visual + "merger.post_projection_norm.bias"] = state["merger.norm.bias"]
    out[visual + "merger.gate_proj.weight"], out[visual + "merger.up_proj.weight"] = gate, up
    out[visual + "merger.down_proj.weight"] = state["merger.down.weight"]
    language = "model.language_model."
    out[language + "embed_tokens.weight"] = state["embedding.weight"]
    out[language + "norm.weight"] = state["norm.weight"]
    for i in range(shape.layers):
        ours, theirs = f"text.{i}.", f"{language}layers.{i}."
        for name, target in TEXT_NAMES.items():
            out[theirs + target] = state[ours + name]
    return {name: tensor.contiguous() for name, tensor in out.items()}


TEXT_NAMES: dict[str, str] = {
    "input_norm.weight": "input_layernorm.weight",
    "attention_out_norm.weight": "post_self_attn_layernorm.weight",
    "mlp_norm.weight": "post_attention_layernorm.weight",
    "mlp_out_norm.weight": "post_mlp_layernorm.weight",
    **{f"{n}.weight": f"self_attn.{n}_proj.weight" for n in "qkvo"},
    **{f"{n}.bias": f"self_attn.{n}_proj.bias" for n in "qkv"},
    "gate_up.weight": "mlp.gate_up_proj.weight",
    "down.weight": "mlp.down_proj.weight",
}


def from_checkpoint(tensors: Mapping[str, Tensor], shape: Shape) -> dict[str, Tensor]:
    """The inverse of `to_checkpoint`, for starting from existing weights (the reading head is not among them)."""
    t = {name: tensor.float() for name, tensor in tensors.items()}
    visual, language = "model.visual.", "model.language_model."
    state = {
        "patch.weight": t[visual + "patch_embed.proj.weight"].sum(2).flatten(1),
        "patch.bias": t[visual + "patch_embed.proj.bias"],
        "position": t[visual + "embeddings.position_embedding.weight"],
        "after_patch.weight": t[visual + "post_conv_layernorm.weight"],
        "after_blocks.weight": t[visual + "post_layernorm.weight"],
        "merger.downsample.weight": t[visual + "downsample.weight"].permute(0, 2, 3, 1).flatten(1),
        "merger.downsample.bias": t[visual + "downsample.bias"],
        "merger.proj.weight": t[visual + "merger.proj.weight"],
        "merger.norm.weight": t[visual + "merger.post_projection_norm.weight"],
        "merger.norm.bias": t[visual + "merger.post_projection_norm.bias"],
        "merger.gate_up.weight": torch.cat([t[visual + f"merger.{n}_proj.weight"] for n in ("gate", "up")]),
        "merger.down.weight": t[visual + "merger.down_proj.weight"],
        "embedding.weight": t[language + "embed_tokens.weight"],
        "norm.weight": t[language + "norm.weight"],
    }
    for i in range(shape.vision_layers):
        ours, theirs = f"vision.{i}.", f"{visual}blocks.{i}."
        for norm in ("norm1.weight", "norm2.weight"):
            state[ours + norm] = t[theirs + norm]
        for linear in ("qkv.weight", "proj.weight"):
            state[ours + linear] = t[theirs + "attn." + linear]
        state[ours + "gate_up.weight"] = torch.cat([t[f"{theirs}mlp.{n}_proj.weight"] for n in ("gate", "up")])
        state[ours + "down.weight"] = t[theirs + "mlp.down_proj.weight"]
    for i in range(shape.layers):
        for name, target in TEXT_NAMES.items():
            state[f"text.{i}.{name}"] = t[f"{language}layers.{i}.{target}"]
    return state


def checkpoint_config(shape: Shape, ids: Mapping[str, int]) -> dict[str, Any]:
    """`config.json`; `ids` are the added tokens by name."""
    ends = [ids["<|endoftext|>"], ids["<|user|>"], ids["<|observation|>"]]
    return {
        "architectures": ["Glm4vForConditionalGeneration"],
        "model_type": "glm4v",
        "dtype": "bfloat16",
        "image_start_token_id": ids["<|begin_of_image|>"],
        "image_end_token_id": ids["<|end_of_image|>"],
        "video_start_token_id": ids["<|begin_of_video|>"],
        "video_end_token_id": ids["<|end_of_video|>"],
        "image_token_id": ids["<|image|>"],
        "video_token_id": ids["<|video|>"],
        "tie_word_embeddings": True,
        "text_config": {
            "model_type": "glm4v_text",
            "dtype": "bfloat16",
            "attention_bias": True,
            "attention_dropout": 0.0,
            "pad_token_id": ids["<|endoftext|>"],
            "eos_token_id": ends,
            "hidden_act": "silu",
            "hidden_size": shape.hidden,
            "initializer_range": 0.02,
            "intermediate_size": shape.mlp,
            "max_position_embeddings": shape.max_positions,
            "num_attention_heads": shape.heads,
            "num_hidden_layers": shape.layers,
            "num_key_value_heads": shape.kv_heads,
            "rms_norm_eps": EPS,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": shape.rope_theta,
                "partial_rotary_factor": shape.partial_rotary,
                "mrope_section": list(shape.mrope_section),
            },
            "tie_word_embeddings": True,
            "use_cache": True,
            "vocab_size": shape.vocab_size,
        },
        "vision_config": {
            "model_type": "glm4v_vision",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "depth": shape.vision_layers,
            "hidden_act": "silu",
            "hidden_dropout_prob": 0.0,
            "hidden_size": shape.vision_hidden,
            "image_size": POSITION_SIDE * PATCH,
            "in_channels": 3,
            "initializer_range": 0.02,
            "intermediate_size": shape.merger_mlp,
            "num_heads": shape.vision_heads,
            "out_hidden_size": shape.hidden,
            "patch_size": PATCH,
            "rms_norm_eps": EPS,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
        },
    }
