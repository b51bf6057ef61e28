"""`manage.py set_price_band SYMBOL PERCENT [--reference PRICE] --reason TEXT`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.operators import operator
from engine_bridge import banding
from engine_bridge.adapters.channel import EngineAway, EngineRefused


class Command(BaseCommand):
    help = "Refuse orders that pay further from the last trade's price than this. Orders that rest stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol", help="e.g. BTC-USDT")
        parser.add_argument("percent", help="how far, e.g. 5 or 2.5; 0 is no band")
        parser.add_argument("--reference", default="", help="a price that counts until the next trade")
        parser.add_argument("--reason", required=True, help="goes into the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            band = banding.set_band(
                settings.ENGINE_ADMIN_TARGET,
                symbol=options["symbol"],
                percent=options["percent"],
                reference=options["reference"],
                reason=options["reason"],
                actor=operator("set_price_band"),
                now=clock.now(),
            )
        except EngineAway as away:
            raise CommandError(f"The engine does not answer: {away}") from None
        except (EngineRefused, banding.BadBand) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{options['symbol']}: {band.ppm} ppm, reference {band.reference_ticks} ticks")
