"""What the reconciler found, and what signers said to it, mirrored; a change of either's mind is an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from core import audit
from core.action import action
from core.actor import Actor
from custody import queries
from custody.domain.reconciliations import SILENT
from custody.events import Event
from custody.models import Reconciliation


@action(Event.RECONCILIATION_CHANGED)
def report_reconciliation(
    *,
    wallet: str,
    height: int,
    on_chain: int,
    in_books: int,
    attested: bool,
    breaks: Sequence[str] = (),
    actor: Actor,
    now: datetime,
) -> Reconciliation:
    """Mirror one comparison. An audit event tells of each break, and of each that is mended."""
    row = queries.wallet_named(wallet)
    before = Reconciliation.objects.select_for_update(no_key=True).filter(wallet=row).first()
    values = {
        "height": height,
        "on_chain_units": on_chain,
        "in_books_units": in_books,
        "breaks": list(breaks),
        "looked_at": now,
        **({"attested_at": now} if attested else {}),
    }
    found, _ = Reconciliation.objects.update_or_create(wallet=row, defaults=values)
    if before is None or before.agrees != found.agrees:
        audit.record(
            Event.RECONCILIATION_CHANGED,
            row,
            actor=actor,
            now=now,
            before=None if before is None else {"agrees": before.agrees},
            after={
                "agrees": found.agrees,
                "height": height,
                "on_chain": str(on_chain),
                "in_books": str(in_books),
                **({"breaks": list(breaks)} if breaks else {}),
            },
        )
    return found


@action(Event.RECONCILIATION_ANSWERED)
def report_told(*, wallet: str, told: Mapping[str, str], actor: Actor, now: datetime) -> None:
    """Mirror what signers answered to the last attestation: token to code. An audit event tells where one
    begins to refuse it, refuses it for another reason, or takes it again; one that is silent said nothing.
    """
    row = Reconciliation.objects.select_for_update(no_key=True).get(wallet__name=wallet)
    before, after = _refusals(row.told), _refusals(told)
    row.told = dict(told)
    row.save(update_fields=["told"])
    if before != after:
        audit.record(
            Event.RECONCILIATION_ANSWERED,
            row,
            actor=actor,
            now=now,
            before={"refused": before},
            after={"refused": after},
        )


def _refusals(told: Mapping[str, str]) -> dict[str, str]:
    return {token: code for token, code in sorted(told.items()) if code not in ("", SILENT)}
