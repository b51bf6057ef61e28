"""`manage.py compare_books`: engine balances against the ledger."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from engine_bridge import comparing
from engine_bridge.adapters.channel import EngineAway
from kernel.money import Amount


class Command(BaseCommand):
    help = "Compare the engine's balances with the ledger's trading accounts; ends with 1 where they differ."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = comparing.compare(settings.ENGINE_TRANSFERS_TARGET)
        except EngineAway as away:
            raise CommandError(f"The engine does not answer: {away}") from None
        for item in found.differences:
            engine, ledger = Amount(item.engine_units, item.asset), Amount(item.ledger_units, item.asset)
            self.stderr.write(f"account {item.account}: engine {engine}, ledger {ledger} {item.asset}")
        if found.differences:
            raise CommandError(f"{len(found.differences)} balances differ at event {found.event_seq}.")
        self.stdout.write(f"{found.balances} balances agree at event {found.event_seq}.")
