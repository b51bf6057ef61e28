"""Reads of customers and their keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db.models import QuerySet

from core.refusals import NotAllowed, NotFound, Refused
from customers.domain import authenticators, links, secrets, signatures
from customers.domain.authenticators import State
from customers.models import ApiKey, Authenticator, Customer


class WrongPassword(NotAllowed):
    """No customer has this e-mail and password; which of the two is wrong is not said."""

    code = "customer.wrong_password"


class CodeNeeded(NotAllowed):
    """The customer has a second factor, and no code of it came with the act."""

    code = "customer.code_needed"


class NoSecondFactor(Refused):
    """The act needs a second factor, and the customer has none."""

    code = "customer.no_second_factor"


def by_password(*, email: str, password: str) -> Customer:
    """The active customer with this e-mail and password; else WrongPassword, after as much work."""
    customer = (
        Customer.objects.select_related("identity")
        .filter(identity__email=email.strip().lower(), identity__is_active=True)
        .first()
    )
    if customer is None:
        make_password(password)
        raise WrongPassword("E-mail or password is wrong.")
    if not check_password(password, customer.password):
        raise WrongPassword("E-mail or password is wrong.", target=f"customers.customer/{customer.pk}")
    return customer


def named(email: str) -> UUID | None:
    """The id of the active customer with this e-mail."""
    rows = Customer.objects.filter(identity__email=email.strip().lower(), identity__is_active=True)
    return rows.values_list("pk", flat=True).first()


def by_link(link: str, *, now: datetime) -> UUID | None:
    """The id of the active customer to whom this link for a new password was mailed, while it is in force."""
    row = Customer.objects.filter(pk=links.customer_of(link), identity__is_active=True).first()
    if row is None or not links.is_in_force(
        *(link, row.pk),
        asked_at=row.password_asked_at,
        password=row.password,
        field_key=settings.FIELD_KEY,
        now=now,
    ):
        return None
    return row.pk


def authenticator_of(customer_id: UUID) -> UUID | None:
    """The customer's second factor, if there is one."""
    rows = Authenticator.objects.filter(user_id=customer_id, state=State.ACTIVE)
    return rows.values_list("pk", flat=True).first()


def check_confirmed(
    customer_id: UUID, confirmed: UUID | None, *, undone: str, is_required: bool = False
) -> UUID | None:
    """The customer's second factor, if there is none or a code of exactly it was taken (`confirmed`, as
    `actions.check_code` says); CodeNeeded, or NoSecondFactor where one `is_required`.

    Asked inside the act, so a second factor that was added since the door looked counts.
    """
    present = authenticator_of(customer_id)
    target = f"customers.customer/{customer_id}"
    if present is None and is_required:
        raise NoSecondFactor(
            f"{undone}: this needs a second factor, and the account has none. Add an authenticator app.",
            target=target,
        )
    if present is not None and present != confirmed:
        raise CodeNeeded(
            f"{undone}: this account has a second factor. Give the code that your authenticator app shows, "
            "or a recovery code.",
            target=target,
        )
    return present


def credentials(key: str) -> signatures.Credentials | None:
    """What is needed to check a call signed with this key, while the key and its customer are in force."""
    row = (
        ApiKey.objects.filter(key=key, revoked_at=None, customer__identity__is_active=True)
        .select_related("customer")
        .only(
            *("id", "key", "customer_id", "secret", "passphrase", "scopes", "ip_allowlist", "last_used_at"),
            "customer__tier",
        )
        .first()
    )
    if row is None:
        return None
    return signatures.Credentials(
        row=row.pk,
        key=row.key,
        customer=row.customer_id,
        secret=secrets.unseal(bytes(row.secret), field_key=settings.FIELD_KEY, row=row.pk),
        passphrase=bytes(row.passphrase),
        scopes=frozenset(row.scopes),
        ip_allowlist=tuple(row.ip_allowlist),
        last_used_at=row.last_used_at,
        tier=row.customer.tier,
    )


def authenticate(call: signatures.Call, *, now: datetime) -> signatures.Credentials:
    """Who signed this API call; CallRefused."""
    return signatures.authenticate(
        call,
        lookup=credentials,
        hash_passphrase=lambda text, row: secrets.hash_passphrase(
            text, field_key=settings.FIELD_KEY, row=row
        ),
        now=now,
    )


def customer(customer_id: UUID) -> Customer:
    """One customer, for the app's own use and for other apps' acts on them; NotFound."""
    row = Customer.objects.select_related("identity").filter(pk=customer_id).first()
    if row is None:
        raise NotFound("There is no such customer.", target=f"customers.customer/{customer_id}")
    return row


def held_too_long(*, now: datetime) -> QuerySet[Customer]:
    """Customers whose hold lasts for longer than any does: a clock was ahead when it began."""
    longest = authenticators.HELD_AFTER_LOSS + authenticators.CLOCKS_APART_MAX
    return Customer.objects.filter(withdrawals_held_until__gt=now + longest)


def api_keys_of(customer_id: UUID) -> QuerySet[ApiKey]:
    """A customer's own keys, without what is secret about them."""
    return (
        ApiKey.objects.filter(customer_id=customer_id).defer("secret", "passphrase").order_by("-created_at")
    )
