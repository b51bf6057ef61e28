"""The trader API's door ..."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from core import clock
from core.actor import Actor
from core.audit.models import AuditEvent
from customers.actions import create_api_key, revoke_api_key
from customers.events import Event
from tests.traders import API_HOST, Api, Trader, enrol, second_factor
from trader_api import store

pytestmark = pytest.mark.django_db

BALANCES = "/api/v5/asset/balances"


@pytest.fixture
def tom(db: None, now: datetime) -> Trader:
    return enrol("Tom", now=now)


def code(response: Any) -> str:
    body = json.loads(response.content)
    assert set(body) == {"code", "msg", "data"}
    assert response["Content-Type"] == "application/json"
    return str(body["code"])


def test_answers_a_signed_request(tom: Trader) -> None:
    response = Api(tom).get(BALANCES)
    assert (response.status_code, code(response)) == (200, "0")


def test_verifies_the_query_as_it_was_sent(tom: Trader) -> None:
    assert code(Api(tom).get(f"{BALANCES}?ccy=BTC,USDT")) == "0"
    assert code(Api(tom).get(f"{BALANCES}?ccy=BTC%2CUSDT")) == "0"
    signed = tom.headers("GET", f"{BALANCES}?ccy=BTC")
    assert code(Api().get(f"{BALANCES}?ccy=USDT", **signed)) == "50113"


@pytest.mark.parametrize(
    ("header", "value", "wanted"),
    [
        ("OK-ACCESS-KEY", "", "50103"),
        ("OK-ACCESS-PASSPHRASE", "", "50104"),
        ("OK-ACCESS-SIGN", "", "50106"),
        ("OK-ACCESS-TIMESTAMP", "", "50107"),
        ("OK-ACCESS-TIMESTAMP", "2026-11-21 03:00:00", "50112"),
        ("OK-ACCESS-TIMESTAMP", "2020-01-01T00:00:00.000Z", "50102"),
        ("OK-ACCESS-KEY", "nobody's", "50111"),
        ("OK-ACCESS-PASSPHRASE", "wrong horse", "50105"),
        ("OK-ACCESS-SIGN", "bm90IHNpZ25lZA==", "50113"),
    ],
)
def test_says_what_a_signature_lacks(tom: Trader, header: str, value: str, wanted: str) -> None:
    response = Api().get(BALANCES, **(tom.headers("GET", BALANCES) | {header: value}))
    assert (response.status_code, code(response)) == (401, wanted)


def test_refuses_a_body_changed_after_it_was_signed(tom: Trader) -> None:
    target = "/api/v5/asset/transfer"
    signed = tom.headers("POST", target, b'{"amt":"1"}')
    assert code(Api().post(target, b'{"amt":"2"}', **signed)) == "50113"


@pytest.mark.parametrize(("offset_s", "wanted"), [(-29, "0"), (29, "0"), (-31, "50102"), (31, "50102")])
def test_accepts_timestamps_within_thirty_seconds(
    tom: Trader, offset_s: int, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    at = now + timedelta(seconds=offset_s)
    assert code(Api().get(BALANCES, **tom.headers("GET", BALANCES, at=at))) == wanted


def test_takes_a_signed_change_once(tom: Trader) -> None:
    target = "/api/v5/asset/transfer"
    body = b'{"ccy":"BTC","amt":"1","from":"6","to":"18"}'
    signed = tom.headers("POST", target, body)
    assert code(Api().post(target, body, **signed)) == "58350"
    assert code(Api().post(target, body, **signed)) == "50042"


def test_remembers_signatures_for_longer_than_it_accepts_them() -> None:
    assert store.REPLAY_MEMORY > 2 * store.ACCEPTANCE


def test_turns_away_a_revoked_key(tom: Trader, robot: Actor, now: datetime) -> None:
    revoke_api_key(key=tom.key, customer_id=tom.customer.pk, actor=robot, now=now)
    assert code(Api(tom).get(BALANCES)) == "50111"


def test_asks_for_the_scope_that_an_act_needs(db: None, now: datetime) -> None:
    reader = enrol("Reader", now=now, scopes=("read",))
    assert code(Api(reader).get(BALANCES)) == "0"
    assert code(Api(reader).post("/api/v5/asset/withdrawal", {})) == "50114"
    assert code(Api(reader).post("/api/v5/trade/order", {})) == "50114"
    assert code(Api(reader).post("/api/v5/asset/transfer", {})) == "50114"


def test_puts_on_record_whom_it_turned_away_but_not_how_often(
    tom: Trader, robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_api_key(
        customer_id=tom.customer.pk,
        scopes=["read"],
        passphrase=tom.passphrase,
        ip_allowlist=["192.0.2.0/24"],
        confirmed=second_factor(tom.customer.pk, now=now).row,
        actor=robot,
        now=now,
    )
    reader, row = Trader(tom.customer, made.row.key, made.secret), made.row
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    away, near = {"Cf-Connecting-Ip": "198.51.100.1"}, {"Cf-Connecting-Ip": "192.0.2.7"}
    for _ in range(2):
        wrong = reader.headers("GET", BALANCES) | {"OK-ACCESS-PASSPHRASE": "wrong horse"}
        assert code(Api().get(BALANCES, **wrong, **near)) == "50105"
        assert code(Api().get(BALANCES, **reader.headers("GET", BALANCES), **away)) == "50110"
        assert code(Api().get(BALANCES, **(wrong | {"OK-ACCESS-KEY": "nobody's"}), **near)) == "50111"
    target = "/api/v5/asset/transfer"
    signed = reader.headers("POST", target, b"{}")
    assert [code(Api().post(target, b"{}", **signed, **near)) for _ in range(2)] == ["50114", "50042"]
    docs = [event.doc for event in AuditEvent.texts.filter(canon__contains=Event.CALL_REFUSED).order_by("pk")]
    assert [(doc["after"]["code"], doc["actor"]["kind"], doc["actor"]["ip"]) for doc in docs] == [
        ("50105", "system", "192.0.2.7"),
        ("50110", "customer", "198.51.100.1"),
        ("50114", "customer", "192.0.2.7"),
        ("50042", "customer", "192.0.2.7"),
    ]
    assert {doc["target"] for doc in docs} == {f"customers.apikey/{row.pk}"}


@pytest.mark.parametrize(
    ("method", "target", "status", "wanted"),
    [
        ("get", "/", 404, "50015"),
        ("get", "/api/v5/public/time/", 404, "50015"),
        ("get", "/api/v5/nothing", 404, "50015"),
        ("delete", "/api/v5/public/time", 405, "50115"),
        ("post", "/api/v5/public/time", 405, "50115"),
        ("options", "/api/v5/public/time", 405, "50115"),
        ("patch", "/api/v5/nothing", 404, "50015"),
    ],
)
def test_answers_in_its_envelope_where_there_is_nothing(
    method: str, target: str, status: int, wanted: str
) -> None:
    response = getattr(Api().client, method)(target, content_type="application/json")
    assert (response.status_code, code(response)) == (status, wanted)


@pytest.mark.parametrize(
    ("raw", "status", "wanted"),
    [
        (b"", 400, "50000"),
        (b"{", 400, "50002"),
        (b"[]", 400, "50002"),
        (b"\xff\xfe", 400, "50002"),
        (b'{"a":NaN}', 400, "50002"),
        (b"[" * 5000, 400, "50002"),
        (b'{"amt":"' + b"1" * 70_000 + b'"}', 400, "50002"),
        (b"{}", 400, "50014"),
    ],
)
def test_reads_bodies_strictly(tom: Trader, raw: bytes, status: int, wanted: str) -> None:
    response = Api(tom).post("/api/v5/asset/transfer", raw)
    assert (response.status_code, code(response)) == (status, wanted)


def test_takes_json_only(tom: Trader) -> None:
    target, body = "/api/v5/asset/transfer", b"a=b"
    response = Api().client.post(
        target,
        body,
        content_type="application/x-www-form-urlencoded",
        headers=tom.headers("POST", target, body),
    )
    assert (response.status_code, code(response)) == (400, "50006")


def test_slows_down_who_asks_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    count, moment = store.count, int(time.time() * 1000)  # one window, however long the requests take
    monkeypatch.setattr(store, "count", lambda bucket, **how: count(bucket, **{**how, "now_ms": moment}))
    api = Api()
    answers = [api.get("/api/v5/public/time") for _ in range(30)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert {code(answer) for answer in limited} == {"50011"}
    assert limited[0]["Retry-After"]


@pytest.mark.parametrize(
    ("raised", "status", "wanted"),
    [
        (RuntimeError("boom"), 500, "50026"),
        (OperationalError("gone"), 503, "50001"),
        (store.StoreDown(), 503, "50001"),
    ],
)
def test_never_fails_in_html(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, status: int, wanted: str
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise raised

    monkeypatch.setattr("engine_bridge.queries.instruments", fail)
    response = Api().get("/api/v5/public/instruments?instType=SPOT")
    assert (response.status_code, code(response)) == (status, wanted)
    assert b"boom" not in response.content


@pytest.mark.parametrize("kind", ["FUTURES", "SWAP", "OPTION&uly=BTC-USD", "OPTION&uly=ETH-USD"])
def test_has_empty_lists_for_markets_of_other_kinds(kind: str) -> None:
    response = Api().get(f"/api/v5/public/instruments?instType={kind}")
    assert json.loads(response.content) == {"code": "0", "msg": "", "data": []}


def test_answers_on_its_own_host_only(tom: Trader) -> None:
    response = Api(tom).client.get(
        BALANCES, headers={"Host": "hooks.localhost"} | tom.headers("GET", BALANCES)
    )
    assert response.status_code == 404
    assert API_HOST == "api.localhost"
