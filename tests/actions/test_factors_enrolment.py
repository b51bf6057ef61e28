"""A new authenticator …"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from core import clock
from core.approvals.actions import submit_signature, withdraw_request
from core.approvals.actions.signatures import MakerCannotCheck, NotInQuorum, NotOpen
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.factors.actions import begin_code, end_factor, issue_challenge, propose_code, propose_passkey
from core.factors.actions.ending import EndedAlready, ReasonMissing
from core.factors.actions.registering import REGISTER, KnownAlready, NotRegistered, TooMany
from core.factors.attestation import BadRegistration, UnknownModel
from core.factors.domain import acts
from core.factors.domain.factors import NEXT, State
from core.factors.models import Code, Passkey
from core.outbox.models import OutboxMessage
from core.refusals import NotAllowed, NotFound
from fixtures.authenticator import AAGUID, App, Authenticator
from kernel import canonical
from tests.officers import Officer, Staff
from tests.sql import as_the_console, refused, signature_sql

SESSION = "a" * 64
DIGEST = b"\x05" * 32
ADD_ACTIVE = (
    "INSERT INTO factors_passkey (id, name, state, begun_at, credential_id, public_key, sign_count, aaguid,"
    " attestation, attestation_object, client_data, user_id) SELECT gen_random_uuid(), name, 'active',"
    " begun_at, 'x', '04' || repeat('1', 128), 0, aaguid, attestation, '', '', user_id"
    " FROM factors_passkey LIMIT 1"
)


FOUNDED = "CREATE OR REPLACE FUNCTION staff_is_being_founded() RETURNS boolean LANGUAGE sql AS 'SELECT false'"
"""The founding is over as soon as its transaction is; a test's never ends."""


def register(officer: Officer, key: Authenticator, *, sealed: bool = False, **how: Any) -> ApprovalRequest:
    """Plug a new key in and have it registered."""
    row = issue_challenge(
        purpose=REGISTER, act="passkey", digest=DIGEST, session=SESSION, actor=officer.actor, now=clock.now()
    )
    where = {"origin": settings.CONSOLE_ORIGIN, "rp_id": "console.localhost"}
    challenge = acts.challenge(bytes(row.nonce), DIGEST)
    answer = key.registration(how.pop("challenge", challenge), **{**where, **how})
    return propose_passkey(
        challenge_id=row.pk,
        session=SESSION,
        label="the blue one",
        reason="the old one is worn",
        actor=officer.actor,
        now=clock.now(),
        sealed=sealed,
        **answer,
    )


def sign(officer: Officer, request: ApprovalRequest, verb: str = "approve") -> ApprovalRequest:
    signed = officer.answer(request, verb, "" if verb == "approve" else "who is this?")
    return submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=clock.now())


@pytest.mark.django_db
def test_is_worth_nothing_until_a_second_person_has_approved_exactly_it(staff: Staff) -> None:
    key = Authenticator()
    request = register(staff.eve, key)
    row = Passkey.objects.get(credential_id=key.credential_id)
    assert (row.state, row.confirmed, row.aaguid, row.attestation) == (
        "pending",
        False,
        str(AAGUID),
        "packed",
    )
    assert bytes(row.attestation_object)
    assert canonical.decode_object(bytes(request.payload)) == {
        "v": 1,
        "kind": "factors.enrol_passkey",
        "deployment": "test",
        "maker": str(staff.eve.identity.pk),
        "person": str(staff.eve.identity.pk),
        "person_name": "Eve Ekström",
        "reason": "the old one is worn",
        "factor": str(row.pk),
        "label": "the blue one",
        "credential_id": key.credential_id,
        "public_key": key.public_key_hex,
        "aaguid": str(AAGUID),
        "attestation": "packed",
    }
    assert sign(staff.ben, request).state == "consumed"
    row.refresh_from_db()
    assert (row.state, row.confirmed) == ("active", True)
    newest = AuditEvent.objects.order_by("-id")[0].doc
    assert (newest["action"], newest["after"]["person"]) == (
        "factors.factor.added",
        str(staff.eve.identity.pk),
    )
    assert OutboxMessage.objects.get(topic="factors.changed").body["what"] == "added"


