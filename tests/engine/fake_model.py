"""The smallest honest model: its answer depends on every token, position and pixel of the whole context, read back
through the paged cache. One stale slot, one wrongly shared block or one picture in the wrong place changes it.

A slot holds a running hash: of the slot before it, the token (or the picture feature in its place) and the three
positions. The next token is a function of the newest slot. `expected_answer` computes the same without any cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flashweb.engine.protocol import Submit, WireImage, WireSampling
from flashweb.model.inputs import ForwardInputs
from flashweb.types import Grid

VOCAB = 48
EOS = 1
IMAGE_TOKEN = 5
END_OF_THOUGHT = 9  # a token the model says often
CLOSE_THOUGHT = (END_OF_THOUGHT, 12)
PATCH_VALUES = 3
MODULUS = (1 << 31) - 1
BROKEN_TOKEN = 46  # a prompt with it makes the decoder raise
NAN_TOKEN = 47  # a prompt with it gives NaN logits
BROKEN_PIXEL = 255  # a picture that begins with it makes the tower raise


def chain(before: int, value: int, positions: tuple[int, int, int]) -> int:
    for part in (value, *positions):
        before = (before * 1_000_003 + part + 7) % MODULUS
    return before


def row_of_logits(state: int, letters: int = VOCAB) -> NDArray[np.float32]:
    """Pseudo-random logits with one clear winner. With few letters answers repeat themselves, and seldom end."""
    rng = np.random.default_rng(state)
    row = rng.normal(size=VOCAB).astype(np.float32)
    row[BROKEN_TOKEN:] = -60.0  # only a prompt can bring these
    if letters < VOCAB:
        row[8 + letters :] = -60.0
        row[:8] -= 2.5
        row[8] += 1.5
    return row


def features_of(patches: NDArray[np.uint8]) -> list[int]:
    """One number per four patches."""
    rows = patches.astype(np.int64).reshape(-1, 4 * PATCH_VALUES)
    return [chain(17, int(row @ np.arange(1, 4 * PATCH_VALUES + 1)), (0, 0, 0)) for row in rows]


class FakeCache:
    def __init__(self, num_slots: int, block_size: int) -> None:
        self.block_size = block_size
        self.storage = torch.zeros((1, num_slots), dtype=torch.int64)

    def wipe(self, blocks: list[int]) -> None:
        for block in blocks:
            self.storage[:, block * self.block_size : (block + 1) * self.block_size] = 0

    def wipe_slots(self, slots: list[int]) -> None:
        self.storage[:, slots] = 0


@dataclass
class FakeModel:
    max_position_embeddings: int = 128
    device: torch.device = torch.device("cpu")
    num_pictures_encoded: int = 0
    num_slices_encoded: int = 0  # but the last of each
    num_forwards: int = 0
    letters: int = VOCAB

    def __post_init__(self) -> None:
        self.config = SimpleNamespace(
            text=SimpleNamespace(
                vocab_size=VOCAB,
                max_position_embeddings=self.max_position_embeddings,
                num_heads=4,
                num_kv_heads=2,
                head_dim=8,
            ),  # fmt: skip
            vision=SimpleNamespace(patch_values=PATCH_VALUES),
        )

    def kv_bytes_per_token(self) -> int:
        return 8

    def new_kv_cache(self, num_blocks: int, block_size: int) -> FakeCache:
        return FakeCache(num_blocks * block_size, block_size)

    def encode_images(self, patches: list[Tensor], grids: list[Grid]) -> list[Tensor]:
        self.num_pictures_encoded += len(patches)
        for picture, grid in zip(patches, grids, strict=True):
            assert picture.shape == (grid.num_patches, PATCH_VALUES)
            if picture[0, 0] == BROKEN_PIXEL:
                raise ValueError("a picture that the tower cannot take")
        return [torch.tensor(features_of(p.numpy())).unsqueeze(1) for p in patches]

    def encode_in_slices(self, patches: Tensor, grid: Grid, slices: int) -> Iterator[Tensor | None]:
        for _ in range(slices - 1):
            self.num_slices_encoded += 1
            yield None
        yield self.encode_images([patches], [grid])[0]

    def forward(self, inputs: ForwardInputs, cache: FakeCache) -> Tensor:
        self.num_forwards += 1
        if BROKEN_TOKEN in inputs.token_ids.tolist():
            raise IndexError("a batch that the decoder cannot take")
        values = inputs.token_ids.clone()
        if inputs.image_features is not None:
            values[inputs.image_rows] = inputs.image_features[:, 0]
        hidden = torch.zeros((len(values), 1), dtype=torch.int64)
        slots = cache.storage[0]
        row = 0
        for count, context, table in zip(inputs.query_lens, inputs.context_lens, inputs.block_tables, strict=True):
            for index in range(context - count, context):
                slot = table[index // inputs.block_size] * inputs.block_size + index % inputs.block_size
                assert slot == int(inputs.slots[row])
                before = 1
                if index:
                    last = index - 1
                    before = int(slots[table[last // inputs.block_size] * inputs.block_size + last % inputs.block_size])
                t, h, w = inputs.positions[:, row].tolist()
                is_nan = values[row] == NAN_TOKEN or before == MODULUS  # NaN spreads to everything behind it
                slots[slot] = MODULUS if is_nan else chain(before, int(values[row]), (t, h, w))
                hidden[row] = slots[slot]
                row += 1
        return hidden

    def logits(self, hidden_rows: Tensor) -> Tensor:
        rows = [row_of_logits(state, self.letters) if state != MODULUS else np.full(VOCAB, np.nan, np.float32)
                for state in hidden_rows[:, 0].tolist()]  # fmt: skip
        return torch.from_numpy(np.stack(rows))


# --- requests -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FakePicture:
    seed: int
    grid: Grid

    @property
    def patches(self) -> NDArray[np.uint8]:
        rng = np.random.default_rng(self.seed)
        return rng.integers(0, 200, (self.grid.num_patches, PATCH_VALUES), dtype=np.uint8)

    @property
    def digest(self) -> bytes:
        return repr((self.seed, self.grid.t, self.grid.h, self.grid.w)).encode().ljust(32, b".")


def sampling(**changes: object) -> WireSampling:
    defaults = WireSampling(
        max_tokens=8, min_tokens=0, temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, repetition_penalty=1.0,
        presence_penalty=0.0, frequency_penalty=0.0, seed=None, logit_bias={}, logprobs=None, stop_token_ids=(),
        ignore_eos=False,
    )  # fmt: skip
    return msgspec.structs.replace(defaults, **changes)


def positions_of(pieces: Sequence[int | FakePicture]) -> tuple[NDArray[np.int32], int]:
    """M-RoPE positions (fact sheet 4): a picture of h x w tokens takes max(h, w) steps."""
    columns: list[tuple[int, int, int]] = []
    p = 0
    for piece in pieces:
        if isinstance(piece, int):
            columns.append((p, p, p))
            p += 1
        else:
            rows, cols = piece.grid.h // 2, piece.grid.w // 2
            columns += [(p, p + y, p + x) for y in range(rows) for x in range(cols)]
            p += max(rows, cols)
    return np.array(columns, dtype=np.int32).T.copy(), p - len(columns)


def request(request_id: str, pieces: Sequence[int | FakePicture], **changes: object) -> Submit:
    """A message whose prompt is text tokens and pictures in the given order."""
    token_ids: list[int] = []
    images: list[WireImage] = []
    for piece in pieces:
        if isinstance(piece, int):
            token_ids.append(piece)
        else:
            grid = (piece.grid.t, piece.grid.h, piece.grid.w)
            images.append(WireImage(len(token_ids), grid, piece.digest, piece.patches.tobytes()))
            token_ids += [IMAGE_TOKEN] * piece.grid.num_tokens
    positions, delta = positions_of(pieces)
    return Submit(request_id, tuple(token_ids), positions.tobytes(), delta, tuple(images), sampling(**changes))


def without_pixels(message: Submit) -> Submit:
    """The same request for an engine that has seen its pictures."""
    return msgspec.structs.replace(
        message, images=tuple(msgspec.structs.replace(image, patches=None) for image in message.images)
    )


def expected_answer(
    message: Submit, max_model_len: int = 1 << 30, eos: Sequence[int] = (EOS,), letters: int = VOCAB
) -> list[int]:
    """The greedy answer, computed in one pass without cache, batch or engine."""
    values = list(message.token_ids)
    for image in message.images:
        assert image.patches is not None
        patches = np.frombuffer(image.patches, np.uint8).reshape(-1, PATCH_VALUES)
        for offset, feature in enumerate(features_of(patches)):
            values[image.start + offset] = feature
    positions = np.frombuffer(message.positions, np.int32).reshape(3, -1)
    state = 1
    for index, value in enumerate(values):
        t, h, w = positions[:, index].tolist()
        state = chain(state, value, (t, h, w))
    answer: list[int] = []
    limit = min(message.sampling.max_tokens, max_model_len - len(values))
    stops = set(message.sampling.stop_token_ids) | (set() if message.sampling.ignore_eos else set(eos))
    while True:
        token = int(np.argmax(row_of_logits(state, letters)))
        budget = message.sampling.thinking_budget
        if budget is not None and END_OF_THOUGHT not in answer[:budget] and 0 <= len(answer) - budget < 2:
            token = CLOSE_THOUGHT[len(answer) - budget]
        answer.append(token)
        if token in stops or len(answer) == limit:
            return answer
        position = len(values) + len(answer) - 1 + message.position_delta
        state = chain(state, token, (position, position, position))
