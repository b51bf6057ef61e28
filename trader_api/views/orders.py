"""Placing, cancelling and looking up orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from engine_bridge import queries
from trader_api import limits, placing, recency, rows, store
from trader_api.endpoint import PrivateEndpoint, array_of, number, object_of, word
from trader_api.envelope import acks, ok
from trader_api.errors import ApiError, bad

BATCH_MAX: Final = 20
PAGE_MAX: Final = 100


class Order(PrivateEndpoint):
    limit = limits.ORDER_READ
    is_stopped: ClassVar[bool] = False  # placing asks itself, with the customer's freeze

    def check_permissions(self, request: Request) -> None:
        self.scope = "trade" if request.method == "POST" else "read"  # type: ignore[misc]
        super().check_permissions(request)

    def count(self, request: Request) -> None:
        if request.method != "POST":
            super().count(request)

    def get(self, request: Request) -> Response:
        """One order, by ordId or by the latest use of clOrdId."""
        order_id, client_id = order_named(request.query_params)
        account = recency.current(self.trader)
        found = queries.order(account, order_id=order_id, client_id=client_id)
        if found is not None:
            return ok([rows.order(found)])
        told = None
        if account is not None:
            told = store.acknowledged_order(
                account.pk, order_id=str(order_id) if order_id is not None else "", client_id=client_id
            )
        if told is None:
            raise ApiError("51603", "Order does not exist.")
        return ok([told])

    def post(self, request: Request) -> Response:
        """Place one order."""
        fields = [object_of(request)]
        placing.count_orders(self.trader, limits.PLACE, fields, now=self.now)
        return acks(placing.place(self.trader, fields, expires=expiry(request), now=self.now))


class BatchOrders(PrivateEndpoint):
    limit = limits.PLACE_BATCH
    scope = "trade"
    count_here: ClassVar[bool] = False
    is_stopped: ClassVar[bool] = False  # placing asks itself, with the customer's freeze

    def post(self, request: Request) -> Response:
        """Place up to 20 orders."""
        fields = array_of(request, largest=BATCH_MAX)
        placing.count_orders(self.trader, limits.PLACE_BATCH, fields, now=self.now)
        return acks(placing.place(self.trader, fields, expires=expiry(request), now=self.now))


class CancelOrder(PrivateEndpoint):
    limit = limits.CANCEL
    scope = "trade"
    count_here: ClassVar[bool] = False
    is_stopped: ClassVar[bool] = False

    def post(self, request: Request) -> Response:
        """Cancel one order."""
        fields = [object_of(request)]
        placing.count_orders(self.trader, limits.CANCEL, fields, now=self.now)
        return acks(placing.cancel(self.trader, fields, now=self.now))


class CancelBatchOrders(PrivateEndpoint):
    limit = limits.CANCEL_BATCH
    scope = "trade"
    count_here: ClassVar[bool] = False
    is_stopped: ClassVar[bool] = False

    def post(self, request: Request) -> Response:
        """Cancel up to 20 orders."""
        fields = array_of(request, largest=BATCH_MAX)
        placing.count_orders(self.trader, limits.CANCEL_BATCH, fields, now=self.now)
        return acks(placing.cancel(self.trader, fields, now=self.now))


class OrdersPending(PrivateEndpoint):
    limit = limits.ORDER_READ

    def get(self, request: Request) -> Response:
        """The trader's open orders, newest first."""
        params = request.query_params
        found = queries.orders(recency.current(self.trader), is_open=True)
        if word(params, "instType") not in ("", "SPOT"):
            return ok()
        if symbol := word(params, "instId"):
            found = found.filter(instrument__symbol=symbol)
        if kind := word(params, "ordType"):
            found = found.filter(order_type__in=kind.split(","))
        if state := word(params, "state"):
            found = found.filter(state=state)
        return ok([rows.order(row) for row in paged(found, params, "pk")])


class OrdersHistory(PrivateEndpoint):
    limit = limits.HISTORY

    def get(self, request: Request) -> Response:
        """The trader's orders that are done, newest first."""
        params = request.query_params
        if word(params, "instType", required=True) != "SPOT":
            return ok()
        found = queries.orders(recency.current(self.trader), is_open=False)
        if symbol := word(params, "instId"):
            found = found.filter(instrument__symbol=symbol)
        if state := word(params, "state"):
            found = found.filter(state=state)
        return ok([rows.order(row) for row in paged(found, params, "pk")])


class Fills(PrivateEndpoint):
    limit = limits.FILLS

    def get(self, request: Request) -> Response:
        """The trader's fills, newest first."""
        params = request.query_params
        found = queries.fills(recency.current(self.trader))
        if word(params, "instType") not in ("", "SPOT"):
            return ok()
        if symbol := word(params, "instId"):
            found = found.filter(instrument__symbol=symbol)
        if order_id := whole(params, "ordId"):
            found = found.filter(order_id=order_id)
        if begin := whole(params, "begin"):
            found = found.filter(traded_at__gte=rows.moment(begin))
        if end := whole(params, "end"):
            found = found.filter(traded_at__lte=rows.moment(end))
        return ok([rows.fill(row) for row in paged(found, params, "pk")])


class FillsHistory(Fills):
    limit = limits.FILLS_HISTORY


def order_named(fields: Mapping[str, Any]) -> tuple[int | None, str]:
    """The order that the parameters name, by number or by the client's own name; 51003."""
    order_id, client_id = word(fields, "ordId"), word(fields, "clOrdId")
    if not order_id and not client_id:
        raise ApiError("51003", "Either clOrdId or ordId is required.")
    return (whole(fields, "ordId"), "") if order_id else (None, client_id)


def whole(fields: Mapping[str, Any], name: str) -> int | None:
    """A number of up to 18 digits, or None where it is absent."""
    value = word(fields, name, largest=18)
    if not value:
        return None
    if not (value.isascii() and value.isdigit()):
        raise bad(name)
    return int(value)


def paged(found: Any, params: Mapping[str, Any], key: str) -> Any:
    """A page, newest first: `after` is strictly older than an id, `before` strictly newer."""
    if (after := whole(params, "after")) is not None:
        found = found.filter(**{f"{key}__lt": after})
    if (before := whole(params, "before")) is not None:
        found = found.filter(**{f"{key}__gt": before})
    return found[: max(1, number(params, "limit", default=PAGE_MAX, largest=PAGE_MAX))]


def expiry(request: Request) -> int | None:
    """The header after which an order must not be placed any more, in milliseconds."""
    value = request._request.headers.get("expTime", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None
