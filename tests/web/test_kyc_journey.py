"""From a customer's wish to a tier: stand-in, hooks door, worker and API, over real HTTP.

What a captured, changed or belated delivery can do is tested here whole: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from customers.models import Customer
from devstack.standins import onfido as onfido_standin
from devstack.standins import sumsub as sumsub_standin
from devstack.standins.provider_server import ProviderServer
from kyc import actions, queries, tasks
from kyc.adapters.wire import Unavailable
from kyc.domain.verifications import State
from kyc.models import Case, Provider, ProviderApplicant, VerificationTransition, WebhookDelivery
from tests.cast import NOW
from tests.providers import (
    API_SECRET,
    APP_TOKEN,
    HOOK_SECRET,
    HOST,
    ROBOT,
    control,
    hook_path,
    hooks_door,
    served,
    state_of,
    tier_of,
    trader,
    until,
)

Drain = Callable[..., int]


@dataclass
class World:
    """The parts of the journey. `minute` is the worker's clock, one minute further at each turn."""

    sumsub: ProviderServer
    onfido: ProviderServer
    drain: Drain
    minute: int = 0

    def work(self) -> None:
        """Let the worker do everything that is due, a minute later than last time."""
        self.minute += 1
        self.drain(now=NOW + self.minute * timedelta(minutes=1))

    def arrived(self, count: int) -> None:
        until(lambda: WebhookDelivery.objects.count() >= count)
        self.work()

    def steer(self, path: str, document: object = None, *, method: str = "POST") -> Any:
        return control(self.sumsub, path, document, method=method)


@pytest.fixture
def world(real_database: str, settings: Settings, drain_outbox: Drain) -> Iterator[World]:
    for provider in Provider:
        actions.declare_endpoint(provider=provider, secrets=[HOOK_SECRET], actor=ROBOT, now=NOW)
    with hooks_door() as port:
        address = f"http://{HOST}:{port}"
        sumsub = sumsub_standin.serve(
            port=0,
            app_token=APP_TOKEN,
            secret=API_SECRET,
            webhook_url=address + hook_path("sumsub"),
            webhook_secret=HOOK_SECRET,
        )
        onfido = onfido_standin.serve(
            port=0, token=API_SECRET, webhook_url=address + hook_path("onfido"), webhook_token=HOOK_SECRET
        )
        settings.SUMSUB_URL, settings.ONFIDO_URL = sumsub.url, onfido.url
        settings.SUMSUB_APP_TOKEN, settings.SUMSUB_SECRET, settings.ONFIDO_TOKEN = (
            APP_TOKEN,
            API_SECRET,
            API_SECRET,
        )
        with served(sumsub), served(onfido):
            yield World(sumsub, onfido, drain_outbox)


def begun(world: World, *, provider: str = "sumsub") -> tuple[Customer, str]:
    """Tom, who has started and has his token; and what the provider calls him."""
    tom = trader()
    actions.start_verification(
        customer_id=tom.pk, level="kyc-standard", provider=provider, actor=ROBOT, now=NOW
    )
    access = queries.sdk_access(tom.pk, level="kyc-standard", provider=provider, now=NOW)
    assert not access.token
    world.work()
    access = queries.sdk_access(tom.pk, level="kyc-standard", provider=provider, now=NOW)
    assert len(access.token) > 40
    return tom, access.applicant


def approved(world: World) -> tuple[Customer, str, list[int]]:
    tom, name = begun(world)
    numbers = world.steer(f"applicants/{name}/complete")["deliveries"]
    world.arrived(3)
    assert (state_of(tom), tier_of(tom)) == (State.APPROVED, 2)
    return tom, name, numbers


def test_a_customer_reaches_tier_two(world: World) -> None:
    tom, _, numbers = approved(world)
    rows = {row["number"]: row["answers"] for row in world.steer("deliveries", method="GET")}
    assert [rows[number] for number in numbers] == [[200], [200]]
    assert queries.effective_tier(tom.pk, now=NOW).withdraw_usd_per_day == 10_000


def test_a_replayed_delivery_changes_nothing(world: World) -> None:
    tom, _, numbers = approved(world)
    before = (WebhookDelivery.objects.count(), VerificationTransition.objects.count())
    assert world.steer(f"deliveries/{numbers[1]}/send", {"times": 3})["answers"] == [200] * 3
    world.work()
    assert (WebhookDelivery.objects.count(), VerificationTransition.objects.count()) == before
    assert tier_of(tom) == 2


TAMPERED = ("body", "reformatted", "digest", "garbage", "upper", "missing", "non-ascii", "algorithm")


def test_a_tampered_delivery_is_refused_and_changes_nothing(world: World) -> None:
    tom, name = begun(world)
    verdict = {"reviewAnswer": "RED", "reviewRejectType": "FINAL", "deliver": False}
    _, last = world.steer(f"applicants/{name}/complete", verdict)["deliveries"]
    world.arrived(1)
    before = (WebhookDelivery.objects.count(), VerificationTransition.objects.count(), state_of(tom))
    for how in TAMPERED:
        assert world.steer(f"deliveries/{last}/send", {"tamper": how})["answers"] == [401], how
    world.work()
    after = (WebhookDelivery.objects.count(), VerificationTransition.objects.count(), state_of(tom))
    assert (after, tier_of(tom)) == (before, 0)


