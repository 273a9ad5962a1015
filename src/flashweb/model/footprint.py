"""What a network takes of a device's memory, reckoned from its config alone: weights by format, KV cache, a step.

The engine measures for itself once the weights are loaded; this is for what must be known before: which format to
load them in, and what `flashweb doctor` tells. Formats: `formats.py`. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flashweb.model.config import ModelConfig, TextConfig
from flashweb.model.packing import GROUP_SIZES, held_as, kept_kinds, largest_group
from flashweb.model.ready_made import Scheme
from flashweb.model.tensor_table import StoredTensor, Table, tensor_table

FP8_CAPABILITY = (8, 9)  # Ada, the first with fp8 tensor cores
SCALE_BYTES = 4  # of an int8 or fp8 row, and of a head's key or value in an fp8 cache
GROUP_BYTES = 3  # of an int4 group: scale and zero
WIDEST_FIRST = ("none", "fp8", "int8", "int4")  # by what they keep of an answer (docs/experiments.md)
SCORES_PER_LOGIT = 40  # bytes a sampler holds of one: raw, penalised, scaled, weights, float64 sums, sorted, masks
PLAIN_BYTES = 64 << 20  # of int8 and int4 weights made plain at once (`kernels/linear.py`)
SLACK = 1.1  # of a step's tensors: what a reckoning of the largest ones leaves out


def kv_bytes_per_token(config: TextConfig, dtype_bytes: int, kv_cache_dtype: str = "auto") -> int:
    """`kv_cache_dtype`: "auto", the network's own numbers; "fp8", a byte each and a scale a head (`fp8_cache.py`)."""
    head = config.head_dim + SCALE_BYTES if kv_cache_dtype == "fp8" else config.head_dim * dtype_bytes
    return 2 * config.num_layers * config.num_kv_heads * head


def weight_bytes(
    config: ModelConfig,
    num_parameters: int,
    dtype_bytes: int,
    quantization: str,
    *,
    on_cpu: bool = False,
    scheme: Scheme | None = None,
) -> int:
    """Bytes of all weights on the device. `num_parameters`: all values of the checkpoint; `quantization`: a name of
    WIDEST_FIRST; `scheme`: of a checkpoint that is quantised already, where the device can compute with its kind
    (`usable`). On a CPU a tied head keeps a copy of its own (fp32 and int8)."""
    table = (config.text.vocab_size, config.text.hidden_size)
    copies_head = on_cpu and config.tie_word_embeddings and dtype_bytes == 4
    of_tables = "int8" if quantization == "fp8" else quantization
    keeps = kept_kinds(quantization, scheme.kind if scheme is not None else None, on_cpu=on_cpu)

    def stored_matrix(parts: Sequence[StoredTensor], otherwise: str) -> tuple[int, int]:
        """Values and bytes of one that may keep its numbers."""
        rows, columns = sum(part.shape[0] for part in parts), parts[0].shape[1]
        stored = [scheme.of(part.name.removesuffix(".weight")) if scheme is not None else None for part in parts]
        held = held_as(stored, columns, keeps)
        kept = _matrix_bytes(rows, columns, dtype_bytes, held.kind or otherwise, on_cpu, held.group_size)
        return rows * columns, kept

    names = tensor_table(config)
    counted = [stored_matrix(parts, quantization) for parts in _layer_matrices(names)]
    of_table = table[0] * table[1], _matrix_bytes(*table, dtype_bytes, of_tables, on_cpu)
    if "text.lm_head.weight" in names:
        counted.append(stored_matrix(names["text.lm_head.weight"], of_tables))
    elif copies_head:
        counted.append(of_table)
    if not on_cpu and quantization != "none":
        counted.append(of_table)  # the embedding
    plain = num_parameters + (table[0] * table[1] if copies_head else 0) - sum(values for values, _ in counted)
    return plain * dtype_bytes + sum(kept for _, kept in counted)


def usable(scheme: Scheme | None, *, has_fp8: bool) -> Scheme | None:
    """The scheme, if a card can compute with what is stored so; else it is made plain as it is read."""
    return None if scheme is not None and scheme.kind == "fp8" and not has_fp8 else scheme


def format_name(quantization: str, scheme: Scheme | None) -> str:
    """What the decoder's weights are in: a ready-made checkpoint's own kind where none is asked for."""
    return scheme.kind if scheme is not None and quantization == "none" else quantization


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


def _layer_matrices(table: Table) -> list[tuple[StoredTensor, ...]]:
    """Of all layers of the decoder, each with the stored ones that make it up."""
    return [parts for name, parts in table.items() if name.startswith("text.layers.") and len(parts[0].shape) == 2]


def _matrix_bytes(rows: int, columns: int, dtype_bytes: int, quantization: str, on_cpu: bool, group: int = 0) -> int:
    """`group`: of int4; 0 is the largest that divides a row."""
    group = group or largest_group(columns) or GROUP_SIZES[-1]
    scale_bytes = 0 if on_cpu else SCALE_BYTES * rows  # FBGEMM's are in its own packed form
    by_name: Mapping[str, int] = {
        "none": rows * columns * dtype_bytes,
        "int8": rows * columns + scale_bytes,
        "fp8": rows * columns + scale_bytes,
        "int4": rows * columns // 2 + GROUP_BYTES * rows * -(-columns // group),
    }
    return by_name[quantization]
