"""One officer can take away; giving takes two, and personal data is never read unseen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from core import audit
from core.access.models import Identity
from core.access.roles import Role
from core.audit import subjects
from core.audit.models import AuditEvent
from core.refusals import Conflict, NotFound
from kyc import actions, queries
from kyc.actions.cases import NeedsTwo, NoReason
from kyc.domain.cases import Kind, Outcome
from kyc.domain.verifications import State
from kyc.events import Event
from kyc.models import Case, CaseEvent
from tests.cast import NOW
from tests.providers import ROBOT, acting, answered, applicant, officer, state_of, tier_of, trader, yes

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def ana() -> Identity:
    return officer("Ana", Role.COMPLIANCE_OFFICER)


def held() -> Case:
    """A case about a verification that the provider put on hold."""
    answered(applicant(trader()), yes(state=State.ON_HOLD))
    return Case.objects.get()


def close(case: Case, outcome: Outcome, by: Identity, reason: str = "as seen") -> Case:
    return actions.close_case(
        case_id=case.pk, outcome=outcome, reason=reason, officer=by, actor=acting(by), now=NOW
    )


def test_what_happens_again_joins_the_open_case() -> None:
    tom = trader()
    row = answered(applicant(tom), yes(state=State.ON_HOLD))
    answered(row, yes(state=State.SUBMITTED), after=MINUTE)
    answered(row, yes(state=State.ON_HOLD, mark="second"), after=2 * MINUTE)
    assert Case.objects.get().events.count() == 2


def test_an_officer_s_block_takes_the_tier_away_at_once_and_a_yes_does_not_lift_it(ana: Identity) -> None:
    tom = trader()
    row = answered(applicant(tom), yes())
    profile = tom.kyc_profile
    case = actions.open_case(
        profile_id=profile.pk, kind=Kind.OFFICER_BLOCK, reason="court order", actor=acting(ana), now=NOW
    )
    assert tier_of(tom) == 0
    answered(row, yes(mark="again"), after=MINUTE)
    assert tier_of(tom) == 0
    for outcome in Outcome:
        with pytest.raises(NeedsTwo):
            close(case, outcome, ana)
    assert tier_of(tom) == 0


def test_closing_a_case_never_raises_a_tier(ana: Identity) -> None:
    tom = trader()
    row = answered(applicant(tom), yes("kyc-basic"))
    assert tier_of(tom) == 1
    answered(row, yes("kyc-standard", country="IRN"), after=MINUTE)
    assert tier_of(tom) == 0
    with pytest.raises(NeedsTwo):
        close(Case.objects.get(), Outcome.REQUEST_MORE, ana)
    assert (tier_of(tom), Case.objects.get().state) == (0, "queued")


def test_a_final_no_by_one_officer_counts_and_is_written_down(ana: Identity) -> None:
    case = held()
    close(case, Outcome.REJECT_FINAL, ana, "forged document")
    tom = case.profile.customer
    assert (state_of(tom), tier_of(tom)) == (State.REJECTED_FINAL, 0)
    case.refresh_from_db()
    assert (case.state, case.outcome, case.maker) == ("resolved", "reject_final", ana)
    event = AuditEvent.objects.get(doc__action="kyc.case.closed")
    assert "forged" not in event.canon, "words about a person are the vault's"
    read = audit.record_read(Event.PERSON_READ, case, of=tom, actor=ROBOT, now=NOW, fields=["reason"])
    assert subjects.reveal(event.doc["after"]["reason"], read=read) == "forged document"


def test_a_closed_case_is_over_and_a_reason_is_always_asked_for(ana: Identity) -> None:
    case = held()
    with pytest.raises(NoReason):
        close(case, Outcome.NO_ACTION, ana, "  ")
    close(case, Outcome.NO_ACTION, ana)
    with pytest.raises(Conflict):
        close(case, Outcome.NO_ACTION, ana)


def test_taking_a_case_puts_a_name_on_it_once(ana: Identity) -> None:
    case = held()
    for _ in range(2):
        actions.take_case(case_id=case.pk, officer=ana, actor=acting(ana), now=NOW)
    assert Case.objects.get().assignee == ana
    assert AuditEvent.objects.filter(doc__action="kyc.case.taken").count() == 1


def test_the_database_itself_refuses_a_checker_who_is_the_maker(ana: Identity) -> None:
    case = held()
    with pytest.raises(IntegrityError, match="case_checker_never_maker"), transaction.atomic():
        Case.objects.filter(pk=case.pk).update(maker=ana, checker=ana)


def test_the_database_itself_refuses_a_tier_by_one_person(ana: Identity) -> None:
    case = held()
    with pytest.raises(IntegrityError, match="case_tier_needs_two"), transaction.atomic():
        Case.objects.filter(pk=case.pk).update(
            state="resolved", outcome="approve_tier", closed_at=NOW, maker=ana
        )


def test_reading_evidence_is_audited_before_it_is_opened(ana: Identity) -> None:
    tom = trader()
    row = answered(applicant(tom), yes(person={"firstName": "Tom", "dob": "1990-01-15"}))
    answered(row, yes("kyc-enhanced", comment="ours only"), after=MINUTE)
    case = Case.objects.get()
    evidence = queries.evidence(case, identity=ana, actor=acting(ana), now=NOW)
    assert evidence.comment == "ours only"
    assert [line.what for line in evidence.notes] == ["raised"]
    event = AuditEvent.objects.get(doc__action="kyc.person.read")
    assert (event.doc["actor"]["label"], event.doc["after"]["fields"]) == (
        "Ana",
        ["person", "comment", "notes"],
    )


def test_evidence_and_cases_do_not_exist_for_those_who_may_not_see_them() -> None:
    case = held()
    eve, dot = officer("Eve"), officer("Dot", Role.AUDITOR)
    assert not queries.queue(identity=eve, now=NOW)
    assert not queries.queue(identity=None, now=NOW)
    with pytest.raises(NotFound):
        queries.case(case.pk, identity=eve, now=NOW)
    assert queries.queue(identity=dot, now=NOW).get() == case
    with pytest.raises(NotFound):
        queries.evidence(case, identity=dot, actor=acting(dot), now=NOW)
    assert not AuditEvent.objects.filter(doc__action="kyc.person.read").exists()


def test_notes_do_not_lie_in_the_clear(ana: Identity) -> None:
    case = held()
    close(case, Outcome.REJECT_FINAL, ana, "passport of somebody else")
    assert all(b"passport" not in bytes(event.note) for event in CaseEvent.objects.all())
