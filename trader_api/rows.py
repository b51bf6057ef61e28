"""Rows of the API: our models and queries in OKX's words. Numbers are strings, "" means absent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from engine_bridge.domain.instruments import Scale
from engine_bridge.gateway import BookView
from engine_bridge.models import Fill, Instrument, Order, Transfer
from engine_bridge.queries import TickerView, TradingBalanceView
from kernel.money import Amount

Row = dict[str, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_000

FUNDING: Final = "6"
TRADING: Final = "18"

TRANSFER_STATES: Final = {
    "pending": "pending",
    "settled": "success",
    "refused": "failed",
}


def ms(moment: datetime) -> str:
    """Unix milliseconds, as text."""
    return str(int(moment.timestamp() * 1000))


def negative(units: int, code: str) -> str:
    """A fee as it is written on the wire: charged is below zero, nothing is "0"."""
    return str(Amount(-units, code))


def instrument(row: Instrument) -> Row:
    scale = row.scale
    return {
        "instType": "SPOT",
        "instId": row.symbol,
        "instIdCode": row.pk,
        "uly": "",
        "instFamily": "",
        "groupId": "1",
        "category": "1",
        "baseCcy": row.base,
        "quoteCcy": row.quote,
        "settleCcy": "",
        "ctVal": "",
        "ctMult": "",
        "ctValCcy": "",
        "optType": "",
        "stk": "",
        "listTime": ms(row.listed_at),
        "expTime": "",
        "lever": "",
        "tickSz": scale.tick_size,
        "lotSz": scale.lot_size,
        "minSz": scale.lot_size,
        "ctType": "",
        "alias": "",
        "state": "suspend" if row.is_stopped else INSTRUMENT_STATES.get(row.state, "suspend"),
        "maxLmtSz": scale.size(MAX_LOTS),
        "maxMktSz": scale.size(MAX_LOTS),
        "maxLmtAmt": "",
        "maxMktAmt": "",
        "ruleType": "normal",
    }


MAX_LOTS: Final = 10**10
INSTRUMENT_STATES: Final = {
    "open": "live",
    "post_only": "live",
    "cancel_only": "suspend",
    "halted": "suspend",
    "preopen": "preopen",
    "auction": "preopen",
    "closed": "suspend",
}


def order(row: Order) -> Row:
    scale = row.instrument.scale
    filled = row.filled_lots > 0
    quote_sized = row.budget_ticklots > 0
    return {
        "instType": "SPOT",
        "instId": row.instrument.symbol,
        "ccy": "",
        "ordId": str(row.pk),
        "clOrdId": row.client_id,
        "tag": row.tag,
        "px": "" if row.order_type == "market" else scale.price(row.price_ticks),
        "sz": str(scale.quote_amount(row.budget_ticklots)) if quote_sized else scale.size(row.qty_lots),
        "ordType": row.order_type,
        "side": row.side,
        "posSide": "net",
        "tdMode": "cash",
        "tgtCcy": tgt_ccy(row.order_type, quote_sized),
        "accFillSz": scale.size(row.filled_lots),
        "fillPx": scale.price(row.last_price_ticks) if filled else "",
        "fillSz": scale.size(row.last_qty_lots) if filled else "0",
        "fillTime": ms(row.last_fill_at) if row.last_fill_at else "",
        "tradeId": str(row.last_trade_id) if filled else "",
        "avgPx": scale.average_price(row.filled_ticklots, row.filled_lots),
        "state": row.state,
        "stpMode": row.stp,
        "lever": "",
        "fee": negative(row.fee_units, row.fee_asset),
        "feeCcy": row.fee_asset,
        "rebate": "0",
        "rebateCcy": row.instrument.quote if row.side == "buy" else row.instrument.base,
        "pnl": "0",
        "source": "",
        "category": "normal",
        "reduceOnly": "false",
        "cancelSource": row.cancel_source,
        "cTime": ms(row.created_at),
        "uTime": ms(row.updated_at),
    }


def tgt_ccy(order_type: str, quote_sized: bool) -> str:
    """The unit of sz; OKX states it for market orders only."""
    if order_type != "market":
        return ""
    return "quote_ccy" if quote_sized else "base_ccy"


def fill(row: Fill) -> Row:
    scale = row.instrument.scale
    return {
        "instType": "SPOT",
        "instId": row.instrument.symbol,
        "tradeId": str(row.trade_id),
        "ordId": str(row.order_id),
        "clOrdId": row.order.client_id,
        "billId": str(row.pk),
        "tag": row.order.tag,
        "fillPx": scale.price(row.price_ticks),
        "fillSz": scale.size(row.qty_lots),
        "side": row.side,
        "posSide": "net",
        "execType": "T" if row.taker and not row.auction else "M",
        "fee": negative(row.fee_units, row.fee_asset),
        "feeCcy": row.fee_asset,
        "feeRate": fee_rate(_ppm(row)),
        "fillTime": ms(row.traded_at),
        "ts": ms(row.traded_at),
    }


def _ppm(row: Fill) -> int:
    """By which rate a fill's fee was taken: the account's own, or else the market's."""
    if row.fee_ppm is not None:
        return row.fee_ppm
    takes = row.taker and not row.auction
    return 100 * (row.instrument.taker_fee_bps if takes else row.instrument.maker_fee_bps)


