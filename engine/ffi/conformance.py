"""Lets the public conformance suite `tracebook-conformance` drive the book through its C interface.

    bin/conformance [generated traces per profile] [seed]

runs it; `make test` does so with few traces, `make soak` with many.

Speaks the suite's line protocol on standard input and output; only decimals and names are translated here
(who trades with whom is decided in Rust).
"""

from __future__ import annotations

import ctypes
import sys
from decimal import Decimal

from tracebook.conformance.model import (
    BookSnapshot,
    BookState,
    ConformanceConfig,
    EngineMetadata,
    Observation,
    Outcome,
    RestingOrder,
    TradeFill,
    canonical_decimal,
)
from tracebook.conformance.protocol import serve_stdio
from tracebook.core.order import OrderSide, OrderType, SelfTradePolicy
from tracebook.events import MarketEvent

BUY, SELL = 1, 2
GTC, IOC, FOK = 1, 2, 3
TAKEN, MALFORMED, DUPLICATE, UNKNOWN, WOULD_TAKE, UNFILLABLE = range(6)
CANCEL_MAKER, CANCEL_TAKER = 1, 2
PRICE_MAX = 2**62


class Order(ctypes.Structure):
    _fields_ = [
        ("id", ctypes.c_uint64),
        ("side", ctypes.c_uint32),
        ("tif", ctypes.c_uint32),
        ("price", ctypes.c_int64),
        ("qty", ctypes.c_uint64),
        ("group", ctypes.c_uint64),
        ("stp", ctypes.c_uint32),
        ("post_only", ctypes.c_uint32),
    ]


class Result(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int32), ("rests", ctypes.c_int32), ("leaves", ctypes.c_uint64)]


class Report(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_uint64),
        ("maker", ctypes.c_uint64),
        ("price", ctypes.c_int64),
        ("qty", ctypes.c_uint64),
        ("maker_leaves", ctypes.c_uint64),
    ]


class Standing(ctypes.Structure):
    _fields_ = [
        ("id", ctypes.c_uint64),
        ("price", ctypes.c_int64),
        ("leaves", ctypes.c_uint64),
        ("group", ctypes.c_uint64),
    ]


class Rejected(Exception):
    """What the suite calls a rejection, by its stable code."""


def load(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    library.countersign_book_new.restype = ctypes.c_void_p
    library.countersign_book_submit.restype = Result
    library.countersign_book_submit.argtypes = [ctypes.c_void_p, ctypes.POINTER(Order)]
    library.countersign_book_cancel.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    library.countersign_book_reduce.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
    library.countersign_book_reports.restype = ctypes.POINTER(Report)
    library.countersign_book_reports.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)]
    library.countersign_book_standing.restype = ctypes.POINTER(Standing)
    library.countersign_book_standing.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.POINTER(ctypes.c_size_t),
    ]
    return library


