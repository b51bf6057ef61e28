"""Whether an answer holds: an assertion or a code, by an active authenticator of exactly this person.

Called inside the open action that has already used the challenge up, so a wrong answer costs the challenge.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django_otp.oath import TOTP

from core.factors import vault
from core.factors.domain import acts
from core.factors.domain.factors import State
from core.factors.domain.strength import Needs
from core.factors.given import Given, Touched, Typed
from core.factors.models import AppCode, Challenge, Code, Factor, Passkey
from kernel import webauthn

A = TypeVar("A", bound=AppCode)

DIGITS = 6
STEP_S = 30
TOLERANCE = 1
"""One time step on either side of the one that the app's drift leads to."""


class Wrong(Exception):
    """The answer does not hold; `args[0]` is the stable code of why."""


def rp_id() -> str:
    """The relying party of the staff's passkeys: the console's own host."""
    return urlsplit(settings.CONSOLE_ORIGIN).hostname or ""


def judge(row: Challenge, given: Given, *, now: datetime) -> Factor:
    """The authenticator that answered; Wrong."""
    if isinstance(given, Touched):
        return _passkey(row, given)
    return _code(row, given, now)


def _passkey(row: Challenge, given: Touched) -> Passkey:
    usable = Passkey.objects.select_for_update(no_key=True).filter(state=State.ACTIVE)
    if row.purpose == Needs.SEALED:
        usable = usable.filter(sealed=True)
    else:
        usable = usable.filter(sealed=False, user_id=row.identity_id)
    found: Passkey | None = usable.filter(credential_id=given.credential_id).first()
    if found is None:
        raise Wrong("factors.unknown")
    try:
        count = webauthn.verify(
            given.assertion,
            public_key=bytes.fromhex(found.public_key),
            challenge=acts.challenge(bytes(row.nonce), bytes(row.digest)),
            origin=settings.CONSOLE_ORIGIN,
            rp_id=rp_id(),
        )
    except webauthn.BadAssertion as error:
        raise Wrong(error.code) from error
    if (count or found.sign_count) and count <= found.sign_count:
        raise Wrong("factors.counter")
    if count:
        Passkey.objects.filter(pk=found.pk).update(sign_count=count)
    return found


def _code(row: Challenge, given: Typed, now: datetime) -> Code:
    mine = Code.objects.select_for_update(no_key=True).filter(user_id=row.identity_id, state=State.ACTIVE)
    codes: list[Code] = list(mine.order_by("id"))
    return first_right(codes, given.code, now=now)


def first_right(apps: Sequence[A], digits: str, *, now: datetime) -> A:
    """The app whose code this is, of one person's locked ones; the code is used up with it. Wrong.

    Each wrong code makes all of them wait longer for the next; so the caller must not roll back.
    """
    if not apps:
        raise Wrong("factors.unknown")
    if any(_waits(app, now) for app in apps):
        raise Wrong("factors.wait")
    for app in apps:
        if step := matching_step(app, digits, now=now):
            app.last_step, app.drift = step
            app.throttle_reset(commit=False)
            app.save(
                update_fields=[
                    "last_step",
                    "drift",
                    "throttling_failure_timestamp",
                    "throttling_failure_count",
                ]
            )
            return app
    for app in apps:
        type(app)._default_manager.filter(pk=app.pk).update(
            throttling_failure_timestamp=now, throttling_failure_count=app.throttling_failure_count + 1
        )
    raise Wrong("factors.wrong_code")


def matching_step(code: AppCode, digits: str, *, now: datetime) -> tuple[int, int] | None:
    """The time step of these digits and the app's drift, if they are fresh and not used before."""
    if not digits.isascii() or not digits.isdecimal() or len(digits) != DIGITS:
        return None
    totp = TOTP(
        vault.unseal(code.sealed_secret, row=code.pk, place=code.place()), STEP_S, 0, DIGITS, code.drift
    )
    totp.time = now.timestamp()
    if not totp.verify(int(digits), TOLERANCE, code.last_step + 1):
        return None
    return totp.t(), totp.drift


def _waits(code: AppCode, now: datetime) -> bool:
    """django-otp's own rule (ThrottlingMixin), asked of the time that we were given."""
    failed, count = code.throttling_failure_timestamp, code.throttling_failure_count
    if failed is None or not count:
        return False
    return bool(
        now < failed + timedelta(seconds=code.get_throttle_factor() * 2 ** min(count - 1, code.doublings_max))
    )
