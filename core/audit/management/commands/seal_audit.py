from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import clock
from core.audit import cosigning, key, sealing, witnesses
from core.daemon import lead


class Command(BaseCommand):
    help = "Seal new audit events into the Merkle tree under signed checkpoints, until stopped."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="seal what waits, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        _, seal = key.load(settings.AUDIT_KEY_FILE, origin=settings.AUDIT_ORIGIN)
        among = witnesses.read(settings.AUDIT_WITNESSES_FILE)

        def step() -> bool:
            sealed = sealing.seal_next(seal, now=clock.now())
            if sealed < sealing.BATCH:  # while more waits, sealing comes first
                cosigning.collect(among)
            return sealed == sealing.BATCH

        if options["once"]:
            while step():
                pass
            return
        lead("audit-sealer", step, interval_s=0.2)
