"""Not the same two people again within twelve hours, for SQL as well."""

from importlib import import_module

from django.db import migrations

before = import_module("core.factors.migrations.0007_broken_seals")

FUNCTION = before.ONE_AT_A_TIME[: before.ONE_AT_A_TIME.index("CREATE TRIGGER")].replace(
    "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"
)
SAME_TWO = """  IF EXISTS (SELECT FROM factors_glass WHERE opened_at > clock_timestamp() - interval '12 hours'
              AND asked_by_id IN (NEW.asked_by_id, NEW.seconded_by_id)
              AND seconded_by_id IN (NEW.asked_by_id, NEW.seconded_by_id)) THEN
    RAISE EXCEPTION 'the same two people have opened one of late' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
"""


class Migration(migrations.Migration):
    dependencies = [("factors", "0007_broken_seals")]
    operations = [migrations.RunSQL(sql=FUNCTION.replace("  RETURN NEW;\n", SAME_TWO), reverse_sql=FUNCTION)]
