"""A form on the console …"""

from __future__ import annotations

import html
import re
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from core import clock
from core.approvals import kinds
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.freezes.actions import ask_release, pull_freeze
from core.freezes.models import Freeze
from custody import queries
from custody.actions import (
    draft_freeze,
    draft_veto,
    expire_order,
    mark_sweep_asked,
    report_answer,
    report_health,
    report_journal,
    report_refusal,
    sign_order,
)
from custody.domain.journals import Read
from custody.models import Adjustment, Reconciliation, Refill, SignerOrder, Wallet, Withdrawal
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


def test_suspends_at_once_and_changes_the_staff_by_approval(exchange: Exchange) -> None:
    ana, page = exchange.staff.ana.identity, f"/staff/{exchange.una.pk}/"
    assert refusal(send(ana, page, f"{page}propose", reason="x")).startswith("Nothing was proposed: choose")
    fields = {"change": "grant_role", "role": "auditor", "hours": "8", "reason": "Dot is on holiday"}
    asked = send(ana, page, f"{page}propose", **fields)
    request = ApprovalRequest.objects.get(kind="staff.grant_role", state="open")
    assert asked["Location"] == f"/approvals/{request.pk}/"
    for officer in (exchange.staff.ben, exchange.staff.cy):
        assert answered(officer, request).status_code == 302
    assert "auditor, support" in at_console(ana).get(page).content.decode()

    new = {
        "name": "Zoë",
        "email": "zoe@countersign.example",
        "subject": "5f1c",
        "roles": ["support", "auditor"],
    }
    assert refusal(send(ana, "/staff/", "/staff/join", **new)) == "Nothing was proposed: say why."
    joined = send(ana, "/staff/", "/staff/join", **new, reason="starts on Monday")
    assert "Zoë" in at_console(ana).get(joined["Location"]).content.decode()

    assert send(ana, page, f"{page}suspend", reason="lost her key").status_code == 302
    assert at_console(exchange.una).get("/").status_code == 403
    assert "Your access is suspended" in at_console(exchange.una).get("/").content.decode()


def test_suspends_at_the_signers_too_and_says_while_they_do_not_know(exchange: Exchange) -> None:
    ana, ben = exchange.staff.ana.identity, exchange.staff.ben.identity
    page, name = f"/staff/{ben.pk}/", f"officer:{ben.pk}"
    sent = send(ana, page, f"{page}suspend", reason="a laptop was stolen")
    order = SignerOrder.objects.get(subject=name)
    assert sent["Location"] == f"/treasury/signers/orders/{order.pk}/"
    said = at_console(ana).get(sent["Location"]).content.decode()
    assert "Suspend an officer at every signer" in said
    assert "Ben Brandt: a laptop was stolen" in said
    said = at_console(ana).get(page).content.decode()
    assert "Suspended here only: hot-1, hot-2, hot-3 still count" in said
    for token in ("hot-1", "hot-2", "hot-3"):
        report_health(token=token, said={"state": "ready", "frozen": {name: "stolen"}}, now=clock.now())
    said = at_console(ana).get(page).content.decode()
    assert "Suspended here only" not in said
    assert "hot-1, hot-2, hot-3 count nothing that Ben Brandt signs" in said
    assert "Ben Brandt (suspended)" in at_console(ana).get("/treasury/signers/").content.decode()


def test_names_what_a_signer_has_forgotten_with_lost_lines_until_it_is_let_go(exchange: Exchange) -> None:
    ana, now = exchange.staff.ana, clock.now()
    for wallet in ("hot", f"officer:{exchange.staff.ben.identity.pk}"):
        row = draft_freeze(wallet=wallet, reason="a laptop was stolen", actor=ana.actor, now=now)
        sign_order(order_id=row.pk, signed=ana.order(row), actor=ana.actor, now=now)
        report_answer(order_id=row.pk, token="hot-1", obeyed=True, code="", detail="", actor=ROBOT, now=now)

    def said(**frozen: str) -> str:
        report_health(token="hot-1", said={"state": "ready", "frozen": frozen}, now=now)
        return at_console(ana.identity).get("/treasury/signers/").content.decode()

    lost = {"*": "lines were lost: a new disk"}
    assert said(**lost).count("forgotten: freeze it again") == 2
    assert "<strong>Ben Brandt (suspended)</strong>: a laptop was stolen <span" in said(**lost)
    assert said(**lost, hot="again").count("forgotten: freeze it again") == 1
    assert "forgotten: freeze it again" not in said()


def test_names_the_signers_that_have_not_heard_a_veto(exchange: Exchange) -> None:
    ana, now, digest = exchange.staff.ana, clock.now(), "ab" * 32
    told = {"maker": str(exchange.staff.ben.identity.pk), "reason": "new people", "at": now.isoformat()}
    announced = {digest: {"version": 9, "from": now.isoformat(), "is_recovery": False, **told}}

    def page(*heard: str, unaware: tuple[str, ...] = ()) -> str:
        for token in ("hot-1", "hot-2", "hot-3"):
            report_health(token=token, said={"state": "ready"}, now=now)
            vetoed = {digest: told} if token in heard else {}
            read = Read(3, "cd" * 32, {} if token in unaware else announced, vetoed)
            report_journal(token=token, read=read)
        return at_console(ana.identity).get("/treasury/signers/").content.decode()

    assert "Have not heard it" not in page()
    row = draft_veto(registry_digest=digest, reason="by whom?", actor=ana.actor, now=now)
    assert "Have not heard it" not in page("hot-1")
    sign_order(order_id=row.pk, signed=ana.order(row), actor=ana.actor, now=now)
    said = page("hot-1")
    assert '<dt>Have not heard it</dt><dd><span class="state" data-tone="bad">hot-2, hot-3</span>' in said
    assert "The veto is brought to them until" in said
    expire_order(order_id=row.pk, actor=ROBOT, now=row.expires_at)
    # The others may hear of it later, and then of no veto.
    said = page("hot-1", unaware=("hot-2", "hot-3"))
    assert "No veto is on its way any more: draft another." in said
    assert f'<option value="{digest}">' in said
    assert "Have not heard it" not in page("hot-1", "hot-2", "hot-3")


