"""API keys: made for a customer who shows their password, shown once, taken back at once."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from core import audit, freezes
from core.action import action
from core.actor import Actor
from core.freezes.domain import scopes as freezable
from core.ids import new_id
from core.refusals import NotAllowed, NotFound, Refused
from customers import queries
from customers.domain.secrets import NONCE_BYTES, hash_passphrase, seal
from customers.domain.signatures import Credentials
from customers.events import Event
from customers.models import ApiKey, Customer

SCOPES: Final = frozenset({"read", "trade", "withdraw"})
KEYS_MAX: Final = 20
NOTED_EVERY: Final = timedelta(minutes=1)
PASSPHRASE_LENGTH_MIN: Final = 8
PASSPHRASE_LENGTH_MAX: Final = 64


class BadScopes(Refused):
    """A key is for at least one of read, trade, withdraw."""

    code = "api_key.scopes"
    status = 422


class BadPassphrase(Refused):
    """The passphrase is too short or too long."""

    code = "api_key.passphrase"
    status = 422


class BadAllowlist(Refused):
    """An entry is neither an address nor a network."""

    code = "api_key.ip_allowlist"
    status = 422


class TooManyKeys(Refused):
    """The customer has as many keys as anybody may have."""

    code = "api_key.too_many"


class PasswordReplaced(NotAllowed):
    """A new password was set between looking at the old one and making the key."""

    code = "customer.wrong_password"


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key with its secret in clear, for the one answer in which it is shown."""

    row: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"NewApiKey({self.row.key})"


@action(Event.API_KEY_CREATED)
def create_api_key(
    *,
    customer_id: UUID,
    scopes: Collection[str],
    passphrase: str,
    actor: Actor,
    now: datetime,
    ip_allowlist: Sequence[str] = (),
    label: str = "",
    shown: str | None = None,
    confirmed: UUID | None = None,
) -> NewApiKey:
    """A new key of the customer. Its secret leaves this function once and can never be read out again.

    A frozen customer gets none, whoever has the password; keys are taken back under any freeze. `shown` is
    the stored password that the caller's was compared with: there is no key where it was replaced meanwhile.
    A key that does more than read needs a second factor, and `confirmed` that a code of it came with this.
    """
    wanted = sorted({*scopes, "read"}) if scopes else []
    if not wanted or not SCOPES.issuperset(wanted):
        raise BadScopes("No key was made: its scopes are some of read, trade and withdraw.")
    if not PASSPHRASE_LENGTH_MIN <= len(passphrase) <= PASSPHRASE_LENGTH_MAX:
        raise BadPassphrase(
            f"No key was made: a passphrase has {PASSPHRASE_LENGTH_MIN} to {PASSPHRASE_LENGTH_MAX} "
            "characters."
        )
    customer = (
        Customer.objects.select_for_update(of=("self",))
        .filter(pk=customer_id, identity__is_active=True)
        .first()
    )
    if customer is None:
        raise NotFound(
            "No key was made: there is no such customer.", target=f"customers.customer/{customer_id}"
        )
    if shown is not None and shown != customer.password:
        raise PasswordReplaced("No key was made: the password was just replaced by another.")
    freezes.check(freezable.customer(customer.pk))
    queries.check_confirmed(customer.pk, confirmed, undone="No key was made", is_required=wanted != ["read"])
    if ApiKey.objects.filter(customer=customer, revoked_at=None).count() >= KEYS_MAX:
        raise TooManyKeys(f"No key was made: {KEYS_MAX} keys are the most; revoke one first.")
    row_id, secret = new_id(), secrets.token_hex(16).upper()
    row = ApiKey.objects.create(
        id=row_id,
        key=str(UUID(bytes=secrets.token_bytes(16), version=4)),
        customer=customer,
        label=label.strip()[:64],
        secret=seal(
            secret.encode(), field_key=settings.FIELD_KEY, row=row_id, nonce=secrets.token_bytes(NONCE_BYTES)
        ),
        passphrase=hash_passphrase(passphrase, field_key=settings.FIELD_KEY, row=row_id),
        scopes=wanted,
        ip_allowlist=[_network(entry) for entry in ip_allowlist],
        created_at=now,
    )
    audit.record(
        Event.API_KEY_CREATED,
        row,
        actor=actor,
        now=now,
        after={"key": row.key, "scopes": wanted, "ip_allowlist": row.ip_allowlist, "customer": customer.pk},
    )
    return NewApiKey(row, secret)


@action(Event.API_KEY_REVOKED)
def revoke_api_key(*, key: str, customer_id: UUID, actor: Actor, now: datetime) -> ApiKey:
    """End a key; calls signed with it are refused from the next one on."""
    row = ApiKey.objects.select_for_update().filter(key=key, customer_id=customer_id).first()
    if row is None:
        raise NotFound("There is no such key.")
    if row.revoked_at is None:
        ApiKey.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=now)
        row.revoked_at = now
        audit.record(Event.API_KEY_REVOKED, row, actor=actor, now=now, after={"key": row.key})
    return row


def note_use(credentials: Credentials, *, now: datetime) -> None:
    """Remember that the key was used, to the minute, for its owner to see. No act, so no event."""
    last = credentials.last_used_at
    if last is None or now - last >= NOTED_EVERY:
        ApiKey.objects.filter(pk=credentials.row).update(last_used_at=now)


def _network(entry: str) -> str:
    try:
        return str(ipaddress.ip_network(entry.strip(), strict=False))
    except ValueError:
        raise BadAllowlist(f"No key was made: {entry[:49]!r} is no address or network.") from None
