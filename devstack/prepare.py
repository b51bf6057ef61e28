"""Bring the database up to date, as its owner: migrations, privileges, founding staff, providers' webhooks.

Prints one line of JSON: the addresses at which the providers deliver their webhooks.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import django
from django.core.management import call_command


def main() -> None:
    """Every step may be repeated."""
    staff, passkeys = (Path(argument) for argument in sys.argv[1:3])
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    call_command("grant_roles", verbosity=0, stdout=io.StringIO())

    from core.access.models import Identity

    if not Identity.objects.filter(kind="officer").exists():
        call_command("found_staff", str(staff), passkeys=passkeys, stdout=io.StringIO())
    declared = io.StringIO()
    call_command("declare_webhooks", stdout=declared)
    addresses = declared.getvalue().split()
    print(json.dumps({address.split("/")[-2]: address for address in addresses}))


if __name__ == "__main__":
    main()
