"""Whose account it is: e-mail and password, and a code where there is a second factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from rest_framework.request import Request

from core import clock
from core.actor import Actor
from customers import queries as customers
from customers.models import Customer
from trader_api import confirming, guessing
from trader_api.endpoint import word
from trader_api.turning_away import on_record

TEXT_MAX: Final = 254


@dataclass(frozen=True, slots=True)
class Holder:
    """The customer, and the second factor whose code they gave; None where they have none."""

    customer: Customer
    actor: Actor
    confirmed: UUID | None


def holder(request: Request, fields: Mapping[str, Any], *, act: str) -> Holder:
    """Whose e-mail, password and code these are; 50014 and 50114 of the code, all else as below."""
    shown = by_password_alone(request, fields)
    confirmed = confirming.confirmed(shown.customer.pk, fields, act=act, actor=shown.actor, now=clock.now())
    guessing.was_right(shown.customer.email, request)
    return replace(shown, confirmed=confirmed)


def by_password_alone(request: Request, fields: Mapping[str, Any]) -> Holder:
    """Whose e-mail and password these are; WrongPassword, on record where there is such a customer.
    50011 where too many were tried.
    """
    email = word(fields, "email", required=True, largest=TEXT_MAX)
    password = word(fields, "password", required=True)
    guessing.count(email, request, now=clock.now())
    try:
        found = customers.by_password(email=email, password=password)
    except customers.WrongPassword as refusal:
        if refusal.target:
            actor = request._request.actor  # type: ignore[attr-defined]
            on_record(refusal.target, refusal.code, str(refusal), actor=actor)
        raise
    return Holder(found, _as_customer(request, found), None)


def _as_customer(request: Request, customer: Customer) -> Actor:
    seen: Actor = request._request.actor  # type: ignore[attr-defined]
    return Actor(
        identity=customer.pk, kind="customer", label="password", ip=seen.ip, request_id=seen.request_id
    )
