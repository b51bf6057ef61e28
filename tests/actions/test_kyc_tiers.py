"""A tier that officers give takes two of them, with their signatures over exactly that customer and tier."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core import approvals
from core.approvals.actions.signatures import ConflictOfInterest, MakerCannotCheck, NotOpen, submit_signature
from core.approvals.models import ApprovalRequest
from core.refusals import Conflict
from customers.models import Customer
from kernel import canonical
from kyc import actions
from kyc.actions.tiers import NotARaise, StaleProposal, StillBlocked
from kyc.domain.cases import Kind
from kyc.domain.verifications import State
from kyc.models import Case
from tests.cast import NOW
from tests.officers import Officer, Staff
from tests.providers import answered, applicant, state_of, tier_of, trader, yes

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def tom() -> Customer:
    """Tom, whom the provider approved at the level of tier 3."""
    made = trader()
    row = answered(applicant(made), yes())
    answered(row, yes("kyc-enhanced"), after=MINUTE)
    return made


def proposed(case: Case, by: Officer, tier: int = 3) -> ApprovalRequest:
    return actions.propose_tier(
        case_id=case.pk,
        tier=tier,
        reason="source of funds seen",
        officer=by.identity,
        actor=by.actor,
        now=NOW,
    )


def signed(request: ApprovalRequest, by: Officer, verb: str = "approve", reason: str = "") -> ApprovalRequest:
    return submit_signature(
        request_id=request.pk, signed=by.answer(request, verb, reason), actor=by.actor, now=NOW
    )


def test_two_officers_give_the_tier(staff: Staff, tom: Customer) -> None:
    case = Case.objects.get()
    request = proposed(case, staff.ana)
    assert tier_of(tom) == 2
    signed(request, staff.ben)
    case.refresh_from_db()
    assert tier_of(tom) == 3
    assert (case.state, case.outcome) == ("resolved", "approve_tier")
    assert (case.maker, case.checker) == (staff.ana.identity, staff.ben.identity)
    request.refresh_from_db()
    assert request.state == "consumed"


def test_what_is_signed_names_customer_tier_and_reason(staff: Staff, tom: Customer) -> None:
    request = proposed(Case.objects.get(), staff.ana)
    payload = canonical.decode(bytes(request.payload))
    assert payload["customer"] == str(tom.pk)
    assert (payload["tier"], payload["tier_before"]) == (3, 2)
    assert payload["reason"] == "source of funds seen"
    assert payload["maker"] == str(staff.ana.identity.pk)


def test_the_maker_cannot_agree_with_themselves(staff: Staff, tom: Customer) -> None:
    request = proposed(Case.objects.get(), staff.ana)
    with pytest.raises(MakerCannotCheck):
        signed(request, staff.ana)
    assert tier_of(tom) == 2


def test_a_rejection_hands_the_case_back_and_gives_nothing(staff: Staff, tom: Customer) -> None:
    case = Case.objects.get()
    signed(proposed(case, staff.ana), staff.ben, "reject", "no proof of address")
    case.refresh_from_db()
    assert (case.state, case.maker, case.request, tier_of(tom)) == ("in_review", None, None, 2)
    signed(proposed(case, staff.ana), staff.cy)
    assert tier_of(tom) == 3


def test_a_case_waits_for_one_proposal_at_a_time(staff: Staff, tom: Customer) -> None:
    case = Case.objects.get()
    proposed(case, staff.ana)
    with pytest.raises(Conflict):
        proposed(case, staff.ana)


def test_a_tier_not_above_the_one_held_is_no_raise(staff: Staff, tom: Customer) -> None:
    for tier in (0, 1, 2, 5):
        with pytest.raises(NotARaise):
            proposed(Case.objects.get(), staff.ana, tier)


def test_an_approval_of_what_has_changed_since_does_not_count(staff: Staff, tom: Customer) -> None:
    request = proposed(Case.objects.get(), staff.ana)
    row = tom.kyc_profile.applicants.get()
    answered(row, yes(state=State.REJECTED_FINAL), after=2 * MINUTE)
    with pytest.raises(StaleProposal):
        signed(request, staff.ben)
    assert tier_of(tom) == 0
    assert not request.signatures.exists()


def test_a_no_that_came_after_the_proposal_is_not_lifted_by_it(staff: Staff) -> None:
    """The tier is what it was, so nothing else tells that a provider has found something since."""
    tom = trader()
    row = answered(applicant(tom), yes(state=State.ON_HOLD))
    case = Case.objects.get()
    request = proposed(case, staff.ana, 2)
    answered(row, yes(state=State.REJECTED_FINAL), after=MINUTE)
    with pytest.raises(NotOpen):
        signed(request, staff.ben)
    case.refresh_from_db()
    assert (state_of(tom), tier_of(tom), case.state) == (State.REJECTED_FINAL, 0, "in_review")
    signed(proposed(case, staff.ana, 2), staff.ben)
    assert (state_of(tom), tier_of(tom)) == (State.APPROVED, 2)


def test_a_block_is_not_lifted_by_what_was_proposed_before_somebody_blocked_anew(
    staff: Staff, tom: Customer
) -> None:
    """Both are one case: without this, who signed for the first officer's reasons would lift the second's."""

    def block(by: Officer, reason: str) -> Case:
        about = {"profile_id": tom.kyc_profile.pk, "kind": Kind.OFFICER_BLOCK, "reason": reason}
        return actions.open_case(**about, actor=by.actor, now=NOW)

    case = block(staff.ana, "court order")
    request = proposed(case, staff.ana, 2)
    assert block(staff.cy, "another court order") == case
    with pytest.raises(NotOpen):
        signed(request, staff.ben)
    case.refresh_from_db()
    assert (case.state, case.request, tier_of(tom)) == ("in_review", None, 0)


def test_goes_to_nobody_but_the_customer_whom_the_officers_read(tom: Customer, staff: Staff) -> None:
    eve = trader("eve@example.com", name="Eve")
    answered(applicant(eve, known_as="app2"), yes())
    request = proposed(Case.objects.get(), staff.ana)
    Case.objects.update(profile=eve.kyc_profile)
    with pytest.raises(StaleProposal):
        signed(request, staff.ben)
    assert (tier_of(tom), tier_of(eve)) == (2, 2)


def test_a_final_no_is_lifted_by_two_officers_and_by_nobody_else(staff: Staff) -> None:
    tom = trader()
    row = answered(applicant(tom), yes())
    answered(row, yes(state=State.REJECTED_FINAL), after=MINUTE)
    case = Case.objects.get(kind=Kind.LATE_REJECTION)
    signed(proposed(case, staff.ana, 2), staff.ben)
    assert (state_of(tom), tier_of(tom)) == (State.APPROVED, 2)


def test_a_tier_that_something_else_keeps_down_is_not_pretended(staff: Staff) -> None:
    tom = trader()
    row = answered(applicant(tom), yes())
    answered(row, yes(state=State.REJECTED_FINAL), after=MINUTE)
    profile = tom.kyc_profile
    block = actions.open_case(
        profile_id=profile.pk, kind=Kind.OFFICER_BLOCK, reason="court order", actor=staff.ana.actor, now=NOW
    )
    request = proposed(Case.objects.get(kind=Kind.LATE_REJECTION), staff.ana, 2)
    with pytest.raises(StillBlocked):
        signed(request, staff.ben)
    assert tier_of(tom) == 0
    assert block.state == "queued"


def test_officers_grants_end_with_the_next_loss(staff: Staff, tom: Customer) -> None:
    signed(proposed(Case.objects.get(), staff.ana), staff.ben)
    row = tom.kyc_profile.applicants.get()
    answered(row, yes(state=State.IN_PROGRESS, mark="reset"), after=2 * MINUTE)
    assert tier_of(tom) == 0


def test_an_institution_takes_two_more_people_one_from_compliance(staff: Staff) -> None:
    firm = trader("firm@example.com", name="Firm")
    answered(applicant(firm, level="kyb-institutional"), yes("kyb-institutional"))
    request = proposed(Case.objects.get(), staff.ana, 4)
    assert request.teams == {"compliance": 1, "officers": 1}
    signed(request, staff.ben)
    signed_twice = ApprovalRequest.objects.get(pk=request.pk)
    assert (signed_twice.state, tier_of(firm)) == ("open", 0)


def test_nobody_decides_about_an_account_under_their_own_address(staff: Staff) -> None:
    own = trader(staff.ben.identity.email)
    answered(applicant(own), yes("kyc-enhanced"))
    request = proposed(Case.objects.get(), staff.ana)
    with pytest.raises(ConflictOfInterest):
        signed(request, staff.ben)


def test_the_kind_is_registered_with_its_own_permission() -> None:
    from core.approvals.kinds import named

    assert named("kyc.tier").permission == "kyc:tier:approve"
    assert approvals.Kind is not None
