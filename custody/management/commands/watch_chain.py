from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import clock
from core.daemon import lead
from custody.adapters.bitcoin import BitcoinNode
from custody.daemons import watcher


class Command(BaseCommand):
    help = "Follow the chain into the books, until stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--start", type=int, default=0, help="height of the first block ever read")

    def handle(self, *args: Any, **options: Any) -> None:
        with BitcoinNode(settings.BITCOIN_RPC_URL) as node:
            lead(
                "block-watcher",
                lambda: watcher.step(node, now=clock.now(), start=options["start"]),
                interval_s=0.5,
            )
