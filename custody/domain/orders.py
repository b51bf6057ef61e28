"""Officers' orders to the signers: what each kind says, and the life of one.

The payloads are those that `custody.signer.requests` reads. To stop something one officer's signature is
enough; whatever lets go again takes the quorum that the signers' own registry names. Where that quorum is
lost, those whom the registry names for a recovery order new officers, and nothing else (`recoveries`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from kernel import canonical
from kernel.intent import time_text
from kernel.pinned import INTENT_LIFE_S
from kernel.registry import Registry

EVERYTHING: Final = "*"
OFFICER: Final = "officer:"
"""With an id, a freeze of an officer: nothing that they signed counts at the signers."""
GOOD_FOR: Final = timedelta(days=1)
"""Of every order that lets something go, whatever the policy's rules say: signers count this back from an
order's end to know when it was drafted, and obey no release that may be older than the freeze that it ends. A
rule's periods bound how long the quorum may take, and no order waits after that: it is given with the last
signature.
"""
STOP_FOR_MAX: Final = timedelta(seconds=INTENT_LIFE_S)
"""The approver page signs nothing that is good for longer."""
CLOCKS_APART: Final = timedelta(hours=1)
"""What signers take is counted by their clocks, which may be behind ours."""


class Kind(StrEnum):
    """What signers can be told. The names are those of their registry's policies."""

    FREEZE = "signer.freeze"
    VETO = "signer.veto"
    RELEASE = "signer.release"
    REOPEN = "signer.reopen"
    REGISTRY = "signer.registry"
    RECOVERY = "signer.recovery"


STOPS: Final = frozenset({Kind.FREEZE, Kind.VETO})
"""One officer gives these alone."""

UNASKED: Final = STOPS | {Kind.RECOVERY}
"""These open no request: their signatures are kept with the order, and no team of the staff counts."""

ANNOUNCES: Final = frozenset({Kind.REGISTRY, Kind.RECOVERY})
"""After these a delay runs in each signer, in which one officer can veto."""


class State(StrEnum):
    """`signing` waits for officers; `signed` is on its way to the signers."""

    SIGNING = "signing"
    SIGNED = "signed"
    OBEYED = "obeyed"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"


PENDING: Final = frozenset({State.SIGNING, State.SIGNED, State.OBEYED})
"""A registry that an order in one of these announces may still be taken up, so it can be vetoed."""

NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.SIGNING: frozenset({State.SIGNED, State.REJECTED, State.EXPIRED}),
    State.SIGNED: frozenset({State.OBEYED, State.REFUSED, State.EXPIRED}),
    State.OBEYED: frozenset(),
    State.REFUSED: frozenset(),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
}


def about_registry(new: Registry) -> dict[str, canonical.Value]:
    """What an order to take a registry up says of it: with its digest, the passkeys that will then count."""
    return {"version": new.version, "digest": new.digest.hex(), "keys": list(new.keys)}


def stop_good_for(order_life: timedelta) -> timedelta:
    """As long as signers take a stop at all: one that is down hears it when it is back, and not too late."""
    return max(GOOD_FOR, min(order_life, STOP_FOR_MAX) - CLOCKS_APART)


def payload(
    kind: Kind,
    about: Mapping[str, canonical.Value],
    *,
    deployment: str,
    maker: str,
    reason: str,
    now: datetime,
    good_for: timedelta = GOOD_FOR,
) -> dict[str, canonical.Value]:
    """The members that officers sign; `about` is the wallet, the registry, or the token with its standing and
    whom it does not hear.
    """
    return {
        "v": 2 if kind in {*ANNOUNCES, Kind.REOPEN} else 1,
        "kind": kind.value,
        "deployment": deployment,
        "maker": maker,
        "reason": reason,
        "expires": time_text((now + good_for).replace(microsecond=0)),
        **about,
    }


def officer(person: object) -> str:
    """What an order calls the officer whom it suspends, or lets count again."""
    return f"{OFFICER}{person}"


def outcome(answers: Mapping[str, bool], *, asked: frozenset[str]) -> State:
    """Where an order stands after these answers (token to whether it obeyed): signed while any is missing."""
    if asked - answers.keys():
        return State.SIGNED
    return State.OBEYED if all(answers[token] for token in asked) else State.REFUSED
