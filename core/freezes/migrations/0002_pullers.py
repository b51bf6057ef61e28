"""Whoever pulled a freeze does not answer its release, for SQL as well."""

from django.db import migrations

# The signature may be older than the freeze's row, by somebody who writes both; so the release looks again.
PULLERS = """
CREATE FUNCTION freezes_signature_disinterested() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM approvals_request AS r
      JOIN freezes_freeze AS f ON r.subject = 'freezes.freeze/' || f.id
     WHERE r.id = NEW.request_id AND r.kind = 'freezes.release' AND f.pulled_by_id = NEW.officer_id
       AND NEW.verb <> 'ask'
  ) THEN
    RAISE EXCEPTION 'the officer pulled this freeze' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER freezes_signature_disinterested BEFORE INSERT ON approvals_signature
  FOR EACH ROW EXECUTE FUNCTION freezes_signature_disinterested();
ALTER TABLE approvals_signature ENABLE ALWAYS TRIGGER freezes_signature_disinterested;
CREATE FUNCTION freezes_released_by_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM approvals_signature AS s
     WHERE s.request_id = NEW.release_request AND s.officer_id = OLD.pulled_by_id AND s.verb = 'approve'
  ) THEN
    RAISE EXCEPTION 'an approver pulled this freeze' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER freezes_released_by_others BEFORE UPDATE ON freezes_freeze
  FOR EACH ROW WHEN (NEW.release_request IS NOT NULL) EXECUTE FUNCTION freezes_released_by_others();
ALTER TABLE freezes_freeze ENABLE ALWAYS TRIGGER freezes_released_by_others;
"""

REMOVAL = """
DROP FUNCTION freezes_released_by_others() CASCADE;
DROP FUNCTION freezes_signature_disinterested() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("freezes", "0001_initial"), ("approvals", "0009_asking")]
    operations = [migrations.RunSQL(sql=PULLERS, reverse_sql=REMOVAL)]
