"""The next version of a registry: the one in force, with the changes that are named and no other (`changes`).

Everything that no option names is carried over as it is, so nothing is dropped by mistake. What the kernel
would refuse is refused here with the kernel's own words, before anybody signs; so is a quorum that the
officers who would be left cannot reach. Amounts and times are written with their unit (0.06BTC, 6000000sats,
3d, 12h): a bare number could be either.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from custody.signer import brought, requests, succession
from custody.signer.changes import CHANGES
from custody.signer.refusals import Refused
from custody.signer.words import differences, grouped, lane_lines
from custody.signer.written import BadDraft
from kernel import canonical, encodings, members
from kernel.intent import WITHDRAWAL
from kernel.money import MoneyError
from kernel.registry import BadRegistry, Registry

Asked = tuple[str, Sequence[str]]
"""A change by its name, and its words."""

_REFUSALS: Final = (
    brought.BadInput,
    BadRegistry,
    MoneyError,
    members.BadMember,
    encodings.BadEncoding,
    canonical.NotCanonical,
)


def draft(current: Registry, asked: Iterable[Asked], *, now: datetime, recovery: bool = False) -> Registry:
    """The next version; BadDraft names the first change that cannot be made, or what would be refused later.

    With `recovery` it is one for those who recover a lost quorum, so nothing but officers may differ.
    """
    document: dict[str, Any] = canonical.decode_object(current.encoded)
    document["version"] = current.version + 1
    for name, words in asked:
        change = CHANGES[name]
        try:
            change.make(document, *words, **({"now": now} if change.is_dated else {}))
        except _REFUSALS as error:
            raise BadDraft(f"--{name}: {error}") from None
    try:
        new = Registry.parse(canonical.encode(document))
        for policy in new.policies.values():
            if policy.destination:
                new.own_address(policy.destination)
        if recovery:
            succession.check_recovery(new, old=current)
    except _REFUSALS as error:
        raise BadDraft(str(error)) from None
    except Refused as refusal:
        raise BadDraft(refusal.detail) from None
    if len(list(differences(current, new))) == 1:
        raise BadDraft("nothing but the version would change: name a change")
    check_quorums(new)
    return new


def check_quorums(registry: Registry) -> None:
    """Nothing, if its officers reach every quorum and somebody who may ask is left beside that for the next
    registry; BadDraft says what is wanting. Signers would take such a file up, and nobody could replace it.
    """
    for what, teams in _quorums(registry):
        if not registry.is_reached(teams):
            wanted = " and ".join(f"{count} of {team}" for team, count in teams.items())
            raise BadDraft(f"{what} wants {wanted}, and its officers would be too few for that")
    orders = registry.policies.get(requests.REGISTRY) or registry.policies.get(WITHDRAWAL)
    if orders and not any(registry.is_reached(orders.teams, maker=one) for one in registry.askers):
        raise BadDraft("nobody who may ask for the next registry would be left beside the quorum for it")


def notes(old: Registry, new: Registry) -> Iterator[str]:
    """What somebody should think of before others sign it, though nothing forbids it."""
    for name, section in new.lanes.items():
        if (section, new.wallets[name]) != (old.lanes.get(name), old.wallets.get(name)):
            yield from lane_lines(section, new.wallets[name])
    for what, teams in _quorums(new):
        if any(not new.is_reached(teams, maker=officer) for officer in new.officers):
            yield f"NOTE  {what} needs somebody whom nobody can stand in for: who asks for it cannot count"
    release = new.policies.get(requests.RELEASE) or new.policies.get(WITHDRAWAL)
    alone = [one for one in new.officers if release and one not in new.discounted(release.teams, [one])]
    if alone:
        names = ", ".join(sorted(new.officers[one].name for one in alone))
        yield f"NOTE  a freeze by {names} could not be released by others alone: who pulled it counts there"
    if new.limits.registry_delay_s < old.limits.registry_delay_s:
        yield "NOTE  later registries will leave less time for a veto; this one still waits as before"
    for name in sorted({one.name for one in old.signing} - {one.name for one in new.signing}):
        yield f"NOTE  signers will spend nothing from {name} any more: is it empty?"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `registry draft`: one option for each change, as often as wanted, in order."""
    parser.add_argument("file", type=Path, help="the registry that is in force")
    parser.add_argument("--follows", required=True, metavar="DIGEST", help="its digest, as signers say it")
    parser.add_argument("--out", type=Path, required=True, help="the next version; written over nothing")
    parser.add_argument("--for-recovery", action="store_true", help="only officers may differ")
    parser.set_defaults(changes=[])
    for name, change in CHANGES.items():
        parser.add_argument(
            f"--{name}",
            action=_Collect,
            nargs=len(change.words),
            metavar=change.words,
            help=change.help,
            default=argparse.SUPPRESS,
        )


def run(options: argparse.Namespace, now: datetime) -> Iterator[str]:
    """Write the next version, and say what officers will see; BadDraft, Refused or OSError, and no file."""
    old = succession.read(options.file)
    if options.follows != old.digest.hex():
        raise BadDraft(
            f"{options.file} is version {old.version}, {old.digest.hex()}, and not {options.follows}"
        )
    new = draft(old, options.changes, now=now, recovery=options.for_recovery)
    write(options.out, new.encoded)
    yield from differences(old, new)
    yield from notes(old, new)
    yield f"written {options.out}; officers will see on the approver page:"
    for fingerprint, _, whose in (key.partition(" ") for key in new.keys):
        yield f"  Passkey of {whose}: {grouped(fingerprint)}"
    yield f"  Registry's digest: {new.digest.hex()}"


def write(path: Path, data: bytes) -> None:
    """The content and a newline in a new file, on the disk; FileExistsError where something is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data + b"\n")
        file.flush()
        os.fsync(descriptor)


class _Collect(argparse.Action):
    """Changes are made in the order in which they stand."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        namespace.changes = [*namespace.changes, (self.dest.replace("_", "-"), values)]


def _quorums(registry: Registry) -> Iterator[tuple[str, Mapping[str, int]]]:
    for kind, policy in registry.policies.items():
        yield kind, policy.teams
    for safe in registry.safes.values():
        yield f"a withdrawal from {safe.name}", safe.teams
    for rule in registry.rules.rules if registry.rules else ():
        if rule.teams:
            yield f"rule {rule.name}", rule.teams