@pytest.mark.django_db
def test_is_approved_by_no_one_who_may_not(staff: Staff) -> None:
    request = register(staff.ben, Authenticator())
    with pytest.raises(MakerCannotCheck):
        sign(staff.ben, request)
    for officer in (staff.sam, staff.dot, staff.eve):
        with pytest.raises(NotInQuorum):
            sign(officer, request)
    assert not Passkey.objects.get(name="the blue one").confirmed


@pytest.mark.django_db
def test_is_asked_for_and_answered_by_nobody_in_anothers_place_by_sql(staff: Staff) -> None:
    ours = register(staff.eve, Authenticator())
    again = (
        "INSERT INTO approvals_request (id, kind, deployment, payload, nonce, maker_id, subject, teams,"
        " floor, rejections_needed, policy_version, rule, facts, was_for_lane, agreeing, state,"
        " approve_within, execute_within) SELECT gen_random_uuid(), kind, deployment, {payload},"
        " sha256(nonce), {maker}, {subject}, teams, floor, rejections_needed, policy_version, rule,"
        " facts || jsonb_build_object('maker', {maker}), was_for_lane, agreeing, 'open', approve_within,"
        " execute_within FROM approvals_request WHERE id = %s"
    )
    ben = f"'{staff.ben.identity.pk}'::uuid"
    theirs = {"payload": "payload", "maker": ben, "subject": "subject"}
    renamed = f"convert_to(replace(convert_from(payload, 'UTF8'), maker_id::text, {ben}::text), 'UTF8')"
    disguised = {"payload": "payload", "maker": "maker_id", "subject": f"'access.identity/' || {ben}"}
    with as_the_console(), connection.cursor() as cursor:
        for changed in (theirs, theirs | {"payload": renamed}, disguised):
            refused(again.format(**changed), ours.pk, match="nobody asks for another's authenticator")
        sql, values = signature_sql(staff.eve, ours)
        refused(sql, *values, match=r"signature_\w*maker")
        cursor.execute(
            again.format(payload=renamed, maker=ben, subject=f"'access.identity/' || {ben}"), [ours.pk]
        )


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["reject", "withdraw", "ended"])
def test_never_comes_to_life_once_it_was_refused(staff: Staff, how: str) -> None:
    request = register(staff.eve, Authenticator())
    row = Passkey.objects.get(name="the blue one")
    if how == "reject":
        sign(staff.ben, request, "reject")
    elif how == "withdraw":
        withdraw_request(request_id=request.pk, reason="wrong key", actor=staff.eve.actor, now=clock.now())
    else:
        end_factor(factor_id=row.pk, reason="wrong key", actor=staff.eve.actor, now=clock.now())
        with pytest.raises(NotOpen, match="is withdrawn"):
            sign(staff.ben, request)
    row.refresh_from_db()
    assert row.state == "ended"


@pytest.mark.django_db
@pytest.mark.parametrize("sealed", [False, True])
def test_that_is_lost_while_it_waits_leaves_room_for_the_next(staff: Staff, sealed: bool) -> None:
    """Nobody is asked any longer about a key that is gone, and its owner need not wait for an hour."""
    request = register(staff.ana, Authenticator(), sealed=sealed)
    key = Passkey.objects.get(state="pending")
    before = OutboxMessage.objects.count()
    end_factor(factor_id=key.pk, reason="fell into the lake", actor=staff.ana.actor, now=clock.now())
    request.refresh_from_db()
    assert request.state == "withdrawn"
    names = [event.doc["action"] for event in AuditEvent.objects.order_by("-id")[:2]]
    assert sorted(names) == ["approvals.request.withdrawn", "factors.factor.ended"]
    assert OutboxMessage.objects.count() == before + 2
    assert register(staff.ana, Authenticator(), sealed=sealed).state == "open"


