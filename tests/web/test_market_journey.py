"""A trader's program from its first call on ..."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import clock
from core.audit.models import AuditEvent
from core.freezes.actions import pull_freeze
from custody.actions import load_registry, report_price
from custody.domain.limits import Quote
from custody.domain.wallets import Targets
from custody.models import Address
from customers.models import ApiKey, Customer
from engine_bridge.actions import start_transfer, stop_market
from engine_bridge.actions.markets import list_market
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.models import Instrument, Transfer
from kernel.intent import time_text
from kernel.money import Amount
from tests.customers import Customer as Signer
from tests.officers import Staff
from tests.traders import Api, Trader, enrol, second_factor
from tests.treasury import HOME, PRICE_CENTS, ROBOT, Treasury, registry
from tests.venue import give
from trader_api.urls import urlpatterns
from trader_api.views import funding

pytestmark = pytest.mark.django_db

OWN = "/api/countersign/v1"
READS = """
    public/time public/instruments?instType=SPOT account/balance account/config account/positions
    account/trade-fee?instType=SPOT asset/balances asset/currencies asset/deposit-history
    asset/withdrawal-history trade/orders-pending trade/fills trade/orders-history?instType=SPOT
"""
ORDER = {"instId": "BTC-USDT", "side": "buy", "ordType": "limit", "sz": "1", "px": "1", "tdMode": "cash"}
TOM = {"email": "Tom@Example.com", "password": "a long password", "country": "CH"}


def row(response: Any) -> dict[str, Any]:
    body = json.loads(response.content)
    assert body["code"] == "0", body
    return dict(body["data"][0])


def code(response: Any) -> str:
    return str(json.loads(response.content)["code"])


@pytest.fixture
def treasury(db: None, now: datetime) -> None:
    targets = Targets(Amount(0, "BTC"), Amount(0, "BTC"))
    load_registry(registry=registry(), targets=targets, actor=ROBOT, now=now)


def test_signs_up_and_makes_a_key_that_works() -> None:
    made = row(Api().post(f"{OWN}/signup", TOM))
    assert made["tier"] == "0"
    keys = {"email": "tom@example.com", "password": TOM["password"], "passphrase": "correct horse"}
    app = second_factor(Customer.objects.get().pk, now=clock.now())
    shown = {"scopes": ["trade", "withdraw"], "code": app.recovery_codes[0]}
    key = row(Api().post(f"{OWN}/api-keys", keys | shown))
    assert key["scopes"] == ["read", "trade", "withdraw"]
    stored = ApiKey.objects.get(key=key["apiKey"])
    assert key["secretKey"].encode() not in bytes(stored.secret)
    trader = Trader(stored.customer, key["apiKey"], key["secretKey"])
    assert row(Api(trader).get(f"{OWN}/kyc")) == {"tier": "0", "name": "E-mail", "opens": []}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"email": "nobody"}, "51000"),
        ({"password": "short"}, "51000"),
        ({"country": "Switzerland"}, "51000"),
        ({"email": ""}, "50014"),
        ({"email": ["a@b.c"]}, "51000"),
        ({"email": "tom@example.com\x00"}, "51000"),
    ],
)
def test_learns_what_is_wrong_with_a_sign_up(changes: dict[str, Any], wanted: str) -> None:
    assert code(Api().post(f"{OWN}/signup", TOM | changes)) == wanted


def test_signs_up_once() -> None:
    row(Api().post(f"{OWN}/signup", TOM))
    assert code(Api().post(f"{OWN}/signup", TOM)) == "50071"


def test_gets_no_key_with_a_wrong_password() -> None:
    row(Api().post(f"{OWN}/signup", TOM))
    keys: dict[str, object] = {"email": TOM["email"], "password": "a wrong password", "scopes": ["read"]}
    keys["passphrase"] = "correct horse"
    for _ in range(2):
        response = Api().post(f"{OWN}/api-keys", keys)
        assert (response.status_code, code(response)) == (401, "50114")
    Api().post(f"{OWN}/api-keys", keys | {"email": "nobody@example.com"})
    (event,) = AuditEvent.texts.filter(canon__contains="customers.call.refused")
    assert event.doc["target"].startswith("customers.customer/")


def test_takes_a_key_back_with_the_password_whoever_holds_it() -> None:
    row(Api().post(f"{OWN}/signup", TOM))
    shown = {"email": TOM["email"], "password": TOM["password"]}
    made = row(Api().post(f"{OWN}/api-keys", shown | {"passphrase": "correct horse", "scopes": ["read"]}))
    thief = Api(Trader(ApiKey.objects.get().customer, made["apiKey"], made["secretKey"]))
    row(thief.get(f"{OWN}/kyc"))
    wrong = shown | {"password": "a wrong password", "apiKey": made["apiKey"]}
    assert code(Api().post(f"{OWN}/api-keys/list", wrong)) == "50114"
    assert code(Api().post(f"{OWN}/api-keys/revoke", wrong)) == "50114"
    standing = row(Api().post(f"{OWN}/api-keys/list", shown))
    assert (standing["apiKey"], standing["revokedAt"]) == (made["apiKey"], "")
    assert made["secretKey"] not in str(standing)
    gone = row(Api().post(f"{OWN}/api-keys/revoke", shown | {"apiKey": made["apiKey"]}))
    assert gone["revokedAt"]
    assert code(thief.get(f"{OWN}/kyc")) == "50111"


def test_takes_back_nobody_elses_key(now: datetime) -> None:
    row(Api().post(f"{OWN}/signup", TOM))
    tia = enrol("Tia", now=now)
    theirs = {"email": TOM["email"], "password": TOM["password"], "apiKey": tia.key}
    assert code(Api().post(f"{OWN}/api-keys/revoke", theirs)) == "51000"
    assert code(Api(tia).get("/api/v5/account/balance")) == "0"


def test_may_look_and_nothing_else_at_tier_0(treasury: None, now: datetime) -> None:
    api = Api(enrol("Tom", now=now, tier=0))
    report_price(quote=Quote("BTC", PRICE_CENTS, clock.now()), source="test", actor=ROBOT, now=clock.now())
    withdrawal = {"ccy": "BTC", "amt": "0.01", "dest": "4", "toAddr": HOME, "chain": "BTC-Bitcoin"}
    refused = json.loads(api.post("/api/v5/asset/withdrawal", withdrawal).content)
    assert (refused["code"], "tier 0" in refused["msg"]) == ("58200", True)
    assert code(api.post("/api/v5/trade/order", ORDER)) == "50027"
    assert code(api.get("/api/v5/asset/deposit-address?ccy=BTC")) == "50027"
    assert (
        code(api.post("/api/v5/asset/transfer", {"ccy": "BTC", "amt": "1", "from": "6", "to": "18"}))
        == "50027"
    )
    assert code(api.get("/api/v5/account/balance")) == "0"


def test_starts_verification_and_is_told_how_it_stands(now: datetime) -> None:
    api = Api(enrol("Tom", now=now, tier=0))
    begun = row(api.post(f"{OWN}/kyc", {"level": "kyc-standard"}))
    assert (begun["level"], begun["token"]) == ("kyc-standard", "")
    assert begun["applicant"]
    assert code(api.post(f"{OWN}/kyc", {"level": "nothing"})) == "51000"


def test_keeps_one_deposit_address(treasury: None, now: datetime) -> None:
    api = Api(enrol("Tom", now=now))
    first = row(api.get("/api/v5/asset/deposit-address?ccy=BTC"))
    assert (first["chain"], first["selected"]) == ("BTC-Bitcoin", True)
    assert row(api.get("/api/v5/asset/deposit-address?ccy=BTC"))["addr"] == first["addr"]
    for elsewhere in ("ETH", "USDT", "DOGE"):
        assert code(api.get(f"/api/v5/asset/deposit-address?ccy={elsewhere}")) == "51012"


def test_is_sent_nowhere_new_while_frozen_and_credited_at_the_address_that_there_is(
    now: datetime,
) -> None:
    books = Treasury.open(now)
    tom, tia = enrol("Tom", now=now), enrol("Tia", now=now)
    address = row(Api(tom).get("/api/v5/asset/deposit-address?ccy=BTC"))["addr"]
    for each in (tom, tia):
        scope = f"customer:{each.customer.pk}"
        pull_freeze(scope=scope, reason="look", actor=books.staff.sam.actor, now=now)
    assert row(Api(tom).get("/api/v5/asset/deposit-address?ccy=BTC"))["addr"] == address
    said = json.loads(Api(tia).get("/api/v5/asset/deposit-address?ccy=BTC").content)
    assert (said["code"], "This account is frozen" in said["msg"]) == ("50007", True)
    assert not Address.objects.filter(customer=tia.customer).exists()
    books.deposit(5_000_000, tom.customer)
    assert row(Api(tom).get("/api/v5/asset/balances?ccy=BTC"))["bal"] == "0.05"
    assert code(Api(tia).post(f"{OWN}/kyc", {"level": "kyc-enhanced"})) == "50007"
    assert row(Api(tia).get(f"{OWN}/kyc"))["tier"] == "2"


def test_is_told_of_a_freeze_in_the_codes_of_each_act(treasury: None, staff: Staff, now: datetime) -> None:
    tom = enrol("Trader", now=now)
    give(tom.customer.pk, "1", "BTC")
    api = Api(tom)
    transfer = {"ccy": "BTC", "amt": "1", "from": "6", "to": "18"}
    withdrawal = {"ccy": "BTC", "amt": "0.01", "dest": "4", "toAddr": HOME}
    pull_freeze(scope="platform.withdrawals", reason="drill", actor=staff.sam.actor, now=now)
    assert code(api.post("/api/v5/asset/withdrawal", withdrawal)) == "58204"
    pull_freeze(scope=f"customer:{tom.customer.pk}", reason="drill", actor=staff.sam.actor, now=now)
    assert code(api.post("/api/v5/asset/transfer", transfer)) == "50007"
    assert code(api.post("/api/v5/trade/order", ORDER)) == "50007"
    papers = iter(tom.recovery_codes)

    def shown() -> dict[str, Any]:
        return {"email": tom.customer.email, "password": "Trader has a password", "code": next(papers)}

    key = {**shown(), "scopes": ["withdraw"], "passphrase": tom.passphrase}
    assert code(Api().post(f"{OWN}/api-keys", key)) == "50007"
    assert [standing.key for standing in ApiKey.objects.all()] == [tom.key]
    assert code(Api().post(f"{OWN}/api-keys/list", shown())) == "0"
    tia = Api(enrol("Tia", now=now))
    pull_freeze(scope="asset:BTC", reason="drill", actor=staff.sam.actor, now=now)
    assert code(tia.post("/api/v5/asset/transfer", transfer)) == "58204"
    assert code(api.get("/api/v5/asset/balances")) == "0"
    assert row(Api().post(f"{OWN}/api-keys/revoke", {**shown(), "apiKey": tom.key}))["revokedAt"]


LOWERS_RISK = {"cancel-order", "cancel-batch-orders", "cancel-withdrawal", "list", "revoke"}


def test_only_reads_and_cancels_while_the_trader_api_is_frozen(staff: Staff, now: datetime) -> None:
    pull_freeze(scope="trader-api", reason="keys have leaked", actor=staff.sam.actor, now=now)
    views: dict[str, Any] = {str(pattern.pattern): pattern.callback for pattern in urlpatterns}
    posts = [path for path, view in views.items() if hasattr(view.view_class, "post")]
    assert {path.rpartition("/")[2] for path in posts} >= {"withdrawal", "transfer", "order", "api-keys"}
    answers = dict[str, str]()
    for path in posts:
        api = Api(enrol(f"Trader{len(answers)}", now=now))
        body = [ORDER] if path.endswith("batch-orders") else ORDER
        answers[path.rpartition("/")[2]] = code(api.post(f"/{path}", body))
        assert code(api.get("/api/v5/asset/balances")) == "0"
    # What a statement says decides: tests/actions/test_custody_statements.py.
    assert {name for name, said in answers.items() if said != "50001"} == LOWERS_RISK | {"statements"}


def test_does_not_finish_what_it_asked_for_before_the_trader_api_was_frozen(
    treasury: None, staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door let the request in, and the freeze comes while its act is under way."""
    tom = enrol("Tom", now=now)
    give(tom.customer.pk, "1", "BTC")

    def late(**given: Any) -> Any:
        pull_freeze(scope="trader-api", reason="keys have leaked", actor=staff.sam.actor, now=now)
        return start_transfer(**given)

    monkeypatch.setattr(funding, "start_transfer", late)
    asked = {"ccy": "BTC", "amt": "1", "from": "6", "to": "18"}
    assert code(Api(tom).post("/api/v5/asset/transfer", asked)) == "50001"
    assert not Transfer.objects.exists()


