"""Which registry a signer believes: the first one, and each that may follow it.

The first start pins the file's digest in the journal and on the token and keeps a copy; on mainnet it takes
an order by all the very officers that the file names (--registry-order). Any other file is
refused from then on, unless an order (`signer.registry`, naming version and digest) carries the quorum of the
officers who stand in the *old* file. The order is announced to each signer (over its socket, or at the start
with --registry-order); the old file's `registry_delay_s` later, a signer that was started with the new one
takes it up, once it has listened for a veto that it may have missed. Versions only grow.

Where no quorum of officers is left, those whom the registry names for a recovery may order new officers
(`signer.recovery`), and nothing else, after a delay of days in which any officer can veto it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from custody.signer import checks, requests
from custody.signer.approvals import Sighting
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

    Where real money is (mainnet), all officers in the file must have ordered it themselves: it shows that the
    keys that were written down in the ceremony are theirs, and that each of them can sign.
    """
    if order is None:
        if new.network == "mainnet":
            raise Refused("SIGNER_GENESIS_UNSIGNED", "begin with an order of the officers in the file")
        return
    _check_names(new, order)
    checks.judge_order(order, token=token, registry=new, now=now, asked=False)  # nobody is left who could
    missing = new.officers.keys() - {approval.officer for approval in order.signed.approvals}
    if missing:
        names = ", ".join(sorted(new.officers[one].name for one in missing))
        raise Refused("SIGNER_GENESIS_UNSIGNED", f"not signed by {names}")


def check_successor(
    new: Registry, *, old: Registry, order: requests.Order, token: str, now: datetime
) -> list[Sighting]:
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
    if not new.differs_in_officers_only(old):
        raise Refused("SIGNER_REGISTRY_CHANGED", "a recovery changes officers and nothing else")


def _check_names(new: Registry, order: requests.Order) -> None:
    named = (order.version, order.subject)
    if order.kind not in (requests.REGISTRY, requests.RECOVERY) or named != (new.version, new.digest.hex()):
        raise Refused("SIGNER_BAD_ORDER", "the order is not about this registry file")
    if order.keys != new.keys:
        # The digest says so too, but no officer can read a digest.
        raise Refused("SIGNER_BAD_ORDER", "the officers' passkeys in this file are not those in the order")
