"""A multisig script …"""

import hashlib
import random

import pytest

from kernel import base58, script, secp256k1
from tests.softkeys import SoftKey
from tests.vectors import load


@pytest.mark.parametrize("vector", load("bip67")["vectors"])
def test_sorts_its_keys_as_bip_67_says(vector: dict[str, object]) -> None:
    keys = [bytes.fromhex(str(key)) for key in vector["keys"]]  # type: ignore[attr-defined]
    try:
        found = script.sorted_multisig(2, keys)
    except secp256k1.BadKey:
        # The third vector's keys are no points of the curve: they show the order only.
        assert [key.hex() for key in sorted(keys)] == vector["sorted"]
        return
    assert found.hex() == vector["script"]
    digest = hashlib.new("ripemd160", hashlib.sha256(found).digest()).digest()
    assert base58.encode(b"\x05" + digest) == vector["p2sh_address"]


def test_does_not_depend_on_the_order_of_its_keys() -> None:
    keys = [SoftKey(number).public_key for number in range(1, 6)]
    shuffled = random.Random(7).sample(keys, 5)
    assert script.sorted_multisig(3, keys) == script.sorted_multisig(3, shuffled)
    assert script.read_multisig(script.sorted_multisig(3, keys)) == (3, tuple(sorted(keys)))


def test_has_the_address_that_bdk_and_btclib_derive() -> None:
    import bdkpython as bdk
    from btclib.script.script_pub_key import ScriptPubKey

    keys = [SoftKey(number).public_key for number in (11, 12, 13, 14, 15)]
    witness_script = script.sorted_multisig(3, keys)
    ours = script.address_of(script.p2wsh(witness_script), "regtest")
    text = f"wsh(sortedmulti(3,{','.join(key.hex() for key in keys)}))"
    descriptor = bdk.Descriptor(text, bdk.NetworkKind.TEST)
    wallet = bdk.Wallet.create_single(descriptor, bdk.Network.REGTEST, bdk.Persister.new_in_memory())
    assert str(wallet.peek_address(bdk.KeychainKind.EXTERNAL, 0).address) == ours
    assert ScriptPubKey.p2wsh(witness_script, "regtest").address == ours


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good[:-1] + b"\xaf",  # OP_CHECKMULTISIGVERIFY
        lambda good: b"\x50" + good[1:],  # no threshold
        lambda good: b"\x54" + good[1:],  # 4 of 3
        lambda good: good[:1] + good[35:69] + good[1:35] + good[69:],  # unsorted
        lambda good: good[:35] + good[1:35] + good[69:],  # a key twice
        lambda good: good + b"\x51",
        lambda good: b"",
    ],
)
def test_in_any_other_form_is_refused(spoil: object) -> None:
    good = script.sorted_multisig(2, [SoftKey(number).public_key for number in (1, 2, 3)])
    with pytest.raises((script.BadScript, secp256k1.BadKey)):
        script.read_multisig(spoil(good))  # type: ignore[operator]
