from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.ledger import invariants


class Command(BaseCommand):
    help = "Check the ledger's invariants; exit code 1 and the rows at fault where one is broken."

    def handle(self, *args: Any, **options: Any) -> None:
        found = invariants.broken()
        for name, rows in found.items():
            self.stdout.write(
                f"{'broken' if rows else 'holds '}  {name}" + "".join(f"\n        {row}" for row in rows)
            )
        if any(found.values()):
            raise CommandError("the books are not sound: stop withdrawals and call the ledger's owner")
