from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.operators import operator
from core.refusals import Refused
from custody import actions
from kernel import canonical


class Command(BaseCommand):
    help = "Write the bundle of an approved refill, to be carried to the cold signers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("refill", type=UUID)
        parser.add_argument("--out", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            data = actions.export_bundle(
                refill_id=options["refill"], actor=operator("export-bundle"), now=clock.now()
            )
        except Refused as error:
            raise CommandError(str(error)) from error
        options["out"].write_bytes(data + b"\n")
        request = canonical.decode_object(data)
        self.stdout.write(f"{options['out']}: {len(data)} bytes\nSHA-256 of the request: {request['sha256']}")
