"""A Merkle tree …"""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import merkle
from kernel.merkle import BadProof, Frontier
from tests.vectors import load

VECTORS = load("merkle")

# The eight leaves of the Certificate Transparency tests, and the roots of their trees.
CT_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf(b"event %d" % number) for number in range(count)]


def test_has_the_roots_of_the_certificate_transparency_vectors() -> None:
    hashes = [merkle.leaf(bytes.fromhex(text)) for text in CT_LEAVES]
    assert [merkle.root(hashes[:size]).hex() for size in range(9)] == CT_ROOTS


def _columns(row: list[object]) -> tuple[int, int, bytes, bytes, list[bytes], bool]:
    _, first, second, one, other, proof, refused = row
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert isinstance(proof, list)
    return (
        first,
        second,
        bytes.fromhex(str(one)),
        bytes.fromhex(str(other)),
        [bytes.fromhex(x) for x in proof],
        bool(refused),
    )


@pytest.mark.parametrize("row", VECTORS["inclusion"], ids=lambda row: str(row[0]))
def test_judges_inclusion_as_another_implementations_vectors_say(row: list[object]) -> None:
    index, size, root, leaf_hash, proof, refused = _columns(row)
    try:
        merkle.verify_inclusion(proof, leaf_hash=leaf_hash, index=index, size=size, root=root)
    except BadProof:
        assert refused
        return
    assert not refused


@pytest.mark.parametrize("row", VECTORS["consistency"], ids=lambda row: str(row[0]))
def test_judges_consistency_as_another_implementations_vectors_say(row: list[object]) -> None:
    size, new_size, root, new_root, proof, refused = _columns(row)
    # Two vectors have "don't care" for roots of equal trees; we insist on the length of a hash there too.
    refused = refused or {len(root), len(new_root)} != {merkle.HASH_BYTES}
    try:
        merkle.verify_consistency(proof, size=size, root=root, new_size=new_size, new_root=new_root)
    except BadProof:
        assert refused
        return
    assert not refused


def test_proves_every_leaf_and_every_growth_up_to_forty() -> None:
    hashes = leaves(40)
    for size in range(1, 41):
        root = merkle.root(hashes[:size])
        for index in range(size):
            proof = merkle.inclusion_proof(hashes[:size], index)
            merkle.verify_inclusion(proof, leaf_hash=hashes[index], index=index, size=size, root=root)
        for older in range(1, size + 1):
            proof = merkle.consistency_proof(hashes[:size], older)
            older_root = merkle.root(hashes[:older])
            merkle.verify_consistency(proof, size=older, root=older_root, new_size=size, new_root=root)


@given(st.integers(1, 70), st.data())
def test_proves_nothing_with_a_proof_that_was_touched(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    index = data.draw(st.integers(0, size - 1))
    root, proof = merkle.root(hashes), merkle.inclusion_proof(hashes, index)
    wrong = data.draw(
        st.sampled_from(
            [
                (proof, index ^ 1, size, hashes[index]),
                (proof, index, size, merkle.leaf(b"other")),
                ([*proof, b"\x00" * 32], index, size, hashes[index]),
                (proof[1:], index, size, hashes[index]),
                ([b"\x00" * 32, *proof[1:]], index, size, hashes[index]),
                (proof, size, size, hashes[index]),
            ]
        )
    )
    if wrong == (proof, index, size, hashes[index]):
        return
    with pytest.raises(BadProof):
        merkle.verify_inclusion(wrong[0], leaf_hash=wrong[3], index=wrong[1], size=wrong[2], root=root)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 20), max_size=6))
def test_grows_in_any_portions_to_the_same_root(portions: list[int]) -> None:
    hashes = leaves(sum(portions))
    tree, start = Frontier(), 0
    for portion in portions:
        tree = tree.extended(hashes[start : start + portion])
        start += portion
    assert tree == Frontier().extended(hashes)
    assert tree.root() == merkle.root(hashes)


def test_never_takes_a_node_for_a_leaf() -> None:
    one, two = leaves(2)
    assert merkle.leaf(one + two) != merkle.node(one, two)
    assert merkle.node(one, two) == hashlib.sha256(b"\x01" + one + two).digest()


@pytest.mark.parametrize("size", [3, -1])
def test_with_a_frontier_that_does_not_fit_its_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="one node for each bit"):
        Frontier(size, (b"\x00" * 32,))


@pytest.mark.parametrize(("size", "index"), [(3, -1), (3, 3), (0, 0)])
def test_shows_no_leaf_that_it_does_not_have(size: int, index: int) -> None:
    with pytest.raises(BadProof, match="no such leaf"):
        merkle.inclusion_proof(leaves(size), index)
    with pytest.raises(BadProof, match="no such leaf"):
        merkle.verify_inclusion([], leaf_hash=leaves(1)[0], index=index, size=size, root=leaves(1)[0])