def test_tells_who_suspends_people_and_stops_no_signer_that_others_must(exchange: Exchange) -> None:
    sam, page = exchange.staff.sam.identity, f"/staff/{exchange.staff.ben.identity.pk}/"
    assert send(sam, page, f"{page}suspend", reason="a laptop was stolen")["Location"] == page
    said = at_console(sam).get(page).content.decode()
    assert "Suspended here only: hot-1, hot-2, hot-3 still count" in said
    assert not SignerOrder.objects.filter(subject__startswith="officer:").exists()


def test_stops_a_market_at_once_and_releases_it_by_three(exchange: Exchange) -> None:
    page, sam = "/markets/BTC-USDT/", exchange.staff.sam.identity
    assert refusal(send(sam, page, f"{page}stop", state="open", reason="x")).startswith("Nothing was stopped")
    assert refusal(send(sam, page, f"{page}stop", state="halted")) == "Nothing was changed: say why."
    assert send(sam, page, f"{page}stop", state="halted", reason="one price").status_code == 302
    ana, frozen = exchange.staff.ana.actor, "The market BTC-USDT is frozen"
    assert refusal(send(sam, page, f"{page}release", reason="two prices")).startswith(frozen)
    release = ask_release(freeze_id=exchange.freeze.pk, reason="two prices", actor=ana, now=clock.now())
    for officer in (exchange.staff.ben, exchange.staff.cy):
        signed = officer.answer(release)
        submit_signature(request_id=release.pk, signed=signed, actor=officer.actor, now=clock.now())
    asked = send(sam, page, f"{page}release", reason="two prices")
    request = ApprovalRequest.objects.get(kind="engine.market_release")
    assert (asked.status_code, asked["Location"]) == (302, f"/approvals/{request.pk}/")
    shown = at_console(exchange.staff.ben.identity).get(asked["Location"]).content.decode()
    assert "Let BTC-USDT trade again" in shown


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


def test_freezes_at_once_and_releases_by_three(exchange: Exchange) -> None:
    page, ana = "/freezes/", exchange.staff.ana.identity
    assert refusal(send(ana, page, f"{page}pull", scope="everything", reason="x")).startswith(
        "Nothing of that name"
    )
    assert send(ana, page, f"{page}pull", scope="platform.withdrawals", reason="a leak").status_code == 302
    row = Freeze.objects.get(scope="platform.withdrawals")
    assert b"Frozen: platform.withdrawals" in at_console(exchange.staff.sam.identity).get("/").content
    asked = send(ana, page, f"{page}{row.pk}/release", reason="closed it")
    request = ApprovalRequest.objects.get(subject=f"freezes.freeze/{row.pk}")
    assert (asked.status_code, asked["Location"]) == (302, f"/approvals/{request.pk}/")
    for officer in (exchange.staff.ben, exchange.staff.cy):
        assert answered(officer, request).status_code == 302
    row.refresh_from_db()
    assert row.released_at is not None


def test_shows_over_every_screen_what_stops_the_most_however_much_was_frozen_since(
    exchange: Exchange,
) -> None:
    sam = exchange.staff.sam
    for number in range(6):
        pull_freeze(
            scope=f"customer:01900000-0000-7000-8000-00000000000{number}",
            reason="odd",
            actor=sam.actor,
            now=clock.now(),
        )
    pull_freeze(scope=exchange.freeze.scope, reason="me too", actor=sam.actor, now=clock.now())
    page = at_console(sam.identity).get("/").content.decode()
    assert page.count(f"Frozen: {exchange.freeze.scope},") == 1
    assert (page.count("Frozen: customer:"), "and 2 more" in page) == (4, True)


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


def test_stands_beside_the_lane_its_worst_loss_and_what_each_signer_has_counted(exchange: Exchange) -> None:
    client = at_console(exchange.staff.ana.identity)
    for path in ("/treasury/signers/", "/treasury/"):
        page = " ".join(re.sub(r"<[^>]+>", " ", client.get(path).content.decode()).split())
        assert "Lane of the hot wallet" in page
        assert "Worst loss 0.06 BTC" in page
        assert "0.01502 BTC of 0.06 BTC used in 1 d 0 h" in page
        assert "hot-1 0.01502 BTC 0.04 BTC 0.005 BTC in 1, the oldest 2 h 0 min old" in page
        assert "hot-3 frozen" in page
    assert "forgets what its lane holds outstanding" in client.get("/treasury/signers/").content.decode()
    Reconciliation.objects.update(on_chain_units=1)
    page = client.get("/treasury/signers/").content.decode()
    assert "Find the break first" in page
