"""A policy that is tried on the acts that it judged itself …"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

import pytest

from core.access.roles import Role
from core.approvals import policies
from core.approvals.actions import policies as changing
from core.approvals.actions import submit_signature
from core.approvals.backtesting import backtest
from core.approvals.models import ApprovalRequest
from core.approvals.policies import PolicyRefuses
from tests.governed import FREE, KIND, ask, payments
from tests.officers import Staff, enrol
from tests.policies import enact, founding

pytestmark = pytest.mark.django_db

USUAL = 20261129
SEED = int(os.environ.get("SEED", USUAL))
ORDINARY = {**FREE, "name": "ordinary"}
LARGE = {
    **ORDINARY,
    "name": "large",
    "when": [["kind", "is", KIND], ["amount", "above", "60"]],
    "teams": {"compliance": 1, "treasury": 2},
    "approve_s": 600,
}
THREE = {
    "name": "three",
    "when": [["kind", "is", KIND]],
    "sum": "count",
    "per": "customer",
    "seconds": 3_600,
    "at_most": "3",
    "teams": {"compliance": 1, "treasury": 2},
    "rejections": 1,
}
SUM = {
    "name": "a sum",
    "when": [["kind", "is", KIND]],
    "sum": "usd_cents",
    "per": "customer",
    "seconds": 3_600,
    "at_most": "200",
    "teams": {"officers": 2},
    "rejections": 1,
}


@pytest.fixture(autouse=True)
def _kind() -> Iterator[None]:
    with payments():
        yield


@pytest.fixture
def people(now: datetime) -> Staff:
    return enrol(now=now, more={"dot": Role.COMPLIANCE_OFFICER})


def live(people: Staff, now: datetime, random: Random, acts: int) -> list[ApprovalRequest]:
    """So many acts of two customers; now and then an officer rejects an earlier one."""
    made: list[ApprovalRequest] = []
    for number in range(acts):
        amount = random.randrange(1, 100)
        facts = {"amount": amount, "usd_cents": amount, "customer": random.choice(["tom", "tia"])}
        made.append(
            ask(maker=people.ana, subject=f"test/{number}", facts=facts, actor=people.ana.actor, now=now)
        )
        if random.random() < 0.4:
            earlier = random.choice(made)
            earlier.refresh_from_db()
            if earlier.state == "open":
                no = people.ben.answer(earlier, "reject", "odd")
                submit_signature(request_id=earlier.pk, signed=no, actor=people.ben.actor, now=now)
    return made


@pytest.mark.parametrize(
    "offset", [*range(3), *(pytest.param(n, marks=pytest.mark.soak) for n in range(3, 40))]
)
def test_says_the_same_of_each_whatever_became_of_them_since(
    people: Staff, now: datetime, offset: int
) -> None:
    enact(people, now, [LARGE, ORDINARY, *founding()], [THREE, SUM])
    made = live(people, now, Random(SEED + offset), 16)
    assert {row.state for row in ApprovalRequest.objects.filter(kind=KIND)} == {"open", "rejected"}
    if SEED == USUAL and offset < 3:  # of others, some are dull: whoever asks first asks for too much
        assert len({json.dumps(row.teams, sort_keys=True) for row in made}) > 2, "rules and windows had a say"
    found = backtest(policies.in_force().parsed, count=len(made))
    assert (found["totals"], found["changed"]) == ({"same": len(made)}, []), f"seed {SEED + offset}"


def test_is_drafted_with_no_more_windows_than_anybody_could_wait_for(people: Staff, now: datetime) -> None:
    windows = [{**THREE, "name": f"w{number}"} for number in range(changing.WINDOWS_MAX + 1)]

    def draft(windows: list[dict[str, Any]]) -> object:
        text = json.dumps({"rules": [ORDINARY], "windows": windows})
        return changing.save_draft(draft_id=None, text=text, actor=people.ana.actor, now=now)

    with pytest.raises(changing.BadDraft, match="at most 32 windows"):
        draft(windows)
    assert draft(windows[1:])


def test_is_not_tried_for_longer_than_a_request_may_take(
    people: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    enact(people, now, [ORDINARY, *founding()])
    live(people, now, Random(SEED), 3)
    text = json.dumps({"rules": [ORDINARY]})
    draft = changing.save_draft(draft_id=None, text=text, actor=people.ana.actor, now=now)
    monkeypatch.setattr(changing, "BACKTEST_S", -1.0)
    found = changing.run_backtest(draft_id=draft.pk, count=1_000, actor=people.ana.actor, now=now).backtest
    assert found is not None
    assert (found["judged"], found["left_out"], found["totals"]) == (0, 4, {})
    with pytest.raises(changing.NotTested):
        changing.ask_publication(draft_id=draft.pk, reason="x", actor=people.ana.actor, now=now)


def test_tells_nobody_who_is_refused_by_it_more_than_its_own_words(people: Staff, now: datetime) -> None:
    enact(people, now, [ORDINARY, *founding()])
    facts = {"amount": 71, "usd_cents": None, "customer": "tom"}
    ask(maker=people.ana, subject="test/1", facts=facts, actor=people.ana.actor, now=now)
    draft = [{**ORDINARY, "when": [["kind", "is", KIND], ["usd_cents", "above", "5"]]}]
    found = backtest(enact(people, now, [*draft, *founding()]).parsed, count=10)
    (changed,) = found["changed"]
    assert (changed["after"], changed["why"]) == (None, "usd_cents was not known")
    with pytest.raises(PolicyRefuses):
        ask(maker=people.ana, subject="test/2", facts=facts, actor=people.ana.actor, now=now)
