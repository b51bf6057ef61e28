"""A form that the database cannot keep as it is …"""

from __future__ import annotations

import pytest
from django.urls import reverse

from backoffice.console.urls import urlpatterns
from core.approvals.models import PolicyDraft
from core.freezes.models import Freeze
from custody.models import Withdrawal
from tests.doors import at_console
from tests.exchange import Exchange
from tests.forms import refusal, send
from tests.permissions.test_console_matrix import CONSOLE, ROWS


def test_is_refused_by_every_act_with_a_sentence_and_none_fails(exchange: Exchange) -> None:
    client = at_console(exchange.staff.ana.identity)
    ours = {"symbol": "BTC-USDT", "withdrawal_id": exchange.held.pk, "refill_id": exchange.refill.pk}
    ours["sweep_id"] = exchange.proposed_sweep()
    ours |= {"freeze_id": exchange.freeze.pk, "draft_id": exchange.draft.pk, "case_id": exchange.case.pk}
    ours |= {"request_id": exchange.adjustment.request_id}
    tried = 0
    for pattern in urlpatterns:
        if pattern.name not in ROWS or ROWS[pattern.name][1] != "POST":
            continue
        into = pattern.pattern.converters
        target = {name: ours.get(name, exchange.staff.ben.identity.pk) for name in into}
        answer = client.post(
            reverse(pattern.name, CONSOLE, kwargs=target), {"reason": "a\x00b", "label": "b"}
        )
        assert answer.status_code in {400, 403}, pattern.name
        if answer.status_code == 400:
            assert "Nothing was done" in answer.content.decode(), pattern.name
            tried += 1
    assert tried > 40, "most are Ana's to do"


@pytest.mark.parametrize(
    "page", ["/audit/?actor=%00", "/audit/?target=a%00b", "/audit/?action=%00", "/audit/reads/?person=%00"]
)
def test_is_refused_where_it_only_looks_for_something(exchange: Exchange, page: str) -> None:
    assert at_console(exchange.staff.dot.identity).get(page).status_code == 400


def test_is_refused_where_it_is_too_long_to_be_confirmed(exchange: Exchange) -> None:
    page = f"/withdrawals/{exchange.held.pk}/"
    answer = at_console(exchange.staff.ana.identity).post(f"{page}reject", {"reason": "x" * 300_000})
    assert answer.status_code == 413
    assert "Nothing was done: the form cannot be confirmed as it is (longer than" in answer.content.decode()
    assert Withdrawal.objects.get(pk=exchange.held.pk).state == "on_hold"


def test_is_refused_where_it_is_nested_without_end(exchange: Exchange) -> None:
    drafts = PolicyDraft.objects.count()
    page = "/approvals/policy/"
    answer = send(exchange.staff.ana.identity, page, f"{page}draft", text="[" * 100_000)
    assert answer.status_code == 422
    assert refusal(answer).startswith("Nothing was kept: ")
    assert PolicyDraft.objects.count() == drafts


def test_stops_something_all_the_same_however_long_its_reason_is(exchange: Exchange) -> None:
    """A browser counts a line's end as one character and sends two, so nobody sees that it is too long."""
    why = "\r\n".join(["they left for an address that nobody knows"] * 12)
    answer = send(exchange.staff.sam.identity, "/freezes/", "/freezes/pull", scope="asset:ETH", reason=why)
    assert (len(why) > 500, answer.status_code) == (True, 302)
    assert Freeze.objects.get(scope="asset:ETH").reason == why[:500]
