"""`manage.py set_price_band SYMBOL PERCENT [--reference PRICE] --reason TEXT`: narrows only."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.operators import operator
from core.refusals import Refused
from engine_bridge import banding
from engine_bridge.actions import narrow_band
from engine_bridge.adapters.channel import EngineAway, EngineRefused


class Command(BaseCommand):
    help = (
        "Refuse orders that pay further from the last trade's price than this, where that is less than now."
        " Orders that rest stay. A wider band is asked for on the market's page."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol", help="e.g. BTC-USDT")
        parser.add_argument("percent", help="how far, e.g. 5 or 2.5")
        parser.add_argument(
            "--reference", default="", help="a price that counts until the next trade, where no band is yet"
        )
        parser.add_argument("--reason", required=True, help="goes into the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        try:
            banding.adopt_bands(now=now)
            row = narrow_band(
                symbol=options["symbol"],
                percent=options["percent"],
                reference=options["reference"],
                reason=options["reason"],
                actor=operator("set_price_band"),
                now=now,
            )
            banding.assert_band(instrument=row.pk, now=now)
        except EngineAway as away:
            raise CommandError(f"The engine does not answer: {away}") from None
        except (EngineRefused, Refused) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{row.symbol}: {row.band_ppm} ppm, reference {row.band_reference_ticks} ticks")
