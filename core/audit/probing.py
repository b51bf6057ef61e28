"""Whether the log is sealed and witnessed, and the vault keeps its limits, for the health screen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from core.audit import queries
from core.health import Reading, Status
from core.trusted import serving
from kernel import frames

SEALED_WITHIN: Final = timedelta(seconds=1)
"""How long an event may wait for its seal: what docs/threat-model.md calls the window before the seal."""
DOWN_AFTER: Final = timedelta(seconds=30)
"""An act's transaction ends within this by time-out, and may hold up the seal of those behind it as long."""
TOLD_FOR: Final = timedelta(hours=1)
"""How long the loss of testimonies is shown."""
PATIENCE_S: Final = 2.0
WITNESSED_WITHIN: Final = timedelta(minutes=10)


def read_log(now: datetime) -> Reading:
    """No event waits longer than the stated window for its seal, and none lies or is gone."""
    last, faults, gone = queries.newest_checkpoint(), queries.faulty(), queries.gone()
    oldest, lost = queries.oldest_waiting(), queries.lost_testimonies(since=now - TOLD_FOR)
    lag = max(now - oldest, timedelta()) if oldest else timedelta()
    facts: dict[str, str | int | None] = {
        "sealed": last.size if last else 0,
        "waiting": queries.waiting(),
        "lag in ms": lag // timedelta(milliseconds=1),
        "faulty events": faults,
        "changed before the seal": gone,
        "losses of testimonies within the hour": lost,
    }
    if faults:
        return Reading(Status.DOWN, "Events stand in the log that the application did not write.", facts)
    if gone:
        return Reading(Status.DOWN, "Events were changed or removed before they were sealed.", facts)
    if queries.is_ahead():
        sentence = (
            "Nothing is sealed: the last sealed event is of a transaction still to come. A restored dump?"
        )
        return Reading(Status.DOWN, sentence, facts)
    if lag > DOWN_AFTER:
        return Reading(Status.DOWN, "Events wait to be sealed: is the sealer, or the notary, down?", facts)
    if lag > SEALED_WITHIN:
        return Reading(Status.DEGRADED, "Events wait longer for their seal than they should.", facts)
    if lost:
        return Reading(Status.DEGRADED, "The sealer had no room for what writers told it.", facts)
    return Reading(Status.UP, "Every event is sealed within a second.", facts)


def read_vault(now: datetime) -> Reading:
    """The vault answers, writes, and raised no alarm within the last hour."""
    try:
        answer = serving.ask(settings.VAULT_SOCKET, {"v": 1, "type": "standing"}, patience_s=PATIENCE_S)[0]
        lines, alarms = int(str(answer["lines"])), int(str(answer["alarms"]))
    except (OSError, ValueError, KeyError, frames.BadFrame):
        return Reading(Status.DOWN, "The vault does not answer: no evidence opens. Has it its passphrase?")
    facts: dict[str, str | int | None] = {"lines in its log": lines, "alarms within the hour": alarms}
    if answer.get("stuck"):
        return Reading(
            Status.DOWN, "The vault cannot write its log: no evidence opens. Is its disk full?", facts
        )
    if alarms:
        sentence = "Somebody asked the vault for more people than they may, or for what is not theirs."
        return Reading(Status.DEGRADED, sentence, facts)
    return Reading(Status.UP, "The vault opens what is on record, within its limits.", facts)


def is_late(one: queries.Witnessed, now: datetime) -> bool:
    """Whether a witness has not seen a log lately that it should see."""
    return one.is_watched and (
        one.at is None or not now - WITNESSED_WITHIN <= one.at <= now + WITNESSED_WITHIN
    )


def read_witnesses(now: datetime) -> Reading:
    """Every witness has seen every log lately, and no row says so that it did not sign."""
    found = queries.witnessed()
    late = [one for one in found if is_late(one, now)]
    facts: dict[str, str | int | None] = {
        "cosigned heads": sum(one.at is not None for one in found),
        "late": len(late),
        "false cosignatures": sum(one.false for one in found),
    }
    if false := [one for one in found if one.false]:
        sentence = f"Rows say that {false[0].name} cosigned {false[0].log}, and it did not."
        return Reading(Status.DOWN, sentence, facts)
    if not facts["cosigned heads"]:
        return Reading(Status.DEGRADED, "No witness has cosigned anything yet.", facts)
    if late:
        since = "Not seen for a while" if late[0].at else "Never seen"
        return Reading(Status.DEGRADED, f"{since}: {late[0].name} on {late[0].log}.", facts)
    return Reading(Status.UP, "Every witness has seen every log lately.", facts)
