"""A stored delivery leads to a read or to nothing; only a notice that takes away counts by itself."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core import audit
from core.audit.models import AuditEvent
from core.audit.subjects import NotOpened
from core.health import Status
from core.outbox.models import OutboxMessage
from kyc import actions, probes, queries, tasks, vault
from kyc.domain.deliveries import BODY_BYTES_MAX
from kyc.domain.verifications import State
from kyc.events import Event
from kyc.models import Provider, UnverifiedDelivery, WebhookDelivery, WebhookEndpoint
from kyc.vault import Place
from tests.cast import NOW
from tests.erasing import forget
from tests.providers import HOOK_SECRET, ROBOT, answered, applicant, state_of, tier_of, trader, yes
from tests.vaults import serving

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return actions.declare_endpoint(provider=Provider.SUMSUB, secrets=[HOOK_SECRET], actor=ROBOT, now=NOW)


def body(event: str, **fields: Any) -> bytes:
    return json.dumps({"type": event, "applicantId": "app1"} | fields, indent=2).encode()


def delivered(endpoint: WebhookEndpoint, raw: bytes, *, now: datetime = NOW) -> WebhookDelivery:
    receipt = actions.receive_delivery(endpoint_id=endpoint.pk, raw=raw, actor=ROBOT, now=now)
    tasks.classify(receipt.delivery, now=now)
    return WebhookDelivery.objects.get(pk=receipt.delivery)


def reads_wanted() -> int:
    return OutboxMessage.objects.filter(topic="kyc.read_wanted").count()


def test_equal_bytes_are_kept_once_and_audited_once(endpoint: WebhookEndpoint) -> None:
    for minute in range(3):
        now = NOW + minute * timedelta(seconds=1)
        actions.receive_delivery(endpoint_id=endpoint.pk, raw=b"{}", actor=ROBOT, now=now)
    row = WebhookDelivery.objects.get()
    assert (row.times_seen, row.received_at, row.last_seen_at) == (3, NOW, NOW + timedelta(seconds=2))
    assert AuditEvent.objects.filter(doc__action__startswith="kyc.delivery").count() == 1
    assert OutboxMessage.objects.filter(topic="kyc.delivery_received").count() == 1


def test_two_events_with_one_correlation_id_are_two_deliveries(endpoint: WebhookEndpoint) -> None:
    for event in ("applicantPending", "applicantReviewed"):
        raw = body(event, correlationId="req-1")
        assert actions.receive_delivery(endpoint_id=endpoint.pk, raw=raw, actor=ROBOT, now=NOW).is_new


def test_a_body_that_claims_approval_only_asks_for_a_read(endpoint: WebhookEndpoint) -> None:
    tom = trader()
    applicant(tom)
    wanted = reads_wanted()
    row = delivered(
        endpoint,
        body("applicantReviewed", reviewStatus="completed", reviewResult={"reviewAnswer": "GREEN"}),
    )
    assert (row.state, row.event) == ("done", "applicantReviewed")
    assert (state_of(tom), tier_of(tom)) == (State.NOT_STARTED, 0)
    assert reads_wanted() == wanted + 1


def test_a_deactivation_lowers_at_once_without_asking(endpoint: WebhookEndpoint) -> None:
    tom = trader()
    row = answered(applicant(tom), yes())
    delivered(endpoint, body("applicantDeactivated"))
    assert (state_of(tom), tier_of(tom)) == (State.SUSPENDED, 0)
    answered(row, yes(mark="later"), after=MINUTE)
    assert tier_of(tom) == 0


def test_a_replayed_deactivation_is_not_carried_out_again(endpoint: WebhookEndpoint) -> None:
    tom = trader()
    applicant(tom)
    first = delivered(endpoint, body("applicantDeactivated"))
    assert delivered(endpoint, body("applicantDeactivated"), now=NOW + MINUTE).pk == first.pk
    assert AuditEvent.objects.filter(doc__action="kyc.delivery.classified").count() == 1


def test_a_replay_leads_to_a_read_but_not_more_often_than_every_half_minute(
    endpoint: WebhookEndpoint,
) -> None:
    tom = trader()
    row = applicant(tom)
    raw = body("applicantReviewed")
    delivered(endpoint, raw)
    answered(row, yes())
    wanted = reads_wanted()
    for second in (1, 10, 29):
        delivered(endpoint, raw, now=NOW + timedelta(seconds=second))
    assert reads_wanted() == wanted
    delivered(endpoint, raw, now=NOW + timedelta(seconds=31))
    assert reads_wanted() == wanted + 1


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        (b"rubbish", "poison"),
        (b"[]", "poison"),
        (b"\xff", "poison"),
        (body("applicantReviewed", applicantId=None), "poison"),
        (body("applicantReviewed", sandboxMode=True), "ignored"),
        (body("applicantReviewed", testMode=True), "ignored"),
        (body("applicantReviewed", applicantId="stranger"), "orphan"),
        (body("somethingNew"), "done"),
    ],
)
def test_what_cannot_be_used_is_kept_and_does_nothing(
    endpoint: WebhookEndpoint, raw: bytes, state: str
) -> None:
    tom = trader()
    applicant(tom)
    wanted = reads_wanted()
    assert delivered(endpoint, raw).state == state
    assert (reads_wanted(), tier_of(tom)) == (wanted, 0)


def test_a_delivery_that_outran_our_note_is_found_by_our_own_name(endpoint: WebhookEndpoint) -> None:
    tom = trader()
    actions.start_verification(customer_id=tom.pk, level="kyc-standard", actor=ROBOT, now=NOW)
    ours = tom.kyc_profile.applicants.get()
    row = delivered(endpoint, body("applicantCreated", applicantId="app7", externalUserId=str(ours.pk)))
    assert (row.state, row.applicant_id) == ("done", ours.pk)


def test_another_s_external_name_beside_a_known_applicant_changes_nobody_else(
    endpoint: WebhookEndpoint,
) -> None:
    tom, tia = trader(), trader("tia@example.com")
    applicant(tom)
    other = applicant(tia, known_as="app2")
    row = delivered(endpoint, body("applicantDeactivated", externalUserId=str(other.pk)))
    assert row.applicant_id == tom.kyc_profile.applicants.get().pk
    assert state_of(tia) == State.NOT_STARTED


def test_unsigned_deliveries_leave_one_line_a_minute_and_nothing_of_their_content(
    endpoint: WebhookEndpoint,
) -> None:
    for second in range(5):
        actions.note_unverified(
            endpoint_id=endpoint.pk,
            raw=b"forged",
            ip="192.0.2.7",
            actor=ROBOT,
            now=NOW + timedelta(seconds=second),
        )
    row = UnverifiedDelivery.objects.get()
    assert (row.body_bytes, row.ip, len(row.body_sha256)) == (6, "192.0.2.7", 64)
    assert AuditEvent.objects.filter(doc__action="kyc.delivery.unverified").count() == 1


def test_secrets_and_bodies_do_not_lie_in_the_clear(endpoint: WebhookEndpoint) -> None:
    raw = body("applicantReviewed")
    receipt = actions.receive_delivery(endpoint_id=endpoint.pk, raw=raw, actor=ROBOT, now=NOW)
    row = WebhookDelivery.objects.get(pk=receipt.delivery)
    assert HOOK_SECRET.encode() not in bytes(endpoint.secrets)
    assert b"applicantReviewed" not in bytes(row.body)
    assert queries.delivered(row.pk, actor=ROBOT, now=NOW) == ("sumsub", raw)
    read = AuditEvent.objects.latest("pk").doc
    assert (read["action"], read["after"]["person"]) == ("kyc.delivery.read", f"kyc.webhookdelivery/{row.pk}")


def test_a_delivery_is_opened_in_workers_alone_and_never_with_the_keys_of_a_web_process(
    endpoint: WebhookEndpoint, tmp_path: Path
) -> None:
    with serving(tmp_path, workers=[4711]) as closed:
        receipt = actions.receive_delivery(endpoint_id=endpoint.pk, raw=b"{}", actor=ROBOT, now=NOW)
        with pytest.raises(NotOpened, match="VAULT_NOT_FOR_YOU"):
            queries.delivered(receipt.delivery, actor=ROBOT, now=NOW)
        assert closed.answer({"v": 1, "type": "standing"}, 0)["alarms"] == 1


def test_a_delivery_belongs_to_the_person_once_it_is_known_and_goes_with_them(
    endpoint: WebhookEndpoint,
) -> None:
    tom = trader()
    applicant(tom, known_as="app7")
    row = delivered(endpoint, body("applicantReviewed", applicantId="app7"))
    assert bytes(row.key) == b"", "the key that it arrived with is gone"
    place = [(Place.DELIVERY, row.pk, bytes(row.body))]
    read = audit.record_read(Event.PERSON_READ, row, of=tom, actor=ROBOT, now=NOW, fields=["deliveries"])
    assert vault.open_for(tom.pk, place, read=read) == [body("applicantReviewed", applicantId="app7")]
    forget(subject=audit.name_of(tom), actor=ROBOT, now=NOW)
    assert vault.open_for(tom.pk, place, read=read) is None


def test_the_longest_delivery_still_opens(endpoint: WebhookEndpoint) -> None:
    raw = b"\xff" * BODY_BYTES_MAX
    receipt = actions.receive_delivery(endpoint_id=endpoint.pk, raw=raw, actor=ROBOT, now=NOW)
    assert queries.delivered(receipt.delivery, actor=ROBOT, now=NOW) == ("sumsub", raw)


def test_webhook_secrets_open_where_the_hooks_door_is_and_nowhere_else(
    endpoint: WebhookEndpoint, settings: Any
) -> None:
    assert queries.secrets_of(endpoint.pk, provider="sumsub") == [HOOK_SECRET.encode()]
    settings.HOOKS_KEY = b""
    with pytest.raises(vault.NoKeyHere):
        queries.secrets_of(endpoint.pk, provider="sumsub")


def test_a_sealed_value_moved_to_another_row_does_not_open(endpoint: WebhookEndpoint) -> None:
    from cryptography.exceptions import InvalidTag

    one = actions.receive_delivery(endpoint_id=endpoint.pk, raw=b"1", actor=ROBOT, now=NOW).delivery
    two = actions.receive_delivery(endpoint_id=endpoint.pk, raw=b"2", actor=ROBOT, now=NOW).delivery
    moved = WebhookDelivery.objects.get(pk=one)
    WebhookDelivery.objects.filter(pk=two).update(body=moved.body, key=moved.key)
    with pytest.raises(NotOpened, match="VAULT_NOT_OURS"):
        queries.delivered(two, actor=ROBOT, now=NOW)
    with pytest.raises(InvalidTag):
        vault.unseal(endpoint.secrets, place=Place.SECRETS, row=one)


def test_declaring_the_same_endpoint_again_writes_nothing_and_new_secrets_replace_the_old(
    endpoint: WebhookEndpoint,
) -> None:
    events = AuditEvent.objects.count()
    again = actions.declare_endpoint(provider=Provider.SUMSUB, secrets=[HOOK_SECRET], actor=ROBOT, now=NOW)
    assert (again.pk, AuditEvent.objects.count()) == (endpoint.pk, events)
    actions.declare_endpoint(provider=Provider.SUMSUB, secrets=["old", "new"], actor=ROBOT, now=NOW)
    assert AuditEvent.objects.count() == events + 1
    with pytest.raises(ValueError, match="one secret, or two"):
        actions.declare_endpoint(provider=Provider.SUMSUB, secrets=[""], actor=ROBOT, now=NOW)


def test_the_health_screen_says_what_waits_and_what_was_no_use(endpoint: WebhookEndpoint) -> None:
    assert probes.deliveries(NOW).status is Status.UP
    delivered(endpoint, b"rubbish")
    assert probes.deliveries(NOW + MINUTE).status is Status.DEGRADED
    actions.receive_delivery(endpoint_id=endpoint.pk, raw=b"{}", actor=ROBOT, now=NOW)
    assert probes.deliveries(NOW + MINUTE).status is Status.DEGRADED
    assert probes.deliveries(NOW + 6 * MINUTE).status is Status.DOWN


def test_the_health_screen_says_which_provider_does_not_answer() -> None:
    row = applicant(trader())
    assert probes.providers(NOW).status is Status.UP
    actions.note_trouble(applicant_id=row.pk, trouble="unavailable", actor=ROBOT, now=NOW)
    reading = probes.providers(NOW)
    assert (reading.status, reading.facts) == (Status.DEGRADED, {"applicants affected": 1})
