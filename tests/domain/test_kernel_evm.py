"""What the kernel knows of EVM chains …"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical, evm, networks, secp256k1
from kernel.bech32 import BadAddress
from kernel.keccak import RATE_BYTES, keccak256
from kernel.money import Amount
from kernel.safe import BadSafeTransaction, SafeTransaction
from tests.softkeys import SoftKey

CHECKSUMMED = (  # EIP-55, its test cases
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)


@pytest.mark.parametrize(
    ("message", "digest"),
    [  # the Keccak team's KeccakKAT (ShortMsgKAT_256): the padding of before FIPS 202
        ("", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        ("cc", "eead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a"),
        ("41fb", "a8eaceda4d47b3281a795ad9e1ea2122b407baf9aabcb9e18b5717b7873537d2"),
        # and the two that Safe's contract holds as constants
        (
            b"EIP712Domain(uint256 chainId,address verifyingContract)".hex(),
            "47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218",
        ),
    ],
)
def test_hashes_as_was_published(message: str, digest: str) -> None:
    assert keccak256(bytes.fromhex(message)).hex() == digest


@given(st.binary(max_size=3 * RATE_BYTES))
def test_permutes_as_the_standard_that_came_of_it(data: bytes) -> None:
    assert keccak256(data, padding=0x06) == hashlib.sha3_256(data).digest()


@pytest.mark.parametrize("length", [RATE_BYTES - 1, RATE_BYTES, RATE_BYTES + 1, 2 * RATE_BYTES])
def test_pads_also_where_a_block_is_full(length: int) -> None:
    assert keccak256(b"\xa3" * length, padding=0x06) == hashlib.sha3_256(b"\xa3" * length).digest()


@pytest.mark.parametrize("text", CHECKSUMMED)
def test_reads_an_address_in_its_one_spelling(text: str) -> None:
    assert evm.address(evm.raw_address(text)) == text
    for other in {text.lower(), text.upper(), text.swapcase(), text[2:], f"{text} ", text[:-1]} - {text}:
        with pytest.raises(BadAddress):
            evm.raw_address(other)


def test_knows_the_address_of_a_key() -> None:
    """The one key whose address everybody knows: the number one."""
    key = SoftKey(1).public_key
    assert evm.address_of(key) == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"


def test_makes_a_signature_from_which_the_key_can_be_told() -> None:
    key, digest, seen = SoftKey(7), b"\x21" * 32, set()
    for number in range(12):
        digest = hashlib.sha256(bytes([number])).digest()
        signature = secp256k1.recoverable(key.public_key, digest, key.sign(digest))
        seen.add(signature[64])
        assert int.from_bytes(signature[32:64], "big") <= secp256k1.ORDER // 2
    assert seen == {27, 28}
    with pytest.raises(secp256k1.BadSignature):
        secp256k1.recoverable(SoftKey(8).public_key, digest, key.sign(digest))


def test_shows_ether_to_its_last_wei() -> None:
    assert str(Amount(1_000_000_000_000_000_001, "ETH")) == "1.000000000000000001"


def test_says_a_chain_by_name_where_it_knows_one() -> None:
    said = [networks.spoken(network) for network in ("eip155:1", "eip155:31337", "regtest", "eip155:01")]
    assert said == ["Ethereum, chain 1", "an EVM chain, chain 31337", "regtest", "eip155:01"]


def transaction(**changes: Any) -> dict[str, canonical.Value]:
    """A transaction that pays a little."""
    plain = SafeTransaction(1, CHECKSUMMED[0], CHECKSUMMED[1], 5, b"\xab", 7)
    return {**plain.as_json(), **changes}


def test_reads_a_safes_transaction_as_it_was_written() -> None:
    found = SafeTransaction.parse(transaction())
    assert (found.as_json(), found.refunds) == (transaction(), False)
    assert SafeTransaction.parse(transaction(gasPrice="1")).refunds


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"chainId": 0},
        {"chainId": True},
        {"to": CHECKSUMMED[1].lower().replace("x8617e", "x8617E")},
        {"to": CHECKSUMMED[4].lower()},
        {"value": 5},
        {"value": "05"},
        {"value": "-5"},
        {"data": "0xAB"},
        {"data": "0xabc"},
        {"data": ""},
        {"data": "ab"},
        {"nonce": "7"},
        {"nonce": -1},
        {"nonce": False},
        {"operation": True},
        {"gasToken": ""},
    ],
    ids=str,
)
def test_refuses_a_second_spelling_of_one(changes: dict[str, Any]) -> None:
    with pytest.raises(BadSafeTransaction):
        SafeTransaction.parse(transaction(**changes))
