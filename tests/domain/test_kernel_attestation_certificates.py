"""A vendor's certificate for a new passkey …"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kernel.attestation import BadAttestation
from tests.attesting import (
    KEY,
    MODEL,
    POINT,
    Statement,
    at_the_console,
    certificate,
    certified,
    made,
    read,
)


def test_proves_a_model_only_by_a_certificate_under_a_root_of_its_vendor() -> None:
    root = certificate("Root", authority=True)
    leaf = certificate(issuer=root)
    client, _ = made()
    written = made(certified(client, *leaf))[1]
    assert read(client, written, roots=[root[0]], models=[MODEL]).public_key.hex() == KEY.public_key_hex
    pem = root[0].public_bytes(serialization.Encoding.PEM)
    assert at_the_console(client, written) == KEY.public_key_hex
    refused: dict[str, tuple[Any, Any]] = {
        "no root that is trusted": (leaf, [certificate("Root", authority=True)[0]]),
        "not valid now": (certificate(issuer=root, days=-1), [root[0]]),
        "of another model": (certificate(issuer=root, model=b"\x07" * 16), [root[0]]),
        "not one for attestations": (certificate("Someone", issuer=root), [root[0]]),
    }
    for why, (wrong, roots) in refused.items():
        with pytest.raises(BadAttestation, match=why):
            read(client, made(certified(client, *wrong))[1], roots=roots)
    with pytest.raises(BadAttestation, match="not signed by the key that it names"):
        read(client, made(certified(client, leaf[0], certificate()[1]))[1])
    # Whoever took the key out of one cheap model certifies no other by it; the vendor's own authority does.
    cheap, between = (
        certificate(issuer=root, model=b"\x07" * 16),
        certificate("CA", issuer=root, authority=True),
    )
    forged = made(certified(client, *certificate(issuer=cheap), cheap[0]))[1]
    with pytest.raises(BadAttestation, match="no authority"):
        read(client, forged, roots=[root[0]], models=[MODEL])
    honest = made(certified(client, *certificate(issuer=between), between[0]))[1]
    assert read(client, honest, roots=[root[0]], models=[MODEL]).aaguid == MODEL
    assert pem.startswith(b"-----BEGIN")


def test_proves_nothing_by_a_chain_with_a_gap_in_it_or_outside_its_time() -> None:
    client, _ = made()
    root, other = certificate("Root", authority=True), certificate("Root", authority=True)
    between, leaf = certificate("CA", issuer=root, authority=True), certificate(issuer=root)
    late = certificate("CA", issuer=root, authority=True, days=-1)
    chains: list[tuple[str, tuple[Any, ...]]] = [
        ("not valid now", (*certificate(issuer=root, since=-1), root[0])),
        ("not valid now", (*certificate(issuer=late), late[0])),
        ("not signed by|unreadable", (*leaf, between[0])),  # which did not issue it
        ("no root that is trusted", (*certificate(issuer=other), other[0])),  # of the same name
        ("not one for attestations", certificate(issuer=root, authority=True)),
        ("not one for attestations", certificate(issuer=root, units=["Vendor"])),
    ]
    for why, (found, key, *above) in chains:
        with pytest.raises(BadAttestation, match=why):
            read(client, made(certified(client, found, key, *above))[1], roots=[root[0]])
    whole = made(certified(client, *leaf, root[0]))[1]
    assert read(client, whole, roots=[other[0], root[0]]).public_key == POINT
    assert read(client, made(certified(client, *leaf))[1], roots=[other[0], root[0]]).public_key == POINT
    with pytest.raises(BadAttestation, match="no root that is trusted"):
        read(client, whole, roots=[other[0]])


def test_is_attested_by_a_key_of_the_kind_that_it_names() -> None:
    client, _ = made()
    vendor: Any = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    for made_before, right, wrong in ((vendor, -257, -7), (None, -7, -257)):
        leaf, key = certificate(key=made_before)
        assert read(client, made(certified(client, leaf, key, alg=right))[1]).public_key == POINT
        with pytest.raises(BadAttestation, match="another kind of key"):
            read(client, made(certified(client, leaf, key, alg=wrong))[1])

    def more(stated: Statement) -> None:
        certified(client, *certificate())(stated)
        stated["attStmt"]["more"] = 1

    with pytest.raises(BadAttestation, match="no statement of that form"):
        read(client, made(more)[1])


U2F: Final = ("rp", "client", "id", "key")


@pytest.mark.parametrize("left_out", ["", *U2F, "zero", "model", "more", "second"])
def test_is_attested_by_an_older_key_over_all_of_it(left_out: str) -> None:
    client, _ = made()
    leaf, key = certificate()

    def change(stated: Statement) -> None:
        found = bytearray(stated["authData"])
        if left_out != "model":
            found[37:53] = bytes(16)
        parts = {
            "rp": bytes(found[:32]),
            "client": hashlib.sha256(client).digest(),
            "id": bytes(found[55:87]),
            "key": POINT,
        }
        signed = b"" if left_out == "zero" else b"\x00"
        signed += b"".join(part for name, part in parts.items() if name != left_out)
        chain = [leaf.public_bytes(serialization.Encoding.DER)] * (1 + (left_out == "second"))
        statement: Statement = {"sig": key.sign(signed, ec.ECDSA(hashes.SHA256())), "x5c": chain}
        statement |= {"more": 1} if left_out == "more" else {}
        stated.update(fmt="fido-u2f", attStmt=statement, authData=bytes(found))

    if not left_out:
        assert read(client, made(change)[1]).public_key == POINT
        return
    signed_less = left_out in (*U2F, "zero")
    why = "not signed by the key" if signed_less else "no statement of that form"
    with pytest.raises(BadAttestation, match=why):
        read(client, made(change)[1])
