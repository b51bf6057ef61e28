"""People and programs that act: one thin row each, their roles, signing keys, and sessions at the console."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from core.access.roles import Role
from core.ids import new_id


class Kind(models.TextChoices):
    """What an identity is, for ever: an officer never becomes a customer, nor the reverse."""

    OFFICER = "officer", "officer"
    CUSTOMER = "customer", "customer"
    SERVICE = "service", "service"


class Identity(models.Model):
    """Someone or something that acts. Profiles, passwords and keys stand beside it, never in it.

    `access_subject` is the edge's name for an officer (`sub`) or a service (`common_name`). It is bound once;
    another subject under the same e-mail is another person until two officers say otherwise. Rows are never
    deleted, and the kind and the id never change: triggers of the first migration see to both.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    email = models.EmailField(blank=True)
    display_name = models.CharField(max_length=120)
    access_subject = models.CharField(max_length=255, null=True, blank=True, unique=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    # Django asks these of a user model. An e-mail is no key: an officer may also be somebody's customer.
    USERNAME_FIELD = "id"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    is_anonymous = False
    is_authenticated = True

    class Meta:
        db_table = "access_identity"
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in Kind]), name="identity_kind_known"
            ),
            models.CheckConstraint(
                condition=~Q(kind="customer") | Q(access_subject__isnull=True),
                name="identity_customer_not_staff",
            ),
            models.CheckConstraint(
                condition=Q(kind="service", email="") | ~Q(kind="service") & ~Q(email=""),
                name="identity_email_of_people",
            ),
            models.CheckConstraint(condition=~Q(access_subject=""), name="identity_subject_not_empty"),
            models.UniqueConstraint(
                fields=["kind", "email"], condition=~Q(email=""), name="identity_email_once"
            ),
        ]

    def __str__(self) -> str:
        return self.display_name

    def get_username(self) -> str:
        """The id as text; Django's and django-otp's own code asks for it."""
        return str(self.pk)


class RoleGrant(models.Model):
    """A role held by a person, from one moment until it ends or is taken back.

    Nothing but `revoked_at` ever changes, and only once; a trigger sees to that.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    identity = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="role_grants")
    role = models.CharField(max_length=32, choices=[(role.value, role.label) for role in Role])
    granted_at = models.DateTimeField()
    valid_until = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    request = models.UUIDField(
        null=True, blank=True, help_text="the approval behind it; empty for the founding staff"
    )

    class Meta:
        db_table = "access_role_grant"
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=[role.value for role in Role]), name="grant_role_known"
            ),
            models.CheckConstraint(
                condition=Q(valid_until__isnull=True) | Q(valid_until__gt=F("granted_at")),
                name="grant_ends_after_start",
            ),
            models.UniqueConstraint(
                fields=["identity", "role"],
                condition=Q(revoked_at__isnull=True, valid_until__isnull=True),
                name="grant_standing_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.identity_id}: {self.role}"


class OwnAccount(models.Model):
    """An officer's own account as a customer: declared, or found by e-mail. Append-only.

    Nobody answers about an account of their own; triggers on requests and signatures see to that.
    """

    FOUND_BY: ClassVar[tuple[tuple[str, str], ...]] = (("declared", "declared"), ("email", "by e-mail"))

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    officer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="own_accounts")
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="owned_by_staff")
    found_by = models.CharField(max_length=8, choices=FOUND_BY)
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "access_own_account"
        constraints = [
            models.UniqueConstraint(fields=["officer", "customer"], name="own_account_once"),
            models.CheckConstraint(
                condition=Q(found_by__in=["declared", "email"]), name="own_account_found_somehow"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.officer_id} is customer {self.customer_id}"


class OfficerCredential(models.Model):
    """The public half of a passkey with which an officer signs approvals.

    `public_key` is the uncompressed P-256 point in hex. Only `sign_count` and, once, `revoked_at` change.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    officer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="credentials")
    credential_id = models.CharField(max_length=1400, unique=True, help_text="base64url without padding")
    public_key = models.CharField(max_length=130, unique=True)
    label = models.CharField(max_length=80)
    sign_count = models.BigIntegerField(default=0)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="credentials_added"
    )
    added_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "access_officer_credential"
        constraints = [
            models.CheckConstraint(
                condition=Q(public_key__regex=r"^04[0-9a-f]{128}$"), name="credential_key_is_a_point"
            ),
            models.CheckConstraint(condition=Q(sign_count__gte=0), name="credential_count_positive"),
        ]

    def __str__(self) -> str:
        return self.label


class OfficerSession(models.Model):
    """One sitting of an officer at the console, entered by a ceremony and kept here, not by the browser.

    It opens nothing by itself: it takes Django's session of the browser and a token of the same subject. Once
    it has been used from another network, country or device (`moved_at`), it reads and does nothing more.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    officer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="sessions")
    idles = models.BooleanField(help_text="whether it ends where nobody asks for anything")
    device = models.CharField(max_length=120, blank=True)
    ip = models.CharField(max_length=45, blank=True)
    country = models.CharField(max_length=2, blank=True)
    asn = models.CharField(
        max_length=10, blank=True, help_text="the network's number, where the edge says it"
    )
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    moved_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.CharField(max_length=20, blank=True)

    class Meta:
        db_table = "access_session"
        constraints = [
            models.UniqueConstraint(
                fields=["officer"], condition=Q(ended_at__isnull=True), name="session_one_per_officer"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, ended_why="")
                | Q(ended_at__isnull=False) & ~Q(ended_why=""),
                name="session_ends_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.officer_id} since {self.started_at:%H:%M}"


class SignedOutSubject(models.Model):
    """The kill list: no token of this subject that was issued before the moment opens the console."""

    subject = models.CharField(primary_key=True, max_length=255)
    tokens_before = models.DateTimeField()

    class Meta:
        db_table = "access_signed_out_subject"

    def __str__(self) -> str:
        return self.subject
