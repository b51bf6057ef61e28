"""Credits against no coins: what officers signed for each, by the passkeys that a registry pins.

The database counts approvals too, but whoever owns the console writes its rows. No assertion do they write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kernel import canonical, intent, quorum, webauthn
from kernel.approval import SignedApproval, Statement, Verb
from kernel.registry import Registry

KIND: Final = "custody.adjustment"
PEOPLE: Final = 2
ON_ITS_WAY: Final = timedelta(minutes=10)
"""For a booking that is being committed when its approval ends, and for clocks that differ."""
_ANYBODY: Final = "officers"


class NotAgreed(ValueError):
    """Officers have not signed for this credit, to this customer, of these units."""


@dataclass(frozen=True, slots=True)
class Credit:
    """An entry of the ledger against the outside world, and what is said to allow it."""

    kind: str
    reference: str
    asset: str
    units: int
    customer: str
    posted_at: datetime
    maker: str = ""
    payload: bytes = b""
    approvals: tuple[SignedApproval, ...] = ()


def check(credit: Credit, registry: Registry, *, absent: datetime | None = None) -> None:
    """Nothing, if enough pinned officers signed for exactly this entry; else NotAgreed.

    The quorum is the registry's for adjustments where it has one, and any two officers else. The maker never
    counts. The entry's reference is in what they signed, and an entry has its reference once. So is when it
    ends (since version 2): what is booked later, nobody agreed to any more. When it was booked is the word of
    whoever wrote it; `absent`, when it was last seen not to be there, is the reconciler's own, by its clock.
    None stands for a reconciler that has not looked before.
    """
    wanted = {
        "kind": KIND,
        "deployment": registry.deployment,
        "adjustment": credit.reference,
        "asset": credit.asset,
        "amount": str(credit.units),
        "customer": credit.customer,
        "maker": credit.maker,
    }
    try:
        document = canonical.decode_object(credit.payload)
    except canonical.NotCanonical:
        raise NotAgreed("there is no request for it") from None
    if credit.kind != KIND or any(document.get(name) != value for name, value in wanted.items()):
        raise NotAgreed("what was asked for is another credit")
    if document.get("v") == 1:
        if absent is not None:
            raise NotAgreed(
                f"what was asked for says no end, and it was not there at {absent:%Y-%m-%d %H:%M}"
            )
    elif credit.posted_at > (end := _end(document.get("expires"))):
        raise NotAgreed("it was booked after its approval had ended")
    elif absent is not None and absent > end + ON_ITS_WAY:
        raise NotAgreed(f"its approval ended at {end:%Y-%m-%d %H:%M}, and it came into the books since")
    if len({one.nonce for one in credit.approvals}) > 1:  # so those of one that was refused count in no other
        raise NotAgreed("what was signed are answers to several requests")
    policy = registry.policies.get(KIND)
    teams: Mapping[str, int] = policy.teams if policy else {_ANYBODY: PEOPLE}
    given = [
        quorum.Given(officer.id, officer.teams if policy else frozenset({_ANYBODY}), Verb.APPROVE)
        for one in credit.approvals
        if (officer := registry.officers.get(one.officer)) and _holds(one, credit, registry)
    ]
    standing = quorum.judge(teams, given, maker=credit.maker)
    if not standing.approved:
        raise NotAgreed(
            f"of those who signed for it, the registry knows the passkeys of {len(standing.counted)},"
            f" and {sum(teams.values())} are needed"
        )


def _end(said: canonical.Value) -> datetime:
    try:
        return intent.time(str(said))
    except intent.BadIntent:
        raise NotAgreed("what was asked for says no end") from None


def _holds(one: SignedApproval, credit: Credit, registry: Registry) -> bool:
    """Whether the officer's passkey signed that they approve these bytes."""
    try:
        statement = Statement.about(
            credit.payload, verb=Verb.APPROVE, kind=KIND, deployment=registry.deployment, nonce=one.nonce
        )
        webauthn.verify(
            one.assertion,
            public_key=registry.officers[one.officer].public_key,
            challenge=statement.challenge(),
            origin=registry.origin,
            rp_id=registry.rp_id,
        )
    except ValueError:
        return False
    return True
