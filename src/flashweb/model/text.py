"""The text decoder: word embeddings, layers with four norms each, rotary positions on three axes, the head.

Formulas: fact sheet 1.1 and 1.2. Knows nothing of files, pictures' pixels or requests.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flashweb.model.attention import AttentionPlan, KVCache, attend
from flashweb.model.config import TextConfig
from flashweb.model.formats import WeightFormat
from flashweb.model.inputs import ForwardInputs
from flashweb.model.layers import Feed, Matrix, RmsNorm, fused_kernels
from flashweb.model.quant_cuda import QuantisedWeight
from flashweb.model.rope import axis_of_frequency, inverse_frequencies, rotate_, text_rotation
from flashweb.model.weights import Weights


class TextDecoder:
    def __init__(self, config: TextConfig, weights: Weights, form: WeightFormat, device: torch.device) -> None:
        self.config = config
        self.format = form
        self.fused = fused_kernels(device.type)
        feed = form.feed(self.fused)
        # The largest two first: while they are quantised, memory is otherwise still empty.
        self.embedding = form.embedding(weights.take("embed_tokens.weight"))
        tied = not weights.has("lm_head.weight")
        self.head = form.head(self.embedding.table if tied else weights.take_matrix("lm_head.weight", form.keeps), None)
        self.layers = [TextLayer(config, weights, f"layers.{i}.", form, feed) for i in range(config.num_layers)]
        self.norm = RmsNorm(weights.take("norm.weight"), config.rms_norm_eps)
        self.frequencies = inverse_frequencies(config.rotary_dim, config.rope_theta).to(device)
        self.axes = axis_of_frequency(config.mrope_section).to(device)

    @property
    def matrices(self) -> list[Matrix]:
        """What is kept: all linear maps and the embedding; the head only where it has numbers of its own."""
        kept: list[Matrix] = [linear for layer in self.layers for linear in layer.linears]
        shared = getattr(self.head, "weight", None) is self.embedding.table
        return [*kept, self.embedding] if shared else [*kept, self.embedding, self.head]

    def forward(self, inputs: ForwardInputs, cache: KVCache) -> Tensor:
        """[N, hidden] before the final norm; only the rows named by `inputs.last_rows` are meaningful."""
        if self.fused is not None:
            from flashweb.model import fused_layers  # Triton: only where a CUDA device is used

            return fused_layers.forward(self, inputs, cache)
        x = self.embed(inputs)
        rotation = text_rotation(inputs.positions, self.frequencies, self.axes, x.dtype)
        plan = AttentionPlan.of(inputs, cache)
        for i, layer in enumerate(self.layers[:-1]):
            x = layer.transform(x, layer.attend(x, rotation, plan, i))
        last = self.layers[-1]
        attended = last.attend(x, rotation, plan, len(self.layers) - 1)
        plan.done()
        rows = inputs.last_rows
        if rows.shape[0] == x.shape[0]:
            return last.transform(x, attended)
        # Nothing reads the last layer's other rows: its keys and values are stored, the rest is not computed.
        hidden = torch.zeros_like(x)
        if rows.shape[0]:
            hidden.index_copy_(0, rows, last.transform(x.index_select(0, rows), attended.index_select(0, rows)))
        return hidden

    def embed(self, inputs: ForwardInputs) -> Tensor:
        """[N, hidden]: the words' embeddings, and the pictures' features in their places."""
        x = self.embedding(inputs.token_ids)
        if inputs.image_features is not None:
            assert inputs.image_rows is not None, "image_features without image_rows"
            x.index_copy_(0, inputs.image_rows, inputs.image_features.to(x.dtype))
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """[rows, hidden] as `forward` returns them -> fp32 [rows, vocab]."""
        return self.head(self.norm(hidden)).float()


class TextLayer:
    """x += norm(attention(norm(x))); x += norm(mlp(norm(x))). `post_attention_layernorm` is the norm before the MLP."""

    def __init__(self, config: TextConfig, weights: Weights, prefix: str, form: WeightFormat, feed: Feed) -> None:
        def norm(name: str) -> RmsNorm:
            return RmsNorm(weights.take(prefix + name), config.rms_norm_eps)

        def matrix(name: str) -> Tensor | QuantisedWeight:
            return weights.take_matrix(prefix + name, form.keeps)

        self.heads = config.num_heads
        self.rotated_heads = config.num_heads + config.num_kv_heads
        self.shape = (-1, config.num_heads + 2 * config.num_kv_heads, config.head_dim)
        self.before_attention = norm("input_layernorm.weight")
        self.qkv = form.linear(matrix("qkv.weight"), weights.take(prefix + "qkv.bias"))
        self.output = form.linear(matrix("o_proj.weight"), None)
        self.after_attention = norm("post_self_attn_layernorm.weight")
        self.before_mlp = norm("post_attention_layernorm.weight")
        self.gate_up = form.linear(matrix("gate_up.weight"), None)
        self.down = form.linear(matrix("down_proj.weight"), None)
        self.after_mlp = norm("post_mlp_layernorm.weight")
        self.linears = (self.qkv, self.output, self.gate_up, self.down)
        self.feed = feed

    def attend(self, x: Tensor, rotation: Tensor, plan: AttentionPlan, index: int) -> Tensor:
        """Mixes over the context: [N, hidden] -> [N, heads * head_dim]."""
        product = self.qkv(self.feed.normed(x, self.before_attention))
        qkv = product.view(self.shape)
        rotate_(qkv[:, : self.rotated_heads], rotation)
        return attend(qkv[:, : self.heads], qkv[:, self.heads :], plan, index)

    def transform(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the layer, row by row: [n, hidden], [n, heads * head_dim] -> [n, hidden]."""
        x, rows = self.feed.add_normed(x, self.output(attended), self.after_attention, self.before_mlp)
        return self.after_mlp.add_to(x, self.down(self.feed.gated(self.gate_up(rows))))
