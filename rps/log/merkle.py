"""The Merkle tree of RFC 9162, section 2.1, over SHA-256.

A tree is told by its leaves in order; `Subtree` answers the root over some of them, so
that whoever keeps the roots of full parts need not read all leaves again. Proofs are
lists of hashes, from the leaves up.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Subtree = Callable[[int, int], bytes]
    """The root over the leaves [start, end)."""

EMPTY = sha256().digest()
"""The root of a tree without leaves."""

_LEAF, _NODE = b"\x00", b"\x01"


def leaf_of(entry: bytes) -> bytes:
    return sha256(_LEAF + entry).digest()


def node_of(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()


class Tree:
    """A tree that grows: it keeps the roots of its full parts, largest first."""

    __slots__ = ("_roots", "size")

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._roots: list[bytes] = []
        self.extend(list(leaves))

    @classmethod
    def of(cls, size: int, roots: Sequence[bytes]) -> Tree:
        """The tree of that size, from the roots of its full parts. ValueError."""
        if size.bit_count() != len(roots):
            raise ValueError(f"a tree of {size} has {size.bit_count()} full parts")
        made = cls()
        made.size, made._roots = size, list(roots)
        return made

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Of its full parts, largest first."""
        return tuple(self._roots)

    def add(self, root: bytes, leaves: int = 1) -> None:
        """The next leaf (its hash), or the root over the next `leaves`: a power of two
        that the size is a multiple of."""
        roots, full, size = self._roots, leaves, self.size
        while size & full:
            root = node_of(roots.pop(), root)
            full <<= 1
        roots.append(root)
        self.size = size + leaves

    def extend(self, leaves: Sequence[bytes]) -> None:
        """The next leaves, by full parts: half the time of one after the other."""
        start, count = 0, len(leaves)
        while start < count:
            width = 1 << ((count - start).bit_length() - 1)
            if self.size:
                width = min(width, self.size & -self.size)
            self.add(_root_over(leaves[start : start + width]), width)
            start += width

    def root(self) -> bytes:
        if not self._roots:
            return EMPTY
        *others, found = self._roots
        for each in reversed(others):
            found = node_of(each, found)
        return found


def _root_over(level: Sequence[bytes]) -> bytes:
    """Of as many leaves as a power of two."""
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [sha256(_NODE + left + right).digest() for left, right in pairs]
    return level[0]


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Proves that the tree of `size` has its leaf at `index` (2.1.3.1)."""
    start, end = 0, size
    found: list[bytes] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append(subtree(middle, end))
            end = middle
        else:
            found.append(subtree(start, middle))
            start = middle
    return found[::-1]


def root_by(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """The root of the tree that an inclusion proof is of (2.1.3.2); None where it
    cannot be of one of that size."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for each in proof:
        if not last:
            return None
        if place & 1 or place == last:
            found = node_of(each, found)
            place, last = _up(place, last)
        else:
            found = node_of(found, each)
        place, last = place >> 1, last >> 1
    return None if last else found


def consistency(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Proves that the tree of size `new` begins with that of size `old` (2.1.4.1)."""
    if not 0 < old < new:
        return []
    start, end, is_whole = 0, new, True
    found: list[bytes] = []
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            found.append(subtree(middle, end))
            end = middle
        else:
            found.append(subtree(start, middle))
            start, is_whole = middle, False
    if not is_whole:
        found.append(subtree(start, end))
    return found[::-1]


def is_consistent(
    old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that one (size, root) begins with the other (2.1.4.2)."""
    if old[0] in (0, new[0]):
        return not proof and (not old[0] or old[1] == new[1])
    is_full = old[0] & (old[0] - 1) == 0
    path = [old[1], *proof] if is_full else list(proof)
    if old[0] > new[0] or not path:
        return False
    place, last = old[0] - 1, new[0] - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for each in path[1:]:
        if not last:
            return False
        if place & 1 or place == last:
            first, second = node_of(each, first), node_of(each, second)
            place, last = _up(place, last)
        else:
            second = node_of(second, each)
        place, last = place >> 1, last >> 1
    return (first, second, last) == (old[1], new[1], 0)


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return int(1 << ((size - 1).bit_length() - 1))


def _up(place: int, last: int) -> tuple[int, int]:
    """To where the place is a right child, or at the left edge."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last
