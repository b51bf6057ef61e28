from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.audit import exporting, notarizing, packing, witnesses
from core.audit.actions import export_log
from core.operators import operator

REACH_S: Final = 30


def moment(text: str) -> datetime:
    """A time in ISO 8601; without a zone it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = (
        "Write sealed events, checkpoints with cosignatures and the log's key into a folder, for the offline "
        "verifier; or OCSF for a SIEM. The export itself is audited."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--since", type=moment, help="the first moment that matters")
        parser.add_argument("--until", type=moment, help="the moment before which events matter")
        parser.add_argument("--form", choices=("jsonl", "ocsf"), default="jsonl")
        parser.add_argument(
            "--reach", type=int, default=0, help="wait until every witness has cosigned so many events"
        )
        parser.add_argument("--reason", default="asked for on the command line")

    def handle(self, *args: Any, **options: Any) -> None:
        verifier = notarizing.verifier(settings.AUDIT_KEY_FILE, origin=settings.AUDIT_ORIGIN)
        by = witnesses.keys(settings.AUDIT_WITNESSES_FILE)
        folder, since, until = options["folder"], options["since"], options["until"]
        if lacking := exporting.lacking(options["reach"], by=by, within_s=REACH_S):
            raise CommandError(f"Nothing was exported: not cosigned so far within {REACH_S} s: {lacking}.")
        span = export_log(
            since=since,
            until=until,
            form=options["form"],
            reason=options["reason"],
            by=by,
            actor=operator("export"),
            now=clock.now(),
        )
        for path in exporting.write(folder, verifier, span, by=by):
            self.stdout.write(str(path))
        if options["form"] == "ocsf":
            path = folder / "events.ocsf.jsonl"
            with path.open("wb") as file:
                file.writelines(packing.ocsf_lines(span, since, until))
            self.stdout.write(str(path))