def test_deliveries_out_of_order_change_nothing(world: World) -> None:
    tom, name = begun(world)
    pending, reviewed = world.steer(f"applicants/{name}/complete", {"deliver": False})["deliveries"]
    assert world.steer("deliveries/send", {"order": [reviewed]})["answers"] == [200]
    world.work()
    assert tier_of(tom) == 2
    steps = VerificationTransition.objects.count()
    assert world.steer("deliveries/send", {"order": [pending]})["answers"] == [200]
    world.work()
    assert (state_of(tom), tier_of(tom), VerificationTransition.objects.count()) == (State.APPROVED, 2, steps)


def test_a_signed_lie_about_the_result_is_not_believed(world: World) -> None:
    tom, name = begun(world)
    fields = {"reviewStatus": "completed", "reviewResult": {"reviewAnswer": "GREEN"}}
    world.steer(f"applicants/{name}/event", {"event": "applicantReviewed", "fields": fields})
    world.arrived(2)
    assert (state_of(tom), tier_of(tom)) == (State.IN_PROGRESS, 0)


def test_a_partial_green_is_no_approval(world: World) -> None:
    tom, name = begun(world)
    review = {"reviewStatus": "awaitingService", "reviewResult": {"reviewAnswer": "GREEN"}}
    world.steer(f"applicants/{name}/review", {"review": review, "event": "applicantReviewed"})
    world.arrived(2)
    assert (state_of(tom), tier_of(tom)) == (State.SUBMITTED, 0)


def test_fraud_found_later_takes_the_tier_away_at_once(world: World) -> None:
    tom, name, _ = approved(world)
    result = {"reviewAnswer": "RED", "reviewRejectType": "FINAL", "rejectLabels": ["FORGERY"]}
    world.steer(
        f"applicants/{name}/review", {"review": {"reviewResult": result}, "event": "applicantReviewed"}
    )
    world.arrived(4)
    assert (state_of(tom), tier_of(tom)) == (State.REJECTED_FINAL, 0)
    assert Case.objects.get().kind == "late_rejection"


def test_a_provider_that_is_down_leaves_the_tier_as_it_is_until_it_can_be_asked(world: World) -> None:
    tom, name, _ = approved(world)
    world.steer("failures", {"mode": 503, "path": "/one$"})
    world.steer(f"applicants/{name}/event", {"event": "applicantReset"})
    with pytest.raises(Unavailable):
        world.arrived(4)
    assert ProviderApplicant.objects.get().trouble == "unavailable"
    assert tier_of(tom) == 2
    world.work()
    assert ProviderApplicant.objects.get().trouble == ""


def test_a_provider_that_refuses_us_suspends_nobody_and_is_not_asked_without_end(world: World) -> None:
    tom, name, _ = approved(world)
    world.steer("failures", {"mode": 401, "path": "/one$"})
    world.steer(f"applicants/{name}/event", {"event": "applicantReset"})
    world.arrived(4)
    row = ProviderApplicant.objects.get()
    assert (row.trouble, tier_of(tom)) == ("rejected", 2)
    later = NOW + timedelta(hours=1)
    assert queries.to_reconcile(now=later) == [row.pk]


def test_a_lost_webhook_is_made_up_for_by_the_regular_comparison(world: World) -> None:
    tom, name = begun(world)
    world.steer(f"applicants/{name}/complete", {"deliver": False})
    row = ProviderApplicant.objects.get()
    assert row.last_snapshot_started_at is not None
    late = row.last_snapshot_started_at + queries.RECONCILE_AFTER
    assert queries.to_reconcile(now=late) == []
    assert queries.to_reconcile(now=late + timedelta(seconds=1)) == [row.pk]
    actions.want_read(applicant_id=row.pk, why="regular comparison", actor=ROBOT, now=late)
    world.work()
    assert tier_of(tom) == 2


@pytest.mark.parametrize(
    ("result", "tier", "state"), [("clear", 2, State.APPROVED), ("consider", 0, State.ON_HOLD)]
)
def test_the_same_webhook_of_onfido_ends_in_what_its_api_says(
    world: World, result: str, tier: int, state: State
) -> None:
    tom, _ = begun(world, provider="onfido")
    actions.finish_capture(customer_id=tom.pk, level="kyc-standard", actor=ROBOT, now=NOW)
    world.work()
    applicant = ProviderApplicant.objects.get(provider="onfido").applicant_id
    control(world.onfido, f"checks/{applicant}/complete", {"result": result})
    world.arrived(2)
    assert (state_of(tom), tier_of(tom)) == (state, tier)


def test_sandbox_deliveries_count_only_where_the_deployment_itself_is_in_the_sandbox(
    settings: Settings,
) -> None:
    settings.SUMSUB_APP_TOKEN = "sbx:token"
    settings.DEPLOYMENT_KIND = "development"
    assert tasks.accepts_sandbox(Provider.SUMSUB)
    assert not tasks.accepts_sandbox(Provider.ONFIDO)
    for other in ("production", "staging", ""):
        settings.DEPLOYMENT_KIND = other
        assert not tasks.accepts_sandbox(Provider.SUMSUB)
