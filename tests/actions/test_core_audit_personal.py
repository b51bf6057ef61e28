"""A person's data in the audit log …"""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.db import DatabaseError, connection, transaction
from django.test import override_settings

from core import audit
from core.action import NoOpenAction, action
from core.actor import Actor, system
from core.audit import subjects
from core.audit.models import AuditEvent, AuditSubject
from core.audit.subjects import NoReadOnRecord, NotOpened, TooManyPeople
from core.vault import boxes
from kernel import canonical, encodings, merkle
from tests.cast import NOW
from tests.erasing import forget
from tests.vaults import serving

pytestmark = pytest.mark.django_db
TOM, TIA = "customers.customer/tom", "customers.customer/tia"


class Event(StrEnum):
    MET = "test.met"


@action(Event.MET)
def meet(*, subject: str, email: str, actor: Actor, now: datetime) -> None:
    audit.record(Event.MET, subject, actor=actor, now=now, after={"email": audit.personal(subject, email)})


def read(of: str) -> AuditEvent:
    return audit.record_read(Event.MET, "a list", of=of, actor=system("reader"), now=NOW, fields=["email"])


def emails() -> list[str | None]:
    rows = list(AuditEvent.objects.filter(doc__action="test.met", act__isnull=False).order_by("id"))
    return [subjects.reveal(row.doc["after"]["email"], read=read(row.doc["target"])) for row in rows]


def test_is_sealed_and_read_back(robot: Actor, now: datetime) -> None:
    for subject, email in ((TOM, "tom@example.com"), (TIA, "tia@example.com"), (TOM, "tom@example.org")):
        meet(subject=subject, email=email, actor=robot, now=now)
    assert not AuditEvent.objects.filter(canon__contains="@").exists()
    assert emails() == ["tom@example.com", "tia@example.com", "tom@example.org"]
    assert subjects.is_personal(AuditEvent.objects.all()[0].doc["after"]["email"])
    assert AuditSubject.objects.count() == 2


def test_is_gone_with_its_key_while_every_hash_stays(robot: Actor, now: datetime) -> None:
    for subject, email in ((TOM, "tom@example.com"), (TIA, "tia@example.com")):
        meet(subject=subject, email=email, actor=robot, now=now)
    before = merkle.root(merkle.leaf(row.canon.encode()) for row in AuditEvent.objects.order_by("id"))
    assert forget(subject=TOM, actor=robot, now=now)
    assert not forget(subject=TOM, actor=robot, now=now)
    assert emails() == [None, "tia@example.com"]
    rows = list(AuditEvent.objects.exclude(act=None).order_by("id"))
    assert merkle.root(merkle.leaf(row.canon.encode()) for row in rows[:2]) == before
    assert (rows[2].doc["action"], len(rows)) == ("test.forgot", 3)
    meet(subject=TOM, email="tom@example.net", actor=robot, now=now)
    assert emails() == [None, "tia@example.com", None]


def test_is_not_shown_to_whoever_asked_for_it_before_its_key_was_gone(
    robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    meet(subject=TOM, email="tom@example.com", actor=robot, now=now)
    ask = subjects.serving.ask

    def slowly(*question: Any, **told: Any) -> Any:
        answer = ask(*question, **told)
        assert forget(subject=TOM, actor=robot, now=now)
        return answer

    monkeypatch.setattr(subjects.serving, "ask", slowly)
    assert emails() == [None]


def test_is_bound_to_the_person(robot: Actor, now: datetime) -> None:
    meet(subject=TOM, email="tom@example.com", actor=robot, now=now)
    value = AuditEvent.objects.get().doc["after"]["email"]
    assert subjects.reveal({**value, "subject": TIA}, read=read(TIA)) is None
    meet(subject=TIA, email="tia@example.com", actor=robot, now=now)
    with pytest.raises(NotOpened, match="VAULT_NOT_OURS"):
        subjects.reveal({**value, "subject": TIA}, read=read(TIA))
    with pytest.raises(NoOpenAction):
        audit.personal(TOM, "x")


@pytest.mark.parametrize(
    "attack",
    ["DELETE FROM audit_subject", "UPDATE audit_subject SET subject = 'x'", "TRUNCATE audit_subject"],
)
def test_cannot_be_rekeyed_by_raw_sql(attack: str, robot: Actor, now: datetime) -> None:
    meet(subject=TOM, email="tom@example.com", actor=robot, now=now)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attack)


