"""An act that must be confirmed …"""

from __future__ import annotations

import hashlib
import html
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from backoffice.console.ceremony import FILE_BYTES_MAX
from core import clock
from core.audit.models import AuditEvent
from core.factors.models import Challenge, Passkey
from custody.models import Withdrawal
from kernel import encodings
from tests.doors import Browser, Confirmation, at_console, confirmation
from tests.exchange import Exchange
from tests.officers import Officer

REASON = "papers seen,\r\n<b>twice</b> & signed"


def ask(client: Browser, exchange: Exchange, verb: str = "release", **fields: Any) -> Confirmation:
    """Send the form and read the page that asks."""
    answer = client.post(f"/withdrawals/{exchange.held.pk}/{verb}", {"reason": REASON, **fields})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Ceremony"
    found = confirmation(answer.content.decode())
    assert found is not None
    return found


def send(client: Browser, form: Confirmation, **changed: Any) -> Any:
    """The page's form, with whatever else was put into it."""
    return client.post(changed.pop("to", form.address), {**form.fields, **changed})


def fault(answer: Any) -> str:
    """The refusal's code on the page that asks again."""
    assert answer.status_code == 401
    found = re.search(r'data-code="([^"]+)"', answer.content.decode())
    return found.group(1) if found else ""


def calm(exchange: Exchange) -> bool:
    """Whether nothing at all has happened to the withdrawal."""
    return Withdrawal.objects.get(pk=exchange.held.pk).state == "on_hold"


def ana_of(exchange: Exchange) -> tuple[Officer, Browser]:
    ana = exchange.staff.ana
    return ana, at_console(ana.identity, confirms=False)


def test_happens_once_it_was_and_names_the_ceremony(exchange: Exchange) -> None:
    ana, client = ana_of(exchange)
    form = ask(client, exchange)
    assert calm(exchange)
    # What was typed is on the page, escaped, and comes back whole.
    assert form.fields["reason"] == [REASON.replace("\r\n", "\n")] or form.fields["reason"] == [REASON]
    answer = send(client, form, **form.touched(ana.key))
    assert answer.status_code == 302
    assert not calm(exchange)
    deed = AuditEvent.objects.filter(doc__target=f"custody.withdrawal/{exchange.held.pk}").order_by("-id")[0]
    proof = f"factors.challenge/{form.fields['stepup_challenge'][0]}"
    assert deed.doc["actor"]["proof"] == proof


def test_is_not_done_with_another_field_or_another_act(exchange: Exchange) -> None:
    ana, client = ana_of(exchange)
    form = ask(client, exchange)
    changed = send(client, form, **form.touched(ana.key), reason="nothing was seen")
    assert fault(changed) == "challenge.other_act"
    assert "nothing was seen" in changed.content.decode(), "the page asks about what arrived"
    form = ask(client, exchange)
    more = send(client, form, **form.touched(ana.key), override="yes")
    assert fault(more) == "challenge.other_act"
    form = ask(client, exchange, "reject")
    assert fault(send(client, form, **form.touched(ana.key), to=form.address.replace("reject", "fail"))) == (
        "challenge.unknown"
    )
    form = ask(client, exchange)
    elsewhere = form.address.replace(str(exchange.held.pk), str(exchange.released.pk))
    assert fault(send(client, form, **form.touched(ana.key), to=elsewhere)) == "challenge.other_act"
    assert calm(exchange)
    refused = AuditEvent.objects.filter(doc__action="factors.ceremony.refused")
    assert refused.count() == 4
    assert refused.filter(doc__actor__label="Ana Abelsen").count() == 4


def test_carries_a_file_and_is_about_no_other(exchange: Exchange) -> None:
    ana, client = ana_of(exchange)
    address = "/treasury/signers/registry"
    file = SimpleUploadedFile("registry.json", b"the one that was chosen")

    def asked() -> Confirmation:
        answer = client.post(address, {"registry": file, "reason": "Dot joins"})
        file.seek(0)
        assert hashlib.sha256(b"the one that was chosen").hexdigest() in answer.content.decode()
        form = confirmation(answer.content.decode())
        assert form is not None
        assert form.fields["stepup_file_registry"] == [encodings.base64url(b"the one that was chosen")]
        return form

    form = asked()
    other = encodings.base64url(b"the one of an attacker")
    swapped = send(client, form, **form.touched(ana.key), stepup_file_registry=other)
    assert fault(swapped) == "challenge.other_act"
    form = asked()
    uploaded = SimpleUploadedFile("registry.json", b"another upload beside it")
    assert fault(send(client, form, **form.touched(ana.key), registry=uploaded)) == "challenge.other_act"
    form = asked()
    assert send(client, form, **form.touched(ana.key), stepup_file_registry="no=base64").status_code == 413
    form = asked()
    arrived = send(client, form, **form.touched(ana.key)).content.decode()
    assert "Nothing was asked: this is no registry" in arrived, "the view got the file that was confirmed"
    large = SimpleUploadedFile("registry.json", b"x" * (FILE_BYTES_MAX + 1))
    assert client.post(address, {"registry": large}).status_code == 413


