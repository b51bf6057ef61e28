"""A price feed on a loopback port: quotes that a script can change, with the moment of asking as their time.

    python -m devstack.standins.prices --port 8103 --btc 60000

GET /v1/prices/BTC is what a feed documents. PUT /_standin/prices/BTC {"price": "61000", "age_s": 0}
changes the quote, and {"price": null} takes it away.
"""

from __future__ import annotations

import argparse
import threading
from datetime import UTC, datetime, timedelta

from devstack.standins.provider_server import Failures, ProviderServer, Reply, Request, Route, failure_routes


class Feed:
    """The prices of the moment, and how old they claim to be."""

    def __init__(self, prices: dict[str, str]) -> None:
        self._prices = dict(prices)
        self._age = timedelta(0)
        self._lock = threading.Lock()

    def quote(self, _request: Request, *, asset: str) -> Reply:
        with self._lock:
            price, moment = self._prices.get(asset), datetime.now(UTC) - self._age
        if price is None:
            return Reply(404, {"description": f"no price for {asset}", "code": 404})
        return Reply(200, {"asset": asset, "quote": "USD", "price": price, "at": moment.isoformat()})

    def change(self, request: Request, *, asset: str) -> Reply:
        wanted = request.document()
        with self._lock:
            if wanted.get("price") is None:
                self._prices.pop(asset, None)
            else:
                self._prices[asset] = str(wanted["price"])
            self._age = timedelta(seconds=int(wanted.get("age_s", 0)))
        return Reply(200, {"prices": self._prices})


def server(*, port: int, prices: dict[str, str]) -> ProviderServer:
    """The feed, ready to serve."""
    feed, failures = Feed(prices), Failures()
    return ProviderServer(
        port=port,
        routes=[Route("GET", r"/v1/prices/(?P<asset>[A-Z0-9]{2,12})", feed.quote)],
        control=[
            Route("PUT", r"/_standin/prices/(?P<asset>[A-Z0-9]{2,12})", feed.change),
            *failure_routes(failures),
        ],
        authenticate=lambda _request: None,
        failures=failures,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8103)
    parser.add_argument("--btc", default="60000", help="US dollars per bitcoin")
    parser.add_argument("--usdt", default="1", help="US dollars per USDT")
    options = parser.parse_args()
    feed = server(port=options.port, prices={"BTC": options.btc, "USDT": options.usdt})
    print(f"the price feed listens at {feed.url}", flush=True)
    feed.serve_forever()


if __name__ == "__main__":
    main()
