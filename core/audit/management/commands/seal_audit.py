from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import clock
from core.audit import key, sealing
from core.daemon import lead


class Command(BaseCommand):
    help = "Seal new audit events into the Merkle tree under signed checkpoints, until stopped."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="seal what waits, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        _, seal = key.load(settings.AUDIT_KEY_FILE, origin=settings.AUDIT_ORIGIN)
        if options["once"]:
            while sealing.seal_next(seal, now=clock.now()):
                pass
            return
        lead("audit-sealer", lambda: sealing.seal_next(seal, now=clock.now()) > 0, interval_s=0.2)
