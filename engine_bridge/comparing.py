"""Comparing the books: engine accounts against the ledger's trading accounts, each at one event, to the last
unit.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine_bridge import rounds
from engine_bridge.adapters import feed
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.domain.movements import Difference
from engine_bridge.domain.records import FEE_ACCOUNT
from kernel.money import Amount


class NotCompared(Exception):
    """The engine does not answer, or cannot tell any more what settlement has not reached."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, up to `event_seq`, and where the two differ: nothing, on a good day."""

    event_seq: int
    settled_seq: int
    balances: int
    differences: tuple[Difference, ...]


def compare(target: str) -> Comparison:
    """Engine against ledger, in one round. What settlement has not reached yet is added to the ledger's side.
    NotCompared.
    """
    try:
        pieces = list(rounds.whole(target))
    except (EngineAway, feed.EventsMissing) as error:
        raise NotCompared(f"the venue was not compared: {error}") from error
    found = {(item.account, item.asset): item for piece in pieces for item in piece.differences}
    return Comparison(
        event_seq=max(piece.event_seq for piece in pieces),
        settled_seq=pieces[-1].settled_seq,
        balances=sum(piece.balances for piece in pieces if piece.is_page),
        differences=tuple(found[key] for key in sorted(found)),
    )


def said(item: Difference) -> str:
    """Whose balance differs, and what either says of it."""
    whose = "The venue's own account" if item.account == FEE_ACCOUNT else f"Account {item.account}"
    engine, ledger = (
        f"{Amount(units, item.asset)} {item.asset}" for units in (item.engine_units, item.ledger_units)
    )
    return f"{whose} at the venue has {engine} in the engine, and {ledger} in the ledger."
