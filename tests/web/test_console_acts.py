"""A form on the console …"""

from __future__ import annotations

import html
import re
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from core import clock
from core.approvals import kinds
from core.audit.models import AuditEvent
from custody import queries
from custody.actions import (
    mark_sweep_asked,
    report_refusal,
    store_signed,
)
from custody.models import Adjustment, Refill, Wallet, Withdrawal
from engine_bridge.domain.markets import CALL
from kernel import canonical
from tests.doors import at_console
from tests.exchange import Exchange
from tests.forms import answered, refusal, send, shown
from tests.treasury import BTC, ROBOT, signatures


def test_releases_a_withdrawal_to_its_checkers(exchange: Exchange) -> None:
    page = f"/withdrawals/{exchange.held.pk}/"
    answer = send(exchange.staff.ana.identity, page, f"{page}release", reason="Tom called, papers seen")
    request = Withdrawal.objects.get(pk=exchange.held.pk).request
    assert request is not None
    assert (answer.status_code, answer["Location"]) == (302, f"/approvals/{request.pk}/")


def test_gives_back_what_was_typed_with_the_refusals_sentence(exchange: Exchange) -> None:
    page = f"/withdrawals/{exchange.held.pk}/"
    answer = send(exchange.staff.ana.identity, page, f"{page}release", reason="   ")
    assert answer.status_code == 422
    assert refusal(answer) == "Nothing was changed: say why."
    fields = {"customer": "nobody", "amount": "1.5", "asset": "USDT", "reason": "a <b>wire</b>"}
    adjust = "/treasury/adjustments/"
    answer = send(exchange.staff.ana.identity, adjust, f"{adjust}propose", **fields)
    assert answer.status_code == 422
    assert refusal(answer) == "Nothing was asked: choose the customer by their id."
    assert "a &lt;b&gt;wire&lt;/b&gt;</textarea>" in answer.content.decode()
    assert 'value="USDT" selected' in answer.content.decode()


def test_rejects_a_withdrawal_and_says_so(exchange: Exchange) -> None:
    page = f"/withdrawals/{exchange.held.pk}/"
    answer = send(exchange.staff.ana.identity, page, f"{page}reject", reason="a mixer")
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert Withdrawal.objects.get(pk=exchange.held.pk).state == "rejected"
    again = at_console(exchange.staff.ana.identity).post(f"{page}reject", {"reason": "a mixer"})
    assert again.status_code == 409
    told = at_console(exchange.staff.ana.identity).get(f"{page[:-1]}.json").json()
    assert told["state"] == "rejected"
    assert told["request"] is None


def test_carries_a_refill_from_proposal_to_cold_signatures(exchange: Exchange) -> None:
    ana, page = exchange.staff.ana.identity, f"/treasury/refills/{exchange.refill.pk}/"
    assert send(ana, page, f"{page}request").status_code == 422
    assert send(ana, page, f"{page}request", reason="hot is low").status_code == 302
    row = Refill.objects.get(pk=exchange.refill.pk)
    assert row.request is not None
    checker, where = exchange.staff.ben, f"/approvals/{row.request.pk}/"
    assert (
        "Nobody can answer before its maker has asked"
        in at_console(checker.identity).get(where).content.decode()
    )
    assert "Tell Ana Abelsen that it waits for them." in shown(checker.identity, where)
    assert answered(checker, row.request).status_code == 409
    mine = shown(ana, where)
    for words in ("drafted by Ana", "Ask on the approver page", "Record that I ask"):
        assert words in mine
    lists = ((checker.identity, "/"), (checker.identity, "/approvals/"), (ana, "/approvals/"))
    assert ["its maker must ask first" in shown(*one) for one in lists] == [True] * 3
    assert "must sign that they ask for it, then others must approve it" in shown(ana, page)
    assert answered(exchange.staff.ana, row.request, "ask").status_code == 302
    assert ["its maker must ask first" in shown(*one) for one in lists] == [False] * 3
    assert "must sign that they ask for it" not in shown(ana, page)
    assert "Open on the approver page" in at_console(checker.identity).get(where).content.decode()
    for officer in (checker, exchange.staff.cy):
        assert answered(officer, row.request).status_code == 302
    payment = exchange.treasury.built(Refill.objects.get(pk=row.pk))
    bundle = send(ana, page, f"{page}export")
    assert bundle["Content-Disposition"] == f'attachment; filename="refill-{row.pk}.bundle.json"'
    assert canonical.decode_object(bundle.content)["type"] == "bundle"
    told = at_console(ana).get("/treasury/refills.json").json()["refills"][0]
    assert (told["state"], told["signed"], told["threshold"]) == ("exported", [], 3)

    for token, said in (("cold-1", 302), ("cold-2", 422)):
        document: dict[str, Any] = {
            "v": 1,
            "type": "signed",
            "token": token,
            "txid": payment.txid,
            "signatures": signatures(payment.psbt, "cold-1"),
        }
        answer = send(ana, page, f"{page}import", partial=_file(canonical.encode(document) + b"\n"))
        assert answer.status_code == said
    assert at_console(ana).get(f"{page[:-1]}.json").json()["signed"] == ["cold-1"]
    damaged = send(ana, page, f"{page}import", partial=_file(b'{"type": "signed"}'))
    assert damaged.status_code == 422
    assert refusal(send(ana, page, f"{page}import")).startswith("Nothing was imported: choose the file")


