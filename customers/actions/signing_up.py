"""A trader joins."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from core import audit, outbox
from core.access.models import Identity, Kind
from core.action import action
from core.actor import Actor
from core.refusals import Refused
from customers.events import CustomerSignedUp, Event
from customers.models import Customer

PASSWORD_LENGTH_MIN: Final = 12
PASSWORD_LENGTH_MAX: Final = 128
_COUNTRY: Final = re.compile(r"[A-Z]{2}")


class BadEmail(Refused):
    """The address is not one."""

    code = "customer.email"
    status = 422


class WeakPassword(Refused):
    """The password is too short or too long."""

    code = "customer.password"
    status = 422


class BadCountry(Refused):
    """The country is no ISO 3166 code."""

    code = "customer.country"
    status = 422


class EmailTaken(Refused):
    """Somebody has signed up with this address before."""

    code = "customer.email_taken"


def check_password(password: str, *, undone: str) -> None:
    """WeakPassword where it is too short or too long; `undone` begins the sentence."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise WeakPassword(
            f"{undone}: a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters."
        )


@action(Event.SIGNED_UP)
def sign_up(
    *, email: str, password: str, country: str, actor: Actor, now: datetime, name: str = ""
) -> Customer:
    """A customer at tier 0, who may only look. The address is normalised once, before check and store."""
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        raise BadEmail("Nobody was signed up: that is no e-mail address.") from None
    check_password(password, undone="Nobody was signed up")
    if not _COUNTRY.fullmatch(country):
        raise BadCountry("Nobody was signed up: the country is a two-letter ISO code, such as DE.")
    try:
        with transaction.atomic():
            identity = Identity.objects.create(
                kind=Kind.CUSTOMER,
                email=address,
                display_name=(name.strip() or address.partition("@")[0])[:120],
            )
    except IntegrityError:
        raise EmailTaken("Nobody was signed up: this address has an account already.") from None
    customer = Customer.objects.create(identity=identity, password=make_password(password), country=country)
    after = {"country": country, "tier": 0, "email": audit.personal(audit.name_of(customer), address)}
    audit.record(Event.SIGNED_UP, customer, actor=actor, now=now, after=after)
    outbox.publish(CustomerSignedUp(customer=str(identity.pk)), now=now)
    return customer