class Adapter:
    """One book per symbol; the suite's numbers become ticks and lots and back."""

    metadata = EngineMetadata("countersign-book", "0.1.0", "Rust")

    def __init__(self, config: ConformanceConfig, library: ctypes.CDLL) -> None:
        if config.matching_algorithm != "fifo":
            raise ValueError("this engine matches by price and time only")
        self.library = library
        self.tick = Decimal(str(config.tick_size))
        self.lot = Decimal(1).scaleb(-config.quantity_decimal_places)
        self.policy = config.self_trade_policy
        self.books: dict[str, int] = {}
        self.owners: dict[tuple[str, int], int] = {}

    def apply(self, event: MarketEvent, index: int) -> Observation:
        trades: tuple[TradeFill, ...] = ()
        try:
            trades = self._apply(event)
            outcome = Outcome("applied")
        except Rejected as refused:
            outcome = Outcome("rejected", str(refused))
        state = self.snapshot()
        return Observation(index, outcome, trades, state.digest(), state.order_count)

    def _apply(self, event: MarketEvent) -> tuple[TradeFill, ...]:
        if event.symbol not in self.books:
            if event.op in {"cancel", "reduce", "replace"}:
                raise Rejected("ORDER_NOT_ACTIVE")
            self.books[event.symbol] = self.library.countersign_book_new()
        book = self.books[event.symbol]
        if event.op == "clear":
            self.library.countersign_book_free(ctypes.c_void_p(book))
            self.books[event.symbol] = self.library.countersign_book_new()
            return ()
        if event.op == "cancel":
            if self.library.countersign_book_cancel(book, event.order_id) == UNKNOWN:
                raise Rejected("ORDER_NOT_ACTIVE")
            return ()
        if event.op == "reduce":
            if (
                self.library.countersign_book_reduce(book, event.order_id, self._lots(event.quantity))
                == UNKNOWN
            ):
                raise Rejected("ORDER_NOT_ACTIVE")
            return ()
        if event.op == "replace":
            return self._replace(book, event)
        return self._submit(book, event, event.side, event.order_type, event.price, event.quantity)

    def _replace(self, book: int, event: MarketEvent) -> tuple[TradeFill, ...]:
        standing = {order.id: (side, order) for side in (BUY, SELL) for order in self._standing(book, side)}
        if event.order_id not in standing:
            raise Rejected("ORDER_NOT_ACTIVE")
        side, order = standing[event.order_id]
        price = event.price if event.price is not None else order.price * self.tick
        quantity = event.quantity if event.quantity is not None else order.leaves * self.lot
        if self._ticks(price) <= 0:
            raise Rejected("INVALID_REPLACEMENT")
        self.library.countersign_book_cancel(book, event.order_id)
        return self._submit(
            book, event, OrderSide.BUY if side == BUY else OrderSide.SELL, OrderType.LIMIT, price, quantity
        )

    def _submit(
        self, book: int, event: MarketEvent, side: OrderSide, kind: OrderType, price: object, quantity: object
    ) -> tuple[TradeFill, ...]:
        key = (event.symbol, event.order_id)
        buys = side == OrderSide.BUY
        if kind == OrderType.MARKET:
            ticks = PRICE_MAX if buys else 1
        else:
            ticks = self._ticks(price)
            if ticks <= 0:
                raise Rejected("INVALID_ORDER")
        owner = self.owners.get(key, -1) if event.op == "replace" else int(event.owner)
        guarded = self.policy != SelfTradePolicy.NONE and owner >= 0
        order = Order(
            id=event.order_id,
            side=BUY if buys else SELL,
            tif={OrderType.LIMIT: GTC, OrderType.MARKET: IOC, OrderType.IOC: IOC, OrderType.FOK: FOK}[kind],
            price=ticks,
            qty=self._lots(quantity),
            group=owner + 1 if guarded else 0,
            stp=CANCEL_TAKER if self.policy == SelfTradePolicy.CANCEL_INCOMING else CANCEL_MAKER,
        )
        result = self.library.countersign_book_submit(book, ctypes.byref(order))
        if result.code == DUPLICATE:
            raise Rejected("DUPLICATE_ORDER_ID")
        if result.code == MALFORMED:
            raise Rejected("INVALID_ORDER")
        if result.code == UNFILLABLE:
            return ()
        self.owners[key] = owner
        count = ctypes.c_size_t()
        reports = self.library.countersign_book_reports(book, ctypes.byref(count))
        return tuple(
            TradeFill(
                symbol=event.symbol,
                buy_order_id=event.order_id if buys else report.maker,
                sell_order_id=report.maker if buys else event.order_id,
                price=canonical_decimal(report.price * self.tick),
                quantity=canonical_decimal(report.qty * self.lot),
            )
            for report in (reports[at] for at in range(count.value))
            if report.kind == 1
        )

    def _ticks(self, price: object) -> int:
        """The nearest tick: the suite lets the edge round, where our own edge refuses."""
        return int((Decimal(str(price)) / self.tick).to_integral_value())

    def _lots(self, quantity: object) -> int:
        return int((Decimal(str(quantity)) / self.lot).to_integral_value())

    def _standing(self, book: int, side: int) -> list[Standing]:
        count = ctypes.c_size_t()
        orders = self.library.countersign_book_standing(book, side, ctypes.byref(count))
        return [Standing.from_buffer_copy(orders[at]) for at in range(count.value)]

    def snapshot(self) -> BookState:
        return BookState(
            tuple(
                BookSnapshot(symbol, self._told(symbol, BUY), self._told(symbol, SELL))
                for symbol in sorted(self.books)
            )
        )

    def _told(self, symbol: str, side: int) -> tuple[RestingOrder, ...]:
        return tuple(
            RestingOrder(
                order_id=order.id,
                price=canonical_decimal(order.price * self.tick),
                remaining_quantity=canonical_decimal(order.leaves * self.lot),
                owner=self.owners[symbol, order.id],
            )
            for order in self._standing(self.books[symbol], side)
        )

    def close(self) -> None:
        for book in self.books.values():
            self.library.countersign_book_free(ctypes.c_void_p(book))
        self.books.clear()


if __name__ == "__main__":
    library = load(sys.argv[1])
    sys.exit(serve_stdio(lambda config: Adapter(config, library)))
