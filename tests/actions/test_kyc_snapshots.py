"""Only what a provider's API says moves a verification, once, and never backwards in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from core.audit.models import AuditEvent
from core.freezes import Frozen
from core.freezes.actions import pull_freeze
from core.outbox.models import OutboxMessage
from core.refusals import Refused
from customers.models import Customer
from kyc import actions, queries
from kyc.actions.verifications import CountryNotServed, NotOpen, UnknownLevel
from kyc.domain.cases import Kind
from kyc.domain.verifications import State
from kyc.models import Case, ProviderSnapshot, Verification, VerificationTransition
from tests.cast import NOW
from tests.officers import Staff
from tests.providers import ROBOT, answered, applicant, state_of, tier_of, trader, yes

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def counts() -> tuple[int, int, int]:
    return AuditEvent.objects.count(), OutboxMessage.objects.count(), ProviderSnapshot.objects.count()


def test_an_approval_raises_the_tier_and_is_written_down() -> None:
    tom = trader()
    row = answered(applicant(tom), yes())
    assert (state_of(tom), tier_of(tom)) == (State.APPROVED, 2)
    assert row.applied_seq == row.requested_seq
    step = VerificationTransition.objects.get()
    assert (step.before, step.after, step.cause) == ("not_started", "approved", "snapshot")
    event = AuditEvent.objects.filter(doc__action="kyc.snapshot.applied").get()
    assert (event.doc["before"]["tier"], event.doc["after"]["tier"]) == (0, 2)


def test_the_same_answer_again_writes_nothing() -> None:
    tom = trader()
    row = answered(applicant(tom), yes())
    before = counts()
    answered(row, yes(), after=MINUTE)
    assert counts() == before


def test_an_answer_that_was_overtaken_changes_nothing() -> None:
    tom = trader()
    row = answered(applicant(tom), yes(state=State.REJECTED_FINAL), after=MINUTE)
    before = counts()
    answered(row, yes(mark="older"))
    assert (state_of(tom), tier_of(tom), counts()) == (State.REJECTED_FINAL, 0, before)


def test_a_read_that_was_asked_for_meanwhile_is_still_owed() -> None:
    tom = trader()
    row = applicant(tom)
    asked = row.requested_seq
    actions.want_read(applicant_id=row.pk, why="test", actor=ROBOT, now=NOW)
    published = OutboxMessage.objects.filter(topic="kyc.read_wanted").count()
    done = actions.apply_snapshot(
        applicant_id=row.pk, seq=asked, started_at=NOW, answer=yes(), body=b"{}",
        accepts_sandbox=False, actor=ROBOT, now=NOW,
    )  # fmt: skip
    assert done.requested_seq == done.applied_seq + 1
    assert OutboxMessage.objects.filter(topic="kyc.read_wanted").count() == published + 1


def test_a_late_no_takes_the_tier_away_at_once_and_no_later_yes_gives_it_back() -> None:
    tom = trader()
    row = answered(applicant(tom), yes())
    answered(row, yes(state=State.REJECTED_FINAL, labels=("FORGERY",)), after=MINUTE)
    assert (state_of(tom), tier_of(tom)) == (State.REJECTED_FINAL, 0)
    assert Case.objects.get().kind == Kind.LATE_REJECTION
    answered(row, yes(mark="again"), after=2 * MINUTE)
    assert (state_of(tom), tier_of(tom)) == (State.REJECTED_FINAL, 0)
    assert set(Case.objects.values_list("kind", flat=True)) == {Kind.LATE_REJECTION, Kind.CONTRADICTION}


def test_a_yes_at_tier_three_waits_for_officers() -> None:
    tom = trader()
    row = answered(applicant(tom), yes())
    answered(row, yes("kyc-enhanced"), after=MINUTE)
    assert (state_of(tom, "kyc-enhanced"), tier_of(tom)) == (State.APPROVED, 2)
    assert Case.objects.get().kind == Kind.TIER_DECISION


@pytest.mark.parametrize(
    "answer",
    [
        yes(is_sandbox=True),
        yes(level="unmapped-level"),
        yes(applicant_type="company"),
        yes(country="IRN"),
        yes(state=None),
        yes(state=State.SUBMITTED),
        yes(is_suspected_fraud=True),
    ],
    ids=["sandbox", "unmapped", "company", "country", "unknown", "partial", "fraud"],
)
def test_a_yes_with_something_wrong_grants_nothing(answer: object) -> None:
    tom = trader()
    answered(applicant(tom), answer)  # type: ignore[arg-type]
    assert tier_of(tom) == 0


def test_a_customer_from_a_country_not_served_cannot_begin() -> None:
    with pytest.raises(CountryNotServed):
        applicant(trader(country="IR"))
    assert AuditEvent.objects.filter(doc__action="kyc.verification.started.refused").count() == 1


def test_a_reset_after_approval_lowers_and_counts_as_another_attempt() -> None:
    tom = trader()
    row = answered(applicant(tom), yes())
    answered(row, yes(state=State.IN_PROGRESS, mark="second"), after=MINUTE)
    assert (tier_of(tom), Verification.objects.get().attempt) == (0, 2)


def test_an_approval_that_has_run_out_counts_for_nothing_even_before_the_sweep() -> None:
    tom = trader()
    answered(applicant(tom), yes())
    row = Verification.objects.get()
    assert row.expires_at is not None
    assert queries.effective_tier(tom.pk, now=row.expires_at - MINUTE).rank == 2
    assert queries.effective_tier(tom.pk, now=row.expires_at).rank == 0
    actions.expire_verification(verification_id=row.pk, actor=ROBOT, now=row.expires_at)
    assert (state_of(tom), tier_of(tom)) == (State.EXPIRED, 0)


def test_a_stranger_s_tier_is_zero() -> None:
    assert queries.effective_tier(trader().pk, now=NOW).rank == 0


@pytest.mark.parametrize("model", [ProviderSnapshot, VerificationTransition])
def test_snapshots_and_history_cannot_be_changed(model: type) -> None:
    answered(applicant(trader()), yes())
    for change in (lambda: model.objects.update(id=None), lambda: model.objects.all()._raw_delete("default")):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


def test_a_provider_s_document_does_not_lie_in_the_clear() -> None:
    tom = trader()
    row = applicant(tom)
    secret = b'{"info":{"lastName":"Trader"}}'
    actions.apply_snapshot(
        applicant_id=row.pk, seq=1, started_at=NOW, answer=replace(yes(), person={"lastName": "Trader"}),
        body=secret, accepts_sandbox=False, actor=ROBOT, now=NOW,
    )  # fmt: skip
    assert b"Trader" not in bytes(ProviderSnapshot.objects.get().body)
    profile = Verification.objects.get().profile
    assert profile.person is not None
    assert b"Trader" not in bytes(profile.person)
    assert "Trader" not in "".join(AuditEvent.objects.values_list("canon", flat=True))


def start(customer: Customer, level: str) -> Verification:
    return actions.start_verification(customer_id=customer.pk, level=level, actor=ROBOT, now=NOW)


def test_nobody_starts_what_they_have_or_what_would_give_up_something_better() -> None:
    tom = trader()
    answered(applicant(tom), yes())
    for level in ("kyc-standard", "kyc-basic"):
        with pytest.raises(NotOpen, match="already"):
            start(tom, level)
    assert start(tom, "kyc-enhanced").state == State.NOT_STARTED


def test_nobody_changes_level_while_another_is_being_checked() -> None:
    tom = trader()
    answered(applicant(tom), yes(state=State.SUBMITTED))
    with pytest.raises(NotOpen, match="being checked"):
        start(tom, "kyc-enhanced")
    assert start(tom, "kyc-standard").state == State.SUBMITTED


def test_a_final_no_cannot_be_started_again() -> None:
    tom = trader()
    answered(applicant(tom), yes(state=State.REJECTED_FINAL))
    with pytest.raises(NotOpen, match="closed"):
        start(tom, "kyc-standard")


@pytest.mark.parametrize(
    ("state", "is_taken"),
    [
        (State.RETRY_REQUIRED, True),
        (State.IN_PROGRESS, False),
        (State.SUBMITTED, False),
        (State.ON_HOLD, False),
    ],
)
def test_a_frozen_customer_hands_in_what_was_asked_for_and_begins_nothing(
    staff: Staff, state: State, is_taken: bool
) -> None:
    tom = trader()
    row = applicant(tom)
    answered(row, yes(state=state))
    scope = f"customer:{tom.pk}"
    pull_freeze(scope=scope, reason="look", actor=staff.sam.actor, now=NOW)
    for level in ("kyc-standard",) if is_taken else ("kyc-standard", "kyc-enhanced"):
        if is_taken:
            assert start(tom, level).state == state
        else:
            with pytest.raises(Refused) as refused:
                start(tom, level)
            assert isinstance(refused.value, Frozen) or level == "kyc-enhanced"
    if is_taken:  # the provider has some of it, and the customer needs another token for the rest
        answered(row, yes(state=State.IN_PROGRESS), after=timedelta(minutes=1))
        assert start(tom, "kyc-standard").attempt == 2
    with pytest.raises(Refused):
        start(tom, "kyc-basic")
    assert [one.level for one in Verification.objects.all()] == ["kyc-standard"]


def test_levels_that_do_not_exist_cannot_be_started() -> None:
    tom = trader()
    with pytest.raises(UnknownLevel):
        start(tom, "kyc-golden")
    with pytest.raises(UnknownLevel):
        actions.start_verification(
            customer_id=tom.pk, level="kyb-institutional", provider="onfido", actor=ROBOT, now=NOW
        )
