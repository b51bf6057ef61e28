"""An event that is longer than others …"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from django.db import DataError, transaction

from core import audit
from core.action import action
from core.actor import Actor
from core.audit import exporting, sealing
from core.audit.models import EVENT_CHARS_MAX, AuditCheckpoint, AuditEvent
from core.audit.writing import NotWritable
from kernel import canonical, merkle, note
from tests.actions.test_core_audit_sealing import Event, seal_all
from tests.notaries import soft_log


@action(Event.DONE)
def say(*, reason: str, actor: Actor, now: datetime) -> None:
    audit.record(Event.DONE, "thing/1", actor=actor, now=now, reason=reason)


def test_than_the_log_takes_is_refused_with_a_sentence_and_on_record(
    real_database: str, robot: Actor, now: datetime
) -> None:
    say(reason="x" * (canonical.LENGTH_MAX - 1000), actor=robot, now=now)
    with pytest.raises(NotWritable, match=f"cannot hold .*longer than {canonical.LENGTH_MAX} bytes"):
        say(reason="x" * canonical.LENGTH_MAX, actor=robot, now=now)
    written = [row.doc["action"] for row in AuditEvent.texts.order_by("pk")]
    assert written == [Event.DONE, f"{Event.DONE}.refused"]


def test_than_the_log_takes_is_refused_by_the_database_whoever_writes_it(real_database: str) -> None:
    AuditEvent.texts.append("\N{EURO SIGN}" * EVENT_CHARS_MAX)
    with pytest.raises(DataError, match="too long"), transaction.atomic():
        AuditEvent.texts.append("x" * (EVENT_CHARS_MAX + 1))
    assert AuditEvent.texts.count() == 1


def test_is_sealed_among_the_others_and_only_few_such_at_a_time(
    real_database: str, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "LONG_MAX", 2)
    long = "y" * (sealing.SHORT + 1)
    texts = ["{}", long, "z" * sealing.SHORT, f"{long}2", "[]", f"{long}3", "0"]
    for text in texts:
        AuditEvent.texts.append(text)
    log, seal = soft_log(tmp_path, origin="countersign/test/audit")
    assert seal_all(seal, now=now) == len(texts)
    heads = [
        note.Checkpoint.parse(note.open_note(row.note, by=log))
        for row in AuditCheckpoint.objects.order_by("size")
    ]
    monkeypatch.setattr(exporting, "TEXTS", 2)
    assert list(exporting.texts(exporting.span(since=None, until=None))) == list(enumerate(texts))
    leaves = [merkle.leaf(text.encode()) for text in texts]
    assert [(head.size, head.root) for head in heads] == [
        (size, merkle.root(leaves[:size])) for size in (5, 7)
    ]
