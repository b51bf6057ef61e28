from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import clock
from core.audit import cosigning, notarizing, sources, witnesses
from core.daemon import lead


class Command(BaseCommand):
    help = "Carry the heads of every log to every witness, and their cosignatures back, until stopped."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="one turn, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        own = notarizing.verifier(settings.AUDIT_KEY_FILE, origin=settings.AUDIT_ORIGIN)
        logs: list[sources.Source] = [sources.OwnLog(own), *sources.read(settings.WATCHED_LOGS_FILE)]
        among = witnesses.read(settings.AUDIT_WITNESSES_FILE)

        def step() -> bool:
            for source in logs:
                cosigning.collect(source, among, now=clock.now())
            return False

        if options["once"]:
            step()
            return
        lead("collector", step, interval_s=1.0)
