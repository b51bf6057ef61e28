"""Bring the database up to date. Every step may be repeated.

    python -m devstack.prepare owner STAFF PASSKEYS FACTORS   migrations, privileges, founding staff, webhooks
    python -m devstack.prepare worker                         wallets from the registry, markets in the engine

The first prints one line of JSON: the addresses at which the providers deliver their webhooks.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import django
from django.core.management import call_command


def as_owner(staff: Path, passkeys: Path, factors: Path) -> None:
    """What only the database's owner may do, and what must be there before anybody can come in."""
    call_command("migrate", verbosity=0, interactive=False)
    call_command("grant_roles", verbosity=0, stdout=io.StringIO())

    from core.access.models import Identity

    if not Identity.objects.filter(kind="officer").exists():
        call_command("found_staff", str(staff), passkeys=passkeys, factors=factors, stdout=io.StringIO())
    declared = io.StringIO()
    call_command("declare_webhooks", stdout=declared)
    addresses = declared.getvalue().split()
    print(json.dumps({address.split("/")[-2]: address for address in addresses}))


def as_worker() -> None:
    """What the application itself writes, under its own role."""
    call_command("load_registry")
    call_command("put_instruments")


def main() -> None:
    """Run as a program."""
    django.setup()
    match sys.argv[1:]:
        case ["owner", staff, passkeys, factors]:
            as_owner(Path(staff), Path(passkeys), Path(factors))
        case ["worker"]:
            as_worker()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
