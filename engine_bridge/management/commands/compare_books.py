"""`manage.py compare_books`: engine balances against the ledger."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from engine_bridge import comparing


class Command(BaseCommand):
    help = "Compare the engine's balances with the ledger's trading accounts; ends with 1 where they differ."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = comparing.compare(settings.ENGINE_TRANSFERS_TARGET)
        except comparing.NotCompared as error:
            raise CommandError(str(error)) from None
        for item in found.differences:
            self.stderr.write(comparing.said(item))
        if found.differences:
            raise CommandError(f"{len(found.differences)} balances differ at event {found.event_seq}.")
        self.stdout.write(f"{found.balances} balances agree at event {found.event_seq}.")
