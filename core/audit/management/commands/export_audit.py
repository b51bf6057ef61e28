from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core.audit import exporting, key


class Command(BaseCommand):
    help = (
        "Write sealed events, checkpoints and the log's public key into a folder, for the offline verifier."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        verifier, _ = key.load(settings.AUDIT_KEY_FILE, origin=settings.AUDIT_ORIGIN)
        for path in exporting.write(options["folder"], verifier):
            self.stdout.write(str(path))
