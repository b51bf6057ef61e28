"""What a signer's own journal says, when the console reads it …"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.conf import settings as configured

from core.audit.models import AuditEvent
from core.health import Status
from core.outbox.models import OutboxMessage
from custody import actions, lane_tasks, probes, queries, signer_tasks
from custody.actions.ordering import UnknownSubject
from custody.domain import orders
from custody.domain.orders import Kind
from custody.models import SignerHealth, SignerOrder, StatementAnswer
from custody.queries import Announcement
from fixtures.authenticator import Authenticator
from kernel import canonical, encodings
from kernel.approval import NONCE_BYTES, SignedApproval, Statement, Verb
from kernel.intent import time_text
from kernel.registry import Registry
from tests.customers import Customer
from tests.recoveries import DELAY_S, KEYS, RAE, ROS, RUI
from tests.signers import HOT, Signers, lane_registry, serving
from tests.stockroom import Lend
from tests.traders import second_factor
from tests.treasury import HOME, Treasury, customer_actor
from tests.vault import Message

pytestmark = pytest.mark.django_db

DIGEST: Final = "ab" * 32


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(Treasury.open, now)


def recoverable(treasury: Treasury, **limits: int) -> Registry:
    """The staff's registry, with people who are there for a recovery."""
    back = {who: {"name": who[-2:], "public_key": KEYS[who].public_key_hex} for who in (RAE, RUI, ROS)}
    registry: dict[str, Any] = canonical.decode_object(lane_registry(treasury.staff).encoded)
    registry["recovery"] = {"officers": back, "quorum": 2, "delay_s": DELAY_S}
    registry["limits"] |= limits
    return Registry.parse(canonical.encode(registry))


@pytest.fixture
def signers(treasury: Treasury, settings: Any) -> Iterator[Signers]:
    with serving(recoverable(treasury), now=treasury.now) as found:
        settings.SIGNERS_DIR = found.folder
        yield found


def order(
    treasury: Treasury, kind: Kind, verb: Verb, by: dict[str, Authenticator], **about: canonical.Value
) -> Message:
    """As a ceremony makes it, without any row of ours."""
    payload = canonical.encode(
        orders.payload(
            kind,
            about,
            deployment=configured.DEPLOYMENT,
            maker=str(treasury.staff.ana.identity.pk),
            reason="by hand",
            now=treasury.now,
        )
    )
    nonce = secrets.token_bytes(NONCE_BYTES)
    said = Statement.about(payload, verb=verb, kind=kind, deployment=configured.DEPLOYMENT, nonce=nonce)
    given = [
        SignedApproval(
            who,
            verb,
            nonce,
            key.assertion(
                said.challenge(), origin=configured.APPROVER_ORIGIN, rp_id=configured.APPROVER_RP_ID
            ),
        ).as_json()
        for who, key in by.items()
    ]
    return {"v": 1, "type": "order", "payload": encodings.base64url(payload), "approvals": given}


def recovery(treasury: Treasury) -> Message:
    signed_by = {who: KEYS[who] for who in (RAE, ROS)}
    return order(
        treasury, Kind.RECOVERY, Verb.RELEASE, signed_by, version=2, digest=DIGEST, keys=["a passkey"]
    )


def stop(treasury: Treasury, kind: Kind, **about: canonical.Value) -> Message:
    ben = treasury.staff.ben
    return order(treasury, kind, Verb.APPROVE, {str(ben.identity.pk): ben.passkey}, **about)


def seen(treasury: Treasury) -> list[Announcement]:
    signer_tasks.look_at_signers(now=treasury.now)
    return queries.announcements_for(identity=treasury.staff.dot.identity, now=treasury.now)


def test_shows_a_recovery_that_was_brought_past_us_and_who_objects(
    treasury: Treasury, signers: Signers
) -> None:
    assert seen(treasury) == []
    assert probes.read_registries(treasury.now).status is Status.UP
    assert [signers.desks[token].code(recovery(treasury)) for token in HOT[:2]] == ["obeyed"] * 2
    (found,) = seen(treasury)
    assert (found.digest, found.version, found.is_recovery, found.order) == (DIGEST, 2, True, None)
    assert (found.reason, found.maker) == ("by hand", treasury.staff.ana.identity.display_name)
    assert found.effect == treasury.now + timedelta(seconds=DELAY_S)
    assert [one.effect is not None for one in found.heard] == [True, True, False]
    said = probes.read_registries(treasury.now)
    assert (said.status, f"to hot-1, hot-2: {DIGEST}" in said.sentence) == (Status.DEGRADED, True)
    assert said.sentence.startswith("Past this console, version 2 of the registry, by a recovery,")
    assert f"from {found.effect:%Y-%m-%d %H:%M} UTC on" in said.sentence
    # One signer hears a veto at its host's command line: the other may still take the registry up.
    veto = stop(treasury, Kind.VETO, digest=DIGEST)
    assert signers.desks["hot-1"].code(veto) == "obeyed"
    (found,) = seen(treasury)
    assert (found.is_vetoed, found.heard[0].vetoed_because) == (False, "by hand")
    assert found.heard[0].vetoed_by == treasury.staff.ana.identity.display_name
    # So an officer vetoes it from here, though no order of ours announced it.
    cy = treasury.staff.cy
    row = actions.draft_veto(registry_digest=DIGEST, reason="who?", actor=cy.actor, now=treasury.now)
    actions.sign_order(order_id=row.pk, signed=cy.order(row), actor=cy.actor, now=treasury.now)
    signer_tasks.carry_order(row.pk, now=treasury.now)
    (found,) = seen(treasury)
    assert (found.is_vetoed, found.effect, [one.pk for one in found.vetoes]) == (True, None, [row.pk])
    assert probes.read_registries(treasury.now).status is Status.UP
    with pytest.raises(UnknownSubject):
        actions.draft_veto(registry_digest="cd" * 32, reason="x", actor=cy.actor, now=treasury.now)


