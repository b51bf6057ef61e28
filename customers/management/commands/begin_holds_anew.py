from typing import Any

from django.core.management.base import BaseCommand

from core import clock
from core.operators import operator
from customers import queries
from customers.actions import begin_hold_anew


class Command(BaseCommand):
    help = "Have holds on withdrawals that a clock which was far ahead has set last as any other, from now."

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        found = list(queries.held_too_long(now=now).values_list("pk", flat=True))
        for customer_id in found:
            row = begin_hold_anew(customer_id=customer_id, actor=operator("begin-holds-anew"), now=now)
            self.stdout.write(f"{customer_id} is held until {row.withdrawals_held_until:%Y-%m-%d %H:%M} UTC")
        self.stdout.write(f"{len(found)} holds were set under a clock that was ahead.")
