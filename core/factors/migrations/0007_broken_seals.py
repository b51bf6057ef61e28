"""One emergency at a time, each with two keys that have opened none before, for SQL as well."""

from importlib import import_module

from django.db import migrations

before = import_module("core.factors.migrations.0002_glass")

SEALED = """
CREATE OR REPLACE FUNCTION factors_sealed(key uuid) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT EXISTS (SELECT FROM factors_passkey WHERE id = key AND sealed AND state = 'active')
     AND NOT EXISTS (SELECT FROM factors_glass WHERE opened_at IS NOT NULL AND key IN (first_key_id, second_key_id))
$$;
"""

# Two that open at once must see each other: the lock lets one in after the other has committed.
ONE_AT_A_TIME = """
CREATE FUNCTION factors_glass_opens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('factors_glass'));
  IF EXISTS (SELECT FROM factors_glass WHERE state = 'open' AND ends_at > clock_timestamp()) THEN
    RAISE EXCEPTION 'an emergency lasts already' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NOT factors_sealed(NEW.first_key_id) OR NOT factors_sealed(NEW.second_key_id) THEN
    RAISE EXCEPTION 'a seal is broken once' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER factors_glass_opens BEFORE UPDATE ON factors_glass
  FOR EACH ROW WHEN (OLD.state <> 'open' AND NEW.state = 'open') EXECUTE FUNCTION factors_glass_opens();
ALTER TABLE factors_glass ENABLE ALWAYS TRIGGER factors_glass_opens;
"""

BACK = "DROP FUNCTION factors_glass_opens() CASCADE;" + before.GUARDS[
    : before.GUARDS.index("$$;") + len("$$;")
].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


class Migration(migrations.Migration):
    dependencies = [("factors", "0006_no_recent")]
    operations = [migrations.RunSQL(sql=SEALED + ONE_AT_A_TIME, reverse_sql=BACK)]
