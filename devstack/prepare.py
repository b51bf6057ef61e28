"""Bring the database up to date, as its owner: migrations, privileges of the roles, and the founding
staff once.
"""

from __future__ import annotations

import sys
from pathlib import Path

import django
from django.core.management import call_command


def main() -> None:
    staff, passkeys = (Path(argument) for argument in sys.argv[1:3])
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    call_command("grant_roles", verbosity=0)

    from core.access.models import Identity

    if not Identity.objects.filter(kind="officer").exists():
        call_command("found_staff", str(staff), passkeys=passkeys)


if __name__ == "__main__":
    main()
