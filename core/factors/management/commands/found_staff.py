"""`manage.py found_staff FILE [--passkeys FILE] [--factors FILE]`: enrol the founding staff."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core import clock
from core.access.actions.founding import FoundedAlready, Founder, FoundingService, Passkey
from core.access.roles import Role
from core.factors.actions.founding import FirstFactors, found
from core.operators import operator
from kernel import members


class Command(BaseCommand):
    help = "Enrol the founding staff from a file. Works once, while there are no officers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", type=Path, help='{"v":1,"staff":[…],"services":[…]}, as fixtures/staff.json'
        )
        parser.add_argument(
            "--passkeys",
            type=Path,
            help='{officer\'s id: [{"credential_id":…,"public_key":…,"label":…}]}: keys to sign with',
        )
        parser.add_argument(
            "--factors",
            type=Path,
            help='{officer\'s id: {"passkeys":[…as above…],"secrets":[base32,…]},'
            ' "sealed":[…keys for the safes…]}: to come in with',
        )

    def handle(self, *args: Any, **options: Any) -> None:
        document = json.loads(options["file"].read_text())
        keys = json.loads(options["passkeys"].read_text()) if options["passkeys"] else {}
        people, services = parse(document, keys)
        given = json.loads(options["factors"].read_text()) if options["factors"] else {}
        sealed = [Passkey(**key) for key in given.pop("sealed", [])]
        factors = parse_factors(given)
        try:
            found(
                people=people,
                services=services,
                factors=factors,
                sealed=sealed,
                actor=operator("founding"),
                now=clock.now(),
            )
        except FoundedAlready as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"enrolled {len(people)} officers and {len(services)} services")


def parse(
    document: dict[str, Any], keys: dict[str, list[dict[str, str]]] | None = None
) -> tuple[list[Founder], list[FoundingService]]:
    """The people and programs of a staff file, with their passkeys."""
    if not members.is_version(document.get("v"), 1):
        raise CommandError("this is no staff file of version 1")
    people = [
        Founder(
            id=UUID(entry["id"]),
            name=entry["name"],
            email=entry["email"],
            subject=entry["subject"],
            roles=frozenset(map(Role, entry["roles"])),
            passkeys=tuple(Passkey(**key) for key in (keys or {}).get(entry["id"], [])),
        )
        for entry in document["staff"]
    ]
    services = [
        FoundingService(
            UUID(entry["id"]), entry["name"], entry["client_id"], frozenset(map(Role, entry["roles"]))
        )
        for entry in document.get("services", [])
    ]
    return people, services


def parse_factors(document: dict[str, dict[str, Any]]) -> dict[UUID, FirstFactors]:
    """Each founder's first authenticators, by the founder's id."""
    return {
        UUID(person): FirstFactors(
            passkeys=tuple(Passkey(**key) for key in given.get("passkeys", [])),
            secrets=tuple(base64.b32decode(secret) for secret in given.get("secrets", [])),
        )
        for person, given in document.items()
    }
