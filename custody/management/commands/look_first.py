"""`manage.py look_first`: the first rounds of a reconciler that is to replace the one that runs."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from core import clock
from custody.adapters.bitcoin import BitcoinNode, NodeError, NodeUnreachable
from custody.adapters.bitcoin_answers import NodeAnswerUnreadable
from custody.daemons.first_rounds import SHOWN, FirstRounds, carry_over
from engine_bridge.comparing import NotCompared
from kernel.canonical import NotCanonical
from kernel.registry import BadRegistry, Registry

AGAIN_S: Final = 5.0


class Command(BaseCommand):
    help = "Look at all once for a reconciler that is to be started, beside the one that runs; sign nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--folder", type=Path, required=True, help="where its files are made, or go on")
        parser.add_argument(
            "--running",
            type=Path,
            help="the folder of the reconciler that runs: what the chain showed it is copied first",
        )
        parser.add_argument("--registry", type=Path, default=settings.REGISTRY_FILE)

    def handle(self, *args: Any, **options: Any) -> None:
        folder, running = options["folder"], options["running"]
        if running is not None and running.resolve() == folder.resolve():
            raise CommandError("a folder of its own: no two reconcilers write one file")
        try:
            registry = Registry.parse(options["registry"].read_bytes())
            if running is not None and carry_over(running / SHOWN, folder):
                self.stdout.write("what the chain has shown was copied")
            with BitcoinNode(settings.BITCOIN_RPC_URL) as node:
                target = settings.ENGINE_READER_TARGET
                self._go(FirstRounds(folder=folder, node=node, registry=registry, engine=target))
        except (OSError, BadRegistry, NotCanonical) as error:
            raise CommandError(f"nothing more was looked at: {error}") from error

    def _go(self, rounds: FirstRounds) -> None:
        while True:
            try:
                waits, differs = rounds.step(now=clock.now())
            except (NotCompared, NodeError, NodeUnreachable, NodeAnswerUnreadable, DatabaseError) as error:
                self.stderr.write(f"not now: {str(error).strip()}")
                connection.close()
                time.sleep(AGAIN_S)
                continue
            for sentence in differs:
                self.stderr.write(f"differs: {sentence}")
            self.stdout.write(f"{clock.now():%H:%M:%S} {'; '.join(waits) or 'all was looked at once'}")
            self.stdout.flush()
            if not waits:
                return
