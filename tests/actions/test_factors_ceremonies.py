"""A ceremony …"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import django_otp
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from core import clock
from core.audit.models import AuditEvent
from core.factors.actions import (
    Outcome,
    answer_challenge,
    end_factor,
    issue_challenge,
)
from core.factors.actions.ceremonies import SENTENCES
from core.factors.domain import acts
from core.factors.domain.strength import STRONG_ENOUGH, Needs
from core.factors.given import Touched, Typed
from core.factors.models import Challenge, Code, Passkey
from core.refusals import NotAllowed
from kernel.webauthn import Assertion
from tests.officers import Officer, Staff
from tests.sql import as_the_console, refused

pytestmark = pytest.mark.django_db
SESSION = "a" * 64


def act(**changes: Any) -> bytes:
    """The digest of one withdrawal's release."""
    plain: dict[str, Any] = {
        "method": "POST",
        "route": "release",
        "target": {"withdrawal_id": "42"},
        "fields": {"reason": ["seen"]},
        "files": {},
    }
    return acts.digest(**{**plain, **changes})


def asked(
    officer: Officer, digest: bytes, *, needs: Needs = Needs.MONEY, session: str = SESSION
) -> Challenge:
    return issue_challenge(
        purpose=needs, act="release", digest=digest, session=session, actor=officer.actor, now=clock.now()
    )


def touched(officer: Officer, row: Challenge, digest: bytes, **how: Any) -> Touched:
    """The passkey's answer about what the person believes to be the act."""
    where = {"origin": settings.CONSOLE_ORIGIN, "rp_id": "console.localhost", **how}
    challenge = acts.challenge(bytes(row.nonce), digest)
    return Touched(officer.key.credential_id, officer.key.assertion(challenge, **where))


def answered(
    officer: Officer,
    row: Challenge,
    given: Touched | Typed,
    digest: bytes,
    *,
    needs: Needs = Needs.MONEY,
    session: str = SESSION,
    now: datetime | None = None,
) -> Outcome:
    return answer_challenge(
        challenge_id=row.pk,
        given=given,
        purpose=needs,
        digest=digest,
        session=session,
        admits=STRONG_ENOUGH[needs],
        actor=officer.actor,
        now=now or clock.now(),
    )