def test_places_nothing_in_a_market_that_is_frozen(db: None, staff: Staff, now: datetime) -> None:
    for listing in LISTINGS:
        list_market(listing=listing, actor=ROBOT, now=now)
    api = Api(enrol("Tom", now=now))

    def told() -> dict[str, str]:
        return dict(json.loads(api.post("/api/v5/trade/order", ORDER).content)["data"][0])

    assert told()["sCode"] == "51008", "nothing is on the trading account"
    pull_freeze(scope="market:BTC-USDT", reason="odd prices", actor=staff.sam.actor, now=now)
    refused = told()
    assert (refused["sCode"], "The market BTC-USDT is frozen" in refused["sMsg"]) == ("51022", True)


@pytest.mark.parametrize("to", ["halted", "cancel_only"])
def test_places_nothing_in_a_market_that_was_stopped_while_the_engine_was_away(
    db: None, staff: Staff, now: datetime, to: str
) -> None:
    for listing in LISTINGS:
        list_market(listing=listing, actor=ROBOT, now=now)
    Instrument.objects.update(state="open")
    api = Api(enrol("Tom", now=now))
    stop_market(symbol="BTC-USDT", state=to, reason="odd prices", actor=staff.sam.actor, now=now)
    answer = json.loads(api.post("/api/v5/trade/order", ORDER).content)["data"][0]
    assert (answer["sCode"], answer["sMsg"]) == ("51022", "Trading in this instrument is suspended")
    markets = json.loads(api.get("/api/v5/public/instruments?instType=SPOT").content)["data"]
    assert {one["instId"]: one["state"] for one in markets} == {
        listing.scale.symbol: "suspend" if listing.scale.symbol == "BTC-USDT" else "live"
        for listing in LISTINGS
    }