def vetoed_from_here(treasury: Treasury) -> SignerOrder:
    cy = treasury.staff.cy
    row = actions.draft_veto(registry_digest=DIGEST, reason="who?", actor=cy.actor, now=treasury.now)
    return actions.sign_order(order_id=row.pk, signed=cy.order(row), actor=cy.actor, now=treasury.now)


def test_brings_a_veto_to_a_signer_that_was_down_for_days_and_says_who_has_not_heard(
    treasury: Treasury, signers: Signers
) -> None:
    def tended() -> Announcement:
        signers.at(treasury.now)
        signer_tasks.tend_signers(now=treasury.now)
        (found,) = queries.announcements_for(identity=treasury.staff.dot.identity, now=treasury.now)
        return found

    assert [signers.desks[token].code(recovery(treasury)) for token in HOT] == ["obeyed"] * 3
    assert seen(treasury)[0].unheard == []
    with signers.down("hot-3"):
        row = vetoed_from_here(treasury)
        for days in (0, 1, 2):
            treasury.now = row.made_at + timedelta(days=days)
            found = tended()
            assert (found.unheard, found.carried_until) == (["hot-3"] if days else list(HOT), row.expires_at)
            tended()
        assert "which they have not heard" in probes.read_registries(treasury.now).sentence
    tended()  # brings it, and the next look reads that it was heard
    found = tended()
    assert (found.is_vetoed, found.unheard) == (True, [])
    assert probes.read_registries(treasury.now).status is Status.UP
    assert queries.order_for(row.pk, identity=treasury.staff.dot.identity, now=treasury.now).state == "obeyed"


def test_says_when_no_veto_is_on_its_way_any_more_to_whom_has_not_heard_one(
    treasury: Treasury, signers: Signers
) -> None:
    assert [signers.desks[token].code(recovery(treasury)) for token in HOT] == ["obeyed"] * 3
    assert seen(treasury)
    with signers.down("hot-3"):
        row = vetoed_from_here(treasury)
        signer_tasks.tend_signers(now=treasury.now)
        treasury.now = row.expires_at
        signers.at(treasury.now)
        signer_tasks.tend_signers(now=treasury.now)
        (found,) = queries.announcements_for(identity=treasury.staff.dot.identity, now=treasury.now)
        assert (found.unheard, found.carried_until, found.is_vetoed) == (["hot-3"], None, False)


@pytest.mark.parametrize(("life_days", "hours"), [(30, 167), (3, 71), (1, 24)])
def test_makes_a_veto_good_for_as_long_as_signers_take_it(
    treasury: Treasury, settings: Any, life_days: int, hours: int
) -> None:
    with serving(recoverable(treasury, intent_life_s=life_days * 86_400), now=treasury.now) as found:
        settings.SIGNERS_DIR = found.folder
        assert found.codes(recovery(treasury)) == ["obeyed"] * 3
        assert seen(treasury)[0].effect
        row = vetoed_from_here(treasury)
        assert row.expires_at - row.made_at == timedelta(hours=hours)
        signer_tasks.carry_order(row.pk, now=treasury.now)
        assert seen(treasury)[0].is_vetoed


def test_warns_once_of_a_registry_that_signers_have_taken_in(treasury: Treasury, signers: Signers) -> None:
    """Our own quorum's as well: whoever may see the signers gets a mail, and the webhook is called."""
    assert signers.desks["hot-2"].code(recovery(treasury)) == "obeyed"
    seen(treasury)
    told = [message.body for message in OutboxMessage.objects.filter(topic="factors.officer_told")]
    may_see = {str(one.identity.pk) for one in (treasury.staff.ana, treasury.staff.ben, treasury.staff.dot)}
    assert may_see <= {body["identity"] for body in told}
    assert str(treasury.staff.eve.identity.pk) not in {body["identity"] for body in told}
    assert len(told) == len({body["identity"] for body in told})
    (outside,) = OutboxMessage.objects.filter(topic="factors.outside_told")
    effect = treasury.now + timedelta(seconds=DELAY_S)
    for words in (
        "version 2",
        "past the console",
        DIGEST,
        "hot-2",
        f"{effect:%Y-%m-%d %H:%M} UTC",
        "/treasury/",
    ):
        assert words in outside.body["text"]
    # The others hear of it later, and one of them begins a new journal: nobody is warned again.
    for token in ("hot-1", "hot-3"):
        assert signers.desks[token].code(recovery(treasury)) == "obeyed"
    SignerHealth.objects.filter(token="hot-2").update(journal_lines=0, journal_last="")
    seen(treasury)
    assert OutboxMessage.objects.filter(topic="factors.outside_told").count() == 1
    heard = [
        event.doc for event in AuditEvent.objects.all() if event.doc["action"] == "custody.registry.heard"
    ]
    assert [(one["target"], one["after"]["ours"]) for one in heard] == [(f"custody.registry/{DIGEST}", False)]


