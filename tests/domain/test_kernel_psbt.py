"""A PSBT …"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import psbt, script
from kernel.psbt import Psbt, Spend
from kernel.transaction import Input, Outpoint, Output, Transaction
from tests.softkeys import SoftKey
from tests.vectors import load

BIP174 = load("bip174")
KEYS = [SoftKey(number) for number in range(101, 106)]
SCRIPT = script.sorted_multisig(3, [key.public_key for key in KEYS])
PAID = Output(40_000_000, b"\x00\x14" + b"\x07" * 20)


def coin(number: int, sats: int = 50_000_000) -> tuple[Outpoint, Transaction, bytes]:
    made = Transaction(
        (Input(Outpoint(f"{number:064x}", 0), witness=(b"\x30" * 71, b"\x02" * 33)),),
        (Output(1_234, b"\x51"), Output(sats, script.p2wsh(SCRIPT))),
    )
    return Outpoint(made.txid, 1), made, SCRIPT


def spend(coins: int = 2) -> Psbt:
    change = Output(coins * 50_000_000 - 40_003_000, script.p2wsh(SCRIPT))
    return Psbt.build([coin(number) for number in range(1, coins + 1)], [PAID, change])


def sign(unsigned: Psbt, *signers: SoftKey) -> Psbt:
    return unsigned.with_signatures(
        (index, key.public_key, key.sign(digest) + b"\x01")
        for index, digest in enumerate(unsigned.digests())
        for key in signers
    )


def judged_by_bitcoin_core(transaction: Transaction, coins: list[Output]) -> bool:
    import pbk
    from pbk.script import PrecomputedTransactionData

    spending = pbk.Transaction(transaction.encoded())
    outputs = [pbk.TransactionOutput(pbk.ScriptPubkey(one.script), one.sats) for one in coins]
    shared = PrecomputedTransactionData(spending, outputs)
    flags = pbk.ScriptVerificationFlags.ALL
    return bool(coins) and all(
        pbk.ScriptPubkey(one.script).verify(one.sats, spending, shared, index, flags)
        for index, one in enumerate(coins)
    )


@pytest.mark.parametrize(("case", "raw"), BIP174["invalid"])
def test_that_bip_174_calls_invalid_is_refused(case: str, raw: str) -> None:
    with pytest.raises(psbt.BadPsbt):
        Psbt.parse(bytes.fromhex(raw))


@pytest.mark.parametrize(("case", "raw"), BIP174["fails_signer_checks"])
def test_that_fails_bip_174s_signer_checks_is_refused(case: str, raw: str) -> None:
    with pytest.raises(psbt.BadPsbt):
        Psbt.parse(bytes.fromhex(raw))


@pytest.mark.parametrize(("case", "raw"), BIP174["valid"])
def test_that_is_valid_but_no_multisig_spend_of_ours_is_refused_too(case: str, raw: str) -> None:
    with pytest.raises(psbt.BadPsbt):
        Psbt.parse(bytes.fromhex(raw))


def test_survives_reading_and_writing_with_and_without_signatures() -> None:
    for one in (spend(), sign(spend(), KEYS[0]), sign(spend(), *KEYS)):
        assert Psbt.parse(one.encoded()) == one
        assert Psbt.parse_base64(one.base64()) == one


def test_is_read_by_bdk_and_btclib_with_the_same_meaning() -> None:
    import bdkpython as bdk
    from btclib_wallet.psbt import Psbt as TheirPsbt
    from btclib_wallet.psbt import psbt as theirs

    unsigned = spend(3)
    assert (
        str(bdk.Psbt(unsigned.base64()).extract_tx_unchecked_fee_rate().compute_txid())
        == unsigned.transaction.txid
    )
    assert bdk.Psbt(unsigned.base64()).fee() == unsigned.fee
    other = TheirPsbt.b64decode(unsigned.base64())
    assert [theirs.ecdsa_sig_hash(other, index, hash_type=1) for index in range(3)] == unsigned.digests()


@pytest.mark.parametrize("quorum", [(0, 1, 2), (4, 2, 0), (1, 3, 4)])
def test_signed_by_any_three_of_five_is_accepted_by_bitcoin_core(quorum: tuple[int, ...]) -> None:
    unsigned = spend()
    coins = [unsigned.coin(index) for index in range(2)]
    parts = [sign(unsigned, KEYS[place]) for place in quorum]
    whole = parts[0].combined(parts[1]).combined(parts[2])
    assert whole.missing() == 0
    transaction = whole.finalised()
    assert judged_by_bitcoin_core(transaction, coins)
    assert transaction.txid == unsigned.transaction.txid
    assert Transaction.parse(transaction.encoded()) == transaction
    assert not judged_by_bitcoin_core(transaction, [replace(one, sats=one.sats + 1) for one in coins])


def test_is_finalised_exactly_as_bdk_does_it() -> None:
    import bdkpython as bdk

    whole = sign(spend(), *KEYS[:3])
    finished = bdk.Psbt(whole.base64()).finalize()
    assert finished.could_finalize
    assert bytes(finished.psbt.extract_tx().serialize()) == whole.finalised().encoded()


def test_with_more_signatures_than_needed_uses_just_the_threshold() -> None:
    whole = sign(spend(), *KEYS)
    coins = [whole.coin(index) for index in range(2)]
    assert judged_by_bitcoin_core(whole.finalised(), coins)


def test_below_the_threshold_is_not_finalised() -> None:
    part = sign(spend(), *KEYS[:2])
    assert part.missing() == 1
    with pytest.raises(psbt.NotEnoughSignatures):
        part.finalised()


def _field(key: bytes, value: bytes) -> bytes:
    return bytes([len(key)]) + key + bytes([len(value)]) + value


def test_with_a_field_of_another_kind_is_refused() -> None:
    raw = spend(1).encoded()
    head = raw.index(b"\x00", len(psbt.MAGIC) + 3 + len(spend(1).transaction.encoded()))
    for key in (b"\x01", b"\xfb", b"\xfc\x01x"):
        with pytest.raises(psbt.UnknownField):
            Psbt.parse(raw[:head] + _field(key, b"\x00\x00\x00\x00") + raw[head:])
    for key in (b"\x06" + KEYS[0].public_key, b"\x07", b"\x08", b"\x04", b"\x10"):
        with pytest.raises(psbt.UnknownField):
            Psbt.parse(raw[:-3] + _field(key, b"\x00\x00\x00\x00") + raw[-3:])
    with pytest.raises(psbt.UnknownField):
        Psbt.parse(raw[:-1] + _field(b"\x01", b"\x51") + b"\x00")


def test_with_a_field_twice_is_refused() -> None:
    raw = spend(1).encoded()
    sighash = _field(b"\x03", b"\x01\x00\x00\x00")
    with pytest.raises(psbt.RepeatedField):
        Psbt.parse(raw.replace(sighash, sighash + sighash))


def test_whose_coin_lies_about_its_amount_is_refused() -> None:
    unsigned = spend(1)
    honest = unsigned.coin(0).encoded()
    lie = replace(unsigned.coin(0), sats=49_000_000).encoded()
    raw = unsigned.encoded()
    place = raw.rindex(honest)
    with pytest.raises(psbt.WrongCoin):
        Psbt.parse(raw[:place] + lie + raw[place + len(lie) :])


def test_without_its_previous_transaction_is_refused() -> None:
    raw, made = spend(1).encoded(), coin(1)[1].encoded()
    whole = b"\x01\x00" + bytes([len(made)]) + made
    assert whole in raw
    with pytest.raises(psbt.NoPreviousTransaction):
        Psbt.parse(raw.replace(whole, b""))


def test_with_another_previous_transaction_is_refused() -> None:
    unsigned = spend(1)
    fatter = replace(coin(1)[1], locktime=7)
    with pytest.raises(psbt.WrongPreviousTransaction):
        replace(unsigned, spends=(Spend(fatter, SCRIPT),))
    outpoint = replace(unsigned.transaction.inputs[0].outpoint, index=2)
    with pytest.raises(psbt.WrongPreviousTransaction):
        Psbt.build([(outpoint, coin(1)[1], SCRIPT)], [PAID])


@pytest.mark.parametrize("sighash", [0, 2, 3, 0x81, 0x83])
def test_that_asks_for_another_signature_type_is_refused(sighash: int) -> None:
    honest = _field(b"\x03", b"\x01\x00\x00\x00")
    raw = spend(1).encoded().replace(honest, _field(b"\x03", bytes([sighash, 0, 0, 0])))
    with pytest.raises(psbt.WrongSighash):
        Psbt.parse(raw)


def test_with_the_same_coin_twice_is_refused() -> None:
    with pytest.raises(psbt.RepeatedInput):
        Psbt.build([coin(1), coin(1)], [PAID])


def test_that_pays_more_than_it_holds_is_refused() -> None:
    with pytest.raises(psbt.NegativeFee):
        Psbt.build([coin(1)], [replace(PAID, sats=50_000_001)])


def test_with_a_foreign_or_weaker_witness_script_is_refused() -> None:
    weaker = script.sorted_multisig(2, [key.public_key for key in KEYS])
    for other in (weaker, b"\x51", b""):
        with pytest.raises(psbt.WrongWitnessScript):
            replace(spend(1), spends=(Spend(coin(1)[1], other),))


def test_takes_no_signature_that_is_not_right() -> None:
    unsigned = spend(2)
    key, stranger = KEYS[0], SoftKey(999)
    first, second = unsigned.digests()
    good = key.sign(first)
    for index, by, signature in (
        (0, stranger.public_key, stranger.sign(first) + b"\x01"),
        (0, key.public_key, key.sign(second) + b"\x01"),
        (0, key.public_key, good + b"\x02"),
        (0, key.public_key, good),
        (0, key.public_key, b""),
        (1, key.public_key, good + b"\x01"),
        (7, key.public_key, good + b"\x01"),
    ):
        with pytest.raises(psbt.ForeignSignature):
            unsigned.with_signatures([(index, by, signature)])


def test_of_another_transaction_is_not_combined() -> None:
    with pytest.raises(psbt.DifferentTransaction):
        sign(spend(2), KEYS[0]).combined(sign(spend(1), KEYS[1]))


@settings(max_examples=150)
@given(st.data())
def test_with_any_byte_changed_is_refused_or_means_something_else(data: st.DataObject) -> None:
    whole = sign(spend(1), KEYS[0])
    raw = bytearray(whole.encoded())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        other = Psbt.parse(bytes(raw))
    except psbt.BadPsbt:
        return
    assert other != whole


def test_hashes_what_all_inputs_share_only_once() -> None:
    calls = 0
    real = hashlib.sha256

    def counting(data: bytes = b"") -> object:
        nonlocal calls
        calls += 1
        return real(data)

    unsigned = spend(40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kernel.transaction.hashlib.sha256", counting)
        unsigned.digests()
    assert calls == 2 * (3 + 40)
