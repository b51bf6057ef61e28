"""Who has an interest in a change to the staff does not answer it, for SQL as well: nobody signs what is about
themselves, and of those who agree to somebody's own elevation each could have granted that role.
"""

from django.db import migrations

CONFLICTS = """
CREATE FUNCTION staff_signature_disinterested() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  asked approvals_request; act jsonb;
BEGIN
  SELECT * INTO asked FROM approvals_request WHERE id = NEW.request_id AND kind LIKE 'staff.%';
  IF NOT FOUND THEN
    RETURN NEW;
  END IF;
  act := convert_from(asked.payload, 'UTF8')::jsonb;
  IF (act ->> 'person')::uuid = NEW.officer_id THEN
    RAISE EXCEPTION 'the request is about the officer' USING ERRCODE = 'restrict_violation';
  END IF;
  IF asked.kind = 'staff.grant_role' AND (act ->> 'person')::uuid = asked.maker_id
     AND NOT staff_grants(NEW.officer_id, ARRAY[act ->> 'role']) THEN
    RAISE EXCEPTION 'the officer''s own role does not grant this one' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER staff_signature_disinterested BEFORE INSERT ON approvals_signature
  FOR EACH ROW EXECUTE FUNCTION staff_signature_disinterested();
ALTER TABLE approvals_signature ENABLE ALWAYS TRIGGER staff_signature_disinterested;

-- Whoever has lost the role since does not grant it any more.
CREATE FUNCTION staff_elevation_granted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  act jsonb := convert_from(NEW.payload, 'UTF8')::jsonb;
BEGIN
  IF (act ->> 'person')::uuid = NEW.maker_id AND EXISTS (
    SELECT FROM approvals_signature AS s
     WHERE s.request_id = NEW.id AND s.verb = NEW.agreeing
       AND NOT staff_grants(s.officer_id, ARRAY[act ->> 'role'])) THEN
    RAISE EXCEPTION 'an approver''s own role does not grant this one' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER staff_elevation_granted BEFORE UPDATE ON approvals_request
  FOR EACH ROW WHEN (NEW.kind = 'staff.grant_role' AND NEW.state IN ('approved', 'consumed'))
  EXECUTE FUNCTION staff_elevation_granted();
ALTER TABLE approvals_request ENABLE ALWAYS TRIGGER staff_elevation_granted;
"""

REMOVAL = """
DROP FUNCTION staff_elevation_granted() CASCADE;
DROP FUNCTION staff_signature_disinterested() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("staff", "0002_ranks")]
    operations = [migrations.RunSQL(sql=CONFLICTS, reverse_sql=REMOVAL)]
