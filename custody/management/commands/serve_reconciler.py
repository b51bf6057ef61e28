import signal
import sqlite3
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from core import clock
from core.trusted import serving
from custody.adapters.bitcoin import BitcoinNode
from custody.daemons.credits import Credits
from custody.daemons.reconciler import Reconciler, key_at
from custody.daemons.shown import Shown
from engine_bridge import comparing
from kernel.canonical import NotCanonical
from kernel.registry import BadRegistry, Registry


class Command(BaseCommand):
    help = "Compare wallets with the books when a worker asks, and sign where they agree."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--key", type=Path, required=True, help="its own Ed25519 key, as a PEM file")
        parser.add_argument(
            "--credits",
            type=Path,
            help="its list of credits that officers signed for (beside the key: credits)",
        )
        parser.add_argument(
            "--shown",
            type=Path,
            help="its list of deposits and payments that the chain showed it (beside the key: shown)",
        )
        parser.add_argument("--registry", type=Path, default=settings.REGISTRY_FILE)
        parser.add_argument("--socket", type=Path, default=settings.RECONCILER_SOCKET)
        parser.add_argument("--allow-uid", type=int, action="append", default=[], help="who may ask")

    def handle(self, *args: Any, **options: Any) -> None:
        def stop(*_: object) -> NoReturn:
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, stop)
        try:
            key = key_at(options["key"])
            registry = Registry.parse(options["registry"].read_bytes())
            agreed = Credits(options["credits"] or options["key"].with_name("credits"))
            shown = Shown(options["shown"] or options["key"].with_name("shown"))
            listener = serving.listen(options["socket"])
        except (OSError, ValueError, BadRegistry, NotCanonical, sqlite3.Error) as error:
            raise CommandError(f"cannot start: {error}") from error
        with BitcoinNode(settings.BITCOIN_RPC_URL) as node:
            reconciler = Reconciler(
                key=key,
                registry=registry,
                node=node,
                clock=clock.now,
                venue=lambda: comparing.breaks(settings.ENGINE_READER_TARGET),
                agreed=agreed,
                shown=shown,
            )

            def answer(message: serving.Message, uid: int) -> serving.Message:
                try:
                    return reconciler.answer(message, uid)
                finally:
                    connection.close()  # a comparison is rare; a lost connection is not met again

            self.stdout.write(f"reconciler ready socket={options['socket']}")
            self.stdout.flush()
            try:
                serving.serve(listener, answer=answer, allowed=options["allow_uid"], log=self.stderr.write)
            except KeyboardInterrupt:
                self.stdout.write("reconciler stopped")
            finally:
                listener.close()
                options["socket"].unlink(missing_ok=True)
