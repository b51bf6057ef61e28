import logging
from typing import Any

from django.core.management.base import BaseCommand
from kombu.exceptions import OperationalError

from core import clock
from core.daemon import lead
from core.outbox import delivery, tasks

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Hand due outbox messages to the workers, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        lead("outbox-relay", relay, interval_s=0.2)


def relay() -> bool:
    """Queue what is due; whether there was anything. Without a broker, what was claimed stays due."""
    due = delivery.claim_due(now=clock.now())
    for place, delivery_id in enumerate(due):
        try:
            tasks.deliver.delay(str(delivery_id))
        except OperationalError as error:
            log.error("the broker does not answer (%s): %d messages wait", error, len(due) - place)
            delivery.give_back(due[place:], now=clock.now())
            return False
    return bool(due)
