"""A scheduled step as the tensors that the network reads: `Batch` -> `ForwardInputs`.

All whole numbers of a step are laid out in one host array and cross to the device in one copy; the tensors are
views of it. Knows the layout of `ForwardInputs` and nothing of policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flashweb.engine.sequence import PENDING, Sequence
from flashweb.engine.step import Batch, Chunk
from flashweb.model.inputs import BlockTables, ForwardInputs


@dataclass(frozen=True, slots=True)
class PendingTokens:
    """The tokens that the step before sampled, still on the device: int64 [n], and each sequence's row of them."""

    tokens: Tensor
    row_of: dict[Sequence, int]


def build_inputs(
    batch: Batch,
    block_size: int,
    features_of: Callable[[bytes], Tensor],
    device: torch.device,
    pending: PendingTokens | None = None,
) -> ForwardInputs:
    """Raises KeyError when a picture's features are missing."""
    num_tokens = batch.num_tokens
    rows_of_features, features = _pick_features(batch, features_of)
    last_rows = _last_rows(batch)
    host = np.empty(5 * num_tokens + len(last_rows) + len(rows_of_features), dtype=np.int64)
    per_token = host[: 5 * num_tokens].reshape(5, num_tokens)
    row, has_pending = 0, False
    for chunk in batch.chunks:
        _fill(per_token[:, row : row + chunk.end - chunk.start], chunk, block_size)
        row += chunk.end - chunk.start
        if chunk.end == chunk.seq.num_tokens and chunk.seq.is_pending:
            assert pending is not None, "a token is pending from a step that nobody remembers"
            per_token[0, row - 1] = PENDING - pending.row_of[chunk.seq]  # -1 - row: told from ids by its sign
            has_pending = True
    rest = host[5 * num_tokens :]
    rest[: len(last_rows)] = last_rows
    rest[len(last_rows) :] = rows_of_features

    moved = _to_device(host, device)
    tokens = moved[: 5 * num_tokens].view(5, num_tokens)
    token_ids = tokens[0]
    if has_pending:
        assert pending is not None
        sampled = pending.tokens.index_select(0, (PENDING - token_ids).clamp_min(0))
        token_ids = torch.where(token_ids < 0, sampled, token_ids)
    return ForwardInputs(
        token_ids=token_ids,
        positions=tokens[1:4],
        slots=tokens[4],
        query_lens=[c.end - c.start for c in batch.chunks],
        context_lens=[c.end for c in batch.chunks],
        block_tables=[c.seq.block_table for c in batch.chunks],
        block_size=block_size,
        last_rows=moved[5 * num_tokens : 5 * num_tokens + len(last_rows)],
        image_features=features,
        image_rows=moved[5 * num_tokens + len(last_rows) :] if features is not None else None,
    )


def is_decode(batch: Batch) -> bool:
    """Whether every sequence of the step gets one more token of its answer."""
    return all(c.end - c.start == 1 and c.start >= c.seq.num_prompt_tokens for c in batch.chunks)


def decode_numbers(
    batch: Batch, tables: BlockTables, pending: PendingTokens | None
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """A decode step for `DecodeGraphs`: int64 [6, B] (token id or -1 - row of the pending ones, three positions, slot,
    context length) and the block tables, int32 [B, longest], which `tables` keeps until its next step."""
    columns, block_size = [], tables.block_size
    for chunk in batch.chunks:
        seq, start = chunk.seq, chunk.start
        token = seq.token_ids[start]
        if token == PENDING:
            assert pending is not None, "a token is pending from a step that nobody remembers"
            token = PENDING - pending.row_of[seq]
        position = start + seq.position_delta
        slot = seq.block_table[start // block_size] * block_size + start % block_size
        columns.append((token, position, position, position, slot, chunk.end))
    chunks = batch.chunks
    return np.array(columns, dtype=np.int64).T, tables.rows(
        [c.seq.block_table for c in chunks], [c.end for c in chunks]
    )


def _fill(columns: NDArray[np.int64], chunk: Chunk, block_size: int) -> None:
    """Writes one chunk: rows are token id, three position axes, slot. Drafts are the chunk's last tokens."""
    seq, start, end = chunk.seq, chunk.start, chunk.end
    if end - start == 1:
        token = seq.token_ids[start]
        slot = seq.block_table[start // block_size] * block_size + start % block_size
        if start >= seq.num_prompt_tokens:
            position = start + seq.position_delta
            columns[:, 0] = (token, position, position, position, slot)
            return
    known = end - start - len(chunk.drafts)
    columns[0, :known] = seq.token_ids[start : start + known]
    columns[0, known:] = chunk.drafts
    inside = min(end, seq.num_prompt_tokens)
    split = max(0, inside - start)
    columns[1:4, :split] = seq.positions[:, start:inside]
    columns[1:4, split:] = np.arange(start + split, end) + seq.position_delta
    indices = np.arange(start, end)
    first_block = start // block_size
    table = np.array(seq.block_table[first_block : (end - 1) // block_size + 1])
    columns[4] = table[indices // block_size - first_block] * block_size + indices % block_size


def _last_rows(batch: Batch) -> list[int]:
    rows: list[int] = []
    row = 0
    for chunk in batch.chunks:
        row += chunk.end - chunk.start
        rows.extend(range(row - chunk.num_sampled, row))
    return rows


def _pick_features(batch: Batch, features_of: Callable[[bytes], Tensor]) -> tuple[list[int], Tensor | None]:
    """Which rows of the step are picture tokens, and the features that belong there, in the same order."""
    rows: list[int] = []
    pieces: list[Tensor] = []
    first_row = 0
    for chunk in batch.chunks:
        for picture in chunk.seq.pictures_in(chunk.start, chunk.end):
            start, end = max(chunk.start, picture.start), min(chunk.end, picture.end)
            rows.extend(range(first_row + start - chunk.start, first_row + end - chunk.start))
            pieces.append(features_of(picture.digest)[start - picture.start : end - picture.start])
        first_row += chunk.end - chunk.start
    if not pieces:
        return rows, None
    return rows, pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _to_device(host: NDArray[np.int64], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(host)
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
