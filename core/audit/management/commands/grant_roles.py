from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection, transaction

from core import privileges


class Command(BaseCommand):
    help = "Give the application's database roles their privileges; run as the owner after migrate."

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in privileges.statements():
                cursor.execute(statement)
        self.stdout.write(f"privileges given to {', '.join(privileges.ROLES)}")
