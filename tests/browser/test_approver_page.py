"""Before an officer signs, the approver page …"""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from backoffice.console.views.approvals import link
from core import clock
from core.approvals.models import ApprovalRequest
from custody.actions import ask_release_of_signers, draft_freeze
from custody.models import Asker, DecoderKey, PaymentPolicy, SignerOrder
from kernel import canonical, encodings
from tests.browser.conftest import ROOT, Site, bare, recorded, tab_to
from tests.browser.passkeys import plug_in
from tests.browser.test_console_screens import ALL_RULES, COLOURS, keep, violations

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_shows_what_the_payload_says_and_brings_a_passkeys_answer_back(site: Site, visit: Any) -> None:
    request = site.exchange.request
    for officer, state in ((site.exchange.staff.ben, "open"), (site.exchange.staff.cy, "approved")):
        window = visit(officer.identity)
        page = window.open(f"/approvals/{request.pk}/")
        digest = bytes(request.digest).hex()
        assert bare(page, "#digest-value") == digest
        expect(page.locator("#answer-send")).not_to_have_class("yes")  # there is nothing to record yet
        keep(page, f"sign-console-{state}")
        plug_in(page, officer.passkey)
        page.click("#to-approver")
        expect(page.locator("h1#headline")).to_have_text("Pay 0.06 BTC")
        assert page.url.startswith(site.approver)
        assert bare(page, "#digest") == digest
        assert bare(page, ".address") == site.exchange.released.destination
        for scheme, rules in (("light", ALL_RULES), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme)
            assert violations(page, rules) == []
            keep(page, f"approver-{scheme}")
        page.check("#verb-approve")
        keep(page, "sign")
        page.click("#sign")
        page.wait_for_url(f"{site.console}/approvals/{request.pk}/")
        expect(page.locator("#answer-arrived")).to_contain_text("Your signed approval has arrived")
        expect(page.locator("#answer-send")).to_have_class("yes")
        keep(page, "answer-arrived")
        page.click("#answer-send")
        assert recorded(page) == f"Your approval is recorded. The request is {state} now."
        assert ApprovalRequest.objects.get(pk=request.pk).state == state
    assert request.signatures.filter(verb="approve").count() == 2
    written = [json.loads(line) for line in (site.folder / "signatures.jsonl").read_text().splitlines()]
    staff = site.exchange.staff
    assert [line["officer"] for line in written] == [str(one.identity.pk) for one in (staff.ben, staff.cy)]
    stored = set(request.signatures.values_list("assertion", flat=True))
    assert {line["assertion"] for line in written} == {bytes(one).hex() for one in stored}


def test_shows_what_would_be_signed_to_officers_whose_console_shows_something_else(
    site: Site, visit: Any
) -> None:
    """A console in other hands displays request A, and links to request B under A's name."""
    shown, meant = site.exchange.request, site.exchange.treasury.screened(sats=5_000_000).request
    assert meant is not None
    ben = site.exchange.staff.ben
    page = visit(ben.identity).page
    plug_in(page, ben.passkey)

    page.add_init_script(
        f"addEventListener('DOMContentLoaded', () => {{ document.getElementById('to-approver')"
        f"?.setAttribute('href', {json.dumps(link(meant))}); }});"
    )
    page.goto(f"{site.console}/approvals/{shown.pk}/")
    expect(page.locator(".big")).to_contain_text("0.06 BTC")
    digest = bare(page, "#digest-value")
    page.click("#to-approver")
    expect(page.locator("h1#headline")).to_have_text("Pay 0.05 BTC")
    assert bare(page, "#digest") != digest
    assert (site.folder / "signatures.jsonl").read_bytes() == b"", "nobody signs what they did not ask for"

    # The officer signs A after all, on an honest link in the same tab, where nothing of B stays.
    page.goto(link(shown))
    expect(page.locator("h1#headline")).to_have_text("Pay 0.06 BTC")
    assert bare(page, "#digest") == digest
    page.check("#verb-approve")
    # What the page's own log does not take is handed to nobody.
    page.route("**/log", lambda route: route.fulfill(status=503))
    page.click("#sign")
    expect(page.locator("#problem")).to_contain_text("own log did not take your signature (503)")
    assert page.url.startswith(site.approver)
    page.unroute("**/log")
    page.click("#sign")
    # The console hands the answer in as one to B.
    page.wait_for_url(f"{site.console}/approvals/{shown.pk}/")
    page.eval_on_selector(
        "#answer", "(form, address) => { form.action = address; }", f"/approvals/{meant.pk}/sign"
    )
    page.click("#answer-send")
    assert "assertion.challenge" in recorded(page)
    assert not meant.signatures.exists()


