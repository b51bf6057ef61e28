from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from core.audit import exporting


class Command(BaseCommand):
    help = "Write the sealed events and every checkpoint into a folder, for the offline verifier."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        for path in exporting.write(options["folder"]):
            self.stdout.write(str(path))
