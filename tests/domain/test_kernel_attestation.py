"""What an authenticator says of a new passkey …"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from core.factors import attestation as console
from fixtures.authenticator import AAGUID, Authenticator
from kernel import attestation, cbor, encodings
from kernel.attestation import BadAttestation, Passkey

CHALLENGE: Final = b"\x01" * 32
ORIGIN, RP_ID = "https://approver.example", "approver.example"
NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
KEY: Final = Authenticator("31" * 32)
MODEL: Final = AAGUID

Statement = dict[str, Any]


def made(change: Callable[[Statement], None] = lambda found: None, **how: Any) -> tuple[bytes, bytes]:
    """Client data and attestation object of a new passkey that attests itself, with a change."""
    given_ = KEY.registration(CHALLENGE, **{"origin": ORIGIN, "rp_id": RP_ID, **how})
    client, written = (
        encodings.from_base64url(given_[name]) for name in ("client_data", "attestation_object")
    )
    stated = cbor2.loads(written)
    change(stated)
    return client, cbor2.dumps(stated)


def read(client: bytes, written: bytes, **how: Any) -> Passkey:
    asked: dict[str, Any] = {"challenge": CHALLENGE, "origin": ORIGIN, "rp_id": RP_ID, "now": NOW}
    return attestation.read(client, written, **{**asked, **how})


def at_the_console(client: bytes, written: bytes, roots: list[bytes] | None = None) -> str:
    """The same by the library that the console uses."""
    return console.read(
        client_data=encodings.base64url(client),
        attestation_object=encodings.base64url(written),
        challenge=CHALLENGE,
        origin=ORIGIN,
        rp_id=RP_ID,
        models=(),
        roots=roots or [],
    ).public_key


def name(unit: str, *more: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vendor"),
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, one) for one in (unit, *more)),
            x509.NameAttribute(NameOID.COMMON_NAME, unit),
        ]
    )


def certificate(
    unit: str = "Authenticator Attestation",
    *,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    authority: bool = False,
    model: bytes = MODEL.bytes,
    days: int = 10,
    since: int = 400,
    key: Any = None,
    units: Sequence[str] = (),
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A vendor's certificate and its key; by itself, or by an issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    by, by_key = (issuer[0].subject, issuer[1]) if issuer else (name(unit), key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(unit, *units))
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=since))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        aaguid = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4"), b"\x04\x10" + model
        )
        builder = builder.add_extension(aaguid, critical=False)
    return builder.sign(by_key, hashes.SHA256()), key


def certified(
    client: bytes, leaf: x509.Certificate, key: Any, *above: x509.Certificate, alg: int = -7
) -> Callable[[Statement], None]:
    """Attested by a certificate's key instead of the passkey's own."""

    def change(stated: Statement) -> None:
        how: list[Any] = [ec.ECDSA(hashes.SHA256())]
        if isinstance(key, rsa.RSAPrivateKey):
            how = [padding.PKCS1v15(), hashes.SHA256()]
        signed = key.sign(stated["authData"] + hashlib.sha256(client).digest(), *how)
        chain = [one.public_bytes(serialization.Encoding.DER) for one in (leaf, *above)]
        stated["attStmt"] = {"alg": alg, "sig": signed, "x5c": chain}

    return change


def bare(stated: Statement) -> None:
    stated.update(fmt="none", attStmt={})


def test_is_read_as_the_console_reads_it() -> None:
    for change in (lambda found: None, bare):
        client, written = made(change)
        found = read(client, written)
        assert found.public_key.hex() == at_the_console(client, written) == KEY.public_key_hex
        assert found.aaguid == MODEL
    assert read(*made()).attestation == "packed"
    assert read(*made(bare)).attestation == "none"
    assert encodings.base64url(read(*made()).credential_id) == KEY.credential_id


def flagged(flags: int) -> Callable[[Statement], None]:
    def change(stated: Statement) -> None:
        data = bytearray(stated["authData"])
        data[32] = flags
        stated["authData"] = bytes(data)
        bare(stated)

    return change


def longer(stated: Statement) -> None:
    stated["authData"] += b"\x00"
    bare(stated)


def of_another_curve(stated: Statement) -> None:
    data = stated["authData"]
    stated["authData"] = data.replace(cbor2.dumps({-1: 1})[1:], cbor2.dumps({-1: 2})[1:])
    bare(stated)


def data(change: Callable[[bytes], bytes]) -> Callable[[Statement], None]:
    """With authenticator data that were changed, attested by nobody."""

    def of(stated: Statement) -> None:
        stated["authData"] = change(stated["authData"])
        bare(stated)

    return of


def key(**members: Any) -> Callable[[Statement], None]:
    """With another public key."""
    found = {"1": 2, "3": -7, "-1": 1, "-2": POINT[1:33], "-3": POINT[33:]} | members
    return data(lambda before: before[:87] + cbor2.dumps({int(name): one for name, one in found.items()}))


POINT: Final = bytes.fromhex(KEY.public_key_hex)
ODD: Final[list[tuple[Callable[[Statement], None], str]]] = [
    (flagged(0x44), "asked for no PIN"),
    (flagged(0xC5), "unreadable: the bytes end too early"),
    (data(lambda found: found[:53] + b"\0\0" + found[87:]), "another length"),
    (data(lambda found: found[:53] + b"\xff\xff" + found[55:]), "unreadable"),
    (data(lambda found: found[:87] + b"\x00"), "another kind of key"),
    (key(**{"1": 1}), "another kind of key"),
    (key(**{"3": -257}), "another kind of key"),
    (key(**{"-2": "x"}), "no point"),
    (key(**{"-3": "y"}), "no point"),
    (key(**{"-3": POINT[1:33]}), "Invalid EC key"),  # on no curve
    (lambda found: found.update(attStmt=7), "no attestation object"),
    (lambda found: found.update(authData="text"), "no attestation object"),
    (lambda found: found["attStmt"].update(sig="text"), "no statement of that form"),
    (lambda found: found["attStmt"].update(x5c=b"text"), "no statement of that form"),
    (lambda found: found["attStmt"].update(more=b"x" * 70_000), "longer than"),
]


@pytest.mark.parametrize(("change", "why"), ODD)
def test_is_refused_where_any_part_of_it_is_odd(change: Callable[[Statement], None], why: str) -> None:
    with pytest.raises(BadAttestation, match=why):
        read(*made(change))


def test_is_no_attestation_where_it_is_no_object() -> None:
    with pytest.raises(BadAttestation, match="no attestation object"):
        read(made()[0], cbor2.dumps([1]))


def test_may_be_extended() -> None:
    extended = data(lambda found: found[:32] + b"\xc5" + found[33:] + cbor2.dumps({"credProtect": 2}))
    assert read(*made(extended)).public_key == POINT


@pytest.mark.parametrize(
    ("change", "how", "why"),
    [
        (lambda found: None, {"challenge": b"\x02" * 32}, "another challenge"),
        (lambda found: None, {"origin": "https://evil.example"}, "origin is"),
        (lambda found: None, {"rp_id": "evil.example"}, "another relying party"),
        (flagged(0x41), {}, "asked for no PIN"),
        (flagged(0x05), {}, "asked for no PIN"),
        (longer, {}, "another length"),
        (of_another_curve, {}, "another kind of key"),
        (
            lambda found: found["attStmt"].update(sig=b"\x30\x06\x02\x01\x01\x02\x01\x01"),
            {},
            "not by this key",
        ),
        (lambda found: found["attStmt"].update(alg=-257), {}, "no statement of that form"),
        (lambda found: found["attStmt"].update(more=1), {}, "no statement of that form"),
        (lambda found: found.update(fmt="none"), {}, "where none was announced"),
        (lambda found: found.update(fmt="tpm"), {}, "take a security key"),
        (lambda found: found.update(more=1), {}, "no attestation object"),
        (lambda found: None, {"models": [AAGUID.__class__(int=7)]}, "no model that is admitted"),
        (bare, {"models": [MODEL]}, "does not prove which model"),
        (lambda found: None, {"roots": [certificate(authority=True)[0]]}, "does not prove which model"),
    ],
)
def test_is_refused_where_it_is_anything_less(
    change: Callable[[Statement], None], how: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadAttestation, match=why):
        read(*made(change), **how)


def test_is_refused_where_it_answers_another_page() -> None:
    client, written = made()
    for member, value in (("type", "webauthn.get"), ("crossOrigin", True), ("topOrigin", ORIGIN)):
        other = json.dumps({**json.loads(client), member: value}).encode()
        with pytest.raises(BadAttestation):
            read(other, written)


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


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
def test_is_read_whole_or_not_at_all(place: int, noise: bytes) -> None:
    """Whatever is changed in the bytes, the answer is the same passkey or a refusal."""
    client, written = made()
    at = place % len(written)
    changed = written[:at] + noise + written[at + len(noise) :]
    try:
        assert read(client, changed).public_key.hex() == KEY.public_key_hex
    except BadAttestation:
        return


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=300)
    | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-9, 9) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_is_written_in_a_cbor_that_is_read_as_others_read_it(value: Any) -> None:
    if depth(value) <= cbor.DEPTH_MAX:
        assert cbor.decode(cbor2.dumps(value)) == value


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((1 + depth(one) for one in inner), default=0)


SECOND_SPELLINGS: Final = "1800 190017 f97e00 c001 5f4101ff a201000100 f8ff 0000 4201 a1f500 61ff a1"
OTHERS: Final = ("", "9a00ffffff", "81" * 9 + "00", "a100" * 9 + "00", "a1" * 2_000)
UNREAD: Final = f"f0 f7 c0 a1410000 5c 1c00 1c{'ff' * 16} 1817 1900ff 1a0000ffff 1b00000000ffffffff"


@pytest.mark.parametrize("written", [*SECOND_SPELLINGS.split(), *UNREAD.split(), *OTHERS])
def test_is_refused_where_the_cbor_has_a_second_spelling_or_no_end(written: str) -> None:
    with pytest.raises(cbor.BadCbor):
        cbor.decode(bytes.fromhex(written))


def test_is_read_up_to_a_depth_and_only_where_all_of_its_bytes_are_there() -> None:
    assert cbor.decode(bytes.fromhex("81" * cbor.DEPTH_MAX + "00")) == [[[[[[[[0]]]]]]]]
    with pytest.raises(cbor.BadCbor, match="end within a string"):
        cbor.first(bytes.fromhex("4201"))
