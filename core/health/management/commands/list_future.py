from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.health import ahead


class Command(BaseCommand):
    help = "Rows that say a moment which has not come; exit code 1 where there are some."

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(ahead.found(now=clock.now()))
        for one in found:
            self.stdout.write(f"{one.rows:>8}  {one.column}  up to {one.furthest:%Y-%m-%d %H:%M} UTC")
        if found:
            raise CommandError(
                "a clock was ahead then: docs/runbooks/clock-far-ahead.md says what each of them does"
            )
        self.stdout.write("No row says a moment that has not come.")
