from typing import Any

from django.core.management.base import BaseCommand

from core import clock
from core.daemon import lead
from core.outbox import delivery, tasks


class Command(BaseCommand):
    help = "Hand due outbox messages to the workers, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        lead("outbox-relay", relay, interval_s=0.2)


def relay() -> bool:
    """Queue what is due; whether there was anything."""
    due = delivery.claim_due(now=clock.now())
    for delivery_id in due:
        tasks.deliver.delay(str(delivery_id))
    return bool(due)
