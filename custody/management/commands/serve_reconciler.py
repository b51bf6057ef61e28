import logging
import signal
import sqlite3
import threading
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from core import clock
from core.trusted import serving
from custody.adapters.bitcoin import BitcoinNode
from custody.daemons.credits import Credits
from custody.daemons.reconciler import Reconciler, key_at
from custody.daemons.road import Road
from custody.daemons.shown import Shown
from custody.daemons.sight import PATIENCE
from custody.daemons.tally import Tally
from engine_bridge.followed import Followed
from engine_bridge.following import Following
from kernel.canonical import NotCanonical
from kernel.registry import BadRegistry, Registry

log = logging.getLogger(__name__)

LOOK_UP_S: Final = 5.0


class Command(BaseCommand):
    help = "Compare wallets with the books, asked or not, sign what was seen, and tell signers of breaks."

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
        parser.add_argument(
            "--tally",
            type=Path,
            help="what all accounts came to when it last counted (beside the key: tally)",
        )
        parser.add_argument(
            "--followed",
            type=Path,
            help="how far it followed ledger and engine, and where they are apart (beside the key: followed)",
        )
        parser.add_argument("--registry", type=Path, default=settings.REGISTRY_FILE)
        parser.add_argument("--socket", type=Path, default=settings.RECONCILER_SOCKET)
        parser.add_argument("--allow-uid", type=int, action="append", default=[], help="who may ask")
        parser.add_argument("--signers", type=Path, default=settings.SIGNERS_DIR, help="whom it tells")
        parser.add_argument(
            "--every-s",
            type=float,
            default=40,
            help="it looks by itself where nobody asked for so many seconds (a worker asks every 30)",
        )

        parser.add_argument(
            "--blind-s",
            type=float,
            default=PATIENCE.total_seconds(),
            help="what it cannot look at for so many seconds, it calls broken",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        def stop(*_: object) -> NoReturn:
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, stop)
        try:
            key = key_at(options["key"])
            registry = Registry.parse(options["registry"].read_bytes())
            agreed = Credits(options["credits"] or options["key"].with_name("credits"))
            shown = Shown(options["shown"] or options["key"].with_name("shown"))
            tally = Tally(options["tally"] or options["key"].with_name("tally"))
            followed = Followed(options["followed"] or options["key"].with_name("followed"))
            listener = serving.listen(options["socket"])
        except (OSError, ValueError, BadRegistry, NotCanonical, sqlite3.Error) as error:
            raise CommandError(f"cannot start: {error}") from error
        with BitcoinNode(settings.BITCOIN_RPC_URL) as node:
            reconciler = Reconciler(
                key=key,
                registry=registry,
                node=node,
                clock=clock.now,
                venue=Following(settings.ENGINE_READER_TARGET, followed).breaks,
                agreed=agreed,
                shown=shown,
                tally=tally,
                road=Road(options["signers"]),
                patience=timedelta(seconds=options["blind_s"]),
            )
            ended = threading.Event()

            def look_unasked() -> None:
                reconciler.look_unasked(every=timedelta(seconds=options["every_s"]))

            def again_and_again(step: Callable[[], None]) -> None:
                while not ended.wait(LOOK_UP_S):
                    try:
                        step()
                    except Exception:  # whatever it was: the next look must come
                        log.exception("nobody asked, and nothing came of it")
                    finally:
                        connection.close()

            def answer(message: serving.Message, uid: int) -> serving.Message:
                try:
                    return reconciler.answer(message, uid)
                finally:
                    connection.close()  # a comparison is rare; a lost connection is not met again

            self.stdout.write(f"reconciler ready socket={options['socket']}")
            self.stdout.flush()
            for step in (look_unasked, reconciler.watch):  # a look may hang, and the watch must not
                threading.Thread(target=again_and_again, args=[step], daemon=True).start()
            try:
                serving.serve(listener, answer=answer, allowed=options["allow_uid"], log=self.stderr.write)
            except KeyboardInterrupt:
                self.stdout.write("reconciler stopped")
            finally:
                ended.set()
                listener.close()
                options["socket"].unlink(missing_ok=True)
