import django.db.models.deletion
from django.db import migrations, models

import core.ids
from core.fixed_columns import fixed_columns

GUARDS = """
CREATE FUNCTION factors_registration_opens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF octet_length(NEW.nonce) <> 32 OR NEW.answered_at IS NOT NULL OR NEW.credential_id <> '' OR NEW.public_key <> ''
     OR NEW.request_id IS NOT NULL THEN
    RAISE EXCEPTION 'an invitation begins unanswered' USING ERRCODE = 'restrict_violation';
  END IF;
  NEW.made_at := clock_timestamp();
  NEW.expires_at := NEW.made_at + interval '15 minutes';
  RETURN NEW;
END $$;
CREATE TRIGGER factors_registration_opens BEFORE INSERT ON factors_registration
  FOR EACH ROW EXECUTE FUNCTION factors_registration_opens();
ALTER TABLE factors_registration ENABLE ALWAYS TRIGGER factors_registration_opens;

CREATE FUNCTION factors_registration_answered_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.answered_at IS NOT NULL OR OLD.expires_at <= clock_timestamp() OR NEW.answered_at IS NULL
     OR NEW.public_key !~ '^04[0-9a-f]{128}$' OR NEW.credential_id = '' OR NEW.request_id IS NULL THEN
    RAISE EXCEPTION 'an invitation is answered once, whole, and in time' USING ERRCODE = 'restrict_violation';
  END IF;
  NEW.answered_at := clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER factors_registration_answered_once BEFORE UPDATE ON factors_registration
  FOR EACH ROW EXECUTE FUNCTION factors_registration_answered_once();
ALTER TABLE factors_registration ENABLE ALWAYS TRIGGER factors_registration_answered_once;
"""

REMOVAL = """
DROP FUNCTION factors_registration_opens() CASCADE;
DROP FUNCTION factors_registration_answered_once() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0006_own_accounts"),
        ("approvals", "0001_initial"),
        ("factors", "0003_handed_over"),
    ]

    operations = [
        migrations.CreateModel(
            name="Registration",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("nonce", models.BinaryField(unique=True)),
                ("label", models.CharField(max_length=80)),
                ("reason", models.CharField(max_length=500)),
                ("made_at", models.DateTimeField(editable=False, null=True)),
                ("expires_at", models.DateTimeField(editable=False, null=True)),
                ("answered_at", models.DateTimeField(editable=False, null=True)),
                (
                    "credential_id",
                    models.CharField(blank=True, help_text="base64url without padding", max_length=1400),
                ),
                ("public_key", models.CharField(blank=True, max_length=130)),
                (
                    "aaguid",
                    models.CharField(
                        blank=True, help_text="the model, as its attestation names it", max_length=36
                    ),
                ),
                (
                    "attestation",
                    models.CharField(
                        blank=True, help_text="format of the attestation statement", max_length=20
                    ),
                ),
                (
                    "attestation_object",
                    models.BinaryField(default=b"", help_text="as the authenticator gave it"),
                ),
                (
                    "client_data",
                    models.BinaryField(default=b"", help_text="what the attestation was made over"),
                ),
                (
                    "officer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="access.identity"
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="approvals.approvalrequest",
                    ),
                ),
            ],
            options={"db_table": "factors_registration"},
        ),
        fixed_columns(
            "factors_registration",
            free=[
                "answered_at",
                "credential_id",
                "public_key",
                "aaguid",
                "attestation",
                "attestation_object",
                "client_data",
                "request_id",
            ],
        ),
        migrations.RunSQL(sql=GUARDS, reverse_sql=REMOVAL),
    ]
