import gc
import logging
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import clock
from core.audit import notarizing, sealing
from core.audit.comparing import Comparison
from core.audit.hearing import Ear, hearing
from core.daemon import lead

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Seal new audit events into the Merkle tree under signed checkpoints, until stopped; compare them "
        "with what their writers told."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="seal what waits, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        log_key = notarizing.verifier(settings.AUDIT_KEY_FILE, origin=settings.AUDIT_ORIGIN)
        seal = notarizing.notary(settings.AUDIT_NOTARY_SOCKET, log=log_key)
        ear = Ear()
        comparison = Comparison(ear)

        def step() -> bool:
            comparison.begin(now=clock.now())
            try:
                sealed = sealing.seal_next(seal, now=clock.now(), sealed=comparison.sealed)
            except sealing.NotSealed as error:
                log.error("nothing is sealed: %s", error)
                return False
            return sealed == sealing.BATCH

        if options["once"]:
            while step():
                pass
            return
        gc.freeze()  # what lives as long as the process is not looked through again and again
        place = partial(hearing, settings.AUDIT_TESTIMONY_SOCKET, ear)
        lead(sealing.LEADER, step, interval_s=sealing.INTERVAL_S, leading=place)