def test_sees_nothing_of_somebody_else(now: datetime) -> None:
    tia = Api(enrol("Tia", now=now))
    give(enrol("Tom", now=now).customer.pk, "1", "BTC")
    assert json.loads(tia.get("/api/v5/asset/balances").content)["data"] == []
    unknown = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6"
    assert code(tia.get(f"/api/v5/asset/transfer-state?transId={unknown}")) == "58129"
    assert code(tia.post("/api/v5/asset/cancel-withdrawal", {"wdId": unknown})) == "58215"


def test_reads_leave_no_trace(treasury: None, now: datetime) -> None:
    api = Api(enrol("Tom", now=now))
    before = AuditEvent.objects.count()
    for target in READS.split():
        assert code(api.get(f"/api/v5/{target}")) == "0", target
    assert AuditEvent.objects.count() == before


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = """
    instId side ordType sz px tdMode clOrdId ccy amt from to dest toAddr chain clientId rcvrInfo ordId wdId
    type instIdCode tag level
"""
TARGETS = """
    trade/order trade/batch-orders trade/cancel-order trade/cancel-batch-orders asset/transfer
    asset/withdrawal asset/cancel-withdrawal
"""
names, targets = st.sampled_from(NAMES.split()), st.sampled_from(TARGETS.split())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=targets, body=st.dictionaries(names, json_values, max_size=6), wrapped=st.booleans())
def test_is_never_answered_with_a_failure_of_ours(
    monkeypatch: pytest.MonkeyPatch, tom: Trader, target: str, body: dict[str, Any], wrapped: bool
) -> None:
    monkeypatch.setattr("trader_api.limits.SLACK_PERCENT", 10**6)
    response = Api(tom).post(f"/api/v5/{target}", [body] if wrapped else body)
    assert response.status_code in {200, 400, 401, 429}, (response.content, body)
    assert code(response) != "50026"


