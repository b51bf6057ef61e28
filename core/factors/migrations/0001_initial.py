import django.db.models.deletion
from django.db import migrations, models

import core.ids
from core.fixed_columns import fixed_columns

# The rules for every way of writing, SQL included. "Just approved" is core.staff's word: consumed in this very
# transaction, with exactly these terms in its payload.
GUARDS = """
CREATE FUNCTION factors_factor_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.ended_at IS NOT NULL
     OR NOT (NEW.state = TG_ARGV[0] OR NEW.state = 'active' AND staff_is_being_founded()) THEN
    RAISE EXCEPTION 'an authenticator begins as %', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION factors_factor_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'ended' THEN
    RAISE EXCEPTION 'an authenticator that has ended stays so' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
    ('draft', 'pending'), ('draft', 'ended'), ('pending', 'active'), ('pending', 'ended'), ('active', 'ended')
  ) THEN
    RAISE EXCEPTION 'an authenticator does not go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.state = 'ended') <> (NEW.ended_at IS NOT NULL) THEN
    RAISE EXCEPTION 'ended_at says when it ended, and only then' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION factors_passkey_activates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = 'active' AND OLD.state <> 'active' AND NOT staff_just_approved(
       CASE WHEN NEW.sealed THEN 'factors.enrol_sealed' ELSE 'factors.enrol_passkey' END, NEW.user_id,
       jsonb_build_object('factor', NEW.id, 'credential_id', NEW.credential_id, 'public_key', NEW.public_key)) THEN
    RAISE EXCEPTION 'an authenticator needs the approval of another' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION factors_code_activates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = 'active' AND OLD.state <> 'active' AND NOT staff_just_approved(
       'factors.enrol_code', NEW.user_id,
       jsonb_build_object('factor', NEW.id, 'fingerprint', NEW.fingerprint)) THEN
    RAISE EXCEPTION 'an authenticator needs the approval of another' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.last_step < OLD.last_step THEN
    RAISE EXCEPTION 'a code that was used stays used' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER factors_passkey_begins BEFORE INSERT ON factors_passkey
  FOR EACH ROW EXECUTE FUNCTION factors_factor_begins('pending');
CREATE TRIGGER factors_code_begins BEFORE INSERT ON factors_code
  FOR EACH ROW EXECUTE FUNCTION factors_factor_begins('draft');
CREATE TRIGGER factors_passkey_moves BEFORE UPDATE ON factors_passkey
  FOR EACH ROW EXECUTE FUNCTION factors_factor_moves();
CREATE TRIGGER factors_code_moves BEFORE UPDATE ON factors_code
  FOR EACH ROW EXECUTE FUNCTION factors_factor_moves();
CREATE TRIGGER factors_passkey_activates BEFORE UPDATE ON factors_passkey
  FOR EACH ROW EXECUTE FUNCTION factors_passkey_activates();
CREATE TRIGGER factors_code_activates BEFORE UPDATE ON factors_code
  FOR EACH ROW EXECUTE FUNCTION factors_code_activates();
ALTER TABLE factors_passkey ENABLE ALWAYS TRIGGER factors_passkey_begins;
ALTER TABLE factors_passkey ENABLE ALWAYS TRIGGER factors_passkey_moves;
ALTER TABLE factors_passkey ENABLE ALWAYS TRIGGER factors_passkey_activates;
ALTER TABLE factors_code ENABLE ALWAYS TRIGGER factors_code_begins;
ALTER TABLE factors_code ENABLE ALWAYS TRIGGER factors_code_moves;
ALTER TABLE factors_code ENABLE ALWAYS TRIGGER factors_code_activates;

CREATE FUNCTION factors_challenge_opens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF octet_length(NEW.nonce) <> 32 OR octet_length(NEW.digest) <> 32 OR NEW.used_at IS NOT NULL
     OR NEW.outcome <> '' OR NEW.factor IS NOT NULL THEN
    RAISE EXCEPTION 'a challenge begins unanswered, with 32 bytes each' USING ERRCODE = 'restrict_violation';
  END IF;
  NEW.made_at := clock_timestamp();
  NEW.expires_at := NEW.made_at + interval '60 seconds';
  RETURN NEW;
END $$;
CREATE TRIGGER factors_challenge_opens BEFORE INSERT ON factors_challenge
  FOR EACH ROW EXECUTE FUNCTION factors_challenge_opens();
ALTER TABLE factors_challenge ENABLE ALWAYS TRIGGER factors_challenge_opens;

CREATE FUNCTION factors_challenge_used_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.used_at IS DISTINCT FROM OLD.used_at THEN
    IF OLD.used_at IS NOT NULL OR OLD.expires_at <= clock_timestamp() THEN
      RAISE EXCEPTION 'a challenge is used once, and in time' USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.used_at := clock_timestamp();
  END IF;
  IF OLD.outcome <> '' OR NEW.outcome <> '' AND OLD.used_at IS NULL THEN
    RAISE EXCEPTION 'a challenge has one outcome' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER factors_challenge_used_once BEFORE UPDATE ON factors_challenge
  FOR EACH ROW EXECUTE FUNCTION factors_challenge_used_once();
ALTER TABLE factors_challenge ENABLE ALWAYS TRIGGER factors_challenge_used_once;
"""