def fee_rate(ppm: int) -> str:
    """A rate in millionths as OKX writes charged fees, e.g. "-0.0008"."""
    return f"-{ppm // 1_000_000}.{ppm % 1_000_000:06d}".rstrip("0").rstrip(".") if ppm else "0"


def public_trade(row: Fill) -> Row:
    """A trade as everybody may see it; its side is the taker's."""
    scale = row.instrument.scale
    return {
        "instId": row.instrument.symbol,
        "tradeId": str(row.trade_id),
        "px": scale.price(row.price_ticks),
        "sz": scale.size(row.qty_lots),
        "side": row.side,
        "ts": ms(row.traded_at),
    }


def book(view: BookView, scale: Scale, *, depth: int, now: datetime) -> Row:
    def levels(side: Iterable[tuple[int, int, int]]) -> list[list[str]]:
        return [[scale.price(price), scale.size(lots), "0", str(orders)] for price, lots, orders in side]

    return {
        "asks": levels(view.asks[:depth]),
        "bids": levels(view.bids[:depth]),
        "ts": ms(now),
        "seqId": view.book_seq,
    }


def ticker(view: TickerView, best: BookView, *, now: datetime) -> Row:
    scale = view.scale

    def price(ticks: int | None) -> str:
        return "" if ticks is None else scale.price(ticks)

    bid, ask = (side[0] if side else None for side in (best.bids, best.asks))
    return {
        "instType": "SPOT",
        "instId": scale.symbol,
        "last": price(view.last),
        "lastSz": "" if view.last_lots is None else scale.size(view.last_lots),
        "askPx": scale.price(ask[0]) if ask else "",
        "askSz": scale.size(ask[1]) if ask else "",
        "bidPx": scale.price(bid[0]) if bid else "",
        "bidSz": scale.size(bid[1]) if bid else "",
        "open24h": price(view.open),
        "high24h": price(view.high),
        "low24h": price(view.low),
        "vol24h": scale.size(view.volume_lots),
        "volCcy24h": str(scale.quote_amount(view.volume_ticklots)),
        "ts": ms(now),
    }


def trading_detail(view: TradingBalanceView) -> Row:
    """One currency of account/balance. `availEq` stays empty: a value there makes ccxt ignore the others."""
    return {
        "ccy": view.total.asset,
        "eq": str(view.total),
        "cashBal": str(view.total),
        "availBal": str(view.available),
        "frozenBal": str(view.held),
        "ordFrozen": str(view.held),
        "availEq": "",
        "uTime": ms(view.updated_at),
    }


def transfer(row: Transfer) -> Row:
    source, target = (FUNDING, TRADING) if row.into_venue else (TRADING, FUNDING)
    return {
        "transId": str(row.pk),
        "ccy": row.asset,
        "amt": str(Amount(row.units, row.asset)),
        "from": source,
        "to": target,
        "clientId": row.client_id,
        "state": TRANSFER_STATES[row.state],
        "type": "0",
    }


def moment(milliseconds: int) -> datetime:
    """Unix milliseconds as a moment; far-off numbers as the end of time."""
    return _EPOCH + timedelta(milliseconds=min(milliseconds, _LAST_MS))
