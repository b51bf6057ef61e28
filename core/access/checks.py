"""Start-up checks: a production deployment does not start on development's edge, keys or secrets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from core import deployment

_TEAM: Final = re.compile(r"https://[a-z0-9-]+\.cloudflareaccess\.com")
_AUDIENCE: Final = re.compile(r"[0-9a-f]{64}")
_TAGS: Final = ("ACCESS_CONSOLE_AUD", "ACCESS_SERVICE_AUD")
_ORIGINS: Final = ("CONSOLE_ORIGIN", "SERVICE_ORIGIN", "API_ORIGIN", "HOOKS_ORIGIN", "APPROVER_ORIGIN")
POSTURE_AGE_S_MIN: Final = 60
POSTURE_AGE_S_MAX: Final = 24 * 3600


@register()
def check_edge(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Refuse to start where the edge's tokens would prove nothing."""
    found: list[CheckMessage] = []
    if deployment.kind() not in set(deployment.Kind):
        found.append(Error(f"DEPLOYMENT_KIND is one of {', '.join(deployment.Kind)}", id="access.E001"))
    found += [
        Error(f"{name} is the application's tag: 64 lower-case hex digits", id="access.E002")
        for name in _TAGS
        if not _AUDIENCE.fullmatch(getattr(settings, name))
    ]
    if settings.ACCESS_CONSOLE_AUD == settings.ACCESS_SERVICE_AUD:
        found.append(Error("console and service are two Access applications with two tags", id="access.E003"))
    if settings.AUTHENTICATION_BACKENDS:
        found.append(
            Error("no password logs anybody in here: AUTHENTICATION_BACKENDS is empty", id="access.E004")
        )
    if "core.access.middleware.AccessMiddleware" not in settings.MIDDLEWARE:
        found.append(Error("AccessMiddleware is missing", id="access.E005"))
    if not POSTURE_AGE_S_MIN <= settings.POSTURE_AGE_S <= POSTURE_AGE_S_MAX:
        found.append(Error("POSTURE_AGE_S is from a minute to a day", id="access.E007"))
    found += _development() if deployment.is_development() else _production()
    return found


def refuse_unsafe_start() -> None:
    """ImproperlyConfigured where any check fails: servers and workers run no system checks of their own."""
    if found := check_edge():
        raise ImproperlyConfigured("; ".join(f"{message.id}: {message.msg}" for message in found))


def _development() -> list[CheckMessage]:
    """A public deployment that forgot to say what it is must not pass for a developer's machine."""
    return [
        Error(f"{name} is public, so DEPLOYMENT_KIND must be production", id="access.E006")
        for name in _ORIGINS
        if not _is_local(getattr(settings, name))
    ]


def _is_local(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")


def _production() -> list[CheckMessage]:
    """What is right in development and fatal outside it."""
    found: list[CheckMessage] = []
    if not _TEAM.fullmatch(settings.ACCESS_TEAM_URL):
        found.append(
            Error(
                "ACCESS_TEAM_URL must be https://<team>.cloudflareaccess.com: any other issuer, the "
                "development stand-in's above all, lets its owner be anybody",
                id="access.E010",
            )
        )
    found += [
        Error(f"{name} still has its development value", id="access.E011")
        for name in _TAGS
        if len(set(getattr(settings, name))) < 4
    ]
    found += [
        Error(f"{name} must be a public https:// origin", id="access.E012")
        for name in _ORIGINS
        if urlsplit(getattr(settings, name)).scheme != "https" or _is_local(getattr(settings, name))
    ]
    found += [
        Error(
            f"no posture rule means {check}: every act that demands it would be refused; "
            "docs/configuration.md says which variable names the rules",
            id="access.E016",
        )
        for check, rules in settings.POSTURE_RULES.items()
        if not rules
    ]
    if settings.DEBUG:
        found.append(Error("DEBUG shows secrets to whoever causes an error", id="access.E013"))
    if not settings.SESSION_COOKIE_NAME.startswith("__Host-") or not settings.SESSION_COOKIE_SECURE:
        found.append(Error("the session cookie must be a secure __Host- cookie", id="access.E014"))
    if len(settings.SECRET_KEY) < 50:
        found.append(Error("SECRET_KEY is shorter than 50 characters", id="access.E015"))
    return found
