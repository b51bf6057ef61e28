"""Our client and the Onfido stand-in agree over real HTTP: checks, reports, errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devstack.standins import onfido as standin
from devstack.standins.provider_server import ProviderServer
from kyc.adapters.onfido import Onfido
from kyc.adapters.wire import Rejected, Unknown
from kyc.domain import onfido
from kyc.domain.answers import Answer
from kyc.domain.verifications import State
from tests.providers import API_SECRET, HOOK_SECRET, control, served


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    made = standin.serve(
        port=0, token=API_SECRET, webhook_url="http://127.0.0.1:9/", webhook_token=HOOK_SECRET, hold_s=0.3
    )
    with served(made) as running:
        control(running, "courier", {"hold": True})
        yield running


@pytest.fixture
def client(server: ProviderServer) -> Iterator[Onfido]:
    with Onfido(url=server.url, token=API_SECRET) as made:
        yield made


def created(client: Onfido, name: str = "Tom Trader") -> str:
    return client.ensure_applicant(external_user_id="x", applicant_id="", level="kyc-standard", name=name)


def said(client: Onfido, applicant: str) -> Answer:
    return onfido.read(client.read(external_user_id="", applicant_id=applicant))


def test_an_applicant_is_created_and_kept(client: Onfido) -> None:
    first = created(client)
    again = client.ensure_applicant(external_user_id="x", applicant_id=first, level="kyc-standard", name="")
    assert again == first
    assert said(client, first).person == {"firstName": "Tom", "lastName": "Trader"}


def test_a_single_name_is_taken_for_both(client: Onfido) -> None:
    assert said(client, created(client, "Plato")).person == {"firstName": "Plato", "lastName": "Plato"}


def test_a_check_is_requested_once_while_it_runs(server: ProviderServer, client: Onfido) -> None:
    applicant = created(client)
    first = client.ensure_check(applicant_id=applicant, level="kyc-standard")
    assert client.ensure_check(applicant_id=applicant, level="kyc-standard") == first
    assert client.applicant_of_check(check_id=first) == applicant
    answer = said(client, applicant)
    assert (answer.state, answer.level) == (State.SUBMITTED, "kyc-standard")


def test_a_clear_check_approves_and_a_considered_one_is_held(server: ProviderServer, client: Onfido) -> None:
    applicant = created(client)
    check = client.ensure_check(applicant_id=applicant, level="kyc-standard")
    control(server, f"checks/{check}/complete", {"result": "clear"})
    assert said(client, applicant).state is State.APPROVED
    newer = client.ensure_check(applicant_id=applicant, level="kyc-standard")
    reports = {"document": {"result": "consider", "sub_result": "suspected"}}
    control(server, f"checks/{newer}/complete", {"result": "consider", "reports": reports})
    answer = said(client, applicant)
    assert (answer.state, answer.is_suspected_fraud) == (State.ON_HOLD, True)
    assert answer.labels == ("document:suspected",)


def test_a_webhook_says_complete_for_both_and_carries_no_result(
    server: ProviderServer, client: Onfido
) -> None:
    applicant = created(client)
    for result in ("clear", "consider"):
        check = client.ensure_check(applicant_id=applicant, level="kyc-standard")
        control(server, f"checks/{check}/complete", {"result": result})
    bodies = [row["body"] for row in control(server, "deliveries", method="GET")]
    assert sum("check.completed" in body for body in bodies) == 2
    assert not any("clear" in body or "consider" in body for body in bodies)


def test_a_token_for_the_sdk_is_given(client: Onfido) -> None:
    applicant = created(client)
    given = client.sdk_token(external_user_id="", applicant_id=applicant, level="kyc-standard", ttl_s=600)
    assert len(given) > 40


def test_a_wrong_token_is_refused(server: ProviderServer) -> None:
    with Onfido(url=server.url, token="wrong") as stranger, pytest.raises(Rejected):
        created(stranger)


def test_an_unknown_check_is_unknown(client: Onfido) -> None:
    with pytest.raises(Unknown):
        client.applicant_of_check(check_id="f2302f45-227d-413d-ad61-09ec077a086a")
