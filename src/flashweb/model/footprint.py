"""What a network takes of a device's memory, reckoned from its config alone: weights by format, KV cache, a step.

The engine measures for itself once the weights are loaded; this is for what must be known before: which format to
load them in, and what `flashweb doctor` tells. Formats: `formats.py`. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping

from flashweb.model.config import ModelConfig, TextConfig

FP8_CAPABILITY = (8, 9)  # Ada, the first with fp8 tensor cores
SCALE_BYTES = 4  # of an int8 or fp8 row, and of a head's key or value in an fp8 cache
GROUP_BYTES = 3  # of an int4 group: scale and zero
GROUP_SIZES = (128, 64, 32)  # columns that share an int4 scale; the first that divides the row is taken
WIDEST_FIRST = ("none", "fp8", "int8", "int4")  # by what they keep of an answer (docs/experiments.md)
SCORES_PER_LOGIT = 40  # bytes a sampler holds of one: raw, penalised, scaled, weights, float64 sums, sorted, masks
PLAIN_BYTES = 64 << 20  # of int8 and int4 weights made plain at once (`kernels/linear.py`)
SLACK = 1.1  # of a step's tensors: what a reckoning of the largest ones leaves out


def kv_bytes_per_token(config: TextConfig, dtype_bytes: int, kv_cache_dtype: str = "auto") -> int:
    """`kv_cache_dtype`: "auto", the network's own numbers; "fp8", a byte each and a scale a head (`fp8_cache.py`)."""
    head = config.head_dim + SCALE_BYTES if kv_cache_dtype == "fp8" else config.head_dim * dtype_bytes
    return 2 * config.num_layers * config.num_kv_heads * head


def weight_bytes(
    config: ModelConfig, num_parameters: int, dtype_bytes: int, quantization: str, *, on_cpu: bool = False
) -> int:
    """Bytes of all weights on the device. `num_parameters`: all values of the checkpoint; `quantization`: a name of
    WIDEST_FIRST. On a CPU a tied head keeps a copy of its own (fp32 and int8)."""
    layers, table = _layer_matrices(config.text), (config.text.vocab_size, config.text.hidden_size)
    copies_head = on_cpu and config.tie_word_embeddings and dtype_bytes == 4
    heads = 0 if config.tie_word_embeddings and not copies_head else 1
    quantised = layers + [table] * heads
    if not on_cpu and quantization != "none":
        quantised += [table]  # the embedding
    values = sum(rows * columns for rows, columns in quantised)
    plain = num_parameters + (table[0] * table[1] if copies_head else 0) - values
    of_tables = "int8" if quantization == "fp8" else quantization
    kept = sum(_matrix_bytes(*shape, dtype_bytes, quantization, on_cpu) for shape in layers)
    kept += sum(_matrix_bytes(*shape, dtype_bytes, of_tables, on_cpu) for shape in quantised[len(layers) :])
    return plain * dtype_bytes + kept


def step_bytes(
    config: ModelConfig, dtype_bytes: int, *, num_tokens: int, num_patches: int, max_num_seqs: int, quantization: str
) -> int:
    """The most that a step holds besides weights and cache: the largest layer's tensors of the tower or of the
    decoder, whichever is more, and the scores of a full house."""
    text, vision = config.text, config.vision
    tower = num_patches * (4 * vision.hidden_size + 3 * vision.out_hidden_size)
    decoder = num_tokens * (4 * text.hidden_size + 3 * text.intermediate_size)
    made_plain = PLAIN_BYTES if quantization in ("int8", "int4") else 0
    scores = SCORES_PER_LOGIT * max_num_seqs * text.vocab_size
    return round(SLACK * dtype_bytes * max(tower, decoder)) + made_plain + scores


def graph_bytes(config: TextConfig, dtype_bytes: int, *, num_tokens: int, max_num_seqs: int) -> int:
    """What captured steps keep for themselves: the decoder's largest tensors for so many tokens (smaller graphs share
    them) and the logits of a full house, plain and in fp32."""
    layer = num_tokens * (4 * config.hidden_size + 3 * config.intermediate_size)
    return round(SLACK * dtype_bytes * layer) + (dtype_bytes + 4) * max_num_seqs * config.vocab_size


def _layer_matrices(text: TextConfig) -> list[tuple[int, int]]:
    """(rows, columns) of the matrices of all layers."""
    q, kv = text.num_heads * text.head_dim, text.num_kv_heads * text.head_dim
    hidden, mlp = text.hidden_size, text.intermediate_size
    return [(q + 2 * kv, hidden), (hidden, q), (2 * mlp, hidden), (hidden, mlp)] * text.num_layers


def _matrix_bytes(rows: int, columns: int, dtype_bytes: int, quantization: str, on_cpu: bool) -> int:
    scale_bytes = 0 if on_cpu else SCALE_BYTES * rows  # FBGEMM's are in its own packed form
    by_name: Mapping[str, int] = {
        "none": rows * columns * dtype_bytes,
        "int8": rows * columns + scale_bytes,
        "fp8": rows * columns + scale_bytes,
        "int4": rows * columns // 2 + GROUP_BYTES * rows * -(-columns // _group_size(columns)),
    }
    return by_name[quantization]


def _group_size(columns: int) -> int:
    return next((size for size in GROUP_SIZES if columns % size == 0), GROUP_SIZES[-1])