REMOVAL = """
DROP FUNCTION factors_factor_begins() CASCADE;
DROP FUNCTION factors_factor_moves() CASCADE;
DROP FUNCTION factors_passkey_activates() CASCADE;
DROP FUNCTION factors_code_activates() CASCADE;
DROP FUNCTION factors_challenge_opens() CASCADE;
DROP FUNCTION factors_challenge_used_once() CASCADE;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("access", "0001_initial"),
        ("staff", "0001_guards"),
    ]

    operations = [
        migrations.CreateModel(
            name="Challenge",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("session", models.CharField(max_length=64)),
                ("purpose", models.CharField(max_length=16)),
                ("act", models.CharField(help_text="the act's route, for people", max_length=120)),
                ("digest", models.BinaryField()),
                ("nonce", models.BinaryField()),
                ("made_at", models.DateTimeField(editable=False, null=True)),
                ("expires_at", models.DateTimeField(editable=False, null=True)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("outcome", models.CharField(blank=True, max_length=40)),
                ("factor", models.UUIDField(blank=True, null=True)),
                (
                    "identity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="access.identity"
                    ),
                ),
            ],
            options={
                "db_table": "factors_challenge",
                "indexes": [
                    models.Index(fields=["identity", "session", "-used_at"], name="challenge_recent")
                ],
            },
        ),
        migrations.CreateModel(
            name="Code",
            fields=[
                (
                    "name",
                    models.CharField(help_text="The human-readable name of this device.", max_length=64),
                ),
                (
                    "throttling_failure_timestamp",
                    models.DateTimeField(
                        blank=True,
                        default=None,
                        help_text="A timestamp of the last failed verification attempt. Null if last attempt succeeded.",
                        null=True,
                    ),
                ),
                (
                    "throttling_failure_count",
                    models.PositiveIntegerField(default=0, help_text="Number of successive failed attempts."),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("pending", "pending"),
                            ("active", "active"),
                            ("ended", "ended"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "confirmed",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Q(("state", "active")),
                        output_field=models.BooleanField(),
                    ),
                ),
                ("begun_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "sealed_secret",
                    models.BinaryField(help_text="AES-256-GCM under FIELD_KEY, bound to the row"),
                ),
                (
                    "fingerprint",
                    models.CharField(help_text="names the secret where it is approved", max_length=64),
                ),
                ("last_step", models.BigIntegerField(default=-1)),
                (
                    "drift",
                    models.SmallIntegerField(
                        default=0, help_text="steps by which the app's clock is known to differ"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="access.identity"
                    ),
                ),
            ],
            options={
                "db_table": "factors_code",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["draft", "pending", "active", "ended"])),
                        name="code_state_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Passkey",
            fields=[
                (
                    "name",
                    models.CharField(help_text="The human-readable name of this device.", max_length=64),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("pending", "pending"),
                            ("active", "active"),
                            ("ended", "ended"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "confirmed",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Q(("state", "active")),
                        output_field=models.BooleanField(),
                    ),
                ),
                ("begun_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "credential_id",
                    models.CharField(help_text="base64url without padding", max_length=1400, unique=True),
                ),
                ("public_key", models.CharField(max_length=130, unique=True)),
                ("sign_count", models.BigIntegerField(default=0)),
                (
                    "aaguid",
                    models.CharField(help_text="the model, as its attestation names it", max_length=36),
                ),
                (
                    "attestation",
                    models.CharField(help_text="format of the attestation statement", max_length=20),
                ),
                ("attestation_object", models.BinaryField(help_text="as the authenticator gave it")),
                ("client_data", models.BinaryField(help_text="what the attestation was made over")),
                (
                    "sealed",
                    models.BooleanField(
                        default=False,
                        help_text="lies in a safe for an emergency; `user` only registered it",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="access.identity"
                    ),
                ),
            ],
            options={
                "db_table": "factors_passkey",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("public_key__regex", "^04[0-9a-f]{128}$")),
                        name="passkey_key_is_a_point",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sign_count__gte", 0)), name="passkey_count_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["draft", "pending", "active", "ended"])),
                        name="passkey_state_known",
                    ),
                ],
            },
        ),
        fixed_columns("factors_passkey", free=["state", "sign_count", "ended_at"], generated=["confirmed"]),
        fixed_columns(
            "factors_code",
            free=[
                "state",
                "last_step",
                "drift",
                "throttling_failure_timestamp",
                "throttling_failure_count",
                "ended_at",
            ],
            generated=["confirmed"],
        ),
        fixed_columns("factors_challenge", free=["used_at", "outcome", "factor"]),
        migrations.RunSQL(sql=GUARDS, reverse_sql=REMOVAL),
    ]
