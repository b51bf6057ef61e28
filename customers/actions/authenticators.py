"""A customer's second factor: added, put in the place of another, taken away, given up for lost."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from core import audit, freezes, outbox
from core.action import action
from core.actor import Actor
from core.factors import judging, vault
from core.freezes.domain import scopes
from core.ids import new_id
from core.refusals import NotAllowed, NotFound, Refused
from customers import queries
from customers.actions.passwords import BadLink
from customers.domain import authenticators, links
from customers.domain.authenticators import State
from customers.events import AuthenticatorLost, CustomerMailed, Event
from customers.models import ApiKey, Authenticator, Customer, RecoveryCode

CONFIRMED: Final = "authenticator_confirmed"
REMOVED: Final = "authenticator_removed"
LOST: Final = "authenticator_lost"


class NoDraft(Refused):
    """Nothing is waiting to be confirmed, or not any more."""

    code = "customer.no_draft"


class WrongCode(NotAllowed):
    """The code is not what the new app should show."""

    code = "customer.wrong_code"


@dataclass(frozen=True, slots=True)
class Draft:
    """A new app's row, and its secret, which is shown this once."""

    row: Authenticator
    secret: bytes

    def __repr__(self) -> str:
        return f"Draft({self.row.pk})"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The active app's row, and its recovery codes, which are shown this once."""

    row: Authenticator
    recovery_codes: tuple[str, ...]
    withdrawals_held_until: datetime | None

    def __repr__(self) -> str:
        return f"Confirmed({self.row.pk})"


@action(Event.AUTHENTICATOR_BEGUN)
def begin_authenticator(*, customer_id: UUID, confirmed: UUID | None, actor: Actor, now: datetime) -> Draft:
    """A fresh secret for the customer's app, which counts once a code of it was shown. Earlier drafts end.

    Where there is a second factor, one of its codes came first (`confirmed`): no password alone replaces it.
    """
    customer = _claimed(customer_id, undone=_NOTHING_ADDED)
    queries.check_confirmed(customer.pk, confirmed, undone=_NOTHING_ADDED)
    Authenticator.objects.filter(user_id=customer.pk, state=State.DRAFT).update(
        state=State.ENDED, ended_at=now
    )
    identifier, secret = new_id(), secrets.token_bytes(authenticators.SECRET_BYTES)
    row = Authenticator.objects.create(
        id=identifier,
        user_id=customer.pk,
        name="authenticator app",
        state=State.DRAFT,
        begun_at=now,
        sealed_secret=vault.seal(secret, row=identifier, place=Authenticator.place()),
    )
    after = {"customer": customer.pk, "until": now + authenticators.DRAFT_FOR}
    audit.record(Event.AUTHENTICATOR_BEGUN, row, actor=actor, now=now, after=after)
    return Draft(row, secret)


@action(Event.AUTHENTICATOR_CONFIRMED)
def confirm_authenticator(*, customer_id: UUID, code: str, actor: Actor, now: datetime) -> Confirmed:
    """Show that the new app works: from here on it is the second factor, and the former one is none.

    The code used here is used for good. In the place of another it holds withdrawals for a day. Where the
    account ever got a password by mail, its first one holds them for a week: it may be the mail's reader's.
    """
    customer = _claimed(customer_id, undone=_NOTHING_ADDED)
    row = Authenticator.objects.select_for_update().filter(user_id=customer.pk, state=State.DRAFT).first()
    if row is None or row.begun_at + authenticators.DRAFT_FOR <= now:
        raise NoDraft(f"{_NOTHING_ADDED}: no secret is waiting for its first code. Begin again.")
    step = judging.matching_step(row, "".join(code.split()), now=now)
    if step is None:
        raise WrongCode(
            f"{_NOTHING_ADDED}: this is not the code that the new app should show. Take the next one.",
            target=audit.name_of(row),
        )
    former = queries.authenticator_of(customer.pk)
    if former is not None:
        Authenticator.objects.filter(pk=former).update(state=State.ENDED, ended_at=now)
        _hold(customer, authenticators.HELD_AFTER_CHANGE, now=now)
    elif customer.withdrawals_held_until is not None:
        _hold(customer, authenticators.HELD_AFTER_LOSS, now=now)
    row.state, (row.last_step, row.drift) = State.ACTIVE, step
    row.save(update_fields=["state", "last_step", "drift"])
    codes = tuple(
        authenticators.recovery_code(secrets.token_bytes(authenticators.RECOVERY_BYTES))
        for _ in range(authenticators.RECOVERY_CODES)
    )
    RecoveryCode.objects.bulk_create(
        RecoveryCode(authenticator=row, hashed=_hashed(row, one)) for one in codes
    )
    held = customer.withdrawals_held_until
    after = {"customer": customer.pk, "in_place_of": former, "withdrawals_held_until": held}
    audit.record(Event.AUTHENTICATOR_CONFIRMED, row, actor=actor, now=now, after=after)
    _mail(customer, CONFIRMED, now=now)
    return Confirmed(row, codes, held)


