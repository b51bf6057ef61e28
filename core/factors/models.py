"""Authenticators of the staff, and the challenges that they answer.

The database keeps the promises by itself (triggers of the first migration): an authenticator becomes active
only in the transaction that consumes an approval of exactly this key, what has ended never returns, and a
challenge is used once, before it expires by the server's clock.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django_otp.models import Device, ThrottlingMixin

from core.factors.domain import glass
from core.factors.domain.factors import Kind, State
from core.ids import new_id


class Factor(Device):  # type: ignore[misc]
    """A django-otp device that is worth something only while its state is `active`.

    django-otp would ask its devices by `verify_token`; these always say no there, so that the one way to use
    them is `actions.answer_challenge`, which binds the answer to one act.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=[(state.value, state.value) for state in State])
    confirmed = models.GeneratedField(
        expression=Q(state="active"),  # type: ignore[arg-type]
        output_field=models.BooleanField(),
        db_persist=True,
    )
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    kind: Kind

    @property
    def label(self) -> str:
        """What its owner calls it."""
        return str(self.name)


class Passkey(Factor):
    """A passkey whose relying party is the console's host. `public_key` is an uncompressed point in hex."""

    kind = Kind.PASSKEY
    credential_id = models.CharField(max_length=1400, unique=True, help_text="base64url without padding")
    public_key = models.CharField(max_length=130, unique=True)
    sign_count = models.BigIntegerField(default=0)
    aaguid = models.CharField(max_length=36, help_text="the model, as its attestation names it")
    attestation = models.CharField(max_length=20, help_text="format of the attestation statement")
    attestation_object = models.BinaryField(help_text="as the authenticator gave it")
    client_data = models.BinaryField(help_text="what the attestation was made over")
    sealed = models.BooleanField(
        default=False, help_text="lies in a safe for an emergency; `user` only registered it"
    )

    class Meta:
        db_table = "factors_passkey"
        constraints = [
            models.CheckConstraint(
                condition=Q(public_key__regex=r"^04[0-9a-f]{128}$"), name="passkey_key_is_a_point"
            ),
            models.CheckConstraint(condition=Q(sign_count__gte=0), name="passkey_count_positive"),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in State]), name="passkey_state_known"
            ),
        ]

    def __str__(self) -> str:
        return self.label


class AppCode(ThrottlingMixin, Factor):  # type: ignore[misc]
    """An authenticator app (RFC 6238): `last_step` is the newest time step used; none older is taken."""

    kind = Kind.CODE
    doublings_max: ClassVar[int] = 30
    """How often the wait after a wrong code doubles, from one second on."""
    sealed_secret = models.BinaryField(help_text="AES-256-GCM under FIELD_KEY, bound to the row")
    last_step = models.BigIntegerField(default=-1)
    drift = models.SmallIntegerField(default=0, help_text="steps by which the app's clock is known to differ")

    class Meta:
        abstract = True

    @classmethod
    def place(cls) -> str:
        """Where the secret lies, as `vault` seals it."""
        return f"{cls._meta.db_table}.sealed_secret"

    def get_throttle_factor(self) -> int:
        """Waiting 1, 2, 4, 8 … seconds after each wrong code in a row."""
        return 1


class Code(AppCode):
    """An authenticator app of somebody on the staff."""

    fingerprint = models.CharField(max_length=64, help_text="names the secret where it is approved")

    class Meta:
        db_table = "factors_code"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in State]), name="code_state_known"
            ),
        ]

    def __str__(self) -> str:
        return self.label


class Glass(models.Model):
    """One emergency: two people, each with another sealed key, who then may stop and see for half an hour."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    state = models.CharField(max_length=8, choices=[(state.value, state.value) for state in glass.State])
    reason = models.CharField(max_length=500)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    first_key = models.ForeignKey(Passkey, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(editable=False, null=True)
    seconded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    second_key = models.ForeignKey(Passkey, models.PROTECT, null=True, related_name="+")
    opened_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "factors_glass"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in glass.State]), name="glass_state_known"
            ),
            models.CheckConstraint(
                condition=Q(seconded_by=None) | ~Q(seconded_by=models.F("asked_by")), name="glass_two_people"
            ),
            models.CheckConstraint(
                condition=Q(second_key=None) | ~Q(second_key=models.F("first_key")), name="glass_two_keys"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state}: {self.reason}"


class HandedOver(models.Model):
    """An alert about an emergency that somebody outside took. Append-only; the id names the alert.

    `receipt` is the mail's Message-ID, or the webhook's answer.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    glass = models.ForeignKey(Glass, models.PROTECT, related_name="alerts")
    what = models.CharField(max_length=8)
    channel = models.CharField(max_length=8)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    receipt = models.CharField(max_length=200)
    handed_over_at = models.DateTimeField()

    class Meta:
        db_table = "factors_handed_over"

    def __str__(self) -> str:
        return f"{self.channel}: {self.what}"


class Registration(models.Model):
    """A passkey for the approver host in the making: the invitation, and what the authenticator made of it.

    Answered once, before it expires by the database's clock. What is recorded here signs nothing: that takes
    two others' approval of exactly this key (`staff.add_passkey`), and for the signers the next registry.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    officer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    nonce = models.BinaryField(unique=True)
    label = models.CharField(max_length=80)
    reason = models.CharField(max_length=500)
    made_at = models.DateTimeField(editable=False, null=True)
    expires_at = models.DateTimeField(editable=False, null=True)
    answered_at = models.DateTimeField(editable=False, null=True)
    credential_id = models.CharField(max_length=1400, blank=True, help_text="base64url without padding")
    public_key = models.CharField(max_length=130, blank=True)
    aaguid = models.CharField(max_length=36, blank=True, help_text="the model, as its attestation names it")
    attestation = models.CharField(max_length=20, blank=True, help_text="format of the attestation statement")
    attestation_object = models.BinaryField(default=b"", help_text="as the authenticator gave it")
    client_data = models.BinaryField(default=b"", help_text="what the attestation was made over")
    request = models.ForeignKey("approvals.ApprovalRequest", models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "factors_registration"

    def __str__(self) -> str:
        return self.label

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store it, and read back what the database filled in."""
        super().save(*args, **kwargs)
        self.refresh_from_db(fields=["made_at", "expires_at"])


class Challenge(models.Model):
    """One question to one person in one session about one act; answered once, within a minute.

    `digest` names the act (`domain.acts`). The three times are the database's own clock.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    identity = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    session = models.CharField(max_length=64)
    purpose = models.CharField(max_length=16)
    act = models.CharField(max_length=120, help_text="the act's route, for people")
    digest = models.BinaryField()
    nonce = models.BinaryField()
    made_at = models.DateTimeField(editable=False, null=True)
    expires_at = models.DateTimeField(editable=False, null=True)
    used_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=40, blank=True)
    factor = models.UUIDField(null=True, blank=True)

    class Meta:
        db_table = "factors_challenge"

    def __str__(self) -> str:
        return f"{self.purpose} {self.act}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store it, and read back what the database filled in."""
        super().save(*args, **kwargs)
        self.refresh_from_db(fields=["made_at", "expires_at"])