@pytest.mark.django_db
def test_that_is_lost_takes_no_other_request_with_it(staff: Staff) -> None:
    request = register(staff.ana, Authenticator())
    app = Code.objects.get(user=staff.ana.identity, state="active")
    end_factor(factor_id=app.pk, reason="a new telephone", actor=staff.ana.actor, now=clock.now())
    request.refresh_from_db()
    assert request.state == "open"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "how",
    [
        {"flags": 0x01},
        {"origin": "http://console.localhost:1"},
        {"rp_id": "approver.localhost"},
        {"challenge": b"\x01" * 32},
        {"framed": True},
    ],
)
def test_is_no_passkey_of_another_page_or_one_that_verifies_nobody(staff: Staff, how: Any) -> None:
    with pytest.raises(BadRegistration):
        register(staff.eve, Authenticator(), **how)
    assert not Passkey.objects.filter(user=staff.eve.identity, name="the blue one").exists()
    event = AuditEvent.objects.order_by("-id")[0].doc
    assert event["action"] == "factors.factor.proposed.refused"
    assert event["after"] == {"code": BadRegistration.code}


@pytest.mark.django_db
def test_is_of_a_model_that_is_admitted(staff: Staff, settings: Any) -> None:
    settings.PASSKEY_AAGUIDS = frozenset({"cb69481e-8ff7-4039-93ec-0a2729a154a8"})
    with pytest.raises(UnknownModel):
        register(staff.eve, Authenticator())
    settings.PASSKEY_AAGUIDS = frozenset({str(AAGUID)})
    with pytest.raises(UnknownModel, match="does not prove it"):
        register(staff.eve, Authenticator(), attests=False)
    assert register(staff.eve, Authenticator()).state == "open"


@pytest.mark.django_db
def test_is_registered_once_for_one_person(staff: Staff) -> None:
    with pytest.raises(KnownAlready):
        register(staff.eve, staff.ana.key)


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["dot", "eve"])
def test_goes_into_a_safe_only_by_who_may_propose_staff(staff: Staff, who: str) -> None:
    keys = set(Passkey.objects.values_list("credential_id", flat=True))
    with pytest.raises(NotAllowed, match="does not register keys for the safes"):
        register(getattr(staff, who), Authenticator(), sealed=True)
    assert set(Passkey.objects.values_list("credential_id", flat=True)) == keys
    assert not ApprovalRequest.objects.exists()
    assert AuditEvent.objects.order_by("-id")[0].doc["action"] == "factors.factor.proposed.refused"
    key = Authenticator()
    assert register(staff.ana, key, sealed=True).state == "open"
    assert Passkey.objects.get(credential_id=key.credential_id).sealed


@pytest.mark.django_db
def test_leaves_room_for_a_handful(staff: Staff) -> None:
    now = clock.now()
    for _ in range(4):
        sign(staff.ben, register(staff.eve, Authenticator()))
    with pytest.raises(TooMany):
        begin_code(label="telephone", actor=staff.eve.actor, now=now)
    with pytest.raises(TooMany):
        register(staff.eve, Authenticator())


@pytest.mark.django_db
def test_that_is_an_app_shows_first_that_it_works(staff: Staff) -> None:
    now = clock.now()
    draft = begin_code(label="telephone", actor=staff.eve.actor, now=now)
    app = App(draft.secret)

    def propose(digits: str, **how: Any) -> ApprovalRequest:
        plain = {"reason": "a new telephone", "actor": staff.eve.actor, "now": now}
        return propose_code(factor_id=draft.code.pk, digits=digits, **{**plain, **how})

    for digits, how in (
        ("000000" if app.code(now.timestamp()) != "000000" else "000001", {}),
        (app.code(now.timestamp()), {"reason": " "}),
        (app.code(now.timestamp() + 600), {"now": now + timedelta(minutes=10)}),
    ):
        with pytest.raises(NotRegistered):
            propose(digits, **how)
    with pytest.raises(NotFound):
        propose(app.code(now.timestamp()), actor=staff.ana.actor)
    request = propose(app.code(now.timestamp()))
    payload = canonical.decode_object(bytes(request.payload))
    assert (payload["kind"], payload["fingerprint"]) == ("factors.enrol_code", draft.code.fingerprint)
    assert draft.secret.hex() not in bytes(request.payload).decode()
    assert not Code.objects.get(pk=draft.code.pk).confirmed
    sign(staff.cy, request)
    assert Code.objects.get(pk=draft.code.pk).confirmed
    # The code that was shown is used; and an earlier draft ends with the next.
    assert Code.objects.get(pk=draft.code.pk).last_step == int(now.timestamp()) // 30


