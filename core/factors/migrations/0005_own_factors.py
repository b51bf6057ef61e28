"""Nobody asks for another's authenticator, for SQL as well: so the person, as the maker, never agrees to it."""

from django.db import migrations

OWN = """
CREATE FUNCTION factors_request_of_ones_own() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  act jsonb := convert_from(NEW.payload, 'UTF8')::jsonb;
BEGIN
  IF act ->> 'kind' IS DISTINCT FROM NEW.kind OR act ->> 'maker' IS DISTINCT FROM NEW.maker_id::text
     OR act ->> 'person' IS DISTINCT FROM NEW.maker_id::text
     OR NEW.subject IS DISTINCT FROM 'access.identity/' || NEW.maker_id THEN
    RAISE EXCEPTION 'nobody asks for another''s authenticator' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER factors_request_of_ones_own BEFORE INSERT ON approvals_request
  FOR EACH ROW WHEN (NEW.kind LIKE 'factors.%') EXECUTE FUNCTION factors_request_of_ones_own();
ALTER TABLE approvals_request ENABLE ALWAYS TRIGGER factors_request_of_ones_own;
"""


class Migration(migrations.Migration):
    dependencies = [("factors", "0004_registrations"), ("approvals", "0007_within_terms")]
    operations = [
        migrations.RunSQL(sql=OWN, reverse_sql="DROP FUNCTION factors_request_of_ones_own() CASCADE;")
    ]