@pytest.fixture
def tom(db: None, now: datetime) -> Trader:
    return enrol("Tom", now=now)


def test_signs_which_destinations_are_theirs(db: None, now: datetime) -> None:
    tom = enrol("Tom", now=clock.now())
    signer, papers = Signer(str(tom.customer.pk)), iter(tom.recovery_codes)
    api, moment = Api(tom), time_text(clock.now().replace(microsecond=0))
    said = [
        signer.key(deployment="test", time=moment),
        signer.beneficiary(HOME, deployment="test", time=moment),
    ]
    for message in said:
        body = {"payload": message["payload"], "proof": message["proof"], "label": "home"}
        # Whoever has the API key and the signing key alone names neither key nor destination.
        missing, wrong = body | {"code": ""}, body | {"code": "AAAA-AAAA-AAAA-AAAA"}
        tried = (missing, "50014") if message is said[0] else (wrong, "50114")
        assert code(api.post(f"{OWN}/statements", tried[0])) == tried[1]
        row(api.post(f"{OWN}/statements", body | {"code": next(papers)}))
    again = row(api.post(f"{OWN}/statements", {**body, "label": "another name"}))
    assert (again["kind"], again["subject"], again["learntBy"]) == ("custody.beneficiary", HOME, "0")
    found = json.loads(api.get(f"{OWN}/statements").content)["data"]
    assert [each["kind"] for each in found] == ["custody.beneficiary", "custody.customer_key"]
    # Not by a key that may not withdraw, and not for somebody else.
    reader = enrol("Tia", now=clock.now(), scopes=("read",))
    assert code(Api(reader).post(f"{OWN}/statements", body)) == "50114"
    tia = Api(enrol("Una", now=clock.now()))
    assert code(tia.post(f"{OWN}/statements", body)) == "51000"
    assert json.loads(tia.get(f"{OWN}/statements").content)["data"] == []
    for bad in ({**body, "payload": "!"}, {**body, "proof": []}, {**body, "proof": {"signature": {}}}):
        assert code(tia.post(f"{OWN}/statements", bad)) == "51000"
