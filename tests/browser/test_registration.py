"""On the approver host, an officer registers a passkey …"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from backoffice.console.views.approvals import link
from core.access.models import OfficerCredential
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.clock import now
from core.factors.models import Registration
from custody import actions, queries
from custody.models import SignerOrder
from custody.signer import registry as program
from fixtures.authenticator import AAGUID, Authenticator
from kernel import canonical, registration
from kernel.encodings import base64url
from kernel.registry import Registry
from tests.browser.conftest import Site, bare, recorded
from tests.browser.passkeys import plug_in
from tests.browser.test_ceremony import looked_at
from tests.officers import Officer
from tests.signers import TreasuryToken
from tests.softtoken import Desk
from tests.treasury import REGISTRY

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DELAY_S: Final = 60


def registry(site: Site, version: int, **changed: str) -> Registry:
    """The treasury's registry with the staff's passkeys, or other ones by first name."""
    staff = site.exchange.staff
    officers = {
        str(one.identity.pk): {
            "name": one.identity.display_name,
            "teams": ["treasury"],
            "public_key": changed.get(name, one.passkey.public_key_hex),
        }
        for name, one in (("ana", staff.ana), ("ben", staff.ben), ("cy", staff.cy))
    }
    document = {
        **REGISTRY,
        "version": version,
        "rp_id": settings.APPROVER_RP_ID,
        "origin": settings.APPROVER_ORIGIN,
        "officers": officers,
        "limits": {**REGISTRY["limits"], "registry_delay_s": DELAY_S},
    }
    return Registry.parse(canonical.encode(document))


def drafted(old: Registry, folder: Path, key: str, paper: str) -> Registry:
    """The next version as whoever keeps the file drafts it, with what Ben reads from his paper."""
    (folder / "registry-1.json").write_bytes(old.encoded)
    words = ["draft", str(folder / "registry-1.json"), "--follows", old.digest.hex()]
    words += ["--out", str(folder / "registry-2.json"), "--replace-passkey", "Ben Brandt", key, paper]
    assert program.main(words) == 0
    return Registry.parse((folder / "registry-2.json").read_bytes())


def makes(page: Page, *, looks: bool = False) -> str:
    """From the officer's own page to the approver's, where it is made; the fingerprint that stands there."""
    page.click("summary:has-text('Make one')")
    page.fill("#s-label", "blue key")
    page.fill("#s-reason", "the old one is worn")
    page.click("text=Go on")
    page.click("#touch")
    expect(page.locator("h1")).to_have_text("A new signing passkey")
    if looks:
        looked_at(page, "signing-invited")
    page.click("#to-approver")
    expect(page.locator("h1#headline")).to_have_text("Make a signing passkey for Ben Brandt")
    if looks:
        looked_at(page, "register")
    page.click("#make")
    expect(page.locator("#made")).to_be_visible()
    if looks:
        looked_at(page, "register-made")
    return bare(page, "#fingerprint")


def answered(request: ApprovalRequest, verb: str, *officers: Officer) -> None:
    """They answer it, each with the passkey that they have had all along."""
    for one in officers:
        submit_signature(request_id=request.pk, signed=one.answer(request, verb), actor=one.actor, now=now())


def shown(page: Page, row: ApprovalRequest | SignerOrder) -> str:
    """What the approver's page reads out of a request."""
    page.goto("about:blank")
    page.goto(link(row))
    expect(page.locator("#act")).to_be_visible()
    return bare(page, "#lines")


