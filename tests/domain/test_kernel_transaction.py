"""A transaction …"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.transaction import (
    BadTransaction,
    Input,
    Outpoint,
    Output,
    SpendDigests,
    Transaction,
    compact,
    multisig_vsize,
)
from tests.vectors import load

BIP143 = load("bip143")["vectors"]


@pytest.mark.parametrize("vector", BIP143, ids=lambda vector: str(vector["digest"])[:8])
def test_is_signed_over_the_digest_of_bip_143(vector: dict[str, object]) -> None:
    transaction = Transaction.parse(bytes.fromhex(str(vector["unsigned"])))
    outpoints = [spent.outpoint.encoded().hex() for spent in transaction.inputs]
    index = outpoints.index(str(vector["outpoint"]))
    script_code = bytes.fromhex(str(vector["script_code"]))
    sats = vector["sats"]
    assert isinstance(sats, int)
    digest = SpendDigests(transaction).digest(index, script_code=script_code, sats=sats)
    assert digest.hex() == vector["digest"]


@pytest.mark.parametrize("vector", BIP143, ids=lambda vector: str(vector["digest"])[:8])
def test_keeps_its_bytes_through_reading_and_writing(vector: dict[str, object]) -> None:
    raw = bytes.fromhex(str(vector["unsigned"]))
    assert Transaction.parse(raw).encoded() == raw


GENESIS_COINBASE = (
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468"
    "652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261"
    "696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e0"
    "3909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)


def test_of_the_genesis_block_has_the_id_that_everybody_knows() -> None:
    transaction = Transaction.parse(bytes.fromhex(GENESIS_COINBASE))
    assert transaction.txid == "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"


transactions = st.builds(
    Transaction,
    inputs=st.lists(
        st.builds(
            Input,
            outpoint=st.builds(
                Outpoint, st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(0, 2**32 - 1)
            ),
            sequence=st.integers(0, 2**32 - 1),
            script_sig=st.binary(max_size=80),
            witness=st.lists(st.binary(max_size=300), max_size=4).map(tuple),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    outputs=st.lists(
        st.builds(Output, st.integers(0, 21 * 10**14), st.binary(max_size=60)), min_size=1, max_size=4
    ).map(tuple),
    version=st.integers(0, 2**32 - 1),
    locktime=st.integers(0, 2**32 - 1),
)


@settings(max_examples=60)
@given(transactions)
def test_means_the_same_to_the_engine_of_bitcoin_core(transaction: Transaction) -> None:
    import pbk

    raw = transaction.encoded()
    assert Transaction.parse(raw) == transaction
    theirs = pbk.Transaction(raw)
    assert bytes(theirs) == raw
    assert str(theirs.txid) == transaction.txid


@settings(max_examples=60)
@given(transactions, st.data())
def test_cut_or_followed_by_a_byte_is_refused(transaction: Transaction, data: st.DataObject) -> None:
    raw = transaction.encoded()
    with pytest.raises(BadTransaction):
        Transaction.parse(raw + b"\x00")
    with pytest.raises(BadTransaction):
        Transaction.parse(raw[: data.draw(st.integers(0, len(raw) - 1))])


@settings(max_examples=200)
@given(st.binary(max_size=120))
def test_is_never_guessed_from_other_bytes(raw: bytes) -> None:
    try:
        transaction = Transaction.parse(raw)
    except BadTransaction:
        return
    assert transaction.encoded() == raw


@pytest.mark.parametrize("number", [0, 252, 253, 0xFFFF, 0x10000, 0xFFFFFFFF, 0x100000000])
def test_writes_each_size_in_its_shortest_form_only(number: int) -> None:
    from kernel.transaction import Reader

    assert Reader(compact(number)).compact() == number
    if number < 253:
        with pytest.raises(BadTransaction):
            Reader(b"\xfd" + number.to_bytes(2, "little")).compact()


def test_of_ours_is_never_smaller_than_its_estimate_and_hardly_larger() -> None:
    outputs = (Output(1, b"\x00\x14" + b"\x01" * 20), Output(1, b"\x00\x20" + b"\x01" * 32))
    for count, threshold, keys, longest in ((1, 2, 3, 72), (5, 3, 5, 72), (300, 3, 5, 72), (1, 2, 3, 71)):
        script = b"\x00" * (3 + 34 * keys)
        witness = (b"", *(b"\x00" * longest for _ in range(threshold)), script)
        spent = tuple(Input(Outpoint("00" * 32, index), witness=witness) for index in range(count))
        real = Transaction(spent, outputs).vsize
        estimate = multisig_vsize(count, outputs, threshold=threshold, keys=keys)
        assert estimate <= real <= estimate + count * threshold
