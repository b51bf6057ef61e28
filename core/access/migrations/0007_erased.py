"""What somebody is called changes in one way: a customer who is erased loses it. The owner still may."""

from django.db import migrations

CALLED = """
CREATE FUNCTION access_called_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.display_name, NEW.email) IS DISTINCT FROM (OLD.display_name, OLD.email)
     AND current_user <> (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID)
     AND (NEW.kind, NEW.is_active, NEW.display_name, NEW.email)
         IS DISTINCT FROM ('customer', false, 'erased', NEW.id || '@erased.invalid') THEN
    RAISE EXCEPTION 'a name is given once' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER access_called_once BEFORE UPDATE ON access_identity
  FOR EACH ROW EXECUTE FUNCTION access_called_once();
ALTER TABLE access_identity ENABLE ALWAYS TRIGGER access_called_once;
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0006_own_accounts")]
    operations = [migrations.RunSQL(sql=CALLED, reverse_sql="DROP FUNCTION access_called_once() CASCADE;")]
