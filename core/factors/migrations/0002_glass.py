import django.db.models.deletion
from django.db import migrations, models

import core.ids
from core.fixed_columns import fixed_columns

GUARDS = """
CREATE FUNCTION factors_sealed(key uuid) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT EXISTS (SELECT FROM factors_passkey WHERE id = key AND sealed AND state = 'active')
$$;

CREATE FUNCTION factors_glass_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> 'asked' OR NEW.seconded_by_id IS NOT NULL OR NEW.second_key_id IS NOT NULL
     OR NEW.opened_at IS NOT NULL OR NEW.ends_at IS NOT NULL OR NEW.ended_at IS NOT NULL
     OR NOT factors_sealed(NEW.first_key_id) THEN
    RAISE EXCEPTION 'an emergency begins with one sealed key, and closed' USING ERRCODE = 'restrict_violation';
  END IF;
  NEW.asked_at := clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER factors_glass_begins BEFORE INSERT ON factors_glass
  FOR EACH ROW EXECUTE FUNCTION factors_glass_begins();
ALTER TABLE factors_glass ENABLE ALWAYS TRIGGER factors_glass_begins;

CREATE FUNCTION factors_glass_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state, NEW.state) NOT IN (('asked', 'open'), ('asked', 'ended'), ('open', 'ended')) THEN
    RAISE EXCEPTION 'an emergency does not go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state = 'open' THEN
    IF NEW.seconded_by_id IS NULL OR NEW.second_key_id IS NULL OR NOT factors_sealed(NEW.second_key_id)
       OR OLD.asked_at <= clock_timestamp() - interval '10 minutes' THEN
      RAISE EXCEPTION 'it takes a second person with a second sealed key, within ten minutes'
        USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.opened_at := clock_timestamp();
    NEW.ends_at := NEW.opened_at + interval '30 minutes';
  ELSIF (NEW.seconded_by_id, NEW.second_key_id, NEW.opened_at, NEW.ends_at)
        IS DISTINCT FROM (OLD.seconded_by_id, OLD.second_key_id, OLD.opened_at, OLD.ends_at) THEN
    RAISE EXCEPTION 'who opened it, and for how long, stays' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER factors_glass_moves BEFORE UPDATE ON factors_glass
  FOR EACH ROW EXECUTE FUNCTION factors_glass_moves();
ALTER TABLE factors_glass ENABLE ALWAYS TRIGGER factors_glass_moves;

-- The role comes from the breaking of the glass in this very transaction, for its two people and its half hour.
CREATE FUNCTION factors_glass_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.role = 'break_glass' AND NOT EXISTS (
    SELECT FROM factors_glass
     WHERE id = NEW.request AND state = 'open' AND opened_at >= now()
       AND NEW.identity_id IN (asked_by_id, seconded_by_id) AND NEW.valid_until = ends_at
  ) THEN
    RAISE EXCEPTION 'this role comes from two sealed keys' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER factors_glass_grant BEFORE INSERT ON access_role_grant
  FOR EACH ROW EXECUTE FUNCTION factors_glass_grant();
ALTER TABLE access_role_grant ENABLE ALWAYS TRIGGER factors_glass_grant;
"""

REMOVAL = """
DROP FUNCTION factors_glass_grant() CASCADE;
DROP FUNCTION factors_glass_moves() CASCADE;
DROP FUNCTION factors_glass_begins() CASCADE;
DROP FUNCTION factors_sealed(uuid);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0003_break_glass_role"),
        ("factors", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Glass",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("asked", "asked"), ("open", "open"), ("ended", "ended")], max_length=8
                    ),
                ),
                ("reason", models.CharField(max_length=500)),
                ("asked_at", models.DateTimeField(editable=False, null=True)),
                ("opened_at", models.DateTimeField(null=True)),
                ("ends_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "asked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="access.identity"
                    ),
                ),
                (
                    "ended_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="access.identity",
                    ),
                ),
                (
                    "first_key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="factors.passkey"
                    ),
                ),
                (
                    "second_key",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="factors.passkey",
                    ),
                ),
                (
                    "seconded_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="access.identity",
                    ),
                ),
            ],
            options={
                "db_table": "factors_glass",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["asked", "open", "ended"])),
                        name="glass_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("seconded_by", None),
                            models.Q(("seconded_by", models.F("asked_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="glass_two_people",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("second_key", None),
                            models.Q(("second_key", models.F("first_key")), _negated=True),
                            _connector="OR",
                        ),
                        name="glass_two_keys",
                    ),
                ],
            },
        ),
        fixed_columns(
            "factors_glass",
            free=[
                "state",
                "seconded_by_id",
                "second_key_id",
                "opened_at",
                "ends_at",
                "ended_at",
                "ended_by_id",
            ],
        ),
        migrations.RunSQL(sql=GUARDS, reverse_sql=REMOVAL),
    ]
