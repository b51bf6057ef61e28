"""An engine that makes room for its standby: an upgrade, or work on its machine, with nothing lost."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Final

from core import clock
from core.actor import Actor
from engine_bridge import tasks
from engine_bridge.actions.upgrading import note_handover
from engine_bridge.adapters import administration
from engine_bridge.adapters.administration import ShardReading
from engine_bridge.adapters.channel import EngineAway, EngineRefused

log = logging.getLogger(__name__)

BEHIND_MAX: Final = 10_000
"""So many commands a standby may be behind: it has applied them before anybody asks a second time."""
LEADS_S: Final = 60.0
LOOK_S: Final = 0.02


class NotReady(Exception):
    """Nothing was done: there is nobody, or nobody ready, to take over. The sentence says who and why."""


class NobodyLeads(Exception):
    """The engine has ended, and the standby does not lead."""


def hand_over(target: str, standby: str, *, reason: str, actor: Actor, now: datetime) -> ShardReading:
    """Have the engine at `target` end, everything durable, and the one at `standby` lead; its first word.

    Markets keep their states, and clients send again what was not answered. NotReady, EngineAway: nothing was
    done. NobodyLeads: the standby has to be told (`Admin.TakeOver`), or the old program started again.
    """
    if not reason.strip():
        raise NotReady("Nothing was done: say why.")
    leader, follower = administration.status(target), _follower(standby)
    if leader.state != "running":
        raise NotReady(f"Nothing was done: the engine is {leader.state}, and does not lead.")
    if follower.state != "standby":
        raise NotReady(f"Nothing was done: what answers on the standby's socket is {follower.state}.")
    if leader.engine_seq - follower.engine_seq > BEHIND_MAX:
        raise NotReady(
            f"Nothing was done: the standby has reached command {follower.engine_seq} of {leader.engine_seq}."
        )
    note_handover(reason=reason.strip(), before=leader.version, after=follower.version, actor=actor, now=now)
    administration.release(target)
    administration.take_over(standby, wait_s=LEADS_S)
    deadline = time.monotonic() + LEADS_S
    while time.monotonic() < deadline:
        try:
            found = administration.status(target)
        except EngineAway:
            found = leader
        if found.state == "running" and found.epoch > leader.epoch:
            return _confirmed(target, found)
        time.sleep(LOOK_S)
    raise NobodyLeads("The engine has ended, and nobody leads. Trading stands; nothing is lost.")


def _confirmed(target: str, found: ShardReading) -> ShardReading:
    """Its word once it takes orders; where it could not be confirmed here, settlement tries on."""
    try:
        tasks.confirm_leader(now=clock.now())
        return administration.status(target)
    except (EngineAway, EngineRefused) as error:
        log.warning("the new leader is not confirmed yet: %s", error)
        return found


def _follower(standby: str) -> ShardReading:
    try:
        return administration.status(standby)
    except EngineAway as away:
        raise NotReady(f"Nothing was done: no standby answers on {standby}: {away}.") from None
    except EngineRefused as refused:
        raise NotReady(f"Nothing was done: on {standby} it says: {refused}.") from None
