"""A customer …"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.hashers import check_password
from django.db import IntegrityError, transaction

from core.access.models import Identity
from core.action import NoOpenAction, action
from core.actor import Actor
from core.audit.models import AuditEvent
from core.freezes import Frozen
from core.freezes.actions import pull_freeze
from core.outbox.models import OutboxMessage
from core.refusals import NotFound, Refused
from customers import queries
from customers.actions import (
    api_keys,
    create_api_key,
    note_use,
    revoke_api_key,
    set_tier,
    sign_up,
    signing_up,
)
from customers.domain.signatures import Call, CallRefused, sign
from customers.models import ApiKey, Customer
from tests.officers import Staff
from tests.roles import as_role
from tests.traders import second_factor

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough password"


class Event(StrEnum):
    DECIDED = "test.decided"


@pytest.fixture
def tom(robot: Actor, now: datetime) -> Customer:
    return sign_up(
        email="Tom@Example.com ", password=PASSWORD, country="DE", name="Tom", actor=robot, now=now
    )


def key_for(tom: Customer, robot: Actor, now: datetime, **changes: Any) -> api_keys.NewApiKey:
    app = second_factor(tom.pk, now=now).row
    wanted = {"scopes": ["trade"], "passphrase": "correct horse", "confirmed": app, **changes}
    return create_api_key(customer_id=tom.pk, actor=robot, now=now, **wanted)


def actions() -> list[str]:
    return [event.doc["action"] for event in AuditEvent.objects.order_by("id")]


def test_signs_up_at_tier_0(tom: Customer) -> None:
    assert (tom.tier, tom.email, tom.display_name) == (0, "tom@example.com", "Tom")
    assert tom.identity.kind == "customer"
    assert PASSWORD not in tom.password
    assert check_password(PASSWORD, tom.password)
    assert actions() == ["customers.customer.signed_up"]
    assert OutboxMessage.objects.get().topic == "customers.signed_up"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"email": "tom@example.com"}, signing_up.EmailTaken),
        ({"email": " TOM@example.COM"}, signing_up.EmailTaken),
        ({"email": "tom"}, signing_up.BadEmail),
        ({"password": "short"}, signing_up.WeakPassword),
        ({"password": "x" * 129}, signing_up.WeakPassword),
        ({"country": "de"}, signing_up.BadCountry),
        ({"country": "DEU"}, signing_up.BadCountry),
    ],
)
def test_is_not_signed_up(
    tom: Customer, robot: Actor, now: datetime, changes: dict[str, str], expected: type[Refused]
) -> None:
    fields = {"email": "tia@example.com", "password": PASSWORD, "country": "DE"} | changes
    with pytest.raises(expected):
        sign_up(**fields, actor=robot, now=now)
    customers = Identity.objects.filter(kind="customer")
    assert Customer.objects.count() == customers.count() == OutboxMessage.objects.count() == 1
    assert actions()[-1] == "customers.customer.signed_up.refused"


def test_may_share_an_address_with_an_officer(staff: Staff, robot: Actor, now: datetime) -> None:
    row = sign_up(email="ana@countersign.example", password=PASSWORD, country="DE", actor=robot, now=now)
    assert row.identity != staff.ana.identity


def test_is_known_by_e_mail_and_password(tom: Customer) -> None:
    assert queries.by_password(email="TOM@example.com", password=PASSWORD) == tom
    for email, password in (("tom@example.com", "wrong"), ("tia@example.com", PASSWORD)):
        with pytest.raises(queries.WrongPassword, match=r"^E-mail or password is wrong\.$"):
            queries.by_password(email=email, password=password)
    Identity.objects.filter(pk=tom.pk).update(is_active=False)
    with pytest.raises(queries.WrongPassword):
        queries.by_password(email="tom@example.com", password=PASSWORD)


def test_is_found_by_its_id_alone(tom: Customer) -> None:
    assert queries.customer(tom.pk) == tom
    with pytest.raises(NotFound):
        queries.customer(uuid4())


@action(Event.DECIDED)
def decide(*, customer: Customer, tier: int, actor: Actor, now: datetime) -> Customer:
    return set_tier(customer_id=customer.pk, tier=tier, reason="documents verified", actor=actor, now=now)


def test_gets_a_tier_inside_another_apps_action_only(tom: Customer, robot: Actor, now: datetime) -> None:
    with pytest.raises(NoOpenAction):
        set_tier(customer_id=tom.pk, tier=2, reason="x", actor=robot, now=now)
    assert decide(customer=tom, tier=2, actor=robot, now=now).tier == 2
    assert decide(customer=tom, tier=2, actor=robot, now=now).tier == 2
    assert actions().count("customers.customer.tier_set") == 1
    body = OutboxMessage.objects.get(topic="customers.tier_set").body
    assert (body["before"], body["after"]) == (0, 2)
    with pytest.raises(ValueError, match="no tier 5"):
        decide(customer=tom, tier=5, actor=robot, now=now)


def test_holds_keys_whose_secret_is_shown_once(tom: Customer, robot: Actor, now: datetime) -> None:
    made = key_for(tom, robot, now)
    row = ApiKey.objects.get()
    assert row.scopes == ["read", "trade"]
    assert made.secret.encode() not in bytes(row.secret)
    assert made.secret not in repr(made)
    log = "".join(AuditEvent.objects.values_list("canon", flat=True))
    assert made.secret not in log
    assert "correct horse" not in log
    assert actions()[-1] == "customers.api_key.created"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scopes": []}, api_keys.BadScopes),
        ({"scopes": ["admin"]}, api_keys.BadScopes),
        ({"passphrase": "short"}, api_keys.BadPassphrase),
        ({"ip_allowlist": ["everywhere"]}, api_keys.BadAllowlist),
    ],
)
def test_is_not_given_such_a_key(
    tom: Customer, robot: Actor, now: datetime, changes: dict[str, Any], expected: type[Refused]
) -> None:
    with pytest.raises(expected):
        key_for(tom, robot, now, **changes)
    assert not ApiKey.objects.exists()


def test_holds_only_so_many_keys(
    tom: Customer, robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "KEYS_MAX", 1)
    first = key_for(tom, robot, now)
    with pytest.raises(api_keys.TooManyKeys):
        key_for(tom, robot, now)
    revoke_api_key(key=first.row.key, customer_id=tom.pk, actor=robot, now=now)
    key_for(tom, robot, now)


def test_is_given_no_key_while_frozen_and_takes_keys_back(
    tom: Customer, staff: Staff, robot: Actor, now: datetime
) -> None:
    first = key_for(tom, robot, now)
    pull_freeze(scope=f"customer:{tom.pk}", reason="he called", actor=staff.sam.actor, now=now)
    with pytest.raises(Frozen):
        key_for(tom, robot, now)
    assert ApiKey.objects.get() == first.row
    assert actions()[-1] == "customers.api_key.created.refused"
    assert revoke_api_key(key=first.row.key, customer_id=tom.pk, actor=robot, now=now).revoked_at == now


def call(made: api_keys.NewApiKey, **changes: str) -> Call:
    stamp = "2026-11-21T03:00:00.000Z"
    signature = sign(made.secret.encode(), stamp.encode() + b"GET" + b"/api/v5/account/balance").decode()
    values = {
        "key": made.row.key,
        "passphrase": "correct horse",
        "sign": signature,
        "ip": "203.0.113.7",
    } | changes
    return Call(timestamp=stamp, method="GET", target=b"/api/v5/account/balance", body=b"", **values)


def test_signs_calls_with_a_key(tom: Customer, robot: Actor, now: datetime) -> None:
    made = key_for(tom, robot, now, ip_allowlist=["203.0.113.0/24"])
    found = queries.authenticate(call(made), now=now)
    assert (found.customer, found.scopes) == (tom.pk, {"read", "trade"})
    for changes, expected in (
        ({"passphrase": "wrong horse"}, 50105),
        ({"ip": "198.51.100.1"}, 50110),
        ({"key": "x"}, 50111),
    ):
        with pytest.raises(CallRefused) as caught:
            queries.authenticate(call(made, **changes), now=now)
        assert caught.value.code == expected


def test_sees_to_the_minute_when_a_key_was_used(tom: Customer, robot: Actor, now: datetime) -> None:
    made = key_for(tom, robot, now)
    seen = []
    for seconds in (0, 59, 60):
        moment = now + timedelta(seconds=seconds)
        found = queries.credentials(made.row.key)
        assert found is not None
        note_use(found, now=moment)
        seen.append(ApiKey.objects.get().last_used_at)
    assert seen == [now, now, now + timedelta(seconds=60)]


def test_comes_in_through_the_trader_apis_database_role(robot: Actor, now: datetime) -> None:
    with as_role("cs_trader"):
        tia = sign_up(email="tia@example.com", password=PASSWORD, country="DE", actor=robot, now=now)
        made = key_for(tia, robot, now)
        note_use(queries.authenticate(call(made), now=now), now=now)
        revoke_api_key(key=made.row.key, customer_id=tia.pk, actor=robot, now=now)


@pytest.mark.parametrize("ending", ["revoked", "suspended"])
def test_signs_nothing_once_it_is_over(tom: Customer, robot: Actor, now: datetime, ending: str) -> None:
    made = key_for(tom, robot, now)
    if ending == "revoked":
        revoke_api_key(key=made.row.key, customer_id=tom.pk, actor=robot, now=now)
    else:
        Identity.objects.filter(pk=tom.pk).update(is_active=False)
    with pytest.raises(CallRefused) as caught:
        queries.authenticate(call(made), now=now)
    assert caught.value.code == 50111


def test_cannot_use_a_secret_copied_from_another_key(tom: Customer, robot: Actor, now: datetime) -> None:
    made, other = key_for(tom, robot, now), key_for(tom, robot, now)
    with pytest.raises(Exception, match="keeps every column"), transaction.atomic():
        ApiKey.objects.filter(pk=other.row.pk).update(secret=bytes(made.row.secret))


def test_revokes_own_keys_only(tom: Customer, robot: Actor, now: datetime) -> None:
    made = key_for(tom, robot, now)
    with pytest.raises(NotFound):
        revoke_api_key(key=made.row.key, customer_id=UUID(int=1), actor=robot, now=now)
    revoke_api_key(key=made.row.key, customer_id=tom.pk, actor=robot, now=now)
    revoke_api_key(key=made.row.key, customer_id=tom.pk, actor=robot, now=now)
    assert actions().count("customers.api_key.revoked") == 1
    assert list(queries.api_keys_of(tom.pk)) == [made.row]


def test_has_a_tier_and_a_country_that_exist(tom: Customer) -> None:
    for change in ({"tier": 5}, {"country": "xx"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Customer.objects.filter(pk=tom.pk).update(**change)