def as_owner(change: str) -> None:
    """What only time may do, done by the hand of the table's owner: no role of the application can."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE factors_challenge DISABLE TRIGGER USER")
        cursor.execute(change)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("ALTER TABLE factors_challenge ENABLE TRIGGER USER")


def last_event() -> Any:
    return AuditEvent.objects.order_by("-id")[0].doc


def test_lets_exactly_the_act_pass_once(staff: Staff) -> None:
    row, digest = asked(staff.ana, act()), act()
    given = touched(staff.ana, row, digest)
    outcome = answered(staff.ana, row, given, digest)
    assert (outcome.fault, outcome.kind) == ("", "passkey")
    assert last_event()["action"] == "factors.ceremony.accepted"
    assert last_event()["after"]["factor"] == str(
        Passkey.objects.get(user=staff.ana.identity, sealed=False).pk
    )
    before = AuditEvent.objects.count()
    assert answered(staff.ana, row, given, digest).fault == "challenge.used"
    assert AuditEvent.objects.count() == before + 1
    assert last_event()["action"] == "factors.ceremony.refused"


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": {"reason": ["seen "]}},
        {"fields": {"reason": ["seen"], "more": ["x"]}},
        {"fields": {"reason": ["seen", "seen"]}},
        {"target": {"withdrawal_id": "43"}},
        {"route": "reject"},
        {"method": "PUT"},
        {"files": {"partial": "00" * 32}},
    ],
)
def test_is_about_one_act_and_no_other(staff: Staff, changes: Any) -> None:
    row, other = asked(staff.ana, act()), act(**changes)
    # The person confirms what the page showed; something else arrives.
    assert answered(staff.ana, row, touched(staff.ana, row, act()), other).fault == "challenge.other_act"
    # The page showed something else than what was asked about.
    row = asked(staff.ana, act())
    assert answered(staff.ana, row, touched(staff.ana, row, other), act()).fault == "assertion.challenge"


def test_is_no_other_persons_and_no_other_sessions(staff: Staff) -> None:
    row, digest = asked(staff.ana, act()), act()
    assert answered(staff.ben, row, touched(staff.ben, row, digest), digest).fault == "challenge.unknown"
    given = touched(staff.ana, row, digest)
    assert answered(staff.ana, row, given, digest, session="b" * 64).fault == "challenge.unknown"
    assert answered(staff.ana, row, given, digest, needs=Needs.ACT).fault == "challenge.unknown"
    # The device belongs to the person that the edge's token names, or is worth nothing.
    assert answered(staff.ana, row, touched(staff.ben, row, digest), digest).fault == "factors.unknown"


def test_costs_its_question_when_the_answer_is_wrong(staff: Staff) -> None:
    row, digest = asked(staff.ana, act()), act()
    wrong = touched(staff.ana, row, digest, origin="https://console.localhost.evil.example")
    assert answered(staff.ana, row, wrong, digest).fault == "assertion.origin"
    assert answered(staff.ana, row, touched(staff.ana, row, digest), digest).fault == "challenge.used"


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ({"flags": 0x01}, "assertion.user_verification"),
        ({"flags": 0x04}, "assertion.user_presence"),
        ({"rp_id": "approver.localhost"}, "assertion.rp_id"),
        ({"origin": "http://approver.localhost:8000"}, "assertion.origin"),
    ],
)
def test_needs_a_verified_user_on_our_own_page(staff: Staff, how: Any, fault: str) -> None:
    row, digest = asked(staff.ana, act()), act()
    assert answered(staff.ana, row, touched(staff.ana, row, digest, **how), digest).fault == fault


def test_refuses_a_forged_signature_and_a_counter_that_went_back(staff: Staff) -> None:
    row, digest = asked(staff.ana, act()), act()
    given = touched(staff.ana, row, digest)
    forged = replace(given.assertion, signature=given.assertion.signature[:-1] + b"\x00")
    assert answered(staff.ana, row, replace(given, assertion=forged), digest).fault == "assertion.signature"
    Passkey.objects.filter(user=staff.ana.identity).update(sign_count=4_000_000_000)
    row = asked(staff.ana, act())
    assert answered(staff.ana, row, touched(staff.ana, row, digest), digest).fault == "factors.counter"


def test_counts_on_wherever_it_ever_counted(staff: Staff) -> None:
    """Where a copy of the key may be in use, neither is used again; a passkey of a cloud counts nothing."""

    def says(count: int) -> str:
        row, digest, key = asked(staff.ana, act()), act(), staff.ana.key
        honest = touched(staff.ana, row, digest)
        data = honest.assertion.authenticator_data[:33] + count.to_bytes(4, "big")
        signed = data + hashlib.sha256(honest.assertion.client_data).digest()
        given = replace(
            honest.assertion,
            authenticator_data=data,
            signature=key._key.sign(signed, ec.ECDSA(hashes.SHA256())),
        )
        return answered(staff.ana, row, replace(honest, assertion=given), digest).fault

    assert [says(0), says(0)] == ["", ""]
    assert [says(count) for count in (5, 5, 4, 0, 6, 2**32 - 1, 2**32 - 1, 0)] == [
        "",
        *["factors.counter"] * 3,
        "",
        "",
        *["factors.counter"] * 2,
    ]


def test_is_too_late_after_a_minute_of_the_databases_clock(staff: Staff) -> None:
    row, digest = asked(staff.ana, act()), act()
    assert row.expires_at is not None
    assert row.made_at is not None
    assert row.expires_at - row.made_at == timedelta(seconds=60)
    as_owner("UPDATE factors_challenge SET expires_at = clock_timestamp()")
    assert answered(staff.ana, row, touched(staff.ana, row, digest), digest).fault == "challenge.expired"


def test_ends_with_the_authenticator(staff: Staff) -> None:
    row, digest = asked(staff.ana, act()), act()
    given = touched(staff.ana, row, digest)
    key = Passkey.objects.get(user=staff.ana.identity, sealed=False)
    end_factor(factor_id=key.pk, reason="left in a taxi", actor=staff.ana.actor, now=clock.now())
    assert answered(staff.ana, row, given, digest).fault == "factors.unknown"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE factors_challenge SET used_at = NULL",
        "UPDATE factors_challenge SET used_at = now() + interval '1 s'",
        "UPDATE factors_challenge SET outcome = 'accepted'",
        "UPDATE factors_challenge SET expires_at = now() + interval '1 day'",
        "UPDATE factors_challenge SET digest = sha256('')",
        "DELETE FROM factors_challenge",
        "UPDATE factors_code SET last_step = -1",
        "UPDATE factors_code SET sealed_secret = ''",
        "UPDATE factors_passkey SET user_id = (SELECT id FROM access_identity WHERE email LIKE 'eve%')",
        "UPDATE factors_passkey SET public_key = '04' || repeat('00', 64)",
        "DELETE FROM factors_passkey",
    ],
)
def test_is_kept_as_it_was_against_sql(staff: Staff, statement: str) -> None:
    now, digest = clock.now(), act()
    row = asked(staff.ana, digest, needs=Needs.ACT)
    typed = Typed(staff.ana.app.code(now.timestamp()))
    assert answered(staff.ana, row, typed, digest, needs=Needs.ACT, now=now).fault == ""
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_is_answered_in_time_or_not_at_all_against_sql_as_well(staff: Staff) -> None:
    """Whoever owns the console's process also writes past what the code checks before it writes."""
    use = "UPDATE factors_challenge SET used_at = clock_timestamp() WHERE id = %s"
    late, timely = asked(staff.ana, act()), asked(staff.ana, act())
    as_owner(f"UPDATE factors_challenge SET expires_at = clock_timestamp() WHERE id = '{late.pk}'")
    with as_the_console():
        refused(use, late.pk, match="a challenge is used once, and in time")
        with connection.cursor() as cursor:
            cursor.execute(use, [timely.pk])
    late.refresh_from_db()
    timely.refresh_from_db()
    assert (late.used_at, timely.used_at is None) == (None, False)


