"""Collecting cosignatures: the newest head of every log is carried to every witness, and back to its log.

No transaction is open meanwhile. A witness that says no, or nothing, is asked again at the next turn; the
screens show how far each has come. Neither log nor witness need trust the collector: it carries notes and
makes none.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from core.audit import cosigned, witnesses
from core.audit.models import AuditCosignature
from core.audit.sources import Silent, Source
from core.audit.witnesses import Unwilling, Witness
from kernel import cosignature, note

log = logging.getLogger(__name__)

AGAIN_AFTER: Final = timedelta(minutes=2)
"""A head that does not change is shown again, so that a signer's witnesses are never long ago."""
CLOCKS_APART: Final = timedelta(minutes=2)
"""A cosignature of a later time would look fresh when it is not, and is not taken."""


def collect(source: Source, among: Sequence[Witness], *, now: datetime) -> int:
    """Ask every witness that has not cosigned this log's newest head lately; how many did now."""
    try:
        signed = source.head()
        if signed is None:
            return 0
        return _collect(source, signed, among, now)
    except Silent as error:
        log.warning("no head of %s: %s", source.log.name, error)
        return 0


def _collect(source: Source, signed: str, among: Sequence[Witness], now: datetime) -> int:
    head = note.Checkpoint.parse(note.open_note(signed, by=source.log))
    rows = AuditCosignature.objects.filter(log=source.log.name, size=head.size)
    lines, count = [], 0
    for witness in among:
        known = cosigned.newest(rows, by=witness.cosigner, under=signed)[0]
        if known is not None and now - AGAIN_AFTER < known.at <= now + CLOCKS_APART:
            lines.append(known.text)
            continue
        try:
            line = _cosigned(source, witness, head, signed)
            at = cosignature.check(head.text(), [line], by=witness.cosigner)
            if at > (now + CLOCKS_APART).timestamp():
                raise Unwilling(f"{witness.cosigner.name} saw it at {at}, which is still to come")
        except (Unwilling, ValueError) as error:
            log.warning("no cosignature on %s entries of %s: %s", head.size, source.log.name, error)
            continue
        row = AuditCosignature(
            log=source.log.name,
            size=head.size,
            witness=witness.cosigner.name,
            note=signed,
            line=line,
            at=datetime.fromtimestamp(at, UTC),
        )
        # Where a false row took its place, the next one has another time.
        AuditCosignature.objects.bulk_create([row], ignore_conflicts=True)
        lines.append(line)
        count += 1
    if count:
        source.give(signed + "".join(f"{line}\n" for line in lines))
    return count


def _cosigned(source: Source, witness: Witness, head: note.Checkpoint, signed: str) -> str:
    """Its signature line; where it has seen more or less than we remember, from there."""
    mine = AuditCosignature.objects.filter(
        log=source.log.name, witness=witness.cosigner.name, size__lte=head.size
    )
    old = mine.order_by("-size").values_list("size", flat=True).first() or 0
    try:
        return witnesses.ask(witness, old=old, proof=source.proof(old, head.size), note=signed)
    except Unwilling as error:
        if error.seen is None or error.seen == old:
            raise
        if error.seen > head.size:
            raise Unwilling(f"{error}: more than the log holds ({head.size})") from None
        proof = source.proof(error.seen, head.size)
        return witnesses.ask(witness, old=error.seen, proof=proof, note=signed)
