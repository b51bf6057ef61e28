"""What tokens and people bring to a registry: each token's record of its keys, each officer's new passkey.

A token's record is what `provision` printed. A passkey arrives as the file that the approver's registration
page saved, `{"type":"passkey/1","deployment":…,"officer":…,"name":…,"nonce":…,"client_data":…,
"attestation_object":…}`: made there and nowhere else, for this officer, by an authenticator that verified
them. Whoever carries the file could put another key in its place, so the fingerprint that the officer wrote
down from the page is compared as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from cryptography import x509

from custody.signer.words import spoken
from kernel import attestation, canonical, encodings, members, registration

PASSKEY: Final = "passkey/1"
Document = Mapping[str, canonical.Value]


class BadInput(ValueError):
    """What was brought is missing something, or contradicts something else."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where signing passkeys are made, and which are admitted."""

    deployment: str
    origin: str
    rp_id: str
    models: Collection[UUID] = ()
    roots: Sequence[x509.Certificate] = ()


def document(path: Path) -> Document:
    """The canonical object in a file; NotCanonical."""
    return canonical.decode_object(path.read_bytes().removesuffix(b"\n"))


def roots(path: Path | None) -> list[x509.Certificate]:
    """The vendors' certificates in a PEM file; none without one."""
    return x509.load_pem_x509_certificates(path.read_bytes()) if path else []


def token_keys(records: Sequence[Document]) -> dict[str, list[str]]:
    """Each token's public keys, in order; BadInput where a key could leave its token."""
    keys: dict[str, list[str]] = {}
    for record in records:
        name = members.text(record, "token")
        if record["type"] != "provisioned" or name in keys:
            raise BadInput(f"not one record of one token: {name}")
        weak = [key for key, value in _attributes(record) if value is not True]
        if weak:
            raise BadInput(f"the keys of {name} are not safe: {', '.join(weak)}")
        keys[name] = members.texts(record, "public_keys")
    return keys


def rows(tokens: Sequence[str], keys: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """A wallet's addresses: for each the key of every token; BadInput where a token's record is missing."""
    missing = [name for name in tokens if name not in keys]
    if missing:
        raise BadInput(f"no record of {', '.join(missing)}")
    counts = {name: len(keys[name]) for name in tokens}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise BadInput(f"the records have different numbers of keys: {said}")
    return [list(row) for row in zip(*(keys[name] for name in tokens), strict=True)]


def safe(part: Document, keys: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A Safe's section, whose owners are a list of tokens, with the first key of each."""
    tokens = members.texts(part, "owners")
    first = {name: row[:1] for name, row in keys.items()}
    return {**part, "owners": dict(zip(tokens, rows(tokens, first)[0], strict=True))}


def passkey(
    brought: Document, *, paper: str, site: Site, officer: str, name: str, now: datetime
) -> attestation.Passkey:
    """What this officer made on the approver's page; BadInput where it is not that, or not on paper."""
    needed = {"type", "deployment", "officer", "name", "nonce", "client_data", "attestation_object"}
    members.exact(brought, needed)
    if brought["type"] != PASSKEY:
        raise BadInput("not what the approver's registration page saves")
    if (brought["deployment"], brought["officer"]) != (site.deployment, officer):
        raise BadInput(f"the file is of {brought['officer']} in {brought['deployment']}, not of {officer}")
    if brought["name"] != name:
        raise BadInput(f"the page was made out to {brought['name']}, not to {name}")
    challenge = registration.challenge(
        deployment=site.deployment,
        officer=officer,
        nonce=encodings.from_hex(members.text(brought, "nonce")),
    )
    try:
        found = attestation.read(
            encodings.from_base64url(members.text(brought, "client_data")),
            encodings.from_base64url(members.text(brought, "attestation_object")),
            challenge=challenge,
            origin=site.origin,
            rp_id=site.rp_id,
            models=site.models,
            roots=site.roots,
            now=now,
        )
    except attestation.BadAttestation as error:
        raise BadInput(f"the passkey of {name}: {error}") from None
    check_paper(found.public_key, paper=paper, name=name)
    return found


def check_paper(public_key: bytes, *, paper: str, name: str) -> None:
    """Nothing, if the fingerprint that its officer wrote down is this key's; BadInput otherwise."""
    own = registration.fingerprint(public_key)
    if "".join(paper.split()).lower() != own:
        raise BadInput(
            f"this key has the fingerprint {spoken(public_key)}, and not the one given. "
            f"Have {name} read theirs from the paper once more: if it is not this one, somebody put another "
            "key in its place"
        )


def _attributes(record: Document) -> list[tuple[str, bool]]:
    """What the token said of its keys: True where it is as it must be."""
    said = members.an_object(record["attributes"])
    must = {"sensitive": True, "always_sensitive": True, "never_extractable": True, "local": True}
    must |= {"extractable": False, "modifiable": False}
    return [(name, said.get(name) is value) for name, value in must.items()]
