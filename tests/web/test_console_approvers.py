"""What was approved by people who count no longer, on the console …"""

from __future__ import annotations

from core import clock
from core.approvals.actions import submit_signature
from core.staff.actions import suspend_person
from tests.exchange import Exchange
from tests.forms import shown


def plain(exchange: Exchange, path: str) -> str:
    """The page as Ana reads it, without its emphasis."""
    found = shown(exchange.staff.ana.identity, path)
    return " ".join(found.replace("<strong>", "").replace("</strong>", "").split())


def test_is_told_with_who_why_what_is_missing_and_the_way_on(exchange: Exchange) -> None:
    staff, request = exchange.staff, exchange.request
    ben, cy = (one.identity.display_name for one in (staff.ben, staff.cy))
    where, told = f"/approvals/{request.pk}/", f"Agreed, and counts no more: {ben} (suspended)."

    def answer(name: str) -> None:
        officer = getattr(staff, name)
        signed = officer.answer(request)
        submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=clock.now())

    answer("ben")
    assert ("counts no more" in plain(exchange, where), "answer lost" in plain(exchange, "/")) == (False,) * 2
    suspend_person(person=staff.ben.identity.pk, reason="stolen", actor=staff.sam.actor, now=clock.now())
    assert f"{told} Missing now: 2 of treasury. {cy} can still answer: too few are left for" in plain(
        exchange, where
    )
    assert "answer lost" in plain(exchange, "/")
    assert "answer lost" in plain(exchange, "/approvals/")


def test_is_told_where_it_waits_after_the_quorum(exchange: Exchange) -> None:
    staff, row = exchange.staff, exchange.released
    exchange.treasury.sign_off(row)
    held = "Approved, and held: who approved has left"
    where = f"/withdrawals/{row.pk}/"
    assert (held in plain(exchange, "/approvals/"), "Approvers lost" in plain(exchange, where)) == (
        False,
    ) * 2
    suspend_person(person=staff.ben.identity.pk, reason="stolen", actor=staff.sam.actor, now=clock.now())
    who = f"{staff.ben.identity.display_name} (suspended)"
    for path, words in {
        where: f"Too few stand behind it by now. Agreed, and counts no more: {who}. Missing: 1 of treasury.",
        f"/approvals/{exchange.request.pk}/": "Once approved, a request takes no more answers. It goes on by",
        "/withdrawals/?tab=in+trouble": str(row.pk),
        "/approvals/": held,
        "/treasury/": "since who approved it has left: the withdrawal of",
        "/health/": "1 payments whose approvers have left",
        "/": "or who approved them has left",
    }.items():
        assert words in plain(exchange, path), path
