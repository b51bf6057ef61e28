"""Reading an order as a trader writes it (OKX v5 names, decimals as strings) into the engine's integers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from engine_bridge.domain.instruments import NotOnGrid, OutOfRange, Scale
from kernel.money import BadAmount

E = TypeVar("E", bound=StrEnum)

CLIENT_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
TAG: Final = re.compile(r"[A-Za-z0-9]{1,16}")
DECIMAL_LENGTH_MAX: Final = 40


class BadOrder(ValueError):
    """The order cannot be read; `code` is the OKX code of the reason and `str()` its sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """OKX's ordType: the kind, the time in force and post-only in one word."""

    LIMIT = "limit"
    MARKET = "market"
    POST_ONLY = "post_only"
    IOC = "ioc"
    FOK = "fok"


class StpMode(StrEnum):
    CANCEL_MAKER = "cancel_maker"
    CANCEL_TAKER = "cancel_taker"
    CANCEL_BOTH = "cancel_both"


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What is asked of the engine. A market order's `price_ticks` is 0 until its worst price is known."""

    side: Side
    order_type: OrderType
    price_ticks: int
    qty_lots: int
    budget_ticklots: int
    client_id: str
    tag: str
    stp: StpMode
    quote_sized: bool


def read(fields: Mapping[str, object], scale: Scale) -> OrderTerms:
    """The order's terms; BadOrder with the code that a client knows."""
    side = _choice(fields, "side", Side)
    order_type = _choice(fields, "ordType", OrderType)
    _cash_only(fields)
    stp = _choice(fields, "stpMode", StpMode, StpMode.CANCEL_MAKER)
    if order_type is OrderType.FOK and stp is StpMode.CANCEL_BOTH:
        raise BadOrder("50016", "stpMode cancel_both does not go with ordType fok")
    quote_sized = order_type is OrderType.MARKET and _sized_in_quote(fields, side)
    size = decimal(fields, "sz")
    price = 0 if order_type is OrderType.MARKET else read_price(decimal(fields, "px"), scale)
    return OrderTerms(
        side=side,
        order_type=order_type,
        price_ticks=price,
        qty_lots=0 if quote_sized else read_size(size, scale),
        budget_ticklots=_read_budget(size, scale) if quote_sized else 0,
        client_id=_name(fields, "clOrdId", CLIENT_ID),
        tag=_name(fields, "tag", TAG),
        stp=stp,
        quote_sized=quote_sized,
    )


def text(fields: Mapping[str, object], name: str) -> str:
    """The parameter as text; "" where it is absent, which clients also spell "" and null."""
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadOrder("51000", f"Parameter {name} error: a string is expected")


def decimal(fields: Mapping[str, object], name: str) -> str:
    """The parameter as the text of a required decimal, of bounded length."""
    value = text(fields, name)
    if not value:
        raise BadOrder("51000", f"Parameter {name} can not be empty")
    if len(value) > DECIMAL_LENGTH_MAX:
        raise BadOrder("51000", f"Parameter {name} error: too long")
    return value


def read_price(value: str, scale: Scale) -> int:
    """A limit price in ticks."""
    try:
        return scale.ticks(value)
    except NotOnGrid as error:
        raise BadOrder("51000", f"Parameter px error: not a multiple of tickSz {error.step}") from error
    except OutOfRange as error:
        raise BadOrder("51006", "The price is not within the limits of this market") from error
    except BadAmount as error:
        raise BadOrder("51000", "Parameter px error: a plain decimal is expected") from error


def read_size(value: str, scale: Scale) -> int:
    """An order's size in lots."""
    try:
        return scale.lots(value)
    except NotOnGrid as error:
        if value.startswith("0") and _below(value, error.step):
            raise BadOrder("51020", f"The order size is below the minimum of {error.step}") from error
        raise BadOrder("51121", f"The order size must be a multiple of the lot size {error.step}") from error
    except OutOfRange as error:
        if set(value) <= {"0", "."}:
            raise BadOrder("51020", f"The order size is below the minimum of {scale.lot_size}") from error
        raise BadOrder("51005", "The order size exceeds the maximum of this market") from error
    except BadAmount as error:
        raise BadOrder("51000", "Parameter sz error: a plain decimal is expected") from error


def _read_budget(value: str, scale: Scale) -> int:
    try:
        return scale.budget(value)
    except OutOfRange as error:
        raise BadOrder("51020", "The order's cost is outside the limits of this market") from error
    except BadAmount as error:
        raise BadOrder("51000", "Parameter sz error: a plain decimal is expected") from error


def _below(value: str, step: str) -> bool:
    """Whether one plain decimal below one is smaller than another; digits compare as text."""
    return value.partition(".")[2] < step.partition(".")[2] if step.startswith("0") else True


def _cash_only(fields: Mapping[str, object]) -> None:
    mode = text(fields, "tdMode")
    if not mode:
        raise BadOrder("50014", "Parameter tdMode can not be empty")
    if mode != "cash":
        raise BadOrder("51010", "Only tdMode cash is supported: this is a spot account")
    if fields.get("attachAlgoOrds"):
        raise BadOrder("51010", "Attached algo orders are not supported")


def _sized_in_quote(fields: Mapping[str, object], side: Side) -> bool:
    unit = text(fields, "tgtCcy") or ("quote_ccy" if side is Side.BUY else "base_ccy")
    if unit not in {"quote_ccy", "base_ccy"}:
        raise BadOrder("51000", "Parameter tgtCcy error")
    if unit == "quote_ccy" and side is Side.SELL:
        raise BadOrder("51000", "Parameter tgtCcy error: a market sell is sized in base_ccy")
    return unit == "quote_ccy"


def _name(fields: Mapping[str, object], name: str, allowed: re.Pattern[str]) -> str:
    value = text(fields, name)
    if value and not allowed.fullmatch(value):
        raise BadOrder("51000", f"Parameter {name} error")
    return value


def _choice(fields: Mapping[str, object], name: str, kind: type[E], default: E | None = None) -> E:
    value = text(fields, name)
    if not value and default is not None:
        return default
    if not value:
        raise BadOrder("51000", f"Parameter {name} can not be empty")
    try:
        return kind(value)
    except ValueError:
        raise BadOrder("51000", f"Parameter {name} error") from None