@pytest.mark.django_db
def test_is_taken_away_at_once_by_its_owner_or_who_may_suspend(staff: Staff) -> None:
    now, mine = clock.now(), Passkey.objects.get(user=staff.dot.identity)
    with pytest.raises(NotFound):
        end_factor(factor_id=mine.pk, reason="because", actor=staff.eve.actor, now=now)
    with pytest.raises(ReasonMissing):
        end_factor(factor_id=mine.pk, reason=" ", actor=staff.dot.actor, now=now)
    end_factor(factor_id=mine.pk, reason="lost", actor=staff.dot.actor, now=now)
    with pytest.raises(EndedAlready):
        end_factor(factor_id=mine.pk, reason="lost", actor=staff.dot.actor, now=now)
    other = Code.objects.get(user=staff.dot.identity)
    ended = end_factor(factor_id=other.pk, reason="she called", actor=staff.sam.actor, now=now)
    assert ended.state == "ended"
    assert OutboxMessage.objects.filter(topic="factors.changed").count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE factors_passkey SET state = 'active' WHERE state = 'pending'",
        ADD_ACTIVE,
        "UPDATE factors_passkey SET state = 'draft'",
        "UPDATE factors_code SET state = 'pending'",
        "UPDATE factors_passkey SET ended_at = now() WHERE state = 'active'",
        "UPDATE factors_passkey SET state = 'ended' WHERE state = 'active'",
    ],
)
def test_needs_the_second_person_against_sql_as_well(staff: Staff, statement: str) -> None:
    register(staff.eve, Authenticator())
    with connection.cursor() as cursor:
        cursor.execute(FOUNDED)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db
def test_comes_to_life_with_the_very_key_that_was_approved_against_sql_as_well(staff: Staff) -> None:
    """Between the request and its approval somebody puts a key of their own in the row's place."""
    theirs = Authenticator().public_key_hex
    request = register(staff.eve, Authenticator())
    with connection.cursor() as cursor:
        cursor.execute(FOUNDED)
        cursor.execute("ALTER TABLE factors_passkey DISABLE TRIGGER USER")
        cursor.execute("UPDATE factors_passkey SET public_key = %s WHERE state = 'pending'", [theirs])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("ALTER TABLE factors_passkey ENABLE TRIGGER USER")
    with pytest.raises(DatabaseError, match="needs the approval of another"):
        sign(staff.ben, request)
    assert Passkey.objects.get(public_key=theirs).state == "pending"


@given(st.lists(st.sampled_from(list(State)), max_size=6))
def test_goes_only_forwards_and_ends_for_good(path: list[State]) -> None:
    state = State.DRAFT
    seen = [state]
    for wanted in path:
        if wanted in NEXT[state]:
            state = wanted
            seen.append(state)
    assert seen == sorted(set(seen), key=list(State).index)
    if State.ACTIVE in seen:
        assert seen[: seen.index(State.ACTIVE)] == [State.DRAFT, State.PENDING]
    assert not NEXT[State.ENDED]


@pytest.mark.django_db
def test_has_one_table_of_steps_in_code_and_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'factors_factor_moves'")
        source = cursor.fetchone()[0]
    pairs = {(a, b) for a in State for b in NEXT[a]}
    for before in State:
        for after in State:
            assert (f"('{before}', '{after}')" in source) == ((before, after) in pairs)
