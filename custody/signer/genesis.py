"""The first registry, made in a ceremony of what officers and tokens brought, signed by every officer in it.

    python -m custody.signer.genesis build --template FILE --officer FILE... --token FILE... --out REGISTRY
    python -m custody.signer.genesis order --registry FILE --maker UUID --reason TEXT --out PAYLOAD
    python -m custody.signer.genesis collect --registry FILE --payload FILE --approval FILE... --out ORDER

`build` takes the deployment's template (all but officers and keys; wallets name `m` and `tokens`), one
enrolment file per officer and the record that `provision` printed for each token. It prints the registry in
words and its digest: everybody present compares it on a machine of their own (`registry show`). `order`
writes what each officer then signs with their passkey on the approver page, and `collect` puts the approvals
together and checks them as a signer will. `docs/ceremonies/genesis.md` is the script.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from custody.signer import requests, succession
from custody.signer.refusals import Refused
from custody.signer.registry import describe
from kernel import canonical, encodings, members
from kernel.intent import time_text
from kernel.registry import BadRegistry, Registry


class BadInput(ValueError):
    """A file of the ceremony is missing something or contradicts another."""


Document = Mapping[str, canonical.Value]


def build(template: Document, officers: Sequence[Document], tokens: Sequence[Document]) -> Registry:
    """Version 1; BadInput, BadMember or BadRegistry where the parts do not make a registry."""
    people: dict[str, canonical.Value] = {}
    for enrolment in officers:
        members.exact(enrolment, {"v", "type", "officer", "name", "teams", "public_key"}, ("decoder_key",))
        identity = members.text(enrolment, "officer")
        if enrolment["type"] != "enrolment" or identity in people:
            raise BadInput(f"not one enrolment of one officer: {identity}")
        names = ("name", "teams", "public_key", "decoder_key")
        people[identity] = {name: enrolment[name] for name in names if name in enrolment}
    keys: dict[str, list[canonical.Value]] = {}
    for record in tokens:
        name, found = members.text(record, "token"), record["public_keys"]
        if record["type"] != "provisioned" or name in keys or not isinstance(found, list):
            raise BadInput(f"not one record of one token: {name}")
        weak = [key for key, value in _attributes(record) if value is not True]
        if weak:
            raise BadInput(f"the keys of {name} are not safe: {', '.join(weak)}")
        keys[name] = found
    wallets: dict[str, canonical.Value] = {}
    for wallet, value in members.an_object(template["wallets"]).items():
        part = members.an_object(value)
        members.exact(part, {"m", "tokens"})
        names_of = members.texts(part, "tokens")
        missing = [name for name in names_of if name not in keys]
        if missing:
            raise BadInput(f"no record of {', '.join(missing)}")
        rows: list[canonical.Value] = [
            list(row) for row in zip(*(keys[name] for name in names_of), strict=True)
        ]
        wallets[wallet] = {**part, "keys": rows}
    unused = keys.keys() - {
        name for part in wallets.values() for name in members.texts(members.an_object(part), "tokens")
    }
    if unused:
        raise BadInput(f"no wallet uses {', '.join(sorted(unused))}")
    document = {**template, "v": 1, "version": 1, "officers": people, "wallets": wallets}
    return Registry.parse(canonical.encode(document))


def _attributes(record: Document) -> list[tuple[str, bool]]:
    """What the token said of its keys: True where it is as it must be."""
    said = members.an_object(record["attributes"])
    must = {"sensitive": True, "always_sensitive": True, "never_extractable": True, "local": True}
    must |= {"extractable": False, "modifiable": False}
    return [(name, said.get(name) is value) for name, value in must.items()]


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


def collect(registry: Registry, payload: bytes, approvals: Sequence[Document], *, now: datetime) -> bytes:
    """The order file, checked as each signer will check it; Refused where it does not hold."""
    message: dict[str, canonical.Value] = {
        "v": 1,
        "type": "order",
        "payload": encodings.base64url(payload),
        "approvals": list(approvals),
    }
    succession.check_genesis(registry, order=requests.order(message), token="", now=now)
    return canonical.encode(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="signer genesis", description="Make the first registry.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("build", help="the registry, from what was brought")
    make.add_argument("--template", type=Path, required=True)
    make.add_argument("--officer", type=Path, nargs="+", required=True, help="enrolment files")
    make.add_argument("--token", type=Path, nargs="+", required=True, help="what `provision` printed")
    ask = verbs.add_parser("order", help="what each officer signs")
    ask.add_argument("--registry", type=Path, required=True)
    ask.add_argument("--maker", required=True, help="who leads the ceremony; none of the officers")
    ask.add_argument("--reason", required=True)
    ask.add_argument("--hours", type=int, default=24, help="how long the order is good for")
    gather = verbs.add_parser("collect", help="the order, from the officers' approvals")
    gather.add_argument("--registry", type=Path, required=True)
    gather.add_argument("--payload", type=Path, required=True)
    gather.add_argument("--approval", type=Path, nargs="+", required=True)
    for verb in (make, ask, gather):
        verb.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        data = _run(options, datetime.now(UTC).replace(microsecond=0))
    except (Refused, BadInput, members.BadMember, canonical.NotCanonical, BadRegistry) as error:
        print(f"NOT MADE {error}", file=sys.stderr)
        return 1
    except (OSError, KeyError, ValueError) as error:
        print(f"NOT MADE {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    options.out.write_bytes(data + b"\n")
    print(f"written {options.out}, SHA-256 of the content {canonical.digest(data).hex()}")
    return 0


def _run(options: argparse.Namespace, now: datetime) -> bytes:
    if options.verb == "build":
        registry = build(
            _document(options.template),
            [_document(path) for path in options.officer],
            [_document(path) for path in options.token],
        )
        print("\n".join(describe(registry)))
        return registry.encoded
    registry = succession.read(options.registry)
    if options.verb == "order":
        expires = now + timedelta(hours=options.hours)
        return order_payload(registry, maker=options.maker, reason=options.reason, expires=expires)
    payload = options.payload.read_bytes().removesuffix(b"\n")
    return collect(registry, payload, [_document(path) for path in options.approval], now=now)


def _document(path: Path) -> Document:
    return canonical.decode_object(path.read_bytes().removesuffix(b"\n"))


if __name__ == "__main__":
    sys.exit(main())