def test_is_not_done_twice(exchange: Exchange) -> None:
    ana, client = ana_of(exchange)
    form = ask(client, exchange)
    given = form.touched(ana.key)
    assert send(client, form, **given).status_code == 302
    assert fault(send(client, form, **given)) == "challenge.used"


def test_is_not_done_from_another_session_or_by_another_person(exchange: Exchange) -> None:
    ana, client = ana_of(exchange)
    form = ask(client, exchange)
    given = form.touched(ana.key)
    elsewhere = at_console(ana.identity, confirms=False, fresh=True)
    assert fault(send(elsewhere, form, **given)) == "challenge.unknown"
    form = ask(client, exchange)
    assert fault(send(client, form, **form.touched(exchange.staff.ben.key))) == "factors.unknown"
    assert calm(exchange)


def test_is_not_done_too_late(exchange: Exchange) -> None:
    ana, client = ana_of(exchange)
    form = ask(client, exchange)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE factors_challenge DISABLE TRIGGER USER")
        cursor.execute("UPDATE factors_challenge SET expires_at = clock_timestamp()")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("ALTER TABLE factors_challenge ENABLE TRIGGER USER")
    answer = send(client, form, **form.touched(ana.key))
    assert fault(answer) == "challenge.expired"
    # The page asks again, with a fresh question and everything that was typed.
    again = confirmation(answer.content.decode())
    assert again is not None
    assert again.challenge != form.challenge
    assert again.fields["reason"] == form.fields["reason"]
    assert calm(exchange)
    assert send(client, again, **again.touched(ana.key)).status_code == 302


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"flags": 0x01}, "assertion.user_verification"),
        ({"origin": "http://console.localhost.evil.example"}, "assertion.origin"),
        ({"rp_id": "approver.localhost"}, "assertion.rp_id"),
    ],
)
def test_is_not_done_by_a_touch_alone_or_from_another_page(exchange: Exchange, how: Any, code: str) -> None:
    ana, client = ana_of(exchange)
    form = ask(client, exchange)
    assert fault(send(client, form, **form.touched(ana.key, **how))) == code
    assert calm(exchange)


def test_takes_a_code_without_any_script_but_not_for_money(exchange: Exchange) -> None:
    ana, client = ana_of(exchange)
    code = ana.app.code(clock.now().timestamp())
    form = ask(client, exchange)
    assert fault(send(client, form, stepup_code=code)) == "challenge.too_weak"
    assert calm(exchange)
    form = ask(client, exchange, "reject")
    assert send(client, form, stepup_code=f"{code[:3]} {code[3:]}").status_code == 302
    assert Withdrawal.objects.get(pk=exchange.held.pk).state == "rejected"


def test_is_out_of_reach_without_an_authenticator_that_is_enough(exchange: Exchange) -> None:
    ana, client = ana_of(exchange)
    page = f"/withdrawals/{exchange.held.pk}/release"
    ask(client, exchange)
    for key in Passkey.objects.filter(user=ana.identity, sealed=False):
        client.post(f"/authenticators/{key.pk}/end", {"reason": "lost"})
    # The session ends with the authenticator that entered it; the app that is left may enter, and no more.
    client.enters = False
    answer = client.post(page, {"reason": REASON})
    assert answer.status_code == 401
    assert b"Nothing was done: your session had ended." in answer.content
    form = confirmation(client.post("/enter", {"next": "/withdrawals/"}).content.decode())
    assert form is not None
    entered = send(client, form, stepup_code=ana.app.code(clock.now().timestamp()))
    assert (entered.status_code, entered["Location"]) == (302, "/withdrawals/")
    answer = client.post(page, {"reason": REASON})
    assert "You have no authenticator that is enough for this" in html.unescape(answer.content.decode())
    assert calm(exchange)


def test_that_only_reads_is_confirmed_each_time(exchange: Exchange) -> None:
    ana, client = ana_of(exchange)
    page = f"/identity/{exchange.case.pk}/evidence"
    answer = client.post(page)
    form = confirmation(answer.content.decode())
    assert form is not None
    assert b"the selfie is blurred" not in answer.content
    assert b"the selfie is blurred" in send(client, form, **form.touched(ana.key)).content
    again = client.post(page)
    assert (again.status_code, b"the selfie is blurred" in again.content) == (401, False)


def test_asks_nobody_who_may_not(exchange: Exchange) -> None:
    before = Challenge.objects.count()
    client = at_console(exchange.staff.dot.identity, confirms=False)
    assert client.post(f"/withdrawals/{exchange.held.pk}/release", {"reason": "x"}).status_code == 403
    assert Challenge.objects.count() == before
