"""A recovery for tests: the staff as officers of a registry, recovery officers with keys from safes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.conf import settings

from core.actor import system
from core.approvals.signed import Signed
from custody import actions
from custody.models import SignerOrder
from fixtures.authenticator import Authenticator
from kernel.approval import Statement, Verb
from kernel.registry import Registry
from tests.officers import Officer
from tests.softtoken import hot_registry

RAE, RUI, ROS = (f"01900000-0000-7000-8000-0000000000f{number}" for number in (1, 2, 3))
KEYS: Final = {who: Authenticator(f"f{number}" * 32) for number, who in enumerate((RAE, RUI, ROS), 1)}
DELAY_S: Final = 3 * 86_400


def in_force(*officers: Officer, **changes: Any) -> Registry:
    """A registry of this deployment, in which these officers are treasury, and two of three may recover."""
    people = {
        str(one.identity.pk): {
            "name": one.identity.display_name,
            "teams": ["treasury"],
            "public_key": one.passkey.public_key_hex,
        }
        for one in officers
    }
    back = {
        who: {"name": name, "public_key": KEYS[who].public_key_hex}
        for who, name in ((RAE, "Rae"), (RUI, "Rui"), (ROS, "Ros"))
    }
    recovery = {"officers": back, "quorum": 2, "delay_s": DELAY_S}
    members = {"deployment": settings.DEPLOYMENT, "officers": people, "recovery": recovery}
    return hot_registry(**{**members, **changes})


def draft_recovery(officer: Officer, now: datetime) -> SignerOrder:
    """The officer's draft of the next registry, in which nobody but the officer is left."""
    old, new = in_force(officer), in_force(version=2)
    return actions.draft_recovery(old=old, new=new, reason="a fire", actor=officer.actor, now=now)


def answer(row: SignerOrder, key: Authenticator, verb: str = "release") -> Signed:
    """What the approver page hands in for this order, with that passkey."""
    said = Statement.about(
        bytes(row.payload),
        verb=Verb(verb),
        kind=row.kind,
        deployment=settings.DEPLOYMENT,
        nonce=bytes(row.nonce),
    )
    assertion = key.assertion(
        said.challenge(), origin=settings.APPROVER_ORIGIN, rp_id=settings.APPROVER_RP_ID
    )
    return Signed(said.verb, key.credential_id, assertion, "no fire at all" if verb == "reject" else "")


def running(officer: Officer, now: datetime) -> SignerOrder:
    """A recovery that its officers signed and one signer obeyed: its delay runs."""
    row = draft_recovery(officer, now)
    for who in (RAE, ROS):
        row = actions.sign_recovery(
            order_id=row.pk, signed=answer(row, KEYS[who]), actor=officer.actor, now=now
        )
    return actions.report_answer(
        order_id=row.pk, token="hot-1", obeyed=True, code="", detail="", actor=system("test"), now=now
    )