def test_with_which_signers_take_an_approval_once_a_quorum_has_let_it_in(
    site: Site, visit: Any, tmp_path: Path
) -> None:
    staff, treasury = site.exchange.staff, site.exchange.treasury
    page = visit(staff.ben.identity).open("/authenticators/")
    plug_in(page, staff.ben.key, rp_id="console.localhost")
    fingerprint = makes(page, looks=True)

    page.click("#hand-over")
    expect(page.locator("#answer-arrived")).to_contain_text("Your new passkey has arrived")
    page.click("#answer-send")
    assert recorded(page).startswith("The passkey is proposed.")
    assert fingerprint in bare(page, "main dl.lines")
    looked_at(page, "signing-proposed")
    row = Registration.objects.get()
    assert (row.attestation, len(row.aaguid)) == ("packed", len(str(AAGUID)))
    assert json.loads(bytes(row.client_data))["origin"] == site.approver
    asked = ApprovalRequest.objects.get(kind="staff.add_passkey", state="open")
    other = visit(staff.cy.identity).page
    assert fingerprint in shown(other, asked)
    looked_at(other, "sign-passkey")
    answered(asked, "approve", staff.ana, staff.cy)
    key = OfficerCredential.objects.get(label="blue key").public_key
    assert registration.fingerprint(bytes.fromhex(key)) == fingerprint

    # The signers know nothing of it yet. The order that tells them shows it beside the name.
    old, new = registry(site, 1), drafted(registry(site, 1), tmp_path, key, fingerprint)
    desk, before = (
        Desk(tmp_path / name, registry=old, token=TreasuryToken("hot-1"), now=now().timestamp())
        for name in ("hot-1", "before")
    )
    order = actions.ask_registry(new=new, reason="Ben's blue key", actor=staff.ana.actor, now=now())
    assert order.request is not None
    staff.ana.asks(order.request, now())
    assert f"BenBrandt{fingerprint}" in shown(other, order.request)
    looked_at(other, "sign-registry")
    answered(order.request, "release", staff.ben, staff.cy)
    assert desk.code(dict(queries.order_message(queries.signer_order(order.pk)))) == "obeyed"
    assert desk.restart(registry=new).health["state"] == "SIGNER_REGISTRY_CHANGED"
    desk.now += timedelta(seconds=DELAY_S).total_seconds()
    assert desk.restart().listen().health["state"] == "ready"

    # Ben approves a payment with it, in the browser, and the signer takes his word.
    answered(site.exchange.request, "approve", staff.cy)
    page.goto(f"{site.console}/approvals/{site.exchange.request.pk}/")
    page.click("#to-approver")
    page.check("#verb-approve")
    page.click("#sign")
    page.wait_for_url(f"{site.console}/approvals/*/")
    page.click("#answer-send")
    assert recorded(page) == "Your approval is recorded. The request is approved now."
    payment = treasury.signing(queries.withdrawal(site.exchange.released.pk))
    message = queries.sign_request(payment)
    assert desk.ask(message)["type"] == "signed"
    assert before.code(message) == "SIGNER_ASSERTION_SIGNATURE", "whoever has the old registry does not"


def test_whose_fingerprint_tells_of_a_console_that_put_another_in_its_place(site: Site, visit: Any) -> None:
    staff = site.exchange.staff
    page = visit(staff.ben.identity).open("/authenticators/")
    plug_in(page, staff.ben.key, rp_id="console.localhost")
    mine = makes(page)
    # Whoever holds the console knows the challenge, and can make an answer to it that is whole.
    row, theirs = Registration.objects.get(), Authenticator()
    challenge = registration.challenge(
        deployment="test", officer=str(staff.ben.identity.pk), nonce=bytes(row.nonce)
    )
    forged = theirs.registration(challenge, origin=site.approver, rp_id="approver.localhost")
    page.click("#hand-over")
    expect(page.locator("#answer-arrived")).to_be_visible()
    for name, value in forged.items():
        page.evaluate(
            "([name, value]) => { document.getElementById(name).value = value; }", [f"answer-{name}", value]
        )
    page.click("#answer-send")
    assert recorded(page).startswith("The passkey is proposed.")

    wrong = registration.fingerprint(bytes.fromhex(theirs.public_key_hex))
    asked = ApprovalRequest.objects.get(kind="staff.add_passkey", state="open")
    order = actions.ask_registry(
        new=registry(site, 2, ben=theirs.public_key_hex), reason="x", actor=staff.ana.actor, now=now()
    )
    assert order.request is not None
    other = visit(staff.cy.identity).page
    for said in (shown(other, asked), shown(other, order.request)):
        assert wrong in said
        assert mine not in said


def test_on_an_invitation_alone_that_is_whole_and_of_this_console(site: Site, visit: Any) -> None:
    page = visit(None).page
    good = {
        "deployment": "test",
        "known": "",
        "name": "Ben Brandt",
        "nonce": "ab" * 32,
        "officer": str(site.exchange.staff.ben.identity.pk),
        "registration": str(site.exchange.request.pk),
        "return": site.console,
    }
    refused = {
        "The link carries no request.": {},
        "another deployment": {**good, "deployment": "production"},
        "did not come from this deployment’s console": {**good, "return": "https://evil.example"},
        "no proper name": {**good, "officer": "ben"},
        "something else than a request": {**good, "rp": "evil.example"},
        "is damaged": {**good, "known": "a b"},
    }
    for sentence, members in refused.items():
        page.goto("about:blank")
        page.goto(f"{site.approver}/register#{base64url(canonical.encode(members)) if members else ''}")
        expect(page.locator("#refusal-sentence")).to_contain_text(sentence)
        expect(page.locator("#act")).to_be_hidden()
    looked_at(page, "register-refused")
    # An authenticator that cannot verify anybody makes nothing here.
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasResidentKey": True, "hasUserVerification": False}
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto("about:blank")
    page.goto(f"{site.approver}/register#{base64url(canonical.encode(good))}")
    page.click("#make")
    expect(page.locator("#problem")).to_contain_text("Nothing was made")
    expect(page.locator("#made")).to_be_hidden()
    assert not Registration.objects.exists()