@pytest.mark.parametrize("odd", [b"x" * 31, b"x" * 33])
@pytest.mark.parametrize("place", range(3))
def test_is_judged_by_hashes_of_one_length_alone(place: int, odd: bytes) -> None:
    """Of two that are hashed together, one could lend the other a byte."""
    one, other = leaves(2)
    root = merkle.node(one, other)
    given = [odd if place == at else good for at, good in enumerate((one, root, other))]
    with pytest.raises(BadProof, match="another length"):
        merkle.verify_inclusion([given[2]], leaf_hash=given[0], index=0, size=2, root=given[1])
    with pytest.raises(BadProof, match="another length"):
        merkle.verify_consistency([given[2]], size=1, root=given[0], new_size=2, new_root=given[1])


def test_of_another_size_is_shown_by_no_proof_that_goes_on_behind_its_root() -> None:
    a, b, c, d, x = leaves(5)
    with pytest.raises(BadProof, match="too long"):
        merkle.verify_inclusion([a], leaf_hash=b, index=0, size=1, root=merkle.node(a, b))
    low, high = merkle.node(merkle.node(a, b), c), merkle.node(merkle.node(a, b), merkle.node(c, d))
    proof = [c, d, merkle.node(a, b)]
    merkle.verify_consistency(proof, size=3, root=low, new_size=4, new_root=high)
    low, high = merkle.node(x, low), merkle.node(x, high)
    with pytest.raises(BadProof, match="too long"):
        merkle.verify_consistency([*proof, x], size=3, root=low, new_size=4, new_root=high)


def test_grows_out_of_none_that_it_does_not_begin_with() -> None:
    hashes, odd = leaves(7), b"x" * 32
    root = {size: merkle.root(hashes[:size]) for size in range(8)}
    for size, new_size, why in (
        (3, 7, "other roots"),
        (4, 7, "other roots"),
        (7, 7, "different"),
        (0, 7, "empty"),
    ):
        proof = merkle.consistency_proof(hashes, size) if size else []
        merkle.verify_consistency(proof, size=size, root=root[size], new_size=new_size, new_root=root[7])
        with pytest.raises(BadProof, match=why):
            merkle.verify_consistency(proof, size=size, root=odd, new_size=new_size, new_root=root[7])
    for size, new_size in ((2, 1), (-1, 1)):
        with pytest.raises(BadProof, match="is larger"):
            merkle.verify_consistency([], size=size, root=odd, new_size=new_size, new_root=odd)


@pytest.mark.parametrize("size", [0, 4, -1])
def test_does_not_begin_with_a_tree_that_is_empty_or_larger(size: int) -> None:
    with pytest.raises(BadProof, match="empty or larger"):
        merkle.consistency_proof(leaves(3), size)


@given(st.integers(0, 75), st.lists(st.integers(0, 75), max_size=3), st.data())
def test_that_forgets_proves_what_one_that_does_not_proves(
    size: int, forgets: list[int], data: st.DataObject
) -> None:
    """With blocks of eight leaves; it is told the leaves of a block again when it has to know them."""
    bodies = leaves(size)
    whole, short = merkle.Tree(), merkle.Tree()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merkle, "BLOCK_LEVEL", 3)
        patch.setattr(merkle, "BLOCK", 8)
        short.recall = lambda first, end: bodies[first:end]
        for place, body in enumerate(bodies):
            whole.append(body)
            short.append(body)
            if place in forgets:
                short.forget()
        old = data.draw(st.integers(0, size))
        assert (short.size, short.root(old)) == (size, whole.root(old))
        assert short.consistency(old, size) == whole.consistency(old, size)
        for at in (1, 9, 17, old):  # in several blocks that it forgot
            assert short.root(min(at, size)) == whole.root(min(at, size))
        again = merkle.Tree([bytearray(level) for level in short.levels], short.base)
        assert again.root(size) == whole.root(size)


def test_that_forgets_keeps_a_root_of_each_block_and_of_the_last_one_all() -> None:
    tree = merkle.Tree()
    for body in leaves(3 * merkle.BLOCK + 5):
        tree.append(body)
    tree.forget()
    assert [len(level) // merkle.HASH_BYTES for level in tree.levels] == [
        *(5 >> level for level in range(merkle.BLOCK_LEVEL)),
        3,
        1,
    ]


@pytest.mark.parametrize("wrong", [[], [b"x"] * merkle.BLOCK, leaves(merkle.BLOCK - 1)])
def test_that_forgets_believes_no_other_leaves_than_there_were(wrong: list[bytes]) -> None:
    tree = merkle.Tree(recall=lambda first, end: wrong)
    for body in leaves(merkle.BLOCK + 1):
        tree.append(body)
    tree.forget()
    with pytest.raises(BadProof, match="as they were"):
        tree.root(7)
