"""The registry file at the signer: taken up once, changed only by an officers' order, shown to people.

    python -m custody.signer.registry show FILE
    python -m custody.signer.registry diff OLD NEW
    python -m custody.signer.registry verify NEW --order FILE --old OLD

The first start pins the file's digest in the journal and on the token and keeps a copy; on mainnet it takes
an order by the quorum of the very officers that the file names (--registry-order). Any other file is
refused from then on, unless an order (`signer.registry`, naming version and digest) carries the quorum of the
officers who stand in the *old* file. The order is announced to each signer (over its socket, or at the start
with --registry-order); the old file's `registry_delay_s` later the new one may be started with, if no officer
has vetoed it in between. Versions only grow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from custody.signer import checks, requests
from custody.signer.refusals import Refused
from kernel import canonical
from kernel.registry import BadRegistry, Registry

COPY: Final = "registry.json"


def read(path: Path) -> Registry:
    """The registry in a file; Refused where it is none."""
    try:
        return Registry.parse(path.read_bytes())
    except (canonical.NotCanonical, BadRegistry) as error:
        raise Refused("SIGNER_BAD_REGISTRY", f"{path}: {error}") from None


def read_order(path: Path) -> requests.Order:
    """The order in a file: the same message that a socket would take."""
    try:
        return requests.order(canonical.decode_object(path.read_bytes().removesuffix(b"\n")))
    except canonical.NotCanonical as error:
        raise Refused("SIGNER_BAD_ORDER", f"{path}: {error}") from None


def check_genesis(new: Registry, *, order: requests.Order | None, token: str, now: datetime) -> None:
    """Nothing, if a signer without a memory may begin with this registry; Refused otherwise.

    Where real money is (mainnet), the officers in the file must have ordered it themselves: it shows that the
    keys that were written down in the ceremony are theirs, and that a quorum of them can sign.
    """
    if order is None:
        if new.network == "mainnet":
            raise Refused("SIGNER_GENESIS_UNSIGNED", "begin with an order of the officers in the file")
        return
    _check_names(new, order)
    checks.judge_order(order, token=token, registry=new, now=now)


def check_successor(
    new: Registry, *, old: Registry, order: requests.Order, token: str, now: datetime
) -> list[checks.Sighting]:
    """The order's sign counts, if officers of the old registry ordered exactly this new one; else Refused."""
    _check_names(new, order)
    if new.version <= old.version:
        raise Refused("SIGNER_REGISTRY_CHANGED", f"version {new.version} does not follow {old.version}")
    if (new.deployment, new.network) != (old.deployment, old.network):
        raise Refused("SIGNER_REGISTRY_CHANGED", "deployment and network never change")
    if order.kind == requests.RECOVERY:
        check_recovery(new, old=old)
    return checks.judge_order(order, token=token, registry=old, now=now)


def check_recovery(new: Registry, *, old: Registry) -> None:
    """Nothing, if nothing but the officers differ: a recovery brings people back, and moves no limit."""
    before, after = (canonical.decode_object(one.encoded) for one in (old, new))
    for document in (before, after):
        for name in ("officers", "version"):
            document.pop(name)
    if before != after:
        raise Refused("SIGNER_REGISTRY_CHANGED", "a recovery changes officers and nothing else")


def _check_names(new: Registry, order: requests.Order) -> None:
    named = (order.version, order.subject)
    if order.kind not in (requests.REGISTRY, requests.RECOVERY) or named != (new.version, new.digest.hex()):
        raise Refused("SIGNER_BAD_ORDER", "the order is not about this registry file")


def differences(old: canonical.Value, new: canonical.Value, where: str = "") -> Iterator[str]:
    """One line per changed leaf, `path: before -> after`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            path = f"{where}/{name}"
            if name not in old:
                yield f"{path}: added {_short(new[name])}"
            elif name not in new:
                yield f"{path}: removed {_short(old[name])}"
            else:
                yield from differences(old[name], new[name], path)
    elif old != new:
        yield f"{where}: {_short(old)} -> {_short(new)}"


def describe(registry: Registry) -> Iterator[str]:
    """The registry in plain lines."""
    yield f"registry version {registry.version} of {registry.deployment} on {registry.network}"
    yield f"  digest  {registry.digest.hex()}"
    yield f"  officers sign at {registry.origin} (relying party {registry.rp_id})"
    for officer in registry.officers.values():
        yield f"  officer {officer.name} ({', '.join(sorted(officer.teams))}) {officer.id}"
        yield f"          key {officer.public_key.hex()}"
        if officer.decoder_key:
            yield f"          decoder {officer.decoder_key.hex()}"
    for wallet in registry.wallets.values():
        yield f"  wallet  {wallet.name}: {wallet.threshold} of {', '.join(wallet.tokens)}"
        yield f"          {len(wallet.keys)} addresses, the first is {wallet.address(0)}"
        yield f"          at most {registry.limits.window_units_max[wallet.name]} units per window"
    for kind, policy in registry.policies.items():
        needed = " and ".join(f"{count} of {team}" for team, count in policy.teams.items())
        way = f"{policy.source or '-'} to {policy.destination or 'any address'}"
        yield f"  policy  {kind} v{policy.version}: {needed}; {way}"
        if policy.confirm_above is not None:
            yield f"          above {policy.confirm_above} units each confirms on an offline decoder"
    limits = registry.limits
    yield f"  limits  fee {limits.fee_sats_max} sats, {limits.feerate_sats_vb_max} sats/vB"
    yield f"          window {limits.window_s} s, intents live {limits.intent_life_s} s at most"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="signer registry", description="Show and compare registry files.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("show", help="in plain words").add_argument("file", type=Path)
    diff = verbs.add_parser("diff", help="what changed")
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)
    verify = verbs.add_parser("verify", help="whether the officers of the old file ordered the new one")
    verify.add_argument("new", type=Path)
    verify.add_argument("--old", type=Path, required=True)
    verify.add_argument("--order", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        if options.verb == "show":
            lines = list(describe(read(options.file)))
        elif options.verb == "diff":
            old, new = (path.read_bytes().removesuffix(b"\n") for path in (options.old, options.new))
            lines = list(differences(canonical.decode(old), canonical.decode(new))) or ["no difference"]
        else:
            check_successor(
                read(options.new),
                old=read(options.old),
                order=read_order(options.order),
                token="",
                now=datetime.now(UTC),
            )
            lines = ["the officers of the old registry ordered this one"]
    except (Refused, OSError, canonical.NotCanonical) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def _short(value: canonical.Value) -> str:
    text = canonical.encode(value).decode()
    return text if len(text) <= 120 else text[:117] + "..."


if __name__ == "__main__":
    sys.exit(main())