def test_shows_freezes_and_registries_whoever_ordered_them(treasury: Treasury, signers: Signers) -> None:
    assert signers.desks["hot-2"].code(stop(treasury, Kind.FREEZE, wallet="hot")) == "obeyed"
    signer_tasks.look_at_signers(now=treasury.now)
    row = SignerHealth.objects.get(token="hot-2")
    assert (row.frozen, row.state) == ({"hot": "by hand"}, "ready")
    assert row.registry_digest == signers.desks["hot-2"].registry.digest.hex()
    said = probes.read_signers(treasury.now)
    assert (said.status, "hot is frozen in hot-2." in said.sentence) == (Status.DEGRADED, True)


def test_is_read_on_from_where_it_was_and_costs_nothing_while_nothing_happens(
    treasury: Treasury, signers: Signers
) -> None:
    signer_tasks.look_at_signers(now=treasury.now)
    signers.desks["hot-1"].code(stop(treasury, Kind.FREEZE, wallet="hot"))
    before = len(signers.asked)
    for _ in range(2):
        signer_tasks.look_at_signers(now=treasury.now)
    (asked,) = [message for _, message in signers.asked[before:] if message["type"] == "log_entries"]
    lines = signers.desks["hot-1"].journal.lines
    assert (asked["start"], asked["end"]) == (lines - 1, lines)


def test_teaches_a_signer_again_that_lost_its_memory_before_anybody_asks_it_to_pay(
    treasury: Treasury, signers: Signers
) -> None:
    tom = Customer(str(treasury.tom.pk))
    how = {"deployment": "test", "time": time_text(treasury.now)}
    for message in (tom.key(**how), tom.beneficiary(HOME, **how)):
        actions.take_statement(
            customer_id=treasury.tom.pk,
            payload=encodings.from_base64url(message["payload"]),
            proof=message["proof"],
            label="home",
            confirmed=second_factor(treasury.tom.pk, now=treasury.now).row,
            actor=customer_actor(treasury.tom),
            now=treasury.now,
        )
    lane_tasks.tell_signers(now=treasury.now)
    signer_tasks.look_at_signers(now=treasury.now)
    assert StatementAnswer.objects.filter(code="").count() == 6
    desk = signers.desks["hot-2"]
    desk.signer.journal.close()
    desk.file.unlink()
    desk.token.anchor = None
    desk.signer = desk._start()
    later = treasury.now + timedelta(days=30)
    signers.at(later)
    before = len(signers.asked)
    signer_tasks.look_at_signers(now=later)
    assert not [message for _, message in signers.asked[before:] if message["type"].startswith("sign")]
    forgotten = StatementAnswer.objects.filter(code="forgotten")
    assert set(forgotten.values_list("token", flat=True)) == {"hot-2"}
    assert forgotten.count() == 2
    event = AuditEvent.objects.get(doc__action="custody.customer_statement.forgotten").doc
    assert event["before"]["statements"] == [
        str(pk) for pk in sorted(forgotten.values_list("statement", flat=True))
    ]
    assert event["reason"] == "its journal, read from the first line, does not hold what it had learnt"
    again = later + timedelta(minutes=10)
    signers.at(again)
    lane_tasks.tell_signers(now=again)
    signer_tasks.look_at_signers(now=again)
    assert StatementAnswer.objects.filter(code="").count() == 6
    assert desk.health["lanes"]["hot"]["known"] == 1


def test_is_begun_anew_where_another_one_was_put_in_its_place(treasury: Treasury, signers: Signers) -> None:
    """A folder that was put back is no signer's fault to hide: what follows is read from the first line."""
    desk = signers.desks["hot-3"]
    kept, anchor = desk.file.read_bytes(), desk.token.anchor
    assert desk.code(recovery(treasury)) == "obeyed"
    assert len(seen(treasury)) == 1
    desk.signer.journal.close()
    desk.file.write_bytes(kept)
    desk.token.anchor = anchor
    desk.signer = desk._start()
    for _ in range(3):
        desk.code({"v": 1, "type": "nonsense"})  # refusals are lines as well
    assert seen(treasury) == []
    assert SignerHealth.objects.get(token="hot-3").journal_lines == desk.journal.lines
