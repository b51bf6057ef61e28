"""However simultaneously the same things happen, they happen once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection

from core.approvals.actions import submit_signature
from core.audit.models import AuditEvent
from core.outbox.models import OutboxMessage
from kyc import actions
from kyc.actions.tiers import StaleProposal
from kyc.domain.cases import Kind
from kyc.domain.verifications import State
from kyc.models import (
    Case,
    Provider,
    ProviderApplicant,
    Verification,
    VerificationTransition,
    WebhookDelivery,
)
from tests.cast import NOW
from tests.officers import enrol
from tests.providers import HOOK_SECRET, ROBOT, answered, applicant, state_of, tier_of, trader, yes
from tests.racing import queued

ROUNDS = 5


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """Run the deeds in threads that start together; each result or the exception it raised."""
    barrier = threading.Barrier(len(deeds))
    results: list[object] = [None] * len(deeds)

    def run(index: int, deed: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[index] = deed()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.usefixtures("real_database")
def test_equal_deliveries_at_once_are_one_row_one_event_and_one_message() -> None:
    endpoint = actions.declare_endpoint(provider=Provider.SUMSUB, secrets=[HOOK_SECRET], actor=ROBOT, now=NOW)
    for number in range(ROUNDS):
        raw = str(number).encode()

        def deliver(raw: bytes = raw) -> bool:
            return actions.receive_delivery(endpoint_id=endpoint.pk, raw=raw, actor=ROBOT, now=NOW).is_new

        assert sorted(at_once(*[deliver] * 4), key=str) == [False, False, False, True]
    assert WebhookDelivery.objects.count() == ROUNDS
    assert set(WebhookDelivery.objects.values_list("times_seen", flat=True)) == {4}
    assert AuditEvent.objects.filter(doc__action="kyc.delivery.received").count() == ROUNDS
    assert OutboxMessage.objects.filter(topic="kyc.delivery_received").count() == ROUNDS


@pytest.mark.usefixtures("real_database")
def test_the_same_answer_at_once_is_one_step() -> None:
    tom = trader()
    row = applicant(tom)
    results = at_once(*[lambda: answered(ProviderApplicant.objects.get(pk=row.pk), yes())] * 4)
    assert not [result for result in results if isinstance(result, Exception)]
    assert (VerificationTransition.objects.count(), tier_of(tom)) == (1, 2)


@pytest.mark.usefixtures("real_database")
def test_a_younger_no_wins_over_an_older_yes_whichever_arrives_first() -> None:
    for number in range(ROUNDS):
        customer = trader(f"trader{number}@example.com")
        row = applicant(customer, known_as=f"app{number}")

        def older(key: object = row.pk) -> object:
            return answered(ProviderApplicant.objects.get(pk=key), yes())

        def younger(key: object = row.pk) -> object:
            no = yes(state=State.REJECTED_FINAL)
            return answered(ProviderApplicant.objects.get(pk=key), no, after=timedelta(seconds=1))

        results = at_once(older, younger)
        assert not [result for result in results if isinstance(result, Exception)]
        assert (state_of(customer), tier_of(customer)) == (State.REJECTED_FINAL, 0)


@pytest.mark.usefixtures("real_database")
def test_a_customer_who_begins_twice_at_once_has_one_verification_and_one_applicant() -> None:
    tom = trader()

    def begin() -> object:
        return actions.start_verification(customer_id=tom.pk, level="kyc-standard", actor=ROBOT, now=NOW)

    results = at_once(*[begin] * 4)
    assert not [result for result in results if isinstance(result, Exception)]
    assert (Verification.objects.count(), ProviderApplicant.objects.count()) == (1, 1)


@pytest.mark.usefixtures("real_database")
def test_a_block_that_comes_with_the_signature_that_lifts_an_earlier_one_stays() -> None:
    """Whoever signs holds the request and waits for the profile; whoever blocks holds the profile."""
    staff, tom = enrol(now=NOW), trader()
    answered(applicant(tom), yes())
    about: dict[str, Any] = {"profile_id": tom.kyc_profile.pk, "kind": Kind.OFFICER_BLOCK, "reason": "court"}
    case = actions.open_case(**about, actor=staff.ana.actor, now=NOW)
    by: dict[str, Any] = {"officer": staff.ana.identity, "actor": staff.ana.actor, "now": NOW}
    request = actions.propose_tier(case_id=case.pk, tier=2, reason="it was lifted", **by)
    signed = staff.ben.answer(request)
    blocked, lifted = queued(
        tom.kyc_profile,
        partial(actions.open_case, **about, actor=staff.cy.actor, now=NOW),
        partial(submit_signature, request_id=request.pk, signed=signed, actor=staff.ben.actor, now=NOW),
    )
    assert (blocked, type(lifted)) == (case, StaleProposal)
    assert (tier_of(tom), Case.objects.get().state) == (0, "in_review")
