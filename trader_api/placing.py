"""Orders from a request to the engine and back: read, checked, sent, acknowledged row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import clock, freezes
from core.freezes.domain import scopes
from core.refusals import Refused
from engine_bridge import gateway, queries
from engine_bridge.domain.orders import BadOrder, OrderTerms, OrderType, read, text
from engine_bridge.domain.results import CANCELED_AT_ONCE, Result, ResultCode, canceled, placed
from engine_bridge.models import EngineAccount, Instrument
from trader_api import acknowledging, limits, rows, store
from trader_api.acknowledging import Ack, ack
from trader_api.authentication import Trader
from trader_api.errors import OUTCOME_UNKNOWN, ApiError, outcome_unknown, unavailable


@dataclass(slots=True)
class Item:
    """One order of a request on its way. `ack` is set as soon as its outcome is known."""

    fields: Mapping[str, Any]
    instrument: Instrument | None = None
    terms: OrderTerms | None = None
    claim: str = ""
    ack: Ack | None = None

    def fail(self, code: str, sentence: str, *, now: datetime) -> None:
        self.ack = ack(self.fields, code=code, sentence=sentence, now=now)


def count_orders(
    trader: Trader, limit: limits.Limit, items: Sequence[Mapping[str, Any]], *, now: datetime
) -> None:
    """Count orders per user and instrument, as OKX does; each one of a batch counts."""
    names = [str(item.get("instId") or item.get("instIdCode") or "") for item in items]
    for name in sorted(set(names)):
        limits.count_by_user(limit, trader, what=name[:40], now=now, weight=names.count(name))


def place(
    trader: Trader, requests: Sequence[Mapping[str, Any]], *, expires: int | None, now: datetime
) -> list[Ack]:
    """Send what can be sent and acknowledge every order in its place. Nothing is written to PostgreSQL.

    What is frozen is asked early, to say no, and once more with what goes to the engine: a freeze that is
    pulled meanwhile is answered when it is known what came of these, or the engine cannot take them any more.

    However many orders there are, PostgreSQL is asked the same few times.
    """
    markets = {row.symbol: row for row in queries.instruments()}
    items = [Item(fields) for fields in requests]
    for item in items:
        _read(item, markets, now=now)
    stopped = _stopped(trader, items)
    if expires is not None and now.timestamp() * 1000 > expires:
        raise ApiError("50036", "The expTime of this request has passed: nothing was placed.")
    if trader.tier == 0:
        raise ApiError(
            "50027", "Trading is not open at tier 0, which may only look. Verify your identity first."
        )
    account = queries.account_of(trader.customer_id)
    for item in items:
        if item.ack is None:
            _admit(item, stopped, account, now=now)
    if account is not None:
        _claim_names(account, items, now=now)
    ready = [item for item in items if item.ack is None]
    if ready and account is not None:
        _send(trader, account, ready, now=now)
    return [item.ack for item in items if item.ack is not None]


def cancel(trader: Trader, requests: Sequence[Mapping[str, Any]], *, now: datetime) -> list[Ack]:
    """Ask the engine to cancel each order, and acknowledge each in its place. Frozen or not: it only lowers
    risk.
    """
    account = queries.account_of(trader.customer_id)
    acks: list[Ack | None] = [None] * len(requests)
    numbers: dict[int, int] = {}
    for index, fields in enumerate(requests):
        try:
            numbers[index] = _order_to_cancel(account, fields)
        except BadOrder as problem:
            acks[index] = ack(fields, code=problem.code, sentence=str(problem), now=now)
    if numbers and account is not None:
        try:
            answers = gateway.cancel(account.pk, list(numbers.values()), now=now)
        except gateway.EngineAway:
            raise unavailable() from None
        except gateway.EngineBusy:
            raise ApiError("50013", "Systems are busy. Please try again later.") from None
        _remember(account, answers)
        _raise_if_all_unknown(answers, of=len(requests))
        for (index, number), answer in zip(numbers.items(), answers, strict=True):
            code, sentence = (
                canceled(answer.code) if isinstance(answer, Result) else (OUTCOME_UNKNOWN, "Outcome unknown")
            )
            acks[index] = ack(requests[index], code=code, sentence=sentence, order_id=str(number), now=now)
    return [one for one in acks if one is not None]


def _read(item: Item, markets: Mapping[str, Instrument], *, now: datetime) -> None:
    try:
        item.instrument = _market(item.fields, markets)
        item.terms = read(item.fields, item.instrument.scale)
    except BadOrder as problem:
        item.fail(problem.code, str(problem), now=now)


def _stopped(trader: Trader, items: Sequence[Item]) -> dict[str, freezes.Frozen]:
    """Which of the markets are frozen, by their scopes; Frozen where the API or the customer is."""
    markets = {scopes.market(item.instrument.symbol) for item in items if item.instrument is not None}
    stopped: dict[str, freezes.Frozen] = {}
    for frozen in freezes.among(scopes.TRADER_API, scopes.customer(trader.customer_id), *sorted(markets)):
        if frozen.scope not in markets:
            raise frozen
        stopped.setdefault(frozen.scope, frozen)
    return stopped


def _admit(
    item: Item, stopped: Mapping[str, freezes.Frozen], account: EngineAccount | None, *, now: datetime
) -> None:
    assert item.instrument is not None
    frozen = stopped.get(scopes.market(item.instrument.symbol))
    if frozen is not None:
        item.fail("51022", str(frozen), now=now)
    elif item.instrument.is_stopped:  # the engine refuses it as well, once it has been told
        item.fail(*placed(ResultCode.INSTRUMENT_STATE), now=now)
    elif account is None:
        item.fail("51008", "Order failed: insufficient balance in the trading account", now=now)


def _claim_names(account: EngineAccount, items: Sequence[Item], *, now: datetime) -> None:
    """A clOrdId names one pending order at a time; of two requests at once, one gets it.

    The claim hangs on the name's latest order: it is free again when that order is done, and not before.
    """
    named = [
        (item, item.terms.client_id)
        for item in items
        if item.ack is None and item.terms is not None and item.terms.client_id
    ]
    known = queries.latest_named(account, [name for _, name in named])
    for item, name in named:
        latest = known.get(name)
        claim = f"{name}:{latest.pk if latest else 0}"
        is_pending = latest is not None and latest.state in queries.OPEN_STATES
        if is_pending or not store.claim_name(account.pk, claim):
            item.fail("51016", "The clOrdId is in use by a pending order", now=now)
        else:
            item.claim = claim


def _send(trader: Trader, account: EngineAccount, items: Sequence[Item], *, now: datetime) -> None:
    orders = _orders(account, items)
    markets = {scopes.market(order.instrument.symbol) for order in orders}
    try:
        with freezes.meanwhile(scopes.TRADER_API, scopes.customer(trader.customer_id), *markets) as deed:
            outcomes = gateway.place(account.pk, orders, now=now)
            if not all(isinstance(outcome.answer, Result) for outcome in outcomes):
                deed.outlasts(gateway.may_be_taken_s(now, now=clock.now()))
    except Refused:
        _give_back(account, items)
        raise
    except gateway.EngineAway:
        _give_back(account, items)
        raise unavailable() from None
    except gateway.EngineBusy:
        _give_back(account, items)
        raise ApiError("50013", "Systems are busy. Please try again later.") from None
    told = [
        row
        for item, outcome in zip(items, outcomes, strict=True)
        if (row := _acknowledge(account, item, outcome, now=now)) is not None
    ]
    _remember(account, [outcome.answer for outcome in outcomes], told)
    _raise_if_all_unknown([outcome.answer for outcome in outcomes], of=len(items))


def _orders(account: EngineAccount, items: Sequence[Item]) -> list[gateway.NewOrder]:
    """What is sent. What the account can spend is asked only where an order wants to know."""
    terms = [item.terms for item in items if item.terms is not None]
    spendable = {}
    if any(each.order_type is OrderType.MARKET and not each.quote_sized for each in terms):
        spendable = {view.total.asset: view.available for view in queries.trading_balances(account)}
    orders = []
    for item in items:
        assert item.instrument is not None
        assert item.terms is not None
        quote = spendable.get(item.instrument.quote)
        units = quote.units // item.instrument.scale.ticklot_units if quote else 0
        orders.append(gateway.NewOrder(item.instrument, item.terms, spendable_ticklots=units))
    return orders


def _acknowledge(
    account: EngineAccount, item: Item, outcome: gateway.Placed, *, now: datetime
) -> rows.Row | None:
    """Acknowledge it; what is known of the order, where the engine took it."""
    answer = outcome.answer
    if not isinstance(answer, Result):
        item.fail(OUTCOME_UNKNOWN, "The outcome is unknown: query before retrying", now=now)
        return None
    code, sentence = placed(answer.code)
    if code != "0":
        _give_back(account, [item])
        item.fail(code, sentence, now=now)
        return None
    assert item.instrument is not None
    item.ack = ack(item.fields, code="0", sentence="", order_id=str(outcome.order_id), now=answer.at)
    return acknowledging.provisional(item.instrument, account, outcome, answer)


def _market(fields: Mapping[str, Any], markets: Mapping[str, Instrument]) -> Instrument:
    """The market, by its number where one is given, else by its name."""
    number, name = text(fields, "instIdCode"), text(fields, "instId")
    if not number and not name:
        raise BadOrder("50014", "Parameter instId can not be empty")
    for market in markets.values():
        if str(market.pk) == number or (not number and market.symbol == name):
            return market
    raise BadOrder("51001", "Instrument ID does not exist")


def _order_to_cancel(account: EngineAccount | None, fields: Mapping[str, Any]) -> int:
    number, name = text(fields, "ordId"), text(fields, "clOrdId")
    if not number and not name:
        raise BadOrder("51003", "Either clOrdId or ordId is required")
    unknown = BadOrder("51400", "Cancellation failed: the order is filled, canceled or does not exist")
    if account is None:
        raise unknown
    if number:
        if not (number.isascii() and number.isdigit() and len(number) <= 18):
            raise BadOrder("51000", "Parameter ordId error")
        return int(number)
    told = store.acknowledged_order(account.pk, client_id=name)
    stored = queries.order(account, client_id=name)
    candidates = [int(told["ordId"])] if told else []
    candidates += [stored.pk] if stored else []
    if not candidates:
        raise unknown
    return max(candidates)


def _remember(
    account: EngineAccount, answers: Sequence[gateway.Answer], orders: Sequence[rows.Row] = ()
) -> None:
    """What is certain to have left events: reads wait until settlement has them."""
    told = [answer.engine_seq for answer in answers if isinstance(answer, Result) and _leaves_events(answer)]
    if told:
        store.remember_told(account.pk, max(told), orders)


def _leaves_events(answer: Result) -> bool:
    return answer.code == "OK" or answer.code in CANCELED_AT_ONCE


def _give_back(account: EngineAccount, items: Sequence[Item]) -> None:
    for item in items:
        if item.claim:
            store.release_name(account.pk, item.claim)


def _raise_if_all_unknown(answers: Sequence[gateway.Answer], *, of: int) -> None:
    if len(answers) == of and not any(isinstance(answer, Result) for answer in answers):
        raise outcome_unknown()
