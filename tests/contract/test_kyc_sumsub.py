"""Our client and the Sumsub stand-in agree over real HTTP: signatures, addresses, errors."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from devstack.standins import sumsub as standin
from devstack.standins.provider_server import ProviderServer
from kyc.adapters.sumsub import Signature, Sumsub
from kyc.adapters.wire import Rejected, SomebodyElse, Unavailable, Unknown
from kyc.domain import sumsub
from kyc.domain.verifications import State
from tests.providers import API_SECRET, APP_TOKEN, HOOK_SECRET, control, served


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    made = standin.serve(
        port=0,
        app_token=APP_TOKEN,
        secret=API_SECRET,
        webhook_url="http://127.0.0.1:9/",
        webhook_secret=HOOK_SECRET,
        hold_s=0.3,
    )
    with served(made) as running:
        control(running, "courier", {"hold": True})
        yield running


@pytest.fixture
def client(server: ProviderServer) -> Iterator[Sumsub]:
    with Sumsub(url=server.url, app_token=APP_TOKEN, secret=API_SECRET) as made:
        yield made


def created(client: Sumsub, external: str = "") -> tuple[str, str]:
    ours = external or str(uuid4())
    found = client.ensure_applicant(external_user_id=ours, applicant_id="", level="kyc-standard", name="")
    return ours, found


def test_an_applicant_is_created_once_and_found_again(server: ProviderServer, client: Sumsub) -> None:
    ours, first = created(client)
    assert created(client, ours) == (ours, first)
    assert len(control(server, "applicants", method="GET")) == 1


def test_an_applicant_who_appears_between_asking_and_creating_is_found(
    server: ProviderServer, client: Sumsub, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, first = created(client)
    asked: list[str] = []
    find = client._by_external_id

    def blind_at_first(name: str) -> object:
        asked.append(name)
        return None if len(asked) == 1 else find(name)

    monkeypatch.setattr(client, "_by_external_id", blind_at_first)
    assert created(client, ours) == (ours, first)


def test_names_with_special_signs_reach_the_provider_unbent(server: ProviderServer, client: Sumsub) -> None:
    ours = "a b/c?d=e&f;g%h+ü"
    _, found = created(client, ours)
    document = client.read(external_user_id=ours, applicant_id="")
    assert (document["id"], document["externalUserId"]) == (found, ours)


def test_another_persons_file_is_no_answer_about_this_one(client: Sumsub) -> None:
    ours, _ = created(client)
    _, approved = created(client)
    with pytest.raises(SomebodyElse):
        client.read(external_user_id=ours, applicant_id=approved)


def test_both_forms_of_the_authoritative_read_agree(client: Sumsub) -> None:
    ours, found = created(client)
    by_id = client.read(external_user_id=ours, applicant_id=found)
    assert by_id == client.read(external_user_id=ours, applicant_id="")
    answer = sumsub.read(by_id)
    assert (answer.state, answer.level, answer.applicant_type) == (
        State.IN_PROGRESS,
        "kyc-standard",
        "individual",
    )


@pytest.mark.parametrize(
    ("result", "state"),
    [
        ({"reviewAnswer": "GREEN"}, State.APPROVED),
        ({"reviewAnswer": "RED", "reviewRejectType": "RETRY"}, State.RETRY_REQUIRED),
        (
            {"reviewAnswer": "RED", "reviewRejectType": "FINAL", "rejectLabels": ["FORGERY"]},
            State.REJECTED_FINAL,
        ),
    ],
)
def test_a_completed_review_is_read_as_what_it_is(
    server: ProviderServer, client: Sumsub, result: dict[str, object], state: State
) -> None:
    ours, found = created(client)
    control(server, f"applicants/{ours}/complete", result)
    assert sumsub.read(client.read(external_user_id=ours, applicant_id=found)).state is state


def test_another_level_moves_the_applicant_there(client: Sumsub) -> None:
    ours, found = created(client)
    again = client.ensure_applicant(external_user_id=ours, applicant_id=found, level="kyc-enhanced", name="")
    assert again == found
    assert sumsub.read(client.read(external_user_id=ours, applicant_id=found)).level == "kyc-enhanced"


def test_a_token_for_the_sdk_is_given(client: Sumsub) -> None:
    ours, found = created(client)
    token = client.sdk_token(external_user_id=ours, applicant_id=found, level="kyc-standard", ttl_s=600)
    assert len(token) > 40


def test_a_request_s_signature_covers_time_method_address_and_body() -> None:
    request = httpx.Request("POST", "https://api.sumsub.com/resources/x?levelName=a%20b", content=b'{"a":1}')
    signature = Signature(app_token="prd:t", secret="s", clock=lambda: 1_700_000_000.9)
    signed = next(signature.auth_flow(request))
    message = b'1700000000POST/resources/x?levelName=a%20b{"a":1}'
    assert signed.headers["X-App-Access-Ts"] == "1700000000"
    assert signed.headers["X-App-Access-Sig"] == hmac.new(b"s", message, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("skew_s", [-90, 90])
def test_a_clock_off_by_more_than_a_minute_is_refused(server: ProviderServer, skew_s: int) -> None:
    off = Sumsub(url=server.url, app_token=APP_TOKEN, secret=API_SECRET, clock=lambda: time.time() + skew_s)
    with off, pytest.raises(Rejected):
        created(off)


def test_wrong_credentials_are_refused(server: ProviderServer) -> None:
    for token, secret in ((APP_TOKEN, "wrong"), ("prd:wrong", API_SECRET)):
        with Sumsub(url=server.url, app_token=token, secret=secret) as stranger, pytest.raises(Rejected):
            created(stranger)


def test_a_captured_request_with_another_body_is_refused(server: ProviderServer) -> None:
    target, stamp = "/resources/accessTokens/sdk", str(int(time.time()))
    message = f"{stamp}POST{target}".encode() + b'{"userId":"tom"}'
    headers = {
        "X-App-Token": APP_TOKEN,
        "X-App-Access-Ts": stamp,
        "X-App-Access-Sig": hmac.new(API_SECRET.encode(), message, hashlib.sha256).hexdigest(),
    }
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request("POST", target, body=b'{"userId":"tia"}', headers=headers)
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.parametrize(
    ("mode", "error"), [(401, Rejected), (429, Unavailable), (500, Unavailable), (503, Unavailable)]
)
def test_a_failing_provider_says_whether_to_ask_again(
    server: ProviderServer, client: Sumsub, mode: int, error: type[Exception]
) -> None:
    ours, found = created(client)
    control(server, "failures", {"mode": mode})
    with pytest.raises(error):
        client.read(external_user_id=ours, applicant_id=found)
    assert client.read(external_user_id=ours, applicant_id=found)["id"] == found


def test_a_provider_that_does_not_answer_in_time_is_unavailable(
    server: ProviderServer, client: Sumsub
) -> None:
    ours, found = created(client)
    control(server, "failures", {"mode": "timeout"})
    client._client.timeout = httpx.Timeout(0.1)
    with pytest.raises(Unavailable):
        client.read(external_user_id=ours, applicant_id=found)


def test_a_provider_that_is_not_there_is_unavailable() -> None:
    nowhere = Sumsub(url="http://127.0.0.1:9", app_token=APP_TOKEN, secret=API_SECRET)
    with nowhere, pytest.raises(Unavailable):
        created(nowhere)


def test_an_unknown_applicant_is_unknown(client: Sumsub) -> None:
    with pytest.raises(Unknown):
        client.read(external_user_id="", applicant_id="0" * 24)
