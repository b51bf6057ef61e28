"""The first registry, made in a ceremony of what officers and tokens brought, signed by every officer in it.

    python -m custody.signer.genesis invite --template FILE --out LINKS
    python -m custody.signer.genesis build --template FILE --passkey FILE PAPER... --token FILE... --out FILE
    python -m custody.signer.genesis order --registry FILE --maker UUID --reason TEXT --out FILE --link FILE
    python -m custody.signer.genesis collect --registry FILE --payload FILE --approval FILE... --out ORDER

The template is the deployment's first registry without its keys, agreed before: officers and recovery
officers by their ids, wallets by `m` and `tokens`. `invite` writes a link for each person to the approver's
page, on which they make their passkey and save its file. `build` takes those files, each with the fingerprint
that its officer wrote down, and the record that `provision` printed for each token. It makes no registry
whose quorums its officers cannot reach, or after which nobody could ask for the next. It prints the registry
in words and its digest: everybody present compares it on a machine of their own (`registry show`). `order`
writes what each officer then signs on the approver page, and the link that leads there; `collect` puts the
signatures that the page saved together and checks them as a signer will. No file is written over another.
`docs/ceremonies/genesis.md` is the script.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from custody.signer import brought, drafts, requests, succession
from custody.signer.brought import BadInput, Document
from custody.signer.refusals import Refused
from custody.signer.template import TO_FILE, build, checked, for_the_staff, fragment, invitations
from custody.signer.words import describe
from custody.signer.written import BadDraft
from kernel import canonical, encodings, members, webauthn
from kernel.approval import NONCE_BYTES, SignedApproval, Statement, Verb
from kernel.intent import time_text
from kernel.registry import BadRegistry, Registry

APPROVAL: Final = "approval/1"


def order_payload(registry: Registry, *, maker: str, reason: str, expires: datetime) -> bytes:
    """The canonical order that every officer signs; the maker is somebody who is none of them."""
    if maker in registry.officers:
        raise BadInput("the maker of the genesis is none of its officers: all of them sign")
    return canonical.encode(
        {
            "v": 2,
            "kind": requests.REGISTRY,
            "deployment": registry.deployment,
            "maker": maker,
            "reason": reason,
            "expires": time_text(expires),
            "version": registry.version,
            "digest": registry.digest.hex(),
            "keys": list(registry.keys),
        }
    )


def link(registry: Registry, payload: bytes) -> str:
    """Where every officer signs the order: one link for all of them, because they share its nonce."""
    fields: dict[str, canonical.Value] = {
        "asks": "no",
        "confirm": "no",
        "deployment": registry.deployment,
        "kind": requests.REGISTRY,
        "nonce": secrets.token_hex(NONCE_BYTES),
        "payload": encodings.base64url(payload),
        "request": str(uuid4()),
        "return": TO_FILE,
    }
    return f"{registry.origin}/#{fragment(fields)}"


def collect(registry: Registry, payload: bytes, saved: Sequence[Document], *, now: datetime) -> bytes:
    """The order file, checked as each signer will check it; Refused where it does not hold."""
    message: dict[str, canonical.Value] = {
        "v": 1,
        "type": "order",
        "payload": encodings.base64url(payload),
        "approvals": [_approval(registry, payload, one).as_json() for one in saved],
    }
    succession.check_genesis(registry, order=requests.order(message), token="", now=now)
    return canonical.encode(message)


def _approval(registry: Registry, payload: bytes, saved: Document) -> SignedApproval:
    """What the page saved, with the officer whose passkey signed it."""
    assertion = {"authenticator_data", "client_data", "signature"}
    members.exact(saved, {"type", "deployment", "kind", "nonce", "verb"} | assertion)
    if saved["type"] != APPROVAL or (saved["deployment"], saved["kind"]) != (
        registry.deployment,
        requests.REGISTRY,
    ):
        raise BadInput("not what the approver's page saves of this order")
    given = SignedApproval.from_json(
        {"officer": "", **{name: saved[name] for name in assertion | {"nonce", "verb"}}}
    )
    said = Statement.about(
        payload,
        verb=given.verb,
        kind=requests.REGISTRY,
        deployment=registry.deployment,
        nonce=given.nonce,
    )
    if given.verb is not Verb.RELEASE:
        raise BadInput(f"an officer said {given.verb}: nothing is made of it")
    for officer in registry.officers.values():
        try:
            webauthn.verify(
                given.assertion,
                public_key=officer.public_key,
                challenge=said.challenge(),
                origin=registry.origin,
                rp_id=registry.rp_id,
            )
        except webauthn.BadAssertion:
            continue
        return SignedApproval(officer.id, given.verb, given.nonce, given.assertion)
    raise BadInput("no officer of this registry signed this order with that")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="signer genesis", description="Make the first registry.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    call = verbs.add_parser("invite", help="a link for each person, to make their passkey")
    call.add_argument("--template", type=Path, required=True)
    make = verbs.add_parser("build", help="the registry, from what was brought")
    make.add_argument("--template", type=Path, required=True)
    make.add_argument(
        "--passkey",
        nargs=2,
        action="append",
        required=True,
        metavar=("FILE", "FINGERPRINT"),
        help="what the page saved, and what its officer wrote down",
    )
    make.add_argument("--token", type=Path, nargs="+", required=True, help="what `provision` printed")
    make.add_argument("--model", type=UUID, action="append", default=[], help="the only AAGUIDs admitted")
    make.add_argument("--roots", type=Path, help="vendors' certificates (PEM) that must stand behind them")
    make.add_argument("--staff", type=Path, help="where the officers' passkeys go, for `found_staff`")
    ask = verbs.add_parser("order", help="what each officer signs")
    ask.add_argument("--registry", type=Path, required=True)
    ask.add_argument("--maker", required=True, help="who leads the ceremony; none of the officers")
    ask.add_argument("--reason", required=True)
    ask.add_argument("--hours", type=int, default=24, help="how long the order is good for")
    ask.add_argument("--link", type=Path, required=True, help="where the way to the approver's page goes")
    gather = verbs.add_parser("collect", help="the order, from the officers' approvals")
    gather.add_argument("--registry", type=Path, required=True)
    gather.add_argument("--payload", type=Path, required=True)
    gather.add_argument("--approval", type=Path, nargs="+", required=True)
    for verb in (call, make, ask, gather):
        verb.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        data = _run(options, datetime.now(UTC).replace(microsecond=0))
        drafts.write(options.out, data)
    except (Refused, BadInput, BadDraft, members.BadMember, canonical.NotCanonical, BadRegistry) as error:
        print(f"NOT MADE {error}", file=sys.stderr)
        return 1
    except (OSError, KeyError, ValueError) as error:
        print(f"NOT MADE {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"written {options.out}, SHA-256 of the content {canonical.digest(data).hex()}")
    return 0


def _run(options: argparse.Namespace, now: datetime) -> bytes:
    if options.verb == "invite":
        found = [f"{name}: {where}" for name, where in invitations(brought.document(options.template))]
        return "\n".join(found).encode()
    if options.verb == "build":
        template = brought.document(options.template)
        given = [(brought.document(Path(file)), paper) for file, paper in options.passkey]
        passkeys = checked(template, given, now=now, models=options.model, roots=options.roots)
        registry = build(template, passkeys, [brought.document(path) for path in options.token])
        drafts.check_quorums(registry)
        if options.staff:
            drafts.write(options.staff, for_the_staff(registry, passkeys))
        print("\n".join(describe(registry)))
        return registry.encoded
    registry = succession.read(options.registry)
    if options.verb == "order":
        expires = now + timedelta(hours=options.hours)
        payload = order_payload(registry, maker=options.maker, reason=options.reason, expires=expires)
        drafts.write(options.link, link(registry, payload).encode())
        return payload
    payload = options.payload.read_bytes().removesuffix(b"\n")
    return collect(registry, payload, [brought.document(path) for path in options.approval], now=now)


if __name__ == "__main__":
    sys.exit(main())