def test_takes_a_rejection_only_with_a_reason_and_works_by_keys_alone(site: Site, visit: Any) -> None:
    request, ben = site.exchange.request, site.exchange.staff.ben
    page = visit(ben.identity).open(f"/approvals/{request.pk}/")
    plug_in(page, ben.passkey)
    tab_to(page, "#to-approver")
    page.keyboard.press("Enter")
    expect(page.locator("#act")).to_be_visible()
    tab_to(page, "#verb-approve")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#sign")).to_have_text("Reject with passkey")
    tab_to(page, "#reason")
    page.keyboard.type("   ")
    tab_to(page, "#sign")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_have_text("Nothing was signed: write why you reject it.")
    page.keyboard.type("The customer did not call.")
    tab_to(page, "#sign")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.console}/approvals/{request.pk}/")
    expect(page.locator("#answer-send")).to_be_focused()
    page.keyboard.press("Enter")
    assert recorded(page) == "Your rejection is recorded. The request is rejected now."
    assert request.signatures.get().reason == "The customer did not call."

    # Whatever a console says of it since: the page tells the next officer itself.
    page.goto("about:blank")
    page.goto(link(request))
    expect(page.locator("#rejected")).to_contain_text("Rejected before, on this page: by Ben Brandt (")
    assert violations(page, ALL_RULES) == []
    keep(page, "rejected-before")


def test_takes_one_officers_order_to_stop_and_nothing_else_for_an_answer(site: Site, visit: Any) -> None:
    ana = site.exchange.staff.ana
    page = visit(ana.identity).open("/treasury/signers/")
    plug_in(page, ana.passkey)
    for scheme, rules in (("light", ALL_RULES), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)
        assert violations(page, rules) == []
        keep(page, f"signers-{scheme}")
    page.select_option("#stop-wallet", "hot")
    page.fill("#stop-reason", "a laptop of treasury was stolen")
    page.click("text=Draft the freeze")
    digest = bare(page, "#digest-value")
    keep(page, "signer-order")
    page.click("#to-approver")
    expect(page.locator("h1#headline")).to_have_text("Freeze the signers of the hot wallet")
    expect(page.locator("#kicker")).to_have_text("You are asked about an order to the signers")
    assert bare(page, "#digest") == digest
    expect(page.locator("#reject-choice")).to_be_hidden()
    page.check("#verb-approve")
    keep(page, "sign-freeze")
    page.click("#sign")
    page.wait_for_url(f"{site.console}/treasury/signers/orders/*/")
    expect(page.locator("#answer-arrived")).to_contain_text("Your signed approval has arrived")
    page.click("#answer-send")
    assert recorded(page) == "Signed. The signers are being told; their answers appear here."
    assert violations(page, ALL_RULES) == []
    keep(page, "signer-order-signed")
    assert SignerOrder.objects.filter(state="signed", assertion__officer=str(ana.identity.pk)).count() == 2

    # Whom one suspends is named by this host's registry: the payload has an id, and the console could lie.
    officer = f"officer:{site.exchange.staff.ben.identity.pk}"
    row = draft_freeze(wallet=officer, reason="a laptop", actor=ana.actor, now=clock.now())
    page.goto("about:blank")
    page.goto(link(row))
    expect(page.locator("h1#headline")).to_have_text("Suspend an officer at every signer")
    expect(page.locator("#lines")).to_contain_text("Ben BrandtAs registry 1, on this page’s own host")
    assert violations(page, ALL_RULES) == []
    keep(page, "sign-suspension")
    page.check("#verb-approve")
    page.click("#sign")
    page.wait_for_url(f"{site.console}/treasury/signers/orders/*/")

    # A reopened signer hears whom its order does not name. What the console leaves out, this page has seen.
    for suspended, said in (([], "Ben Brandt, suspended by Ana Abelsen"), ([officer], "")):
        page.goto("about:blank")
        page.goto(reopening(link(row), suspended=suspended))
        expect(page.locator("h1#headline")).to_have_text("Let the signer hot-1 begin a new memory")
        assert page.locator("#left-out").is_visible() is bool(said)
        expect(page.locator("#left-out")).to_contain_text(said)
        assert violations(page, ALL_RULES) == []
        keep(page, f"sign-reopening-{'whole' if suspended else 'left-out'}")


def reopening(link: str, *, suspended: list[str]) -> str:
    """The link of another order with a reopening's payload in it, as a console in other hands makes it."""
    address, _, fragment = link.partition("#")
    members = canonical.decode_object(encodings.from_base64url(fragment))
    act = canonical.decode_object(encodings.from_base64url(str(members["payload"])))
    del act["wallet"]
    act |= {"v": 2, "kind": "signer.reopen", "token": "hot-1", "standing": "ab" * 32}
    act["expires"] = f"{clock.now() + timedelta(hours=23):%Y-%m-%dT%H:%M:%SZ}"  # it lets go: good for a day
    act["suspended"] = [each.removeprefix("officer:") for each in suspended]
    payload = encodings.base64url(canonical.encode(act))
    made = canonical.encode({**members, "kind": "signer.reopen", "payload": payload})
    return f"{address}#{encodings.base64url(made)}"


