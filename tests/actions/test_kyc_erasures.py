"""A customer's erasure …"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction
from pytest_django.fixtures import Settings

from backoffice.settings import environment
from core.access.models import Identity
from core.approvals.actions import submit_signature, withdraw_request
from core.approvals.actions.signatures import MakerCannotCheck
from core.approvals.models import ApprovalRequest
from core.approvals.opening import AlreadyOpen
from core.audit.models import AuditSubject
from core.freezes.actions import pull_freeze
from core.ledger import AccountKind, account
from core.refusals import Conflict
from customers import queries as customers
from customers.models import ApiKey, Customer
from kyc import actions, queries, tasks
from kyc.actions.erasures import InTheWay, NoReason
from kyc.domain.cases import Kind
from kyc.domain.erasures import Basis
from kyc.models import Case, CaseEvent, Erasure, KycProfile, ProviderApplicant, Verification
from tests.cast import NOW
from tests.officers import Officer, Staff
from tests.providers import ROBOT, answered, applicant, trader, yes
from tests.roles import as_role
from tests.traces import Trace

pytestmark = pytest.mark.django_db

KEPT_FOR = timedelta(days=5 * 366)
LATER = NOW + KEPT_FOR + timedelta(days=1)


@pytest.fixture
def tom() -> Customer:
    """Tom, of whom nothing was ever approved or booked."""
    return trader()


@pytest.fixture
def known() -> Customer:
    """Tom, whom the provider approved."""
    made = trader()
    answered(applicant(made), yes())
    return made


def asked(tom: Customer, by: Officer, basis: Basis = Basis.ASKED, *, now: datetime = NOW) -> Erasure:
    return actions.request_erasure(
        customer_id=tom.pk, basis=basis, reason="letter 4711", officer=by.identity, actor=by.actor, now=now
    )


def signed(row: Erasure, by: Officer, *, now: datetime = NOW) -> ApprovalRequest:
    request = ApprovalRequest.objects.get(pk=row.request_id)
    return submit_signature(request_id=request.pk, signed=by.answer(request), actor=by.actor, now=now)


def approved(tom: Customer, staff: Staff, *, now: datetime = NOW, basis: Basis = Basis.ASKED) -> Erasure:
    row = asked(tom, staff.ana, basis, now=now)
    for officer in (staff.ben, staff.cy):
        signed(row, officer, now=now)
    return Erasure.objects.get(pk=row.pk)


def carry_out(row: Erasure, *, now: datetime = NOW) -> bool:
    return actions.carry_out_erasure(erasure_id=row.pk, actor=ROBOT, now=now)


def test_is_asked_by_one_approved_by_two_others_and_carried_out_once(staff: Staff, tom: Customer) -> None:
    with Trace() as trace:
        row = asked(tom, staff.ana)
    assert trace.events == ["approvals.request.opened", "kyc.erasure.requested"]
    with pytest.raises(MakerCannotCheck):
        signed(row, staff.ana)
    with pytest.raises(AlreadyOpen):
        asked(tom, staff.ana)
    assert not carry_out(row)
    signed(row, staff.ben)
    assert not carry_out(row)
    signed(row, staff.cy)
    assert Identity.objects.get(pk=tom.pk).email == "tom@example.com", "nothing goes before a worker has it"
    with Trace() as trace:
        assert carry_out(row)
        assert not carry_out(row)
    assert trace.events == ["kyc.erasure.carried_out"]
    row.refresh_from_db()
    assert (row.state, row.erased_at, row.request.state) == ("erased", NOW, "consumed")
    with pytest.raises(InTheWay, match="was erased before"):
        asked(tom, staff.ana)


def test_destroys_what_it_says_and_keeps_the_rest(staff: Staff, known: Customer) -> None:
    profile = KycProfile.objects.get(customer=known)
    case = actions.open_case(
        profile_id=profile.pk, kind=Kind.REVIEW, reason="blurred", actor=staff.ana.actor, now=NOW
    )
    actions.close_case(
        case_id=case.pk,
        outcome="no_action",  # type: ignore[arg-type]
        reason="fine",
        officer=staff.ana.identity,
        actor=staff.ana.actor,
        now=NOW,
    )
    Verification.objects.filter(profile=profile).update(message="Dear Tom", labels=["BAD_FACE"])
    row = approved(known, staff, now=LATER, basis=Basis.KEPT)
    carry_out(row, now=LATER)
    identity = Identity.objects.get(pk=known.pk)
    assert (identity.display_name, identity.email) == ("erased", f"{known.pk}@erased.invalid")
    assert customers.named("tom@example.com") is None
    with pytest.raises(customers.WrongPassword):
        customers.by_password(email=identity.email, password="correct horse battery")
    subject = AuditSubject.objects.get(pk=f"customers.customer/{known.pk}")
    assert (bytes(subject.wrapped), subject.destroyed_at) == (b"", LATER)
    profile.refresh_from_db()
    verification = Verification.objects.get(profile=profile)
    assert (profile.person, profile.tier, profile.officers_rank) == (None, 0, 0)
    said = (verification.state, verification.message, verification.labels, verification.comment)
    assert said == ("erased", "", [], None)
    assert Customer.objects.get(pk=known.pk).tier == 0
    assert CaseEvent.objects.filter(case=case).count() == 2, "that there was a case is kept"


def test_ends_keys_and_lets_nobody_in(staff: Staff, tom: Customer) -> None:
    key = ApiKey.objects.create(
        key="k", customer=tom, secret=b"", passphrase=b"", scopes=["read"], created_at=NOW
    )
    carry_out(approved(tom, staff))
    key.refresh_from_db()
    assert key.revoked_at == NOW
    assert not Identity.objects.get(pk=tom.pk).is_active


def frozen(tom: Customer, staff: Staff) -> None:
    pull_freeze(scope=f"customer:{tom.pk}", reason="odd", actor=staff.sam.actor, now=NOW)


def under_review(tom: Customer, staff: Staff) -> None:
    profile, _ = KycProfile.objects.get_or_create(customer=tom, defaults={"created_at": NOW})
    actions.open_case(profile_id=profile.pk, kind=Kind.FRAUD, reason="odd", actor=staff.ana.actor, now=NOW)


def funded(tom: Customer, staff: Staff) -> None:
    row = account(AccountKind.CUSTOMER_FUNDING, "BTC", tom.pk)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_account DISABLE TRIGGER USER")
        cursor.execute("UPDATE ledger_account SET units = 5 WHERE id = %s", [row.pk])
        cursor.execute("ALTER TABLE ledger_account ENABLE TRIGGER USER")


OBSTACLES: dict[str, Callable[[Customer, Staff], None]] = {
    "the account is frozen: odd": frozen,
    "a case is open: fraud": under_review,
    "customer funding holds 0.00000005 BTC": funded,
}


@pytest.mark.parametrize("words", OBSTACLES)
def test_is_refused_where_something_is_in_the_way_whenever_it_came(
    staff: Staff, tom: Customer, words: str
) -> None:
    """Before it is asked for, before the last signature, and before the worker: each looks again."""
    ora = trader("ora@example.com")
    waits, ready = asked(tom, staff.ana), approved(ora, staff)
    signed(waits, staff.ben)
    for one in (tom, ora):
        OBSTACLES[words](one, staff)
    with pytest.raises(InTheWay, match=words):
        signed(waits, staff.cy)
    assert Erasure.objects.get(pk=waits.pk).state == "requested"
    with Trace() as trace, pytest.raises(tasks.ErasureWaits, match=words):
        tasks.erase(ready.pk, now=NOW)
    assert trace.events == []
    with pytest.raises(InTheWay, match=words):
        carry_out(ready)
    assert Identity.objects.get(pk=ora.pk).email == "ora@example.com"
    una = trader("una@example.com")
    OBSTACLES[words](una, staff)
    with pytest.raises(InTheWay, match=words):
        asked(una, staff.ana)


def test_waits_for_the_law_unless_an_authority_orders_it(staff: Staff, known: Customer) -> None:
    until = queries.kept_until(known.pk)
    assert until == NOW + KEPT_FOR
    for basis in (Basis.ASKED, Basis.KEPT):
        with pytest.raises(InTheWay, match=f"the law wants the files until {until:%Y-%m-%d}"):
            asked(known, staff.ana, basis)
    assert asked(known, staff.ana, Basis.ORDERED).state == "requested"


def test_waits_as_long_as_the_deployments_law_says_and_five_years_at_the_least(
    known: Customer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CUSTOMER_FILES_KEPT_YEARS = 10
    assert queries.kept_until(known.pk) == NOW + 2 * KEPT_FOR
    for said in ("4", "-9", "5.5", "³", ""):
        monkeypatch.setenv("CUSTOMER_FILES_KEPT_YEARS", said)
        with pytest.raises(ImproperlyConfigured, match="5 at least"):
            environment.whole("CUSTOMER_FILES_KEPT_YEARS", 5, least=5)


def test_needs_a_reason_and_can_be_taken_back(staff: Staff, tom: Customer) -> None:
    with pytest.raises(NoReason):
        actions.request_erasure(
            customer_id=tom.pk,
            basis=Basis.ASKED,
            reason=" ",
            officer=staff.ana.identity,
            actor=staff.ana.actor,
            now=NOW,
        )
    row = approved(tom, staff)
    withdraw_request(request_id=row.request_id, reason="wrong Tom", actor=staff.ana.actor, now=NOW)
    row.refresh_from_db()
    assert (row.state, carry_out(row)) == ("rejected", False)
    with pytest.raises(Conflict):
        actions.erasures.on_expired(row.request, actor=ROBOT, now=NOW)


def test_is_beyond_every_process_but_the_workers(staff: Staff, tom: Customer) -> None:
    """Whoever owns the console or the traders' door can neither destroy a key nor rename anybody."""
    row = approved(tom, staff)
    gone = "UPDATE audit_subject SET wrapped = '', destroyed_at = now()"
    called = "UPDATE access_identity SET display_name = 'erased'"

    def refused(role: str, *statements: str) -> None:
        for statement in statements:
            with as_role(role), pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as at:
                at.execute(statement)

    refused("cs_console", gone, called)
    refused("cs_trader", gone, called)
    refused("cs_worker", called, "UPDATE access_identity SET display_name = 'Eve' WHERE kind = 'customer'")
    with as_role("cs_worker"):
        assert carry_out(row)


def test_leaves_nothing_open_for_a_provider_to_fill_again(staff: Staff, known: Customer) -> None:
    carry_out(approved(known, staff, now=LATER), now=LATER)
    row = ProviderApplicant.objects.get(profile__customer=known)
    actions.want_read(applicant_id=row.pk, why="again", actor=ROBOT, now=LATER)
    answered(row, yes(), after=LATER - NOW + timedelta(hours=1))
    profile = KycProfile.objects.get(customer=known)
    assert (profile.tier, bytes(profile.person or b"")) == (0, b"")
    assert not Case.objects.filter(profile=profile, closed_at=None).exclude(kind=Kind.CONTRADICTION).exists()
