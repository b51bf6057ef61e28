"""The engine's answers, and what they mean to a client of the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ResultCode(StrEnum):
    """The names of the contract's ResultCode, without their prefix."""

    OK = "OK"
    BAD_COMMAND = "BAD_COMMAND"
    EXPIRED = "EXPIRED"
    COMMAND_MISMATCH = "COMMAND_MISMATCH"
    UNKNOWN_COMMAND = "UNKNOWN_COMMAND"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    UNKNOWN_ASSET = "UNKNOWN_ASSET"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    NOT_OWNER = "NOT_OWNER"
    DUPLICATE_ORDER_ID = "DUPLICATE_ORDER_ID"
    INSTRUMENT_STATE = "INSTRUMENT_STATE"
    PRICE_OUT_OF_RANGE = "PRICE_OUT_OF_RANGE"
    PRICE_BAND = "PRICE_BAND"
    QUANTITY_OUT_OF_RANGE = "QUANTITY_OUT_OF_RANGE"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    NO_LIQUIDITY = "NO_LIQUIDITY"
    WOULD_TAKE = "WOULD_TAKE"
    FOK_UNFILLABLE = "FOK_UNFILLABLE"
    SELF_TRADE = "SELF_TRADE"
    TOO_MANY_ORDERS = "TOO_MANY_ORDERS"
    NOT_EMPTY = "NOT_EMPTY"
    UNSUPPORTED = "UNSUPPORTED"
    OVERFLOW = "OVERFLOW"
    UNCHANGED = "UNCHANGED"
    DRAINING = "DRAINING"
    BUSY = "BUSY"
    NOT_LEADER = "NOT_LEADER"
    FAILED = "FAILED"
    SESSION_GAP = "SESSION_GAP"
    FORGOTTEN = "FORGOTTEN"
    UNCONFIRMED = "UNCONFIRMED"
    OVERTAKEN = "OVERTAKEN"


AWAY: Final = frozenset(
    {ResultCode.DRAINING, ResultCode.NOT_LEADER, ResultCode.FAILED, ResultCode.UNCONFIRMED}
)
"""The engine as a whole takes nothing now; nothing was journaled."""

CANCELED_AT_ONCE: Final = {
    ResultCode.WOULD_TAKE: "31",
    ResultCode.FOK_UNFILLABLE: "13",
    ResultCode.SELF_TRADE: "32",
    ResultCode.NO_LIQUIDITY: "14",
}
"""Refusals that OKX acknowledges all the same and tells as a canceled order, with its cancelSource."""

DONE_SOURCES: Final = {
    "CANCELLED": "1",
    "IOC_REMAINDER": "14",
    "EXPIRED": "0",
    "STP": "32",
    "MASS_CANCEL": "0",
    "CANCEL_ALL_AFTER": "20",
    "DISCONNECT": "0",
    "AMEND_FAILED": "1",
}
"""cancelSource by DoneReason, for orders that did not end filled."""

FILLED_REASONS: Final = frozenset({"FILLED", "BUDGET_SPENT"})

PLACE: Final[dict[ResultCode, tuple[str, str]]] = {
    ResultCode.BAD_COMMAND: ("51000", "Parameter error"),
    ResultCode.EXPIRED: ("50013", "The system is busy: the order was not placed"),
    ResultCode.COMMAND_MISMATCH: ("50026", "System error: the order was not placed"),
    ResultCode.UNKNOWN_INSTRUMENT: ("51001", "The instrument does not exist"),
    ResultCode.UNKNOWN_ASSET: ("51012", "The token does not exist"),
    ResultCode.DUPLICATE_ORDER_ID: ("51011", "Duplicated order id"),
    ResultCode.INSTRUMENT_STATE: ("51022", "Trading in this instrument is suspended"),
    ResultCode.PRICE_OUT_OF_RANGE: ("51006", "The price is not within the limits of this market"),
    ResultCode.PRICE_BAND: ("51006", "The price is too far from the last trade"),
    ResultCode.QUANTITY_OUT_OF_RANGE: ("51005", "The order size exceeds the limits of this market"),
    ResultCode.INSUFFICIENT_BALANCE: ("51008", "Order failed: insufficient balance in the trading account"),
    ResultCode.TOO_MANY_ORDERS: ("51174", "The number of pending orders has reached its limit"),
    ResultCode.UNSUPPORTED: ("51010", "This kind of order is not supported"),
    ResultCode.OVERFLOW: ("51005", "The order size exceeds the limits of this market"),
    ResultCode.BUSY: ("50013", "The system is busy: the order was not placed"),
    ResultCode.UNCONFIRMED: ("50001", "Service temporarily unavailable: the order was not placed"),
}

CANCEL: Final[dict[ResultCode, tuple[str, str]]] = {
    ResultCode.UNKNOWN_ORDER: (
        "51400",
        "Cancellation failed: the order is filled, canceled or does not exist",
    ),
    ResultCode.NOT_OWNER: ("51400", "Cancellation failed: the order is filled, canceled or does not exist"),
    ResultCode.INSTRUMENT_STATE: ("51022", "Trading in this instrument is suspended"),
    ResultCode.EXPIRED: ("50013", "The system is busy: the order was not canceled"),
    ResultCode.BUSY: ("50013", "The system is busy: the order was not canceled"),
}


class Result(NamedTuple):
    """The engine's durable answer to one command. A tuple, since tens of thousands are made in a second."""

    code: ResultCode
    engine_seq: int
    order_id: int
    filled_lots: int
    leaves_lots: int
    duplicate: bool
    engine_time_ns: int

    @property
    def at(self) -> datetime:
        """Engine time, to the microsecond."""
        return engine_time(self.engine_time_ns)


def engine_time(nanoseconds: int) -> datetime:
    """The engine's count of nanoseconds since 1970 as a moment, to the microsecond."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def placed(code: ResultCode) -> tuple[str, str]:
    """sCode and sMsg of an order's acknowledgement."""
    if code is ResultCode.OK or code in CANCELED_AT_ONCE:
        return "0", ""
    return PLACE.get(code, ("50026", "System error: the order was not placed"))


def canceled(code: ResultCode) -> tuple[str, str]:
    """sCode and sMsg of a cancellation's acknowledgement."""
    if code is ResultCode.OK:
        return "0", ""
    return CANCEL.get(code, ("50026", "System error: the order was not canceled"))
