"""A signature on secp256k1 …"""

import hashlib

import pytest

from kernel import secp256k1
from tests.softkeys import SoftKey
from tests.vectors import load

WYCHEPROOF = load("ecdsa_secp256k1")


def test_is_judged_as_every_vector_of_wycheproof_for_bitcoin_says() -> None:
    wrong = []
    for number, (point, message, signature, result, comment) in enumerate(WYCHEPROOF["rows"]):
        digest = hashlib.sha256(bytes.fromhex(message)).digest()
        try:
            key = secp256k1.compress(bytes.fromhex(point))
            secp256k1.verify(key, digest, bytes.fromhex(signature))
            accepted = True
        except (secp256k1.BadSignature, secp256k1.BadKey):
            accepted = False
        if accepted != (result == "valid"):
            wrong.append((number, comment, result))
    assert wrong == []
    assert len(WYCHEPROOF["rows"]) == 463


def test_leaves_low_in_s_whatever_the_token_gave() -> None:
    key, digest = SoftKey(5), b"\x11" * 32
    halves = set()
    for _ in range(40):
        raw = key.raw(digest)
        halves.add(int.from_bytes(raw[32:], "big") > secp256k1.ORDER // 2)
        secp256k1.verify(key.public_key, digest, secp256k1.low_s(raw))
    assert halves == {True, False}


def test_over_anything_but_32_bytes_is_refused() -> None:
    key = SoftKey(5)
    good = key.sign(b"\x11" * 32)
    for length in (0, 31, 33, 64):
        with pytest.raises(secp256k1.BadSignature):
            secp256k1.verify(key.public_key, b"\x11" * length, good)


@pytest.mark.parametrize("raw", [b"", b"\x01" * 63, b"\x00" * 64, b"\xff" * 64, b"\x01" * 32 + b"\x00" * 32])
def test_that_cannot_be_one_is_refused(raw: bytes) -> None:
    with pytest.raises(secp256k1.BadSignature):
        secp256k1.low_s(raw)
