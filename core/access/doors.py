"""The two doors behind the edge: which tokens each admits, and who the bearer is to us."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final

from django.conf import settings

from core import deployment
from core.access.actions.sessions import SignedOut, is_signed_out
from core.access.adapters.keys import KeyStore, fetcher
from core.access.domain import tokens
from core.access.domain.networks import Whence, asn_in, country_in
from core.access.domain.postures import Posture
from core.access.models import Identity, Kind
from core.refusals import NotAllowed

ASSERTION: Final = "Cf-Access-Jwt-Assertion"
CERTS_PATH: Final = "/cdn-cgi/access/certs"


class Illegible(NotAllowed):
    """The edge has signed a name that nobody can have."""

    code: ClassVar[str] = tokens.Fault.ILLEGIBLE


class UnknownPerson(NotAllowed):
    """The edge knows the bearer, we do not."""

    code: ClassVar[str] = "access.unknown"


class AnotherSubject(NotAllowed):
    """A known e-mail under a new subject: another person, until two officers have bound the account anew."""

    code: ClassVar[str] = "access.another_subject"


class Suspended(NotAllowed):
    """The person's rights have ended."""

    code: ClassVar[str] = "access.suspended"


@functools.cache
def key_store(team_url: str, *, development: bool) -> KeyStore:
    """This process's store of the team's keys."""
    return KeyStore(fetcher(team_url + CERTS_PATH), development=development)


def rules_of(door: str) -> tokens.Rules | None:
    """What the door admits; None for doors with a proof of identity of their own."""
    if door == "console":
        return tokens.Rules(settings.ACCESS_TEAM_URL, settings.ACCESS_CONSOLE_AUD, admits=tokens.User)
    if door == "service":
        return tokens.Rules(settings.ACCESS_TEAM_URL, settings.ACCESS_SERVICE_AUD, admits=tokens.Service)
    return None


def bearer(assertion: str, *, rules: tokens.Rules, now: datetime) -> tokens.Bearer:
    """Whom the header's token names; BadToken."""
    store = key_store(settings.ACCESS_TEAM_URL, development=deployment.is_development())
    return tokens.read(assertion, rules=rules, key_of=store.key_of, now=now)


def identity_of(who: tokens.Bearer) -> Identity:
    """The active officer or service bound to the bearer's subject; NotAllowed for anybody else."""
    if isinstance(who, tokens.Service):
        found = Identity.objects.filter(kind=Kind.SERVICE, access_subject=who.common_name).first()
    else:
        found = Identity.objects.filter(kind=Kind.OFFICER, access_subject=who.subject).first()
        if found is None:
            known = Identity.objects.filter(kind=Kind.OFFICER, email=who.email).first()
            if known is not None:
                raise AnotherSubject(
                    "Your account at the edge is not the one that was enrolled under this e-mail. "
                    "Ask a senior officer to have it bound anew.",
                    target=f"access.identity/{known.pk}",
                )
    if found is None:
        raise UnknownPerson("You are not enrolled here. Ask a senior officer to have you enrolled.")
    if not found.is_active:
        raise Suspended(
            "Your access is suspended. Ask a senior officer why.", target=f"access.identity/{found.pk}"
        )
    if isinstance(who, tokens.User) and is_signed_out(who.subject, who.issued_at):
        raise SignedOut(
            "All your sessions were ended. Sign out at the edge (/cdn-cgi/access/logout) and in again.",
            target=f"access.identity/{found.pk}",
        )
    return found


def whence(headers: Mapping[str, str], peer: str, posture: Posture | None) -> Whence:
    """Where a request comes from, by what the edge sets; `headers` are looked up without regard to case."""
    return Whence(
        ip=client_ip(headers, peer),
        asn=asn_in(headers.get(settings.ASN_HEADER, "")) if settings.ASN_HEADER else "",
        country=country_in(headers.get("Cf-Ipcountry", "")),
        device=posture.device if posture else None,
    )


def client_ip(headers: Mapping[str, str], peer: str) -> str:
    """The address that the edge saw, or the peer's. Every way in leads through the edge, which sets it."""
    for candidate in (headers.get("Cf-Connecting-Ip", ""), peer):
        try:
            # A zone ("fe80::1%eth0") is any text of any length, and none of ours.
            return str(ipaddress.ip_address(candidate.strip().partition("%")[0]))
        except ValueError:
            continue
    return ""
