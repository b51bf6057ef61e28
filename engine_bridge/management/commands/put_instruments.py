"""`manage.py put_instruments`: list the venue's markets, in the engine and here."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core import clock
from core.operators import operator
from engine_bridge import listing
from engine_bridge.adapters.channel import EngineAway, EngineRefused


class Command(BaseCommand):
    help = "List the venue's markets; one that is new to the engine is opened, others keep their state."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", default="asked for on the command line")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for symbol, state in listing.put_all(
                settings.ENGINE_ADMIN_TARGET,
                reason=options["reason"],
                actor=operator("put_instruments"),
                now=clock.now(),
            ):
                print(f"{symbol}: {state}")
        except EngineAway as away:
            raise CommandError(
                f"The engine does not answer on {settings.ENGINE_ADMIN_TARGET}: {away}"
            ) from None
        except EngineRefused as refused:
            raise CommandError(f"The engine refused: {refused}") from None
