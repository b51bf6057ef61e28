"""What an open page may be told has changed: one topic per subject, each under the permission that opens it.

One table leads from acts, as the audit log names them, to topics. An act that no page shows is in QUIET; a
test asks that every act of the house is in one of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final

from core.approvals.permissions import Permission as Approvals
from custody.permissions import Permission as Custody
from engine_bridge.permissions import Permission as Engine
from kyc.permissions import Permission as Kyc


class Topic(StrEnum):
    """What pages show."""

    APPROVALS = "approvals"
    WITHDRAWALS = "withdrawals"
    REFILLS = "refills"
    SWEEPS = "sweeps"
    ORDERS = "orders"
    CASES = "cases"
    MARKETS = "markets"


OPENS: Final[Mapping[Topic, StrEnum]] = {
    Topic.APPROVALS: Approvals.SEE_REQUESTS,
    Topic.WITHDRAWALS: Custody.SEE_WITHDRAWALS,
    Topic.REFILLS: Custody.SEE_TREASURY,
    Topic.SWEEPS: Custody.SEE_TREASURY,
    Topic.ORDERS: Custody.SEE_SIGNERS,
    Topic.CASES: Kyc.SEE_CASES,
    Topic.MARKETS: Engine.SEE_MARKETS,
}

FOLLOWS: Final[Mapping[str, tuple[Topic, ...]]] = {
    "approvals.request": (Topic.APPROVALS,),
    "approvals.policy": (Topic.APPROVALS,),
    "approvals.waiver": (Topic.APPROVALS,),
    "custody.withdrawal": (Topic.WITHDRAWALS,),
    "custody.payment": (Topic.WITHDRAWALS, Topic.REFILLS, Topic.SWEEPS),
    "custody.refill": (Topic.REFILLS,),
    "custody.sweep": (Topic.SWEEPS,),
    "custody.signer_order": (Topic.ORDERS,),
    "engine.fees": (Topic.MARKETS,),
    "engine.market": (Topic.MARKETS,),
    "engine.settlement": (Topic.MARKETS,),
    "kyc.case": (Topic.CASES,),
    "kyc.erasure": (Topic.CASES,),
    "kyc.tier": (Topic.CASES,),
}
"""By the act's name without its last word."""

QUIET: Final = frozenset(
    {
        "audit",
        "custody.address",
        "custody.adjustment",
        "custody.block",
        "custody.customer_statement",
        "custody.deposit",
        "custody.price",
        "custody.reconciliation",
        "custody.registry",
        "customers",
        "engine.journal",
        "engine.transfer",
        "freezes",
        "kyc.applicant",
        "kyc.check",
        "kyc.delivery",
        "kyc.endpoint",
        "kyc.person",
        "kyc.provider",
        "kyc.read",
        "kyc.snapshot",
        "kyc.token",
        "kyc.verification",
    }
)
"""No page that looks again by itself shows these, or anything of these apps."""

RIGHTS: Final = frozenset({"access", "factors", "staff"})
"""The apps whose acts may end a session or a right: after one of theirs every open socket is judged anew."""
HARMLESS: Final = frozenset({"factors.ceremony"})
"""Of theirs, what ends nothing. Nor does a refusal: a refused person would keep everybody busy."""

ROWS: Final[Mapping[Topic, str]] = {
    Topic.APPROVALS: "approvals.approvalrequest",
    Topic.WITHDRAWALS: "custody.withdrawal",
    Topic.REFILLS: "custody.refill",
    Topic.SWEEPS: "custody.sweep",
    Topic.ORDERS: "custody.signerorder",
}
"""Whose rows have pages of their own, by the name of their targets."""

_KEY: Final = re.compile(r"([a-z]+)(?:/([0-9a-f-]{36}))?")


def judges(name: str) -> bool:
    """Whether the act may have taken a right from somebody."""
    stem, _, deed = name.rpartition(".")
    return name.partition(".")[0] in RIGHTS and stem not in HARMLESS and deed != "refused"


def granted(keys: Iterable[str], topics: Collection[str]) -> frozenset[str]:
    """Those of a page's keys ("withdrawals", or "withdrawals/<id>" for one row) that its reader may watch."""
    return frozenset(key for key in keys if (found := _KEY.fullmatch(key)) and found[1] in topics)


def touched(name: str, target: str, keys: Iterable[str]) -> frozenset[str]:
    """Which of these keys an act makes stale. A key of one row hears of other rows nothing."""
    topics = FOLLOWS.get(name.rpartition(".")[0], ())
    model, _, row = target.partition("/")
    return frozenset(
        key
        for key in keys
        for topic, _, wanted in [key.partition("/")]
        if topic in topics and (not wanted or wanted == row or model != ROWS.get(Topic(topic)))
    )