def test_carries_a_sweep_from_proposal_to_the_signers_and_before_them_again(exchange: Exchange) -> None:
    treasury, ana = exchange.treasury, exchange.staff.ana.identity
    treasury.deposit(BTC // 5)  # stays for those who are to be paid
    pk = exchange.proposed_sweep()
    page = f"/treasury/sweeps/{pk}/"
    assert send(ana, page, f"{page}request").status_code == 422
    Wallet.objects.filter(name="hot").update(refill_below=0, target=BTC // 8)
    assert send(ana, page, f"{page}request", reason="hot is full").status_code == 302
    assert "must sign that they ask for it, then others must approve it" in shown(ana, page)
    for where in (page, f"/approvals/{queries.sweep(pk).request_id}/"):
        assert "of all coins" in shown(ana, where).partition("Hot wallet after it")[2], where
    treasury.sign_off(queries.sweep(pk))
    payment = treasury.built(queries.sweep(pk))
    mark_sweep_asked(sweep_id=pk, actor=ROBOT, now=treasury.now)
    assert "of hot is on its way back to cold" in shown(ana, "/treasury/")
    for token in ("hot-1", "hot-2"):
        refused = {"token": token, "code": "SIGNER_FROZEN", "detail": "", "actor": ROBOT, "now": treasury.now}
        report_refusal(payment_id=payment.pk, **refused)
    assert "Sweeps that wait for you" in shown(ana, "/")
    assert send(ana, page, f"{page}ask", reason="released").status_code == 302
    told = at_console(ana).get(f"{page[:-1]}.json").json()
    assert (told["state"], told["txid"]) == ("signing", payment.txid)
    assert at_console(ana).post(f"{page}dismiss", {"reason": "enough"}).status_code == 409
    raw = queries.signed_psbt(treasury.sign(payment, "hot-1", "hot-3")).finalised().encoded()
    store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)
    assert "Raise the network fee" in shown(ana, page)
    assert send(ana, page, f"{page}raise", reason="hot is stuck", feerate="1.5").status_code == 422
    assert send(ana, page, f"{page}raise", reason="hot is stuck", feerate="20").status_code == 302
    assert "before the signers" in shown(ana, page)


def test_asks_for_a_credit_once_under_one_reference(exchange: Exchange) -> None:
    fields = {
        "customer": str(exchange.treasury.tom.pk),
        "asset": "USDT",
        "amount": "5000",
        "reason": "wire transfer 4712",
        "reference": "wire-4712",
    }
    page, ana = "/treasury/adjustments/", exchange.staff.ana.identity
    answer = send(ana, page, f"{page}propose", **fields)
    row = Adjustment.objects.get(reference="wire-4712")
    assert row.request is not None
    assert (answer.status_code, answer["Location"]) == (302, f"/approvals/{row.request.pk}/")
    assert str(row.amount) == "5000"
    assert refusal(send(ana, page, f"{page}propose", **fields)).startswith("Nothing was asked")


def test_opens_evidence_only_after_writing_that_it_was_opened(exchange: Exchange) -> None:
    page = f"/identity/{exchange.case.pk}/"
    assert b"the selfie is blurred" not in at_console(exchange.staff.ana.identity).get(page).content
    opened = send(exchange.staff.ana.identity, page, f"{page}evidence")
    assert b"the selfie is blurred" in opened.content
    case, person = (row.doc for row in AuditEvent.objects.order_by("-id")[:2])
    assert (person["action"], person["actor"]["label"]) == ("kyc.person.read", "Ana Abelsen")
    assert case["action"] == "kyc.case.read", "the case stands around it"


def test_takes_closes_and_raises_cases(exchange: Exchange) -> None:
    page, ana = f"/identity/{exchange.case.pk}/", exchange.staff.ana.identity
    assert send(ana, page, f"{page}take").status_code == 302
    assert b"Take the case" not in at_console(ana).get(page).content
    assert refusal(send(ana, page, f"{page}propose", tier="2", reason="fine")).startswith(
        "Nothing was proposed"
    )
    asked = send(ana, page, f"{page}propose", tier="3", reason="papers in order")
    assert asked.status_code == 302
    assert asked["Location"].startswith("/approvals/")
    assert (
        send(ana, asked["Location"], f"{asked['Location']}withdraw", reason="typing error").status_code == 302
    )
    assert refusal(send(ana, page, f"{page}close", outcome="party", reason="x")).startswith(
        "Nothing was decided"
    )
    assert send(ana, page, f"{page}close", outcome="no_action", reason="all is well").status_code == 302
    exchange.case.refresh_from_db()
    assert exchange.case.state == "resolved"


def test_has_the_journal_verified_and_shows_a_market_in_its_call_auction(exchange: Exchange) -> None:
    sam = exchange.staff.sam.identity
    sent = send(sam, "/engine/", "/engine/verify")
    assert (sent.status_code, sent["Location"]) == (302, "/engine/")
    assert AuditEvent.objects.order_by("-pk")[0].doc["action"] == "engine.journal.verify_asked"
    shown = at_console(exchange.staff.ana.identity).get("/engine/").content.decode()
    assert "Your role does not verify the journal" in shown
    exchange.market.state, exchange.market.wanted_state = "auction", "open"
    exchange.market.call_until = clock.now() + CALL
    exchange.market.save()
    shown = at_console(sam).get("/markets/BTC-USDT/").content.decode()
    assert "collects orders for its call auction" in shown


def _file(data: bytes) -> Any:
    return SimpleUploadedFile("cold-1.json", data, content_type="application/json")


def test_gives_a_draft_of_the_policy_to_edit_that_says_the_same(exchange: Exchange) -> None:
    ana = exchange.staff.ana.identity
    page = f"/approvals/policy/{exchange.draft.pk}/"
    shown = at_console(ana).get(page).content.decode()
    text = re.search(r'<textarea id="text"[^>]*>(.*?)</textarea>', shown, re.DOTALL)
    assert text is not None
    assert send(ana, page, f"{page}change", text=html.unescape(text.group(1))).status_code == 302
    before = bytes(exchange.draft.document)
    exchange.draft.refresh_from_db()
    assert bytes(exchange.draft.document) == before
    for said in ("to be approved within 4 h", "within 1 d and 1 d", "window a customer", "($50,000.00)"):
        assert said in html.unescape(shown)
    loose = '{"rules": [{"name": "x", "when": [["kind", "is", "staff.leave"]], "deny": "no"}]}'
    assert "staff.leave keeps its own quorum" in refusal(send(ana, page, f"{page}change", text=loose))
    refused = send(ana, page, f"{page}change", text='{"rules": [{"name": "x"}]}')
    assert refused.status_code == 422
    assert refusal(refused) == (
        "Nothing was kept: a rule has a name, when, and one of: teams and rejections; deny; unattended."
    )


def test_shows_what_each_kind_asks_for_and_which_rules_decide_about_it(exchange: Exchange) -> None:
    page = html.unescape(at_console(exchange.staff.ana.identity).get("/approvals/policy/").content.decode())
    rows = {
        kind: " ".join(re.sub(r"<[^>]+>", " ", row).split())
        for row in re.findall(r"<tr>.*?</tr>", page)
        for kind in re.findall(r"<code>([a-z]+\.[a-z_]+)</code>", row)
    }
    assert rows.keys() == kinds.registered().keys()
    assert "2 of officers within 1 h and 1 h the staff person , role" in rows["staff.join"]
    assert "2 or more, as the signers’ registry says" in rows["signer.release"]
    assert "its own quorum: no rule names it" in rows["signer.release"]
    assert "its own quorum, always: taking rights away" in rows["staff.leave"]
    assert "what the lane takes, then payments" in rows["custody.withdrawal"]
