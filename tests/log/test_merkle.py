"""The Merkle tree, against RFC 9162's own definitions and published vectors."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from rps.log.merkle import (
    EMPTY,
    Tree,
    consistency,
    inclusion,
    is_consistent,
    leaf_of,
    root_by,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# The tree of the Certificate Transparency reference implementation.
ENTRIES = [
    bytes.fromhex(each)
    for each in (
        *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
CONSISTENCY_6_8 = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]
SIZES = range(1, 34)


def defined(entries: Sequence[bytes]) -> bytes:
    """MTH as section 2.1.1 writes it."""
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    left, right = defined(entries[:k]), defined(entries[k:])
    return sha256(b"\x01" + left + right).digest()


def path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH as section 2.1.3.1 writes it."""
    if len(entries) == 1:
        return []
    k = 1
    while 2 * k < len(entries):
        k *= 2
    if m < k:
        return [*path(m, entries[:k]), defined(entries[k:])]
    return [*path(m - k, entries[k:]), defined(entries[:k])]


ITEMS = [b"entry %d" % n for n in range(40)]


def root(size: int) -> bytes:
    return Tree(leaf_of(each) for each in ITEMS[:size]).root()


def subtree(start: int, end: int) -> bytes:
    return defined(ITEMS[start:end])


@pytest.mark.parametrize("size", ROOTS)
def test_roots_are_those_of_the_reference_implementation(size: int) -> None:
    tree = Tree(leaf_of(each) for each in ENTRIES[:size])
    assert tree.root().hex() == ROOTS[size]


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    assert Tree().root() == EMPTY


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_is_what_the_definition_says(size: int) -> None:
    assert root(size) == defined(ITEMS[:size])


def test_a_tree_grows_by_full_parts_and_goes_on_from_its_roots() -> None:
    tree = Tree()
    for start in range(0, 32, 8):
        tree.add(subtree(start, start + 8), 8)
    again = Tree.of(tree.size, tree.roots)
    again.add(leaf_of(ITEMS[32]))
    assert again.root() == defined(ITEMS[:33])
    with pytest.raises(ValueError, match="full parts"):
        Tree.of(3, tree.roots)


@pytest.mark.parametrize("size", SIZES)
def test_each_leaf_is_proven_and_no_other(size: int) -> None:
    for index in range(size):
        proof = inclusion(index, size, subtree)
        leaf = leaf_of(ITEMS[index])
        assert proof == path(index, ITEMS[:size])
        assert root_by(index, size, leaf, proof) == root(size)
        assert root_by(index, size, leaf_of(b"other"), proof) != root(size)
        assert root_by(index, size, leaf, [*proof, leaf]) != root(size)
        assert root_by(index, size, leaf, proof[:-1]) != root(size) or size == 1
        if index + 1 < size:
            assert root_by(index + 1, size, leaf, proof) != root(size)
    assert root_by(size, size, leaf_of(b""), []) is None


def test_a_consistency_proof_is_that_of_the_reference_implementation() -> None:
    def part(start: int, end: int) -> bytes:
        return defined(ENTRIES[start:end])

    assert [each.hex() for each in consistency(6, 8, part)] == CONSISTENCY_6_8


@pytest.mark.parametrize("new", SIZES)
def test_a_tree_is_shown_to_begin_with_each_smaller_one(new: int) -> None:
    for old in range(1, new + 1):
        proof = consistency(old, new, subtree)
        before, after = (old, root(old)), (new, root(new))
        assert is_consistent(before, after, proof)
        assert not is_consistent((old, leaf_of(b"x")), after, proof)
        assert not is_consistent(before, (new, leaf_of(b"x")), proof)
        assert not is_consistent(before, after, [*proof, leaf_of(b"x")])
        if proof:
            assert not is_consistent(before, after, proof[:-1])
        if old < new:
            assert not is_consistent(after, before, proof)
