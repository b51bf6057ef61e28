"""The trading account: balances, settings, fees."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from engine_bridge import queries
from trader_api import limits, recency, rows
from trader_api.endpoint import PrivateEndpoint, word
from trader_api.envelope import ok


class Balance(PrivateEndpoint):
    limit = limits.BALANCE

    def get(self, request: Request) -> Response:
        """What the trading account holds, after every order and transfer that this trader was told of."""
        wanted = {code for code in word(request.query_params, "ccy").split(",") if code}
        account = recency.current(self.trader)
        details = [
            rows.trading_detail(view)
            for view in queries.trading_balances(account)
            if not wanted or view.total.asset in wanted
        ]
        return ok([{"uTime": rows.ms(self.now), "totalEq": "", "adjEq": "", "details": details}])


class Config(PrivateEndpoint):
    limit = limits.CONFIG

    def get(self, request: Request) -> Response:
        """What kind of account this is: spot, one mode, one level."""
        granted = {"read": "read_only", "trade": "trade", "withdraw": "withdraw"}
        row = {
            "uid": str(self.trader.customer_id),
            "mainUid": str(self.trader.customer_id),
            "acctLv": "1",
            "posMode": "net_mode",
            "acctStpMode": "cancel_maker",
            "autoLoan": False,
            "level": queries.own_fees(queries.account_of(self.trader.customer_id)).level,
            "perm": ",".join(granted[scope] for scope in sorted(self.trader.scopes)),
            "label": "",
            "ip": "",
        }
        return ok([row])


class Positions(PrivateEndpoint):
    limit = limits.BALANCE

    def get(self, request: Request) -> Response:
        """None: there are no derivatives."""
        return ok()


class TradeFee(PrivateEndpoint):
    limit = limits.CONFIG

    def get(self, request: Request) -> Response:
        """What trading costs this account, charged fees below zero."""
        kind = word(request.query_params, "instType", required=True)
        wanted = word(request.query_params, "instId")
        fees = queries.own_fees(recency.current(self.trader))
        found = [row for row in queries.instruments() if wanted in ("", row.symbol)] if kind == "SPOT" else []
        return ok(
            [
                {
                    "instType": "SPOT",
                    "maker": rows.fee_rate(fees.maker_ppm(row)),
                    "taker": rows.fee_rate(fees.taker_ppm(row)),
                    "level": fees.level,
                    "ts": rows.ms(self.now),
                }
                for row in found[:1]
            ]
        )
