"""At the door …"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import httpx
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client

from core import clock
from core.access import requires
from core.access.models import Identity, RoleGrant
from core.access.requirement import permission_of
from core.audit.models import AuditEvent
from devstack.standins.edge_issuer import Issuer
from tests.doors import CONSOLE_AUD, SERVICE_AUD
from tests.officers import Staff
from tests.web.entrance import actions, get, home, log, outside

pytestmark = pytest.mark.usefixtures("entrance")

OTHER_AUD = "0f" * 32


def test_a_person_is_who_the_token_says(staff: Staff, tokens: dict[str, str]) -> None:
    answer = get("/", tokens["ana"], **{"Cf-Connecting-Ip": "203.0.113.7"})
    assert answer.status_code == 200
    assert answer.content.decode() == f"Ana Abelsen {staff.ana.actor.subject} 203.0.113.7"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": "CF_Authorization={token}"},
        {"Cf-Access-Authenticated-User-Email": "ana@countersign.example"},
        {"Authorization": "Bearer {token}"},
        {"Cf-Access-Token": "{token}"},
        {"X-Cf-Access-Jwt-Assertion": "{token}"},
    ],
    ids=["nothing", "cookie", "e-mail", "bearer", "cloudflared header", "another header"],
)
def test_nothing_but_the_header_counts(staff: Staff, tokens: dict[str, str], headers: dict[str, str]) -> None:
    given = {name: value.format(token=tokens["ana"]) for name, value in headers.items()}
    assert get("/", **given).status_code == 403
    assert "access.door.refused" not in actions()


def test_a_refused_token_is_in_no_log(
    staff: Staff, tokens: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    forged = tokens["ana"][:-8] + "AAAAAAAA"
    assert get("/", forged).status_code == 403
    assert "token.signature" in caplog.text
    for part in forged.split("."):
        assert part not in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/static/x", "//", "/./", "/x/../", "/%2e/", "/STATIC/", "/health", "/favicon.ico", "/robots.txt",
        "/cdn-cgi/access/certs", "/.well-known/x", "/login", "/admin/", "/outside",
    ],
)  # fmt: skip
def test_no_path_is_exempt(staff: Staff, path: str) -> None:
    for host in ("console.localhost", "service.localhost"):
        assert get(path, host=host).status_code == 403


def test_a_token_makes_nobody_and_changes_no_form_token(staff: Staff, tokens: dict[str, str]) -> None:
    before = set(Identity.objects.values_list("pk", "email", "is_active"))
    client = Client(headers={"Host": "console.localhost", "Cf-Access-Jwt-Assertion": tokens["ana"]})
    client.get("/remember")
    names = {name: morsel.value for name, morsel in client.cookies.items()}
    client.get("/remember")
    assert {name: morsel.value for name, morsel in client.cookies.items()} == names
    Identity.objects.filter(pk=staff.eve.identity.pk).update(
        access_subject="x", email="e@countersign.example"
    )
    assert get("/", tokens["eve"]).status_code == 403
    assert Identity.objects.count() == len(before)


def test_a_repeated_header_is_refused(issuer: Issuer, tokens: dict[str, str]) -> None:
    async def ask(headers: list[tuple[str, str]]) -> int:
        transport = httpx.ASGITransport(app=ASGIHandler(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://console.localhost") as client:
            return (await client.get("/", headers=headers)).status_code

    name, good = "Cf-Access-Jwt-Assertion", tokens["ana"]
    assert asyncio.run(ask([(name, good), (name, good)])) == 403
    assert asyncio.run(ask([(name, good), (name, "forged")])) == 403
    assert asyncio.run(ask([(name, f"{good}, {good}")])) == 403
    assert asyncio.run(ask([(name.replace("-", "_"), good)])) == 403, "underscores make another header"


@pytest.mark.parametrize("audience", [SERVICE_AUD, OTHER_AUD])
def test_another_applications_token_is_refused(staff: Staff, issuer: Issuer, audience: str) -> None:
    token = issuer.user_token(issuer.people["ana@countersign.example"], audience)
    assert get("/", token).status_code == 403


def test_people_and_programs_have_each_their_door(
    staff: Staff, service: str, issuer: Issuer, tokens: dict[str, str]
) -> None:
    assert get("/", service, host="service.localhost").status_code == 200
    assert get("/", service).status_code == 403
    name = next(iter(issuer.services))
    assert get("/", issuer.service_token(name, CONSOLE_AUD)).status_code == 403
    ana = issuer.people["ana@countersign.example"]
    assert get("/", tokens["ana"], host="service.localhost").status_code == 403
    assert get("/", issuer.user_token(ana, SERVICE_AUD), host="service.localhost").status_code == 403


def test_a_program_may_only_what_its_roles_name(service: str) -> None:
    RoleGrant.objects.all().update(revoked_at=clock.now())
    answer = get("/", service, host="service.localhost")
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/json")


def test_suspension_is_felt_by_programs_too(service: str) -> None:
    assert get("/", service, host="service.localhost").status_code == 200
    Identity.objects.filter(kind="service").update(is_active=False)
    refused = get("/", service, host="service.localhost")
    assert (refused.status_code, b"access.suspended" in refused.content) == (403, True)


@pytest.mark.parametrize("host", ["api.localhost", "hooks.localhost"])
def test_a_token_is_no_right_to_anything_elsewhere(staff: Staff, tokens: dict[str, str], host: str) -> None:
    answer = get("/outside", tokens["ana"], host=host)
    assert answer.content.decode() == "(None, 'system', None)"


@pytest.mark.parametrize("host", ["evil.localhost", "console.localhost.evil.example", "CONSOLE.localhost."])
def test_another_host_is_no_door(staff: Staff, tokens: dict[str, str], host: str) -> None:
    assert get("/", tokens["ana"], host=host).status_code in (400, 403, 421)


def test_somebody_unknown_is_told_so_and_recorded(db: None, tokens: dict[str, str]) -> None:
    answer = get("/", tokens["eve"])
    assert answer.status_code == 403
    assert "not enrolled" in answer.content.decode()
    assert actions() == ["access.door.refused"]


@pytest.mark.parametrize("letter", ["\0", "\ud800"], ids=["a NUL", "half a letter"])
@pytest.mark.parametrize("claim", ["subject", "email"])
def test_a_name_that_no_database_holds_is_refused_and_recorded(
    staff: Staff, issuer: Issuer, claim: str, letter: str
) -> None:
    """An identity provider behind the edge may let people choose what they are called."""
    ana = issuer.people["ana@countersign.example"]
    named = replace(ana, **{claim: f"a{letter}@countersign.example"})
    before = actions()
    answer = get("/", issuer.user_token(named, CONSOLE_AUD))
    assert (answer.status_code, actions()) == (403, [*before, "access.door.refused"])
    assert 'data-code="token.illegible"' in answer.content.decode()


@pytest.mark.parametrize("letter", ["\0", "\ud800"], ids=["a NUL", "half a letter"])
def test_a_program_of_such_a_name_is_refused_and_recorded(db: None, issuer: Issuer, letter: str) -> None:
    token = issuer.service_token(f"a{letter}.access", SERVICE_AUD)
    assert get("/", token, host="service.localhost").status_code == 403
    assert actions() == ["access.door.refused"]


def test_an_address_with_a_zone_is_written_down_without_it(staff: Staff, tokens: dict[str, str]) -> None:
    """Behind the percent sign stands whatever somebody likes, however long."""
    zoned = f"fe80::1%{'x' * 200}"
    assert get("/log", tokens["eve"], **{"Cf-Connecting-Ip": zoned}).status_code == 403
    assert AuditEvent.objects.order_by("-id")[0].doc["actor"]["ip"] == "fe80::1"


def test_somebody_without_a_role_meets_a_clear_sentence(staff: Staff, tokens: dict[str, str]) -> None:
    answer = get("/", tokens["eve"])
    assert answer.status_code == 403
    assert "Your role does not open this page." in answer.content.decode()
    assert actions()[-1] == "access.view.refused"


def test_a_role_opens_its_own_pages_only(staff: Staff, tokens: dict[str, str]) -> None:
    assert get("/log", tokens["dot"]).status_code == 200
    assert get("/log", tokens["ben"]).status_code == 403


def test_a_known_e_mail_under_another_subject_is_somebody_else(staff: Staff, tokens: dict[str, str]) -> None:
    Identity.objects.filter(pk=staff.ana.identity.pk).update(access_subject="another")
    answer = get("/", tokens["ana"])
    assert answer.status_code == 403
    assert "bound anew" in answer.content.decode()
    event = AuditEvent.objects.order_by("-id")[0].doc
    assert event["target"] == f"access.identity/{staff.ana.identity.pk}"
    assert event["after"] == {"code": "access.another_subject"}


def test_a_customer_of_the_same_e_mail_is_not_taken_for_the_officer(db: None, tokens: dict[str, str]) -> None:
    Identity.objects.create(kind="customer", email="ana@countersign.example", display_name="Ana")
    assert get("/", tokens["ana"]).status_code == 403


def test_suspension_is_felt_with_the_next_request(staff: Staff, tokens: dict[str, str]) -> None:
    assert get("/", tokens["ana"]).status_code == 200
    Identity.objects.filter(pk=staff.ana.identity.pk).update(is_active=False)
    assert get("/", tokens["ana"]).status_code == 403


def test_a_role_ends_with_the_next_request(staff: Staff, tokens: dict[str, str], now: datetime) -> None:
    assert get("/log", tokens["dot"]).status_code == 200
    RoleGrant.objects.filter(identity=staff.dot.identity).update(revoked_at=now)
    assert get("/log", tokens["dot"]).status_code == 403


def test_a_session_is_worth_nothing_to_another_person(staff: Staff, tokens: dict[str, str]) -> None:
    client = Client(headers={"Host": "console.localhost"})

    def ask(who: str) -> HttpResponse:
        return client.get("/remember", headers={"Cf-Access-Jwt-Assertion": tokens[who]})  # type: ignore[return-value]

    assert [ask("ana").content, ask("ana").content] == [b"x", b"xx"]
    assert ask("ben").content == b"x"
    assert client.get("/remember").status_code == 403


def test_a_refusal_of_the_app_becomes_a_page(staff: Staff, tokens: dict[str, str]) -> None:
    answer = get("/lost", tokens["ana"])
    assert answer.status_code == 404
    assert "There is no such withdrawal." in answer.content.decode()
    part = get("/lost", tokens["ana"], **{"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "There is no such withdrawal." in part


def test_the_page_shows_no_markup_of_others(staff: Staff, tokens: dict[str, str]) -> None:
    from core.access import pages

    request = type("R", (), {"door": "console", "id": "1", "headers": {}})()
    page = pages.refused(request, "<script>x</script>", code="c").content.decode()
    assert "<script>" not in page


def test_every_view_shows_its_permission() -> None:
    assert [permission_of(view) for view in (home, log, outside)] == [
        "console:home:read",
        "audit:event:read",
        None,
    ]


def test_a_coroutine_view_cannot_be_guarded_by_mistake() -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    with pytest.raises(TypeError, match="plain views"):
        requires("console:home:read")(view)  # type: ignore[type-var]
