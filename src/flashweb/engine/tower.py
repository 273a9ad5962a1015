"""`Tower`: which pictures the vision tower encodes in a step, whole or a slice of one, and which features are pinned
until their last token has been computed. Pure, as the scheduler is, whose steps it fills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flashweb.engine.encoder_cache import EncoderCache
from flashweb.engine.sequence import Picture, Sequence
from flashweb.engine.step import Batch, Limits, Slice
from flashweb.engine.turns import Turn


class Tower:
    def __init__(self, limits: Callable[[], Limits], encoder: EncoderCache[Any], block_size: int) -> None:
        """`limits`: the scheduler's, whatever they are by now: there is no second copy of them."""
        self._limits = limits
        self._encoder = encoder
        self._block_size = block_size
        self.slices_left: dict[bytes, int] = {}  # of pictures that have been begun, by digest

    def let_go(self, seq: Sequence) -> None:
        """Of all that a sequence has pinned."""
        self._unpin(seq, seq.pinned.copy())

    def forget_slices(self, seq: Sequence) -> None:
        """Nobody will go on with its pictures that have been begun."""
        for picture in seq.pictures:
            self.slices_left.pop(picture.digest, None)

    def claim(self, seq: Sequence, count: int, batch: Batch) -> int:
        """Pins what the next `count` tokens of `seq` need and plans what has to be encoded; the number of tokens
        that can really be computed, cut before a picture for which this step's tower budget is too small."""
        start = seq.num_computed_tokens
        for picture in seq.pictures_in(start, start + count):
            known = self._is_known(picture, batch)
            if known and picture.digest in seq.pinned:
                continue
            if not known and (self._is_sliced(seq, picture, batch) or not self._fits(picture, batch)):
                return max(0, picture.start - start)
            self._pin(seq, picture, known)
            if not known:
                batch.pictures.append(picture)
                batch.owners.append(seq)
                batch.num_patches += picture.grid.num_patches
        return count

    def _pin(self, seq: Sequence, picture: Picture, known: bool) -> None:
        if picture.digest in seq.pinned:
            return
        self._encoder.queries += 1
        self._encoder.hits += known
        self._encoder.pin(picture.digest)
        seq.pinned.add(picture.digest)

    def _is_sliced(self, seq: Sequence, picture: Picture, batch: Batch) -> bool:
        """Whether a picture is not encoded whole in this step, because sequences that decode would wait too long: then
        one more slice of it is, if the step has nothing else beside its decoding rows."""
        of = self._num_slices(picture, batch)
        if of == 1:
            self.slices_left.pop(picture.digest, None)
            return False
        if self._can_take_slice(batch):
            self._pin(seq, picture, known=False)
            batch.slice = Slice(picture, of)
            batch.owners.append(seq)
            batch.has_background |= seq.is_background
            left = self.slices_left.get(picture.digest, of) - 1
            self.slices_left[picture.digest] = left
            if left == 0:
                del self.slices_left[picture.digest]
        return True

    def _num_slices(self, picture: Picture, batch: Batch) -> int:
        """How many steps a picture's tower takes beside those who wait for this one."""
        most = self._most_patches_beside(batch)
        return -(-picture.grid.num_patches // most) if most is not None else 1

    def _most_patches_beside(self, batch: Batch) -> int | None:
        limits = self._limits()
        most = limits.max_patches_beside if batch.num_decoded else None
        if batch.turn is Turn.BESIDE:
            most = min(most or limits.max_background_patches, limits.max_background_patches)
        return most

    @staticmethod
    def _can_take_slice(batch: Batch) -> bool:
        return batch.num_tokens == batch.num_decoded and batch.slice is None and not batch.pictures

    def _is_known(self, picture: Picture, batch: Batch) -> bool:
        """Whether its features are here, or will be when this step needs them. Without pixels they are pinned."""
        if picture.patches is None or picture.digest in self._encoder:
            return True
        return any(p.digest == picture.digest for p in batch.pictures)

    def _fits(self, picture: Picture, batch: Batch) -> bool:
        with_it = batch.num_patches + picture.grid.num_patches
        limits = self._limits()
        most = limits.max_background_patches if batch.turn is Turn.BESIDE else limits.max_num_batched_patches
        return batch.num_patches == 0 or with_it <= most

    def must_wait(self, seq: Sequence, start: int, batch: Batch) -> bool:
        """Whether a new sequence could compute less than a block now because its picture does not fit into the
        step: then it is better admitted in the next one, when the prefix cache may know more."""
        for picture in seq.pictures_in(start, start + self._block_size):
            if self._is_known(picture, batch):
                continue
            if self._num_slices(picture, batch) > 1:
                return not self._can_take_slice(batch)
            return not self._fits(picture, batch)
        return False

    def _unpin(self, seq: Sequence, digests: set[bytes]) -> None:
        for digest in digests:
            self._encoder.unpin(digest)
        seq.pinned -= digests

    def let_go_of_finished(self, seq: Sequence) -> None:
        """Lets go of pictures whose last token has been computed."""
        needed = {p.digest for p in seq.pictures if p.end > seq.num_computed_tokens}
        self._unpin(seq, seq.pinned - needed)
