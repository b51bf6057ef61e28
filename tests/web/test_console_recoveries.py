"""On the console's screens, a recovery …"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from core import clock
from core.approvals.signed import Signed
from custody.models import SignerHealth, SignerOrder
from kernel import encodings
from kernel.registry import Registry
from tests.doors import at_console
from tests.exchange import Exchange
from tests.recoveries import DELAY_S, KEYS, RAE, RUI, answer, in_force, running


def file(registry: Registry) -> SimpleUploadedFile:
    return SimpleUploadedFile("registry.json", registry.encoded)


def fields(signed: Signed) -> dict[str, str]:
    """As the approver page fills the form."""
    return {
        "verb": signed.verb.value,
        "credential_id": signed.credential_id,
        "authenticator_data": encodings.base64url(signed.assertion.authenticator_data),
        "client_data": encodings.base64url(signed.assertion.client_data),
        "signature": encodings.base64url(signed.assertion.signature),
    }


def test_is_drafted_from_two_files_and_carried_from_safe_to_safe(exchange: Exchange) -> None:
    ana = exchange.staff.ana
    client = at_console(ana.identity)
    given: dict[str, Any] = {"old": file(in_force(ana)), "new": file(in_force(version=2)), "reason": "a fire"}
    refused = client.post("/treasury/signers/recovery", {**given, "new": file(in_force(version=7))})
    assert "version 7 does not follow 1" in refused.content.decode()
    given["old"].seek(0)
    assert client.post("/treasury/signers/recovery", given).status_code == 302
    row = SignerOrder.objects.get(kind="signer.recovery")
    address = f"/treasury/signers/orders/{row.pk}/"
    page = client.get(address).content.decode()
    assert page.count("one more of Rae, Rui, Ros") == 2
    assert "Its delay of 3 days begins in each signer when that signer obeys." in page
    assert "no signer has obeyed it" in client.get("/treasury/signers/").content.decode()
    mine = client.post(f"{address[:-1]}/recover", fields(answer(row, ana.passkey)))
    assert "no passkey that the registry names for a recovery signed this" in mine.content.decode()
    for who in (RUI, RAE):
        assert client.post(f"{address[:-1]}/recover", fields(answer(row, KEYS[who]))).status_code == 302
    row.refresh_from_db()
    assert row.state == "signed"
    assert client.get(f"{address[:-1]}.json").json()["approvals"][0]["officer"] == RUI


def test_shows_everybody_when_it_takes_effect_and_who_objects(exchange: Exchange) -> None:
    now = clock.now()
    row = running(exchange.staff.ana, now)
    moment = now + timedelta(seconds=DELAY_S)
    compliance = at_console(exchange.staff.ben.identity)
    for path in ("/treasury/signers/", f"/treasury/signers/orders/{row.pk}/"):
        assert f"{moment:%H:%M}" in compliance.get(path).content.decode()
    given = {"digest": row.subject, "reason": "I am still here"}
    assert compliance.post("/treasury/signers/veto", given).status_code == 302
    for path in ("/treasury/signers/", f"/treasury/signers/orders/{row.pk}/"):
        assert exchange.staff.ben.identity.display_name in compliance.get(path).content.decode()


def test_that_came_past_the_console_is_shown_and_can_be_vetoed(exchange: Exchange) -> None:
    now, digest, ana = clock.now(), "ab" * 32, exchange.staff.ana.identity
    told = {"maker": RAE, "reason": "by hand", "at": now.isoformat()}
    announced = {"version": 2, "from": (now + timedelta(days=3)).isoformat(), "is_recovery": True, **told}
    SignerHealth.objects.filter(token="hot-2").update(journal_lines=3)
    SignerHealth.objects.filter(token="hot-1").update(
        announced={digest: announced}, frozen={"hot": "a theft"}
    )
    compliance = at_console(exchange.staff.ben.identity)
    page = compliance.get("/treasury/").content.decode()
    assert "version 2, is on its way to the signers" in page
    assert f"{now + timedelta(days=3):%H:%M}" in page
    page = compliance.get("/treasury/signers/").content.decode()
    for words in (
        "as version 2",
        "past this console",
        "by hand",
        "somebody without an account",
        "has not heard of it",
        "nobody has read its journal yet",
        "a theft",
    ):
        assert words in page
    given = {"digest": digest, "reason": "who is this?"}
    assert compliance.post("/treasury/signers/veto", given).status_code == 302
    veto = {"maker": str(ana.pk), "reason": "not ours", "at": now.isoformat()}
    SignerHealth.objects.filter(token="hot-1").update(vetoed={digest: veto})
    page = compliance.get("/treasury/signers/").content.decode()
    assert f"by {ana.display_name}: not ours" in page
    assert f'<option value="{digest}">' not in page
