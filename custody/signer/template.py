"""The template of a first registry, which is one without its keys, and what is made of it with the keys.

Officers and recovery officers stand in it by their ids, with their names and teams, wallets with `m` and
`tokens`, Safes with the tokens of their `owners`. So whoever brings a passkey brings nothing else: no name,
no team, no place in another's stead.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from custody.signer import brought
from custody.signer.brought import BadInput, Document
from kernel import canonical, encodings, members
from kernel.approval import NONCE_BYTES
from kernel.attestation import Passkey
from kernel.registry import Registry

TO_FILE: Final = "file"
"""Where the approver's pages hand over: there is no console yet."""

Brought = tuple[Document, str]
"""A passkey's file, and the fingerprint on its officer's paper."""


def people(template: Document) -> Iterator[tuple[str, str]]:
    """Everybody who makes a passkey, by id and name: officers, and who is there for a recovery."""
    found = dict(members.an_object(template["officers"]))
    if "recovery" in template:
        found |= members.an_object(members.an_object(template["recovery"])["officers"])
    for identity, part in found.items():
        yield identity, members.text(members.an_object(part), "name")


def invitations(template: Document) -> Iterator[tuple[str, str]]:
    """Each person's name and their link to the approver's registration page."""
    for identity, name in people(template):
        fields: dict[str, canonical.Value] = {
            "deployment": members.text(template, "deployment"),
            "known": "",
            "name": name,
            "nonce": secrets.token_hex(NONCE_BYTES),
            "officer": identity,
            "registration": str(uuid4()),
            "return": TO_FILE,
        }
        yield name, f"{members.text(template, 'origin')}/register#{fragment(fields)}"


def checked(
    template: Document,
    given: Sequence[Brought],
    *,
    now: datetime,
    models: Sequence[UUID] = (),
    roots: Path | None = None,
) -> dict[str, Passkey]:
    """Everybody's passkey by their id; BadInput where one is missing, or is not what its officer made."""
    names = dict(people(template))
    site = brought.Site(
        deployment=members.text(template, "deployment"),
        origin=members.text(template, "origin"),
        rp_id=members.text(template, "rp_id"),
        models=models,
        roots=brought.roots(roots),
    )
    found: dict[str, Passkey] = {}
    for saved, paper in given:
        officer = members.text(saved, "officer")
        if officer not in names or officer in found:
            raise BadInput(f"not one passkey of one officer of the template: {officer}")
        name = names[officer]
        found[officer] = brought.passkey(saved, paper=paper, site=site, officer=officer, name=name, now=now)
    absent = ", ".join(name for officer, name in names.items() if officer not in found)
    if absent:
        raise BadInput(f"no passkey of {absent}")
    return found


def build(template: Document, passkeys: Mapping[str, Passkey], tokens: Sequence[Document]) -> Registry:
    """Version 1; BadInput, BadMember or BadRegistry where the parts do not make a registry."""
    keys = {officer: passkey.public_key.hex() for officer, passkey in passkeys.items()}
    document: dict[str, Any] = {**template, "v": 1, "version": 1}
    document["officers"] = _with_keys(template["officers"], keys)
    if "recovery" in template:
        recovery = members.an_object(template["recovery"])
        document["recovery"] = {**recovery, "officers": _with_keys(recovery["officers"], keys)}
    found = brought.token_keys(tokens)
    document["wallets"], unused = _wallets(template, found)
    if "safes" in template:
        document["safes"], unused = _safes(template, found, unused)
    if unused:
        raise BadInput(f"no wallet uses {', '.join(sorted(unused))}")
    return Registry.parse(canonical.encode(document))


def for_the_staff(registry: Registry, passkeys: Mapping[str, Passkey]) -> bytes:
    """The officers' passkeys as `manage.py found_staff --passkeys` reads them."""
    made = {
        officer: {
            "credential_id": encodings.base64url(passkeys[officer].credential_id),
            "public_key": passkeys[officer].public_key.hex(),
            "label": "founding",
        }
        for officer in registry.officers
    }
    return canonical.encode({officer: [passkey] for officer, passkey in made.items()})


def _with_keys(officers: canonical.Value, keys: Mapping[str, str]) -> dict[str, canonical.Value]:
    return {
        one: {**members.an_object(part), "public_key": keys[one]}
        for one, part in members.an_object(officers).items()
    }


def _wallets(
    template: Document, keys: Mapping[str, Sequence[str]]
) -> tuple[dict[str, canonical.Value], set[str]]:
    """The wallets with their keys, and the tokens that are left over."""
    wallets: dict[str, canonical.Value] = {}
    unused = set(keys)
    for wallet, value in members.an_object(template["wallets"]).items():
        part = members.an_object(value)
        members.exact(part, {"m", "tokens"})
        tokens = members.texts(part, "tokens")
        wallets[wallet] = {**part, "keys": brought.rows(tokens, keys)}
        unused -= set(tokens)
    return wallets, unused


def _safes(
    template: Document, keys: Mapping[str, Sequence[str]], unused: set[str]
) -> tuple[dict[str, canonical.Value], set[str]]:
    """The Safes with their owners' keys, and the tokens that are left over."""
    found: dict[str, canonical.Value] = {}
    for name, value in members.an_object(template["safes"]).items():
        found[name] = safe = brought.safe(members.an_object(value), keys)
        unused = unused - safe["owners"].keys()
    return found, unused


def fragment(fields: Mapping[str, canonical.Value]) -> str:
    """What stands behind the # of a link to the approver's pages."""
    return encodings.base64url(canonical.encode(fields))
