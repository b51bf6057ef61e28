import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import core.ids
from core.fixed_columns import fixed_columns

# A revocation is final: what has ended does not begin again by an UPDATE.
ENDS_ONCE = """
CREATE FUNCTION access_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.revoked_at IS NOT NULL THEN
    RAISE EXCEPTION '% % has ended already', TG_TABLE_NAME, OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER access_role_grant_ends BEFORE UPDATE ON access_role_grant
  FOR EACH ROW EXECUTE FUNCTION access_ends_once();
CREATE TRIGGER access_officer_credential_ends BEFORE UPDATE ON access_officer_credential
  FOR EACH ROW EXECUTE FUNCTION access_ends_once();
ALTER TABLE access_role_grant ENABLE ALWAYS TRIGGER access_role_grant_ends;
ALTER TABLE access_officer_credential ENABLE ALWAYS TRIGGER access_officer_credential_ends;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Identity",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("officer", "officer"), ("customer", "customer"), ("service", "service")],
                        max_length=16,
                    ),
                ),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("display_name", models.CharField(max_length=120)),
                ("access_subject", models.CharField(blank=True, max_length=255, null=True, unique=True)),
                ("is_active", models.BooleanField(default=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "db_table": "access_identity",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["officer", "customer", "service"])),
                        name="identity_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "customer"), _negated=True),
                            ("access_subject__isnull", True),
                            _connector="OR",
                        ),
                        name="identity_customer_not_staff",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("email", ""), ("kind", "service")),
                            models.Q(
                                models.Q(("kind", "service"), _negated=True),
                                models.Q(("email", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="identity_email_of_people",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("access_subject", ""), _negated=True),
                        name="identity_subject_not_empty",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("email", ""), _negated=True),
                        fields=("kind", "email"),
                        name="identity_email_once",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OfficerCredential",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "credential_id",
                    models.CharField(help_text="base64url without padding", max_length=1400, unique=True),
                ),
                ("public_key", models.CharField(max_length=130, unique=True)),
                ("label", models.CharField(max_length=80)),
                ("sign_count", models.BigIntegerField(default=0)),
                ("added_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "added_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credentials_added",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "officer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credentials",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "access_officer_credential",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("public_key__regex", "^04[0-9a-f]{128}$")),
                        name="credential_key_is_a_point",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sign_count__gte", 0)), name="credential_count_positive"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RoleGrant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("compliance_officer", "compliance officer"),
                            ("senior_officer", "senior officer"),
                            ("treasury_maker", "treasury maker"),
                            ("treasury_signer", "treasury signer"),
                            ("sre", "SRE"),
                            ("auditor", "auditor"),
                            ("support", "support"),
                        ],
                        max_length=32,
                    ),
                ),
                ("granted_at", models.DateTimeField()),
                ("valid_until", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "request",
                    models.UUIDField(
                        blank=True,
                        help_text="the approval behind it; empty for the founding staff",
                        null=True,
                    ),
                ),
                (
                    "identity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="role_grants",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "access_role_grant",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "role__in",
                                [
                                    "compliance_officer",
                                    "senior_officer",
                                    "treasury_maker",
                                    "treasury_signer",
                                    "sre",
                                    "auditor",
                                    "support",
                                ],
                            )
                        ),
                        name="grant_role_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("valid_until__isnull", True),
                            ("valid_until__gt", models.F("granted_at")),
                            _connector="OR",
                        ),
                        name="grant_ends_after_start",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("revoked_at__isnull", True), ("valid_until__isnull", True)),
                        fields=("identity", "role"),
                        name="grant_standing_once",
                    ),
                ],
            },
        ),
        fixed_columns("access_identity", free=["email", "display_name", "access_subject", "is_active"]),
        fixed_columns("access_role_grant", free=["revoked_at"]),
        fixed_columns("access_officer_credential", free=["sign_count", "revoked_at"]),
        migrations.RunSQL(sql=ENDS_ONCE, reverse_sql="DROP FUNCTION access_ends_once() CASCADE;"),
    ]