def test_is_opened_only_for_a_read_of_that_person_that_is_on_record(robot: Actor, now: datetime) -> None:
    meet(subject=TOM, email="tom@example.com", actor=robot, now=now)
    met = AuditEvent.objects.get()
    value = met.doc["after"]["email"]
    for other in (met, read(TIA), AuditEvent(canon=read(TOM).canon)):
        with pytest.raises(NoReadOnRecord):
            subjects.reveal(value, read=other)
    assert subjects.reveal(value, read=read(TOM)) == "tom@example.com"


def test_is_not_opened_by_a_key_that_a_web_process_made_and_kept(robot: Actor, now: datetime) -> None:
    """Whoever runs code there makes the row of a person yet to come, and later reads the tables alone."""
    kept = X25519PrivateKey.generate()
    public, vault = kept.public_key().public_bytes_raw(), subjects.vault_key()
    wrapped = boxes.seal(kept.private_bytes_raw(), vault, bound_to=f"person|{TOM}")
    AuditSubject.objects.create(subject=TOM, public=public, wrapped=wrapped)
    meet(subject=TOM, email="tom@example.com", actor=robot, now=now)
    assert emails() == ["tom@example.com"], "nobody notices"
    sealed = encodings.from_base64url(AuditEvent.objects.order_by("id")[0].doc["after"]["email"]["sealed"])
    for bound_to in (f"{TOM}|{subjects.PLACE}", f"around|{TOM}|{subjects.PLACE}"):
        with pytest.raises(boxes.NotOurs):
            boxes.open_sealed(sealed, kept, bound_to=bound_to)


def test_needs_the_vault_which_writes_down_who_what_and_why(
    robot: Actor, now: datetime, tmp_path: Path
) -> None:
    with serving(tmp_path) as vault:
        meet(subject=TOM, email="tom@example.com", actor=robot, now=now)
        value = AuditEvent.objects.get().doc["after"]["email"]
        event = read(TOM)
        assert subjects.reveal(value, read=event) == "tom@example.com"
        (line,) = (canonical.decode_object(line[:-1]) for line in vault.log.lines)
        assert (line["subject"], line["actor"], line["purpose"]) == (TOM, "system/reader", "test.met")
        assert (line["event"], line["code"]) == (event.doc["id"], "")
    (tmp_path / "vault.sock").unlink()
    with (
        pytest.raises(NotOpened, match="does not answer"),
        override_settings(VAULT_SOCKET=tmp_path / "vault.sock"),
    ):
        subjects.reveal(value, read=event)


def test_stops_at_the_quota_whoever_a_web_process_says_it_asks_for(
    robot: Actor, now: datetime, tmp_path: Path
) -> None:
    with serving(tmp_path, per_actor=2, per_caller=3) as vault:
        people = [f"customers.customer/{number}" for number in range(5)]
        for person in people:
            meet(subject=person, email="x@example.com", actor=robot, now=now)
        values = [row.doc["after"]["email"] for row in AuditEvent.objects.order_by("id")]

        def look(number: int, reader: str) -> str | None:
            event = audit.record_read(
                Event.MET, "a list", of=people[number], actor=system(reader), now=now, fields=["email"]
            )
            return subjects.reveal(values[number], read=event)

        assert look(0, "ana") == look(1, "ana") == look(1, "ana") == "x@example.com"
        with pytest.raises(TooManyPeople):
            look(2, "ana")
        assert look(2, "ben") == "x@example.com"
        with pytest.raises(TooManyPeople):
            look(3, "cy")  # a new name does not help: the process itself has a quota
        assert [canonical.decode_object(line[:-1])["code"] for line in vault.log.lines][-1] == "VAULT_QUOTA"
