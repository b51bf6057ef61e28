from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import clock
from core.daemon import lead
from custody.adapters.bitcoin import BitcoinNode
from custody.daemons import watcher


class Command(BaseCommand):
    help = "Follow the chain into the books, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        with BitcoinNode(settings.BITCOIN_RPC_URL) as node:
            lead("block-watcher", lambda: watcher.step(node, now=clock.now()), interval_s=0.5)
