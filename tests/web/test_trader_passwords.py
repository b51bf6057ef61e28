"""Whoever does not know a trader's password, and a trader who forgot it …"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.audit.models import AuditEvent
from core.outbox.models import OutboxMessage
from custody import queries as custody
from custody.actions import load_registry
from custody.domain.wallets import Targets
from customers import queries
from customers.actions import create_api_key, passwords, sign_up
from customers.actions.api_keys import PasswordReplaced
from customers.actions.passwords import BadLink
from customers.domain import links
from customers.events import Event
from customers.models import ApiKey, Customer
from kernel.money import Amount
from tests.actions.test_factors_alerts import MailServer, deliver
from tests.traders import Api, enrol, second_factor
from tests.treasury import ROBOT, registry
from trader_api import guessing

pytestmark = pytest.mark.django_db

OWN = "/api/countersign/v1"
NEW = "an even longer password"


def shown(name: str, password: str) -> dict[str, str]:
    return {"email": f"{name.lower()}@example.com", "password": password}


def code(response: Any) -> str:
    return str(json.loads(response.content)["code"])


def link_in(mail: MailServer) -> str:
    text = str(mail.taken[-1][1].get_content())
    return next(line.strip() for line in text.splitlines() if "." in line and len(line.strip()) == 76)


def test_guesses_so_often_in_one_network_and_keeps_nobody_out_elsewhere(moment: list[datetime]) -> None:
    enrol("Gus", now=moment[0], scopes=("read",))
    right, wrong = shown("Gus", "Gus has a password"), shown("Gus", "a wrong password")
    thief, gus, nobody = Api(), Api(), Api()
    for guesser, guess in ((thief, wrong), (nobody, shown("Nemo", "a wrong password"))):
        said = [
            code(guesser.post(f"{OWN}/api-keys/list", guess)) for _ in range(guessing.IN_A_NETWORK.admitted)
        ]
        assert set(said) == {"50114"}
    moment[0] += timedelta(minutes=1)  # what is counted for an address alone is forgotten
    for guesser, guess in ((thief, right), (nobody, shown("Nemo", "a wrong password"))):
        refused = guesser.post(f"{OWN}/api-keys/list", guess)  # not even the right one counts there now
        assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
        assert "Too many passwords were tried" in json.loads(refused.content)["msg"]
    assert code(gus.post(f"{OWN}/api-keys/list", right)) == "0"


def test_guesses_no_more_from_many_networks_and_does_not_lock_its_owner_out(moment: list[datetime]) -> None:
    enrol("Guy", now=moment[0], scopes=("read",))
    right, wrong = shown("Guy", "Guy has a password"), shown("Guy", "a wrong password")
    home, away = Api(), Api()
    assert code(home.post(f"{OWN}/api-keys/list", right)) == "0"
    answers = [code(Api().post(f"{OWN}/api-keys/list", wrong)) for _ in range(guessing.ANYWHERE.admitted)]
    assert (answers[0], answers[-1]) == ("50114", "50011")
    assert code(away.post(f"{OWN}/api-keys/list", right)) == "50011"
    assert code(home.post(f"{OWN}/api-keys/list", right)) == "0"
    seen = AuditEvent.texts.filter(canon__contains=guessing.TOO_MANY)
    assert (len(seen), any("password" in str(event.doc["after"]) for event in seen)) == (1, False)
    moment[0] += timedelta(milliseconds=guessing.ANYWHERE.window_ms)
    assert code(away.post(f"{OWN}/api-keys/list", right)) == "0"


def test_gets_another_by_a_mailed_link_once_which_ends_keys_and_holds_withdrawals(
    mail: MailServer, moment: list[datetime], now: datetime
) -> None:
    trader = enrol("Flo", now=moment[0], scopes=("read",))
    assert code(Api().post(f"{OWN}/password/forgotten", {"email": "Flo@example.com"})) == "0"
    assert deliver("customers.mail") == [True]
    link = link_in(mail)
    assert [to for to, _ in mail.taken] == ["flo@example.com"]
    kept = [*AuditEvent.texts.values_list("canon", flat=True), *OutboxMessage.objects.values_list("body")]
    assert link.partition(".")[2] not in str(kept)
    assert code(Api().post(f"{OWN}/password/new", {"link": link, "password": "short"})) == "51000"
    other = f"{link[:-1]}{'A' if link[-1] != 'A' else 'B'}"
    assert code(Api().post(f"{OWN}/password/new", {"link": other, "password": NEW})) == "50030"
    done = json.loads(Api().post(f"{OWN}/password/new", {"link": link, "password": NEW}).content)
    until = moment[0] + links.HELD_FOR
    assert done["data"] == [{"withdrawalsHeldUntil": str(int(until.timestamp() * 1000))}]
    assert code(Api(trader).get("/api/v5/asset/balances")) == "50111"
    assert code(Api().post(f"{OWN}/api-keys/list", shown("Flo", "Flo has a password"))) == "50114"
    assert code(Api().post(f"{OWN}/api-keys/list", shown("Flo", NEW))) == "0"
    assert code(Api().post(f"{OWN}/password/new", {"link": link, "password": NEW})) == "50030"
    (event,) = [one.doc for one in AuditEvent.objects.all() if one.doc["action"] == Event.PASSWORD_SET]
    assert event["after"]["api_keys_revoked"] == [trader.key]
    assert NEW not in str([one.doc for one in AuditEvent.objects.all()])
    assert deliver("customers.mail") == [True]
    assert f"before {until:%Y-%m-%d %H:%M}" in str(mail.taken[-1][1].get_content())
    held = Customer.objects.get(pk=trader.customer.pk)
    with pytest.raises(custody.WithdrawalsHeld, match=f"{until:%Y-%m-%d %H:%M}"):
        custody.check_held(held.pk, now=until - timedelta(seconds=1), undone="Nothing was asked for")
    custody.check_held(held.pk, now=until, undone="Nothing was asked for")
    targets = Targets(Amount(0, "BTC"), Amount(0, "BTC"))
    load_registry(registry=registry(), targets=targets, actor=ROBOT, now=now)
    app = second_factor(held.pk, now=moment[0])
    made = create_api_key(
        customer_id=held.pk,
        scopes=["withdraw"],
        passphrase="correct horse",
        confirmed=app.row,
        actor=ROBOT,
        now=moment[0],
    )
    trader = type(trader)(held, made.row.key, made.secret)
    asked = {"ccy": "BTC", "amt": "0.01", "dest": "4", "toAddr": "x", "chain": "BTC-Bitcoin"}
    said = json.loads(Api(trader).post("/api/v5/asset/withdrawal", asked).content)
    assert (said["code"], "new password by mail" in said["msg"]) == ("50030", True), said


def test_is_told_nothing_about_who_has_an_account(mail: MailServer, moment: list[datetime]) -> None:
    enrol("Fay", now=moment[0], scopes=("read",))
    answers = [
        Api().post(f"{OWN}/password/forgotten", {"email": f"{name}@example.com"}).content
        for name in ("fay", "nobody")
    ]
    assert answers[0] == answers[1]
    assert (deliver("customers.mail"), len(mail.taken)) == ([True], 1)


def test_cannot_use_a_link_that_is_old_or_of_another_password(now: datetime, settings: Any) -> None:
    customer = enrol("Fin", now=now, scopes=("read",)).customer
    other = enrol("Fox", now=now, scopes=("read",)).customer

    def asked(at: datetime) -> str:
        passwords.ask_new_password(email="fin@example.com", actor=ROBOT, now=at)
        row = Customer.objects.get(pk=customer.pk)
        assert row.password_asked_at is not None
        known = {"password": row.password, "field_key": settings.FIELD_KEY}
        return links.text(row.pk, asked_at=row.password_asked_at, **known)

    def use(link: str, at: datetime) -> None:
        passwords.set_new_password(link=link, password=NEW, actor=ROBOT, now=at)

    first, later = asked(now), now + links.ASKED_EVERY
    assert asked(later - timedelta(seconds=1)) == first  # nobody ends it by asking again at once
    second = asked(later)
    for link, at in (
        (first, later),
        (second, later + links.LIFE),
        (second, later - timedelta(seconds=1)),
        (other.pk.hex + second[32:], later),
        ("", later),
        ("nobody's", later),
    ):
        with pytest.raises(BadLink):
            use(link, at)
    Customer.objects.filter(pk=customer.pk).update(password_asked_at=now + timedelta(days=300))
    assert asked(later) == second, "what a clock that was ahead has written is in nobody's way"
    use(second, later + links.LIFE - timedelta(seconds=1))


def test_makes_no_key_with_a_password_that_was_replaced_while_it_was_looked_at(now: datetime) -> None:
    sign_up(email="fit@example.com", password="a long password", country="CH", actor=ROBOT, now=now)
    seen = queries.by_password(email="fit@example.com", password="a long password")
    Customer.objects.filter(pk=seen.pk).update(password="another")
    with pytest.raises(PasswordReplaced):
        create_api_key(
            customer_id=seen.pk,
            scopes=["read"],
            passphrase="correct horse",
            shown=seen.password,
            actor=ROBOT,
            now=now,
        )
    assert not ApiKey.objects.filter(customer=seen).exists()
