"""Prices come in by a task: without it they grow stale, and withdrawals wait."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from celery import current_app, shared_task, signature
from celery.signals import worker_ready
from django.conf import settings

from core import clock
from core.actor import system
from core.refusals import Refused
from custody import actions, queries
from custody.adapters import pricing
from custody.domain import limits

log = logging.getLogger(__name__)

PRICER: Final = system("price-feed")
PRICED: Final = ("BTC",)


@shared_task(name="custody.refresh_prices", ignore_result=True)
def refresh_prices() -> None:
    """Every 30 seconds."""
    fetch_prices(now=clock.now())


def fetch_prices(*, now: datetime) -> None:
    """Ask the feed about every asset; what it cannot say is logged and stays as it was."""
    for asset in PRICED:
        try:
            found = pricing.quote(settings.PRICES_URL, asset)
            if not limits.is_news(found, queries.latest_quote(asset, now=now)):
                continue
            actions.report_price(quote=found, source=settings.PRICES_URL, actor=PRICER, now=now)
        except (pricing.NoQuote, Refused) as error:
            log.warning("no price: %s", error)


@worker_ready.connect
def _price_at_once(**_: object) -> None:
    """The first price comes with the worker, not half a minute later."""
    refresh_prices.delay()


current_app.add_periodic_task(30.0, signature("custody.refresh_prices"), name="custody.refresh_prices")
