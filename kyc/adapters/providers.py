"""Which provider answers: clients made from this process's settings. Only workers hold the credentials."""

from __future__ import annotations

from typing import Any, Protocol, Self

from django.conf import settings

from kyc.adapters.onfido import Onfido
from kyc.adapters.sumsub import Sumsub
from kyc.models import Provider


class Client(Protocol):
    """What both providers offer us."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_error: object) -> None: ...
    def ensure_applicant(self, *, external_user_id: str, applicant_id: str, level: str, name: str) -> str: ...
    def sdk_token(self, *, external_user_id: str, applicant_id: str, level: str, ttl_s: int) -> str: ...
    def read(self, *, external_user_id: str, applicant_id: str) -> dict[str, Any]: ...


def client(provider: str) -> Client:
    """The provider's client."""
    return onfido() if provider == Provider.ONFIDO else sumsub()


def sumsub() -> Sumsub:
    return Sumsub(url=settings.SUMSUB_URL, app_token=settings.SUMSUB_APP_TOKEN, secret=settings.SUMSUB_SECRET)


def onfido() -> Onfido:
    return Onfido(url=settings.ONFIDO_URL, token=settings.ONFIDO_TOKEN)
