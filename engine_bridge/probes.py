"""How the engine and its settlement are, for the health screen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core.health import Reading, Status
from engine_bridge import queries
from engine_bridge.adapters import vitals

LAG_MAX: Final = 5_000
"""So many events behind, and somebody should look."""
REPLAY_MAX: Final = 10_000_000
"""Commands behind the newest snapshot: seconds of a start, and twice what comes together where snapshots are
taken. An engine that cannot take any goes on: it is no worse off until it has to start again.
"""
PENDING_MAX: Final = timedelta(seconds=30)


def read_engine(now: datetime) -> Reading:
    """The engine's own word on itself, as of the last few seconds."""
    last, silence = vitals.last(), vitals.silence(now)
    if silence is not None:
        return Reading(Status.DOWN, f"The engine does not answer: {silence.reason}.")
    if last is None or now - last.taken_at > vitals.FRESH:
        return Reading(Status.DOWN, "Nobody looks at the engine: settlement, which does so, is away.")
    found, verified = last.reading, last.verification
    facts: dict[str, str | int | None] = {
        "state": found.state,
        "epoch": found.epoch,
        "sequence": found.engine_seq,
        "durable": found.durable_seq,
        "events": found.event_seq,
        "queue": found.queue_depth,
        "open orders": found.open_orders,
        "fsync p50 in us": found.fsync_p50_us,
        "fsync p99 in us": found.fsync_p99_us,
        "journal in bytes": found.journal_bytes,
        "newest snapshot": found.snapshot_seq,
        "version": found.version,
    }
    facts.update({f"consumer {name}": reached for name, reached in found.consumers.items()})
    if found.state != "running":
        return Reading(Status.DOWN, f"The engine is {found.state} and takes no orders.", facts)
    if found.awaits_confirmation:
        sentence = "The engine waits for confirmation: settlement has not told it yet what officers stopped."
        return Reading(Status.DOWN, sentence, facts)
    if verified is not None and verified.state == "broken":
        return Reading(Status.DEGRADED, f"Its journal is not sound: {verified.finding}", facts)
    replay = found.durable_seq - found.snapshot_seq
    if replay > REPLAY_MAX:
        sentence = (
            f"A start would have to replay {replay} commands: the engine takes no snapshots, and says why."
        )
        return Reading(Status.DEGRADED, sentence, facts)
    return Reading(Status.UP, f"The engine runs in epoch {found.epoch}.", facts)


def read_settlement(now: datetime) -> Reading:
    """How far settlement is behind the engine, and whether it stands still."""
    view, engine = queries.settlement(), vitals.find(now)
    lag = max(0, engine.event_seq - view.last_event_seq) if engine else None
    facts: dict[str, str | int | None] = {
        "event": view.last_event_seq,
        "behind by": lag,
        "pending transfers": view.pending_transfers,
        "epoch": view.epoch,
    }
    if view.halted:
        return Reading(Status.DOWN, f"Settlement stands still: {view.halted}", facts)
    if engine is None and vitals.silence(now) is None:
        return Reading(Status.DOWN, "Settlement is away: not even the engine is looked at.", facts)
    if view.is_rebuilding:
        sentence = f"The mirrors are being rebuilt: event {view.last_event_seq} of {view.rebuilt_to}."
        return Reading(Status.DEGRADED, sentence, facts)
    if view.oldest_pending is not None and now - view.oldest_pending > PENDING_MAX:
        return Reading(Status.DEGRADED, "A transfer has waited for the engine for too long.", facts)
    if late := queries.fees_late(now=now):
        sentence = f"The engine has not taken what was approved of the fees of {late} accounts."
        return Reading(Status.DEGRADED, sentence, facts)
    if lag is not None and lag > LAG_MAX:
        return Reading(Status.DEGRADED, f"Settlement is {lag} events behind the engine.", facts)
    return Reading(Status.UP, f"Settled up to event {view.last_event_seq}.", facts)