def test_says_no_to_django_otps_own_questions(staff: Staff) -> None:
    code = Code.objects.get(user=staff.ana.identity)
    typed = staff.ana.app.code(clock.now().timestamp())
    assert list(django_otp.devices_for_user(staff.ana.identity)) != []
    assert not code.verify_token(typed)
    assert django_otp.match_token(staff.ana.identity, typed) is None


def test_keeps_no_secret_in_the_clear(staff: Staff) -> None:
    code = Code.objects.get(user=staff.ana.identity)
    assert staff.ana.app.secret not in bytes(code.sealed_secret)
    other = Code.objects.get(user=staff.ben.identity)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE factors_code DISABLE TRIGGER USER")
    Code.objects.filter(pk=other.pk).update(sealed_secret=code.sealed_secret)
    row, digest = asked(staff.ben, act(), needs=Needs.ACT), act()
    typed = Typed(staff.ana.app.code(clock.now().timestamp()))
    with pytest.raises(InvalidTag):
        answered(staff.ben, row, typed, digest, needs=Needs.ACT)


def test_is_asked_of_officers_alone(staff: Staff) -> None:
    with pytest.raises(NotAllowed):
        issue_challenge(
            purpose=Needs.ACT,
            act="x",
            digest=act(),
            session=SESSION,
            actor=replace(staff.ana.actor, identity=None),
            now=clock.now(),
        )
    nobody = Assertion(b"", b"", b"")
    outcome = answer_challenge(
        challenge_id=UUID(int=uuid4().int),
        given=Touched("x", nobody),
        purpose=Needs.ACT,
        digest=act(),
        session=SESSION,
        admits=STRONG_ENOUGH[Needs.ACT],
        actor=staff.ana.actor,
        now=clock.now(),
    )
    assert outcome.fault == "challenge.unknown"


def test_has_a_sentence_for_every_fault_of_ours() -> None:
    assert all(Outcome(code).sentence == sentence for code, sentence in SENTENCES.items())
    assert "assertion.origin" in Outcome("assertion.origin").sentence
