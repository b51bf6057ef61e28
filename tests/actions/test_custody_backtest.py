"""The back-test of a policy …"""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.approvals.backtesting import backtest
from core.approvals.models import ApprovalPolicy
from custody import queries
from custody.models import Withdrawal
from kernel import canonical
from kernel.policy import Policy
from tests.lane import ONE_A_DAY, SMALL, Scene
from tests.policies import enact, founding

pytestmark = pytest.mark.django_db

PUBLISHED = 2
"""Versions that came into force meanwhile: acts like any other, which every policy leaves as they are."""


def document(*, lane: bool = True, **changes: Any) -> bytes:
    """The founding policy, with or without the rule that lets the lane decide."""
    founded = canonical.decode_object(bytes(ApprovalPolicy.objects.get(version=1).document))
    rules: Any = founded["rules"]
    return canonical.encode({**founded, "rules": rules if lane else rules[1:], **changes})


def judged(document: bytes, *, count: int = 100) -> tuple[dict[str, int], list[dict[str, Any]]]:
    found = backtest(Policy.parse(document), count=count)
    return found["totals"], found["changed"]


@pytest.fixture
def past(scene: Scene) -> tuple[Withdrawal, Withdrawal]:
    """One withdrawal that nobody was asked about, then one that a stricter policy kept from the lane, then
    one that is too large for it.
    """
    waived = scene.withdraw()
    enact(scene.treasury.staff, scene.treasury.now, founding()[1:])
    kept = scene.withdraw()
    enact(scene.treasury.staff, scene.treasury.now, founding())
    large = scene.withdraw(2 * SMALL + 950_001)
    assert [waived.state, kept.state, large.state] == ["broadcast", "screened", "screened"]
    assert (waived.request, kept.waiver, large.waiver) == (None, None, None)
    return waived, queries.withdrawal(kept.pk)


def test_sends_to_the_lane_what_only_the_policy_kept_from_it(past: tuple[Withdrawal, Withdrawal]) -> None:
    _, kept = past
    totals, (changed,) = judged(document())
    assert totals == {"same": 2 + PUBLISHED, "fewer people": 1}
    assert (changed["request"], changed["subject"]) == (str(kept.request_id), f"custody.withdrawal/{kept.pk}")
    assert (changed["before"], changed["after"], changed["time_after"]) == ({"treasury": 2}, {}, "")


def test_puts_before_officers_what_the_lane_paid(past: tuple[Withdrawal, Withdrawal]) -> None:
    waived, _ = past
    totals, (changed,) = judged(document(lane=False))
    assert totals == {"same": 2 + PUBLISHED, "more people": 1}
    assert (changed["request"], changed["subject"]) == ("", f"custody.withdrawal/{waived.pk}")
    assert (changed["before"], changed["after"]) == ({}, {"treasury": 2})
    assert (changed["time_before"], changed["time_after"]) == ("", "1 d and 1 d")
    denies = {"name": "none", "when": [["kind", "is", "custody.withdrawal"]], "deny": "not today"}
    totals, _ = judged(document(rules=[denies]))
    assert totals == {"same": PUBLISHED, "refused": 3}


def test_says_how_many_acts_it_had_no_time_for(past: tuple[Withdrawal, Withdrawal]) -> None:
    asked: list[bool] = []

    def enough() -> bool:
        asked.append(True)
        return len(asked) > 2

    found = backtest(Policy.parse(document()), count=100, enough=enough)
    assert (found["judged"], found["left_out"]) == (2, 1 + PUBLISHED)
    assert found["totals"] == {"same": 2}


def test_tells_no_amount_no_destination_and_nobodys_name(past: tuple[Withdrawal, Withdrawal]) -> None:
    """Whoever may read policies reads it, also who may not see withdrawals."""
    waived, kept = past
    denies = {"name": "none", "when": [["kind", "is", "custody.withdrawal"]], "deny": "not today"}
    told = json.dumps(backtest(Policy.parse(document(rules=[denies])), count=100))
    customer = waived.customer
    for secret in (
        *(str(waived.units), str(waived.amount), str(waived.value_cents), waived.destination),
        *(str(customer.pk), customer.email, customer.display_name, kept.destination_label),
    ):
        assert secret not in told
    assert str(kept.pk) in told


def test_counts_in_windows_what_the_lane_paid_before(past: tuple[Withdrawal, Withdrawal]) -> None:
    totals, changed = judged(document(windows=[ONE_A_DAY]))
    assert totals == {"same": 1 + PUBLISHED, "more people": 2}
    assert {one["why"] for one in changed} == {"a day"}
    assert judged(document(windows=[ONE_A_DAY]), count=1)[0] == {"more people": 1}