@action(Event.AUTHENTICATOR_REMOVED)
def remove_authenticator(
    *, customer_id: UUID, confirmed: UUID | None, actor: Actor, now: datetime
) -> datetime:
    """Have no second factor any more, by one of its own codes. Says until when nothing is withdrawn."""
    customer = _claimed(customer_id, undone=_NOTHING_REMOVED)
    present = queries.check_confirmed(customer.pk, confirmed, undone=_NOTHING_REMOVED, is_required=True)
    row = Authenticator.objects.select_for_update().get(pk=present)
    _end(row, now=now)
    until = _hold(customer, authenticators.HELD_AFTER_CHANGE, now=now)
    after = {"customer": customer.pk, "withdrawals_held_until": until}
    audit.record(Event.AUTHENTICATOR_REMOVED, row, actor=actor, now=now, after=after)
    _mail(customer, REMOVED, now=now)
    return until


@action(Event.AUTHENTICATOR_REPORTED)
def report_lost_authenticator(*, link: str, actor: Actor, now: datetime) -> datetime:
    """Say, by a mailed link and nothing else, that app and recovery codes are lost.

    The link is used up and nothing is withdrawn for a week. A worker then freezes the account, which only
    officers release, and ends the authenticator with the very same act: whoever merely reads the mail has
    made people look at the account, and gained nothing in it.
    """
    holder = queries.by_link(link, now=now)
    if holder is None:
        raise BadLink(f"{_NOTHING_REMOVED}: the link was used, is too old, or a newer one was sent.")
    customer = _locked(holder, undone=_NOTHING_REMOVED)
    if queries.by_link(link, now=now) is None:
        raise BadLink(f"{_NOTHING_REMOVED}: the link was used just now.", target=audit.name_of(customer))
    present = queries.authenticator_of(customer.pk)
    if present is None:
        raise queries.NoSecondFactor(
            f"{_NOTHING_REMOVED}: this account has no second factor. Set a new password with the link.",
            target=audit.name_of(customer),
        )
    Customer.objects.filter(pk=customer.pk).update(password_asked_at=None)
    until = _hold(customer, authenticators.HELD_AFTER_LOSS, now=now)
    after = {"authenticator": present, "withdrawals_held_until": until}
    audit.record(Event.AUTHENTICATOR_REPORTED, customer, actor=actor, now=now, after=after)
    outbox.publish(AuthenticatorLost(customer=str(customer.pk), authenticator=str(present)), now=now)
    return until


@action(Event.AUTHENTICATOR_LOST)
def end_lost_authenticator(*, authenticator_id: UUID, actor: Actor, now: datetime) -> None:
    """Freeze the account of a lost authenticator, and end it and every API key, in one. Again: nothing."""
    found = Authenticator.objects.filter(pk=authenticator_id).first()
    if found is None:
        raise NotFound("There is no such authenticator.")
    customer = _locked(found.user_id, undone=_NOTHING_REMOVED)
    row = Authenticator.objects.select_for_update().get(pk=authenticator_id)
    if row.state != State.ACTIVE:
        return
    freezes.pull(scopes.customer(customer.pk), reason=FROZEN_BECAUSE, actor=actor, now=now)
    _end(row, now=now)
    ended = list(ApiKey.objects.select_for_update().filter(customer=customer, revoked_at=None).order_by("pk"))
    ApiKey.objects.filter(customer=customer, revoked_at=None).update(revoked_at=now)
    after = {"customer": customer.pk, "api_keys_revoked": [one.key for one in ended]}
    audit.record(Event.AUTHENTICATOR_LOST, row, actor=actor, now=now, after=after)
    _mail(customer, LOST, now=now)


def _claimed(customer_id: UUID, *, undone: str) -> Customer:
    """The customer's row, locked; Frozen: what stands at a frozen account stays as it stands."""
    customer = _locked(customer_id, undone=undone)
    freezes.check(scopes.customer(customer.pk))
    return customer


def _locked(customer_id: UUID, *, undone: str) -> Customer:
    row = (
        Customer.objects.select_for_update(of=("self",))
        .filter(pk=customer_id, identity__is_active=True)
        .first()
    )
    if row is None:
        raise NotFound(f"{undone}: there is no such customer.", target=f"customers.customer/{customer_id}")
    return row


def _hold(customer: Customer, span: timedelta, *, now: datetime) -> datetime:
    """Let nothing be withdrawn for so long, and not for less than before."""
    until = links.held_until(customer.withdrawals_held_until, span, now=now)
    Customer.objects.filter(pk=customer.pk).update(withdrawals_held_until=until)
    customer.withdrawals_held_until = until
    return until


def _end(row: Authenticator, *, now: datetime) -> None:
    row.state, row.ended_at = State.ENDED, now
    row.save(update_fields=["state", "ended_at"])


def _hashed(row: Authenticator, code: str) -> bytes:
    plain = authenticators.plain_recovery_code(code)
    assert plain is not None  # it was made just now
    return authenticators.hash_recovery_code(plain, field_key=settings.FIELD_KEY, authenticator=row.pk)


def _mail(customer: Customer, what: str, *, now: datetime) -> None:
    outbox.publish(CustomerMailed(customer=str(customer.pk), what=what, at=now.isoformat()), now=now)


_NOTHING_ADDED: Final = "No second factor was added"
_NOTHING_REMOVED: Final = "The second factor was not removed"
FROZEN_BECAUSE: Final = (
    "A mailed link was used to say that the second factor is lost. Before you let go, make sure by whom, "
    "and that the mail is theirs alone."
)