def test_has_much_money_read_again_by_an_offline_decoder(site: Site, visit: Any, tmp_path: Path) -> None:
    request, ben = site.exchange.request, site.exchange.staff.ben
    key = tmp_path / "ben.pem"
    public = decoder("key", "--out", str(key), typed="horse\n")
    PaymentPolicy.objects.filter(kind=request.kind).update(confirm_above=5_000_000)
    DecoderKey.objects.update_or_create(
        officer=ben.identity.pk, defaults={"public_key": public, "registry_version": 1}
    )
    page = visit(ben.identity).open(f"/approvals/{request.pk}/")
    plug_in(page, ben.passkey)
    expect(page.get_by_text("So much is also confirmed")).to_be_visible()
    page.click("#to-approver")
    page.check("#verb-approve")
    for scheme, rules in (("light", ALL_RULES), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)
        assert violations(page, rules) == []
        keep(page, f"confirm-{scheme}")
    page.fill("#confirmation", "something else")
    page.click("#sign")
    expect(page.locator("#problem")).to_contain_text("86 characters")
    photo = tmp_path / "photo.png"
    page.locator("#qr").screenshot(path=photo)
    digest = bare(page, "#digest")
    said = decoder("confirm", "--key", str(key), "--image", str(photo), typed=f"{digest[:8]}\nhorse\n")
    assert "pays      0.06 BTC" in said
    page.fill("#confirmation", said.split("CONFIRMED ")[1].strip())
    page.click("#sign")
    page.wait_for_url(f"{site.console}/approvals/{request.pk}/")
    page.click("#answer-send")
    assert recorded(page) == "Your approval is recorded. The request is open now."
    assert len(bytes(request.signatures.get().confirmation)) == 64
    expect(page.get_by_text("and an offline decoder")).to_be_visible()


def test_lets_the_maker_ask_and_nobody_answer_before(site: Site, visit: Any) -> None:
    staff = site.exchange.staff
    ana, ben = staff.ana, staff.ben
    order = ask_release_of_signers(wallet="hot", reason="found again", actor=ana.actor, now=clock.now())
    assert order.request is not None
    where = f"/approvals/{order.request.pk}/"
    # The registry that is loaded here says who may ask; this console keeps nobody from asking because of it.
    Asker.objects.create(officer=staff.cy.identity.pk, name="Cy Castellan", registry_version=2)
    page = visit(ben.identity).open(where)
    expect(page.locator("#to-approver")).to_have_count(0)
    expect(page.locator("#standing")).to_contain_text("The signers will refuse this")
    assert violations(page, ALL_RULES) == []
    expect(page.locator("#standing")).to_contain_text("Nobody can answer before")
    keep(page, "ask-draft")
    page = visit(ana.identity).open(where)
    plug_in(page, ana.passkey)
    expect(page.get_by_text("The signers will not take this from you")).to_be_visible()
    keep(page, "ask-console")
    assert violations(page, ALL_RULES) == []
    page.click("#to-approver")
    expect(page.locator("#kicker")).to_have_text("You ask, as its maker, for an order to the signers")
    expect(page.locator("#reject-choice")).to_be_hidden()
    expect(page.locator("#ask-hint")).to_be_visible()
    page.check("#verb-approve")
    expect(page.locator("#sign")).to_have_text("Ask with passkey")
    for scheme, rules in (("light", ALL_RULES), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)
        assert violations(page, rules) == []
        keep(page, f"ask-approver-{scheme}")
    page.click("#sign")
    page.wait_for_url(f"{site.console}{where}")
    keep(page, "ask-arrived")
    page.click("#answer-send")
    assert recorded(page) == "It is recorded that you ask for this. Others can answer now."
    keep(page, "ask-recorded")
    assert [one.verb for one in order.request.signatures.all()] == ["ask"]
    (line,) = [json.loads(one) for one in (site.folder / "signatures.jsonl").read_text().splitlines()]
    assert (line["officer"], line["verb"]) == (str(ana.identity.pk), "ask")

    page = visit(ben.identity).page
    plug_in(page, ben.passkey)
    page.goto(f"{site.console}{where}")
    page.click("#to-approver")
    expect(page.locator("#kicker")).to_have_text("You are asked about an order to the signers")
    expect(page.locator("#ask-hint")).to_be_hidden()
    page.goto("about:blank")
    page.goto(link(site.exchange.request, asks=True))
    expect(page.locator("#refusal-sentence")).to_have_text("Nobody signs that they ask for a withdrawal.")


def decoder(*arguments: str, typed: str) -> str:
    """The offline decoder's program, as an officer runs it."""
    command = [str(ROOT / ".venv-decoder/bin/python"), "-m", "custody.decoder", *arguments]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()
