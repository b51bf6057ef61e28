"""`manage.py settle`: the settlement daemon."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import daemon
from engine_bridge.daemons.confirming import confirming
from engine_bridge.daemons.settlement import NAME, Settlement, calm_collector
from engine_bridge.daemons.watching import watching


class Command(BaseCommand):
    help = "Write the engine's events into orders, fills, balances and the ledger, as the only one that does."

    def handle(self, *args: Any, **options: Any) -> None:
        calm_collector()
        settlement = Settlement(settings.ENGINE_TRANSFERS_TARGET)
        try:
            target = settings.ENGINE_ADMIN_TARGET
            with watching(target), confirming(target):
                daemon.lead(NAME, settlement.step, interval_s=0.2)
        finally:
            settlement.close()
