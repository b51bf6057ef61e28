"""Collecting cosignatures: each witness is shown the newest checkpoint, after it was sealed and committed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from core.audit import tree, witnesses
from core.audit.models import AuditCheckpoint, AuditCosignature
from core.audit.witnesses import Unwilling, Witness
from kernel import cosignature

log = logging.getLogger(__name__)


def collect(among: Sequence[Witness]) -> int:
    """Ask every witness that has not cosigned the newest checkpoint; how many did now.

    No transaction is open meanwhile. A witness that says no, or nothing, is asked again after the next
    sealing; the health screen shows how far each has come.
    """
    newest = AuditCheckpoint.objects.order_by("-size").first()
    if newest is None:
        return 0
    have = set(AuditCosignature.objects.filter(size=newest.size).values_list("witness", flat=True))
    count = 0
    for witness in among:
        if witness.cosigner.name in have:
            continue
        try:
            line = _cosigned(witness, newest)
            at = cosignature.check(_text(newest), [line], by=witness.cosigner)
        except (Unwilling, ValueError) as error:
            log.warning("no cosignature on %s events: %s", newest.size, error)
            continue
        AuditCosignature.objects.create(
            size=newest.size,
            witness=witness.cosigner.name,
            line=line,
            at=datetime.fromtimestamp(at, UTC),
        )
        count += 1
    return count


def _cosigned(witness: Witness, newest: AuditCheckpoint) -> str:
    """Its signature line; where it has seen more or less than we remember, from there."""
    mine = AuditCosignature.objects.filter(witness=witness.cosigner.name, size__lte=newest.size)
    old = mine.order_by("-size").values_list("size", flat=True).first() or 0
    try:
        return _ask(witness, newest, old=old)
    except Unwilling as error:
        if error.seen is None or error.seen == old:
            raise
        if error.seen > newest.size:
            raise Unwilling(f"{error}: more than this log holds ({newest.size})") from None
        return _ask(witness, newest, old=error.seen)


def _ask(witness: Witness, newest: AuditCheckpoint, *, old: int) -> str:
    proof = tree.consistency_proof(newest.size, old)
    return witnesses.ask(witness, old=old, proof=proof, note=newest.note)


def _text(checkpoint: AuditCheckpoint) -> str:
    return checkpoint.note.rpartition("\n\n")[0] + "\n"
