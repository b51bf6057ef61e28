from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.operators import operator
from core.refusals import Refused
from custody import actions


class Command(BaseCommand):
    help = "Take partial signatures that came back from a cold signer; each is checked before it is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("refill", type=UUID)
        parser.add_argument("files", type=Path, nargs="+")

    def handle(self, *args: Any, **options: Any) -> None:
        for path in options["files"]:
            try:
                payment = actions.import_signatures(
                    refill_id=options["refill"],
                    data=path.read_bytes(),
                    actor=operator("import-signatures"),
                    now=clock.now(),
                )
            except (OSError, Refused) as error:
                raise CommandError(f"{path}: {error}") from error
            self.stdout.write(
                f"{path}: {payment.signatures.count()} of {payment.wallet.threshold} tokens have signed"
            )
