import django.db.models.deletion
from django.db import migrations, models

import core.ids
from core.fixed_columns import fixed_columns

# The rules for every way of writing, SQL included.
GUARDS = """
CREATE FUNCTION customers_authenticator_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> 'draft' OR NEW.ended_at IS NOT NULL
     OR NOT EXISTS (SELECT FROM customers_customer WHERE identity_id = NEW.user_id) THEN
    RAISE EXCEPTION 'an authenticator begins as draft, of a customer' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION customers_authenticator_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'ended' THEN
    RAISE EXCEPTION 'an authenticator that has ended stays so' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
    ('draft', 'active'), ('draft', 'ended'), ('active', 'ended')
  ) THEN
    RAISE EXCEPTION 'an authenticator does not go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.state = 'ended') <> (NEW.ended_at IS NOT NULL) THEN
    RAISE EXCEPTION 'ended_at says when it ended, and only then' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.last_step < OLD.last_step THEN
    RAISE EXCEPTION 'a code that was used stays used' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION customers_recovery_code_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.used_at IS NOT NULL THEN
    RAISE EXCEPTION 'a recovery code begins unused' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION customers_recovery_code_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.used_at IS NOT NULL OR NEW.used_at IS NULL THEN
    RAISE EXCEPTION 'a recovery code is used once, and stays used' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER customers_authenticator_begins BEFORE INSERT ON customers_authenticator
  FOR EACH ROW EXECUTE FUNCTION customers_authenticator_begins();
CREATE TRIGGER customers_authenticator_moves BEFORE UPDATE ON customers_authenticator
  FOR EACH ROW EXECUTE FUNCTION customers_authenticator_moves();
CREATE TRIGGER customers_recovery_code_begins BEFORE INSERT ON customers_recovery_code
  FOR EACH ROW EXECUTE FUNCTION customers_recovery_code_begins();
CREATE TRIGGER customers_recovery_code_moves BEFORE UPDATE ON customers_recovery_code
  FOR EACH ROW EXECUTE FUNCTION customers_recovery_code_moves();
ALTER TABLE customers_authenticator ENABLE ALWAYS TRIGGER customers_authenticator_begins;
ALTER TABLE customers_authenticator ENABLE ALWAYS TRIGGER customers_authenticator_moves;
ALTER TABLE customers_recovery_code ENABLE ALWAYS TRIGGER customers_recovery_code_begins;
ALTER TABLE customers_recovery_code ENABLE ALWAYS TRIGGER customers_recovery_code_moves;
"""

REMOVAL = """
DROP TRIGGER customers_authenticator_begins ON customers_authenticator;
DROP TRIGGER customers_authenticator_moves ON customers_authenticator;
DROP TRIGGER customers_recovery_code_begins ON customers_recovery_code;
DROP TRIGGER customers_recovery_code_moves ON customers_recovery_code;
DROP FUNCTION customers_authenticator_begins;
DROP FUNCTION customers_authenticator_moves;
DROP FUNCTION customers_recovery_code_begins;
DROP FUNCTION customers_recovery_code_moves;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0006_own_accounts"),
        ("customers", "0002_passwords_by_mail"),
    ]

    operations = [
        migrations.AlterField(
            model_name="customer",
            name="withdrawals_held_until",
            field=models.DateTimeField(
                help_text="after a password by mail, or a change of the second factor", null=True
            ),
        ),
        migrations.CreateModel(
            name="Authenticator",
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
                "db_table": "customers_authenticator",
            },
        ),
        migrations.CreateModel(
            name="RecoveryCode",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("hashed", models.BinaryField(help_text="keyed hash, bound to the authenticator")),
                ("used_at", models.DateTimeField(null=True)),
                (
                    "authenticator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recovery_codes",
                        to="customers.authenticator",
                    ),
                ),
            ],
            options={
                "db_table": "customers_recovery_code",
            },
        ),
        migrations.AddConstraint(
            model_name="authenticator",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["draft", "active", "ended"])),
                name="authenticator_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="authenticator",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "active"), _negated=True), ("last_step__gte", 0), _connector="OR"
                ),
                name="authenticator_was_shown",
            ),
        ),
        migrations.AddConstraint(
            model_name="authenticator",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "active")), fields=("user",), name="authenticator_one_active"
            ),
        ),
        migrations.AddConstraint(
            model_name="recoverycode",
            constraint=models.UniqueConstraint(fields=("authenticator", "hashed"), name="recovery_code_once"),
        ),
        fixed_columns(
            "customers_authenticator",
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
        fixed_columns("customers_recovery_code", free=["used_at"]),
        migrations.RunSQL(sql=GUARDS, reverse_sql=REMOVAL),
    ]
