"""`manage.py hand_over_engine STANDBY --reason TEXT`: an upgrade, or work on the engine's machine."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.operators import operator
from engine_bridge import succession
from engine_bridge.adapters.channel import EngineAway, EngineRefused


class Command(BaseCommand):
    help = "Have the engine end and its standby lead. Nothing is lost; clients are refused for a moment."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("standby", help="where the standby answers, e.g. unix:/run/engine/standby.sock")
        parser.add_argument("--reason", required=True, help="goes into the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = succession.hand_over(
                settings.ENGINE_ADMIN_TARGET,
                options["standby"],
                reason=options["reason"],
                actor=operator("hand_over_engine"),
                now=clock.now(),
            )
        except EngineAway as away:
            raise CommandError(f"Nothing was done: the engine does not answer: {away}") from None
        except (EngineRefused, succession.NotReady, succession.NobodyLeads) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Version {found.version} leads in epoch {found.epoch}.")
        if found.awaits_confirmation:
            self.stdout.write("It takes no orders before settlement, if that runs, has confirmed it.")
