"""Whoever owns the web tier and its database names another maker than the one who asked; a signer …"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kernel import canonical, encodings
from kernel.approval import Verb
from kernel.intent import REFILL
from tests import messages
from tests.messages import order, request, withdrawal
from tests.softtoken import Desk, hot_registry
from tests.vault import ANA, BEN, CY, DOT, KEYS, Message, registry_document

POLICIES = {
    **registry_document({})["policies"],
    REFILL: {"teams": {"treasury": 2}, "source": "hot", "destination": "hot/0"},
}


OFFICERS = registry_document({})["officers"]
OFFICERS[CY]["teams"] = ["makers", "treasury"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Ana and Cy may ask for things."""
    return Desk(tmp_path / "state", registry=hot_registry(policies=POLICIES, officers=OFFICERS))


def refill(desk: Desk, *, maker: str = ANA, **how: Any) -> Message:
    """One that pays into the hot wallet itself, so that one registry will do."""
    one = messages.refill(desk.registry, source="hot", expires=desk.in_hours(1))
    members = {**canonical.decode_object(one.encoded()), "maker": maker}
    return request(desk.registry, [type(one).parse(canonical.encode(members))], **how)


def release(desk: Desk, **how: Any) -> Message:
    return order("signer.release", wallet="hot", **how)


def registry(desk: Desk, **how: Any) -> Message:
    new = hot_registry(policies=POLICIES, officers=OFFICERS, version=2)
    return order("signer.registry", version=2, digest=new.digest.hex(), keys=list(new.keys), **how)


def reopening(desk: Desk, **how: Any) -> Message:
    return order("signer.reopen", token="hot-1", standing=desk.health["journal"]["standing"], **how)


REFUSED = ("SIGNER_BELOW_QUORUM", "SIGNER_MAKER_APPROVES")
ASKED = pytest.mark.parametrize("asked_for", [refill, release, registry, reopening])
# What the attacker says of the maker, whose passkey asked, and who then approved.
CODES = [
    # Ana wants it, and is to count as one of the two. Cy, who knows nothing of it, is said to have asked.
    ("SIGNER_NOT_ASKED", {"maker": CY, "asked": None, "officers": [ANA, BEN]}),
    ("SIGNER_ASKED_BY_ANOTHER", {"maker": CY, "asked": ANA, "officers": [ANA, BEN]}),
    # Nobody of the staff is said to have asked: there is no other kind of maker.
    ("SIGNER_NOT_ASKED", {"maker": "01900000-0000-7000-8000-0000000000ff", "asked": None}),
    ("SIGNER_NOT_ASKED", {"asked": None}),
    ("SIGNER_ASKED_BY_ANOTHER", {"asked": DOT}),
    # Dot is there to stop signers; she stands in no team that makes anything.
    ("SIGNER_MAY_NOT_ASK", {"maker": DOT}),
    ("SIGNER_MAKER_APPROVES", {"officers": [ANA, BEN]}),
    ("SIGNER_MAKER_APPROVES", {"officers": [BEN, CY, ANA]}),
    ("SIGNER_BELOW_QUORUM", {"officers": [BEN]}),
]


@ASKED
def test_does_what_its_maker_asked_for_and_two_others_answered(desk: Desk, asked_for: Any) -> None:
    assert desk.code(asked_for(desk)) in ("obeyed", "signed")


@ASKED
@pytest.mark.parametrize(("expected", "how"), CODES)
def test_refuses_what_its_maker_did_not_ask_for(
    desk: Desk, asked_for: Any, expected: str, how: dict[str, Any]
) -> None:
    assert desk.code(asked_for(desk, **how)) == expected


def approvals_in(message: Message) -> list[Message]:
    found: list[Message] = (
        message["intents"][0]["approvals"] if "intents" in message else message["approvals"]
    )
    return found


@ASKED
def test_refuses_what_was_asked_for_in_another_place(desk: Desk, asked_for: Any) -> None:
    """Of another request, of other bytes, or with another answer; whoever's name stands on it."""
    honest = approvals_in(asked_for(desk))[0]
    assert (honest["officer"], honest["verb"]) == (ANA, "ask")
    elsewhere = approvals_in(order("signer.release", wallet="*", expires="2030-01-01T00:00:00Z"))[0]
    other_nonce = approvals_in(asked_for(desk, nonce=b"\x08" * 32))[0] | {"nonce": honest["nonce"]}
    said = Verb.APPROVE if asked_for is refill else Verb.RELEASE
    relabelled = approvals_in(asked_for(desk, asked=None, officers=[ANA], verb=said))[0] | {"verb": "ask"}
    for stolen in (elsewhere, other_nonce, relabelled):
        message = asked_for(desk)
        approvals_in(message)[0] = stolen
        assert desk.code(message) == "SIGNER_ASSERTION_CHALLENGE"
    renamed = asked_for(desk, maker=CY, officers=[ANA, BEN], asked=ANA)
    approvals_in(renamed)[0]["officer"] = CY
    assert desk.code(renamed) == "SIGNER_ASSERTION_SIGNATURE"


@pytest.mark.parametrize("officers", [[ANA, BEN], [BEN, CY]])
def test_refuses_bytes_in_which_the_maker_was_changed(desk: Desk, officers: list[str]) -> None:
    message = release(desk)
    members = canonical.decode_object(encodings.from_base64url(message["payload"]))
    message["payload"] = encodings.base64url(canonical.encode({**members, "maker": CY}))
    for approval in message["approvals"]:
        approval["officer"] = CY if approval["verb"] == "ask" else approval["officer"]
    assert desk.code(message).startswith("SIGNER_ASSERTION_")


def test_wants_nobody_to_ask_for_a_stop_or_for_a_customers_withdrawal(desk: Desk) -> None:
    payment = request(desk.registry, [withdrawal(expires=desk.in_hours(1))])
    approvals_in(payment)[0] |= {"officer": ANA, "verb": "ask"}
    assert desk.code(payment) == "SIGNER_WRONG_VERB"
    assert desk.spend() == "signed"
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    assert (
        desk.code({**freeze, "approvals": [{**freeze["approvals"][0], "verb": "ask"}]}) == "SIGNER_WRONG_VERB"
    )
    assert desk.code(freeze) == "obeyed"


@pytest.mark.parametrize("maker", [ANA, DOT, "01900000-0000-7000-8000-0000000000ff"])
def test_needs_its_whole_quorum_for_a_withdrawal_whoever_is_said_to_have_released_it(
    desk: Desk, maker: str
) -> None:
    """Screening is the web tier's, and so is its word on who looked into it: nothing is gained by lying."""
    one = withdrawal(expires=desk.in_hours(1), maker=UUID(maker))
    assert desk.code(request(desk.registry, [one], officers=[BEN])) == "SIGNER_BELOW_QUORUM"
    assert desk.code(request(desk.registry, [one], officers=[BEN, DOT])) in REFUSED
    assert desk.code(request(desk.registry, [one], officers=[BEN, CY])) == "signed"
    named = withdrawal(expires=desk.in_hours(1), maker=UUID(CY))  # it can only take an approval away
    assert desk.code(request(desk.registry, [named], officers=[BEN, CY])) == "SIGNER_MAKER_APPROVES"


def test_lets_every_officer_ask_where_its_registry_names_no_makers(tmp_path: Path) -> None:
    officers = registry_document({})["officers"]
    officers[ANA]["teams"] = ["treasury"]
    desk = Desk(tmp_path / "state", registry=hot_registry(officers=officers))
    assert desk.registry.askers == set(KEYS)
    assert desk.code(release(desk, maker=DOT)) == "obeyed"
