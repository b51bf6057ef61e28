"""What stands behind the doors in tests of them: a few plain views, and how they are asked."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from core.access import requires
from core.audit.models import AuditEvent
from core.refusals import NotFound
from devstack.standins.edge_issuer import Issuer, Person


@requires("console:home:read")
def home(request: Any) -> HttpResponse:
    return HttpResponse(f"{request.identity.display_name} {request.actor.subject} {request.actor.ip}")


@requires("audit:event:read")
def log(request: HttpRequest) -> HttpResponse:
    return HttpResponse("log")


@requires("console:home:read")
def lost(request: HttpRequest) -> HttpResponse:
    raise NotFound("There is no such withdrawal.")


@requires("console:home:read")
def remember(request: HttpRequest) -> HttpResponse:
    request.session["draft"] = request.session.get("draft", "") + "x"
    return HttpResponse(request.session["draft"])


def outside(request: Any) -> HttpResponse:
    return HttpResponse(str((request.identity, request.actor.kind, request.actor.identity)))


urlpatterns = [
    path("", home),
    path("log", log),
    path("lost", lost),
    path("remember", remember),
    path("outside", outside),
]


def holder(issuer: Issuer, token: str) -> tuple[Person, dict[str, Any]]:
    found = issuer.holder(token)
    assert found is not None
    return found


def get(path: str, token: str = "", host: str = "console.localhost", **headers: str) -> HttpResponse:
    if token:
        headers["Cf-Access-Jwt-Assertion"] = token
    return Client().get(path, headers={"Host": host, **headers})  # type: ignore[return-value]


def actions() -> list[str]:
    return [event.doc["action"] for event in AuditEvent.objects.order_by("id")]
