"""`BlockManager`: who holds which KV block, and which finished blocks can be used again.

A block's identity is the chained hash of everything that its keys and values depend on: the identity of the block
before it, its tokens, their positions, and for every picture that it touches the picture's digest and where in the
picture the block begins. Tokens alone would not do: every picture expands to the same placeholder id.

A block is referenced by sequences (`refs` > 0), or unreferenced but remembered (evictable, oldest first), or free.
Only full blocks whose content is computed are remembered. Pure Python: no torch, no clock.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from hashlib import blake2b

from flashweb.engine.free_runs import FreeRuns
from flashweb.engine.sequence import Sequence

MAX_PROMISED_BLOCKS = 32  # neighbouring blocks kept for a sequence's growth


class BlockManager:
    def __init__(self, num_blocks: int, block_size: int, enable_prefix_cache: bool = True) -> None:
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.enable_prefix_cache = enable_prefix_cache
        self.prefix_queries = 0  # prompt tokens looked up
        self.prefix_hits = 0  # prompt tokens found
        self._refs = [0] * num_blocks
        self._hash_of: list[bytes | None] = [None] * num_blocks
        self._block_of: dict[bytes, int] = {}  # identity -> block
        self._evictable: dict[int, None] = {}  # unreferenced but remembered, oldest first
        self._free = FreeRuns(num_blocks)

    @property
    def num_free_blocks(self) -> int:
        """Free, or free for the asking because only the prefix cache remembers them."""
        return self._free.num_free + len(self._evictable)

    def num_blocks_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.block_size)

    # --- a sequence's life: match, allocate, append_slot and register as it grows, free ------------------------------

    def match(self, seq: Sequence) -> list[int]:
        """Remembered blocks that hold the beginning of `seq`, at most up to its last token, which is always
        computed anew because its logits are wanted."""
        if not self.enable_prefix_cache:
            return []
        found: list[int] = []
        for identity in self._identities(seq, (seq.num_tokens - 1) // self.block_size):
            block = self._block_of.get(identity)
            if block is None:
                break
            found.append(block)
        return found

    def allocate(self, seq: Sequence, matched: list[int], keep_free: int = 0) -> bool:
        """Gives `seq` its matched blocks and fresh ones for all its other tokens, or nothing and False.

        `keep_free` blocks must be left over. Sets block_table, num_computed_tokens, num_registered_blocks and
        num_matched_blocks.
        """
        assert not seq.block_table
        if not self.can_allocate(seq, matched, keep_free):
            return False
        count = self.num_blocks_for(seq.num_tokens) - len(matched)
        for block in matched:
            self._hold(block)
        tokens_to_come = seq.max_new_tokens - seq.num_answer_tokens
        growth = min(MAX_PROMISED_BLOCKS, self.num_blocks_for(tokens_to_come))
        fresh = self._take(count, growth, after=matched[-1] if matched else None)
        for block in fresh:
            self._refs[block] = 1
        seq.block_table = matched + fresh
        seq.num_computed_tokens = len(matched) * self.block_size
        seq.num_registered_blocks = seq.num_matched_blocks = len(matched)
        return True

    def can_allocate(self, seq: Sequence, matched: list[int], keep_free: int = 0) -> bool:
        """Whether `allocate` would."""
        count = self.num_blocks_for(seq.num_tokens) - len(matched)
        revived = sum(self._refs[b] == 0 for b in matched)
        return count + revived + keep_free <= self.num_free_blocks

    def append_slot(self, seq: Sequence) -> bool:
        """Makes sure that the newest token has a slot; False when no block is left."""
        if self.num_blocks_for(seq.num_tokens) <= len(seq.block_table):
            return True
        if self.num_free_blocks == 0:
            return False
        self._append_block(seq)
        return True

    def reserve(self, seq: Sequence, count: int, keep_free: int) -> int:
        """Slots for `count` tokens behind the newest one, as far as `keep_free` blocks are left over; how many there
        are."""
        while self.num_blocks_for(seq.num_tokens + count) > len(seq.block_table) and self.num_free_blocks > keep_free:
            self._append_block(seq)
        return min(count, len(seq.block_table) * self.block_size - seq.num_tokens)

    def register(self, seq: Sequence, num_computed: int) -> None:
        """Remembers the blocks of `seq` that became full since the last call, of its first `num_computed` tokens."""
        num_full = num_computed // self.block_size
        if not self.enable_prefix_cache or num_full <= seq.num_registered_blocks:
            return
        identities = self._identities(seq, num_full)
        for index in range(seq.num_registered_blocks, num_full):
            identity, block = identities[index], seq.block_table[index]
            # Two sequences may compute the same content side by side: the first copy is the one remembered.
            if identity not in self._block_of and self._hash_of[block] is None:
                self._block_of[identity] = block
                self._hash_of[block] = identity
        seq.num_registered_blocks = num_full

    def free(self, seq: Sequence, forget: bool = False) -> None:
        """Takes everything back from `seq`. `forget`: its content is not to be trusted (NaN), remember none of what
        it computed; what it only matched stays remembered (wipe `blocks_to_wipe` before)."""
        if seq.block_table:
            self._free.give_up_promise(seq.block_table[-1])
        first_own = self._first_own_block(seq)
        # Last block first: of a chain of remembered blocks the end must be evicted before the beginning.
        for index in reversed(range(len(seq.block_table))):
            block = seq.block_table[index]
            if forget and index >= first_own:
                self._forget(block)
            self._release(block)
        seq.block_table = []
        seq.num_computed_tokens = 0
        seq.num_registered_blocks = seq.num_matched_blocks = 0

    def blocks_to_wipe(self, seq: Sequence) -> list[int]:
        """The blocks that nobody may read again once `seq` is freed with `forget`: what it computed itself, and what
        was forgotten while it held it, unless another sequence still holds it."""
        first_own = self._first_own_block(seq)
        return [
            block
            for index, block in enumerate(seq.block_table)
            if self._refs[block] == 1 and (index >= first_own or self._hash_of[block] is None)
        ]

    # --- inside ------------------------------------------------------------------------------------------------------

    def _first_own_block(self, seq: Sequence) -> int:
        """Blocks before this one were computed by others. What a preempted sequence matched when it came back, but
        not at its first admission, it may have computed itself before."""
        return min(seq.num_matched_blocks, seq.num_cached_tokens // self.block_size)

    def _identities(self, seq: Sequence, count: int) -> list[bytes]:
        """The chained hashes of the first `count` full blocks of `seq`, maybe more; each computed once per sequence.

        All that are missing at once: a prompt with a picture has a hundred, and many may be admitted in one step.
        """
        hashes, size = seq.block_hashes, self.block_size
        if len(hashes) >= count:
            return hashes
        first = len(hashes)
        start, end = first * size, count * size
        tokens = array("q", seq.token_ids[start:end]).tobytes()
        positions = seq.position_bytes(start, end, size)
        extra = self._picture_parts(seq, first, count)
        token_bytes, position_bytes = 8 * size, 12 * size
        before = hashes[-1] if hashes else b""
        for i in range(count - first):
            content = (
                before,
                tokens[i * token_bytes : (i + 1) * token_bytes],
                positions[i * position_bytes : (i + 1) * position_bytes],
                *extra.get(first + i, ()),
            )
            before = blake2b(b"".join(content), digest_size=32).digest()
            hashes.append(before)
        return hashes

    def _picture_parts(self, seq: Sequence, first: int, count: int) -> dict[int, list[bytes]]:
        """For each block in [first, count) that touches pictures: their digests, and where in them it begins."""
        size = self.block_size
        parts: dict[int, list[bytes]] = {}
        for picture in seq.pictures_in(first * size, count * size):
            for block in range(max(first, picture.start // size), min(count, -(-picture.end // size))):
                offset = (block * size - picture.start).to_bytes(8, "little", signed=True)
                parts.setdefault(block, []).append(picture.digest + offset)
        return parts

    def _hold(self, block: int) -> None:
        if self._refs[block] == 0:
            del self._evictable[block]
        self._refs[block] += 1

    def _release(self, block: int) -> None:
        self._refs[block] -= 1
        assert self._refs[block] >= 0
        if self._refs[block]:
            return
        if self._hash_of[block] is None:
            self._free.add(block)
        else:
            self._evictable[block] = None

    def _forget(self, block: int) -> None:
        identity = self._hash_of[block]
        if identity is not None:
            del self._block_of[identity]
            self._hash_of[block] = None

    def _evict_oldest(self) -> int:
        """Frees the block that was used longest ago; the length of the free run it now lies in."""
        block = next(iter(self._evictable))
        del self._evictable[block]
        self._forget(block)
        return self._free.add(block)

    def _take(self, count: int, growth: int, after: int | None) -> list[int]:
        """`count` blocks, side by side if that is possible."""
        if count == 0:
            return []
        if after is not None and self._free.next_to(after) >= count and not self._free.is_promised(after):
            return self._free.take_next_to(after, count)
        blocks = self._free.place(count, growth)
        # Blocks remembered for longest usually lie side by side too (a finished sequence's): evict until they make a
        # run, but not much more than is needed anyway.
        budget = 2 * count
        while not blocks and budget and self._evictable:
            budget -= 1
            if self._evict_oldest() >= count:
                blocks = self._free.place(count, growth)
        if blocks:
            return blocks
        while self._free.num_free < count:
            self._evict_oldest()
        return self._free.take_scattered(count)

    def _append_block(self, seq: Sequence) -> None:
        block = self._take_one(seq.block_table[-1])
        self._refs[block] = 1
        seq.block_table.append(block)

    def _take_one(self, after: int) -> int:
        """One more block for the sequence whose last one is `after`."""
        follower = after + 1
        if follower in self._evictable and self._free.num_free == 0:
            del self._evictable[follower]
            self._forget(follower)
            return follower
        if self._free.next_to(after):
            return self._free.take_next_to(after)[0]
        if self._free.num_free == 0:
            self._evict_oldest()
        return (self._free.place(1, MAX_PROMISED_BLOCKS) or self._free.take_scattered(1))[0]

    def check_integrity(self, sequences: Iterable[Sequence]) -> None:
        """Raises AssertionError unless every block is accounted for exactly once, given all living sequences."""
        refs = [0] * self.num_blocks
        for seq in sequences:
            assert len(set(seq.block_table)) == len(seq.block_table), f"{seq.request_id} holds a block twice"
            for block in seq.block_table:
                refs[block] += 1
        assert refs == self._refs, "reference counts differ from the block tables"
        self._free.check_integrity()
        free, evictable = self._free.blocks(), set(self._evictable)
        held = {b for b in range(self.num_blocks) if refs[b]}
        assert not free & evictable and not (free | evictable) & held
        assert len(free) + len(evictable) + len(held) == self.num_blocks, "blocks are lost"
        assert all(self._hash_of[b] is not None for b in evictable)
        assert all(self._hash_of[b] is None for b in free)
        assert {self._hash_of[b]: b for b in self._block_of.values()} == self._block_of
