"""What a new passkey says of itself …"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.factors.attestation import BadRegistration, Registered, UnknownModel, read
from core.refusals import Refused
from fixtures.authenticator import AAGUID, Authenticator
from kernel.encodings import base64url, from_base64url

ORIGIN: Final = "https://console.example.com"
RP_ID: Final = "console.example.com"
CHALLENGE: Final = b"\x07" * 32
KEY: Final = Authenticator("0a" * 32)
OTHER_MODEL: Final = "cb69481e-8ff7-4039-93ec-0a2729a154a8"

Answer = dict[str, str]


def made(**how: Any) -> Answer:
    """What the browser gives, unless something is otherwise."""
    return KEY.registration(CHALLENGE, **{"origin": ORIGIN, "rp_id": RP_ID, **how})


def take(answer: Answer, *, models: set[str] | None = None, roots: list[bytes] | None = None) -> Registered:
    return read(
        **answer, challenge=CHALLENGE, origin=ORIGIN, rp_id=RP_ID, models=models or set(), roots=roots or []
    )


def client(change: Callable[[dict[str, Any]], Any]) -> Answer:
    """With other client data, over which a key that attests nothing has nothing to sign."""
    answer = made(attests=False)
    said = json.loads(from_base64url(answer["client_data"]))
    change(said)
    return {**answer, "client_data": base64url(json.dumps(said).encode())}


def statement(change: Callable[[dict[str, Any]], Any], *, attests: bool = False) -> Answer:
    answer = made(attests=attests)
    said = cbor2.loads(from_base64url(answer["attestation_object"]))
    change(said)
    return {**answer, "attestation_object": base64url(cbor2.dumps(said))}


def data(change: Callable[[bytes], bytes]) -> Answer:
    return statement(lambda said: said.update(authData=change(said["authData"])))


def with_key(cose: dict[int, Any]) -> Answer:
    """The same passkey with another public key in it."""
    return data(lambda found: found[:87] + cbor2.dumps(cose))


POINT: Final = bytes.fromhex(KEY.public_key_hex)
PLAIN: Final = {1: 2, 3: -7, -1: 1, -2: POINT[1:33], -3: POINT[33:]}
LIES: Final = {
    "another ceremony": client(lambda said: said.update(type="webauthn.get")),
    "no ceremony": client(lambda said: said.pop("type")),
    "another challenge": client(lambda said: said.update(challenge=base64url(b"\x08" * 32))),
    "an empty challenge": client(lambda said: said.update(challenge="")),
    "a host behind ours": client(lambda said: said.update(origin=f"{ORIGIN}.evil.example")),
    "a host before ours": client(lambda said: said.update(origin="https://evil-console.example.com")),
    "a port": client(lambda said: said.update(origin=f"{ORIGIN}:8443")),
    "the port that goes without saying": client(lambda said: said.update(origin=f"{ORIGIN}:443")),
    "another scheme": client(lambda said: said.update(origin="http://console.example.com")),
    "a letter that looks alike": client(lambda said: said.update(origin="https://console.examp1e.com")),
    "a letter of another alphabet": client(lambda said: said.update(origin="https://cоnsole.example.com")),
    "the same in its ASCII": client(lambda said: said.update(origin="https://xn--cnsole-yxf.example.com")),
    "a dot behind": client(lambda said: said.update(origin=f"{ORIGIN}.")),
    "a path behind": client(lambda said: said.update(origin=f"{ORIGIN}/")),
    "an empty frame around": client(lambda said: said.update(crossOrigin=None)),
    "a page around": client(lambda said: said.update(topOrigin=ORIGIN)),
    "a frame around": client(lambda said: said.update(crossOrigin=True)),
    "no object": {**made(), "client_data": base64url(b"[]")},
    "nobody verified": made(flags=0x01),
    "nobody present": made(flags=0x04),
    "a backup of what cannot be backed up": made(flags=0x15),
    "another relying party": made(rp_id="approver.example.com"),
    "nothing attested": data(lambda found: found[:32] + b"\x05" + found[33:37]),
    "bytes behind the key": data(lambda found: found + b"\xa0"),
    "extensions that are not there": data(lambda found: found[:32] + b"\xc5" + found[33:]),
    "an id that is longer than all": data(lambda found: found[:53] + b"\xff\xff" + found[55:]),
    "Ed25519": with_key({1: 1, 3: -8, -1: 6, -2: POINT[1:33]}),
    "RSA": with_key({1: 3, 3: -257, -1: b"\xff" * 256, -2: b"\x01\x00\x01"}),
    "another algorithm's number": with_key({**PLAIN, 3: -35}),
    "another curve": with_key({**PLAIN, -1: 2}),
    "a point off the curve": with_key({**PLAIN, -3: POINT[1:33]}),
    "a compressed point": with_key({**PLAIN, -3: True}),
    "no point": with_key({1: 2, 3: -7, -1: 1}),
    "a form that nobody knows": statement(lambda said: said.update(fmt="hearsay")),
    "a statement where there is none": statement(lambda said: said.update(attStmt={"sig": b"x"})),
    "a proof without its signature": statement(lambda said: said["attStmt"].pop("sig"), attests=True),
    "a proof of another algorithm": statement(lambda said: said["attStmt"].update(alg=-257), attests=True),
    "another model than was signed": statement(
        lambda said: said.update(authData=said["authData"].replace(AAGUID.bytes, bytes(16))), attests=True
    ),
    "a proof by nobody": statement(lambda said: said["attStmt"].update(x5c=[b"\x30\x00"]), attests=True),
    "no map": {**made(), "attestation_object": base64url(cbor2.dumps([1]))},
    "no statement": {**made(), "attestation_object": ""},
}


def test_is_believed_as_the_browser_gives_it() -> None:
    assert take(made()).public_key == KEY.public_key_hex
    assert take(made(attests=False)).attestation == "none"
    assert take(made(flags=0x1D)).credential_id == KEY.credential_id, "a passkey that is kept in a cloud"


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES)
def test_is_refused_with_one_lie_in_it(answer: Answer) -> None:
    with pytest.raises(BadRegistration):
        take(answer)


def test_is_refused_or_read_whatever_is_cut_off_or_bent() -> None:
    """Never an error of ours: a person is told to begin again, and the refusal is on record."""
    whole = made()
    for name, text in whole.items():
        raw = from_base64url(text)
        for place in range(len(raw)):
            for bent in (raw[:place], raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :]):
                try:
                    found = take({**whole, name: base64url(bent)})
                except Refused:
                    continue
                assert found.public_key == KEY.public_key_hex, (name, place)


def certificate(
    holder: ec.EllipticCurvePrivateKey,
    *,
    name: str,
    signer: ec.EllipticCurvePrivateKey,
    issuer: str,
    model: bytes = b"",
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(holder.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
    )
    if model:
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
        built = built.add_extension(x509.UnrecognizedExtension(oid, b"\x04\x10" + model), critical=False)
    return built.sign(signer, hashes.SHA256())


def test_is_refused_with_a_certificate_of_a_version_that_there_is_not() -> None:
    vendor = ec.generate_private_key(ec.SECP256R1())
    leaf = certificate(vendor, name="batch", signer=vendor, issuer="vendor")
    odd = leaf.public_bytes(serialization.Encoding.DER).replace(
        b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1
    )
    with pytest.raises(BadRegistration):
        take(statement(lambda said: said["attStmt"].update(x5c=[odd]), attests=True))


def proved(vendor: ec.EllipticCurvePrivateKey, *, model: bytes = AAGUID.bytes) -> Answer:
    """A passkey whose maker says by a certificate which model it is."""
    batch, answer = ec.generate_private_key(ec.SECP256R1()), made()
    leaf = certificate(batch, name="batch", signer=vendor, issuer="vendor", model=model)
    said = cbor2.loads(from_base64url(answer["attestation_object"]))
    signed = said["authData"] + hashlib.sha256(from_base64url(answer["client_data"])).digest()
    said["attStmt"] = {
        "alg": -7,
        "sig": batch.sign(signed, ec.ECDSA(hashes.SHA256())),
        "x5c": [leaf.public_bytes(serialization.Encoding.DER)],
    }
    return {**answer, "attestation_object": base64url(cbor2.dumps(said))}


def test_proves_its_model_by_its_makers_certificate_alone_where_roots_are_set() -> None:
    """Any program makes a key that attests itself, and says that it is the model which is admitted."""
    vendor, thief = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate(vendor, name="vendor", signer=vendor, issuer="vendor")
    roots, models = [root.public_bytes(serialization.Encoding.PEM)], {str(AAGUID)}
    assert take(proved(vendor), models=models, roots=roots).aaguid == str(AAGUID)
    assert take(proved(vendor, model=b""), models=models, roots=roots).aaguid == str(AAGUID)
    assert take(proved(vendor), roots=roots).attestation == "packed"
    for itself in (made(), made(attests=False)):
        for asked in (models, set[str]()):
            with pytest.raises(UnknownModel, match="does not prove it"):
                take(itself, models=asked, roots=roots)
    with pytest.raises(UnknownModel):
        take(proved(vendor), models={OTHER_MODEL}, roots=roots)
    with pytest.raises(UnknownModel):
        take(proved(vendor, model=bytes(16)), models=models, roots=roots)
    with pytest.raises(BadRegistration):
        take(proved(thief), models=models, roots=roots)
