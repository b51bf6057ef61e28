"""Nobody grants above their own role, for SQL as well: what a request gives somebody, or gives back, its maker's own
role grants when it is asked for and when it happens; and where nobody is left who could, more people agree to it.

The database goes by the maker whom the row names; who really asked is the application's word (docs/threat-model.md).
"""

from django.db import migrations

# Both tables are those of core.access.roles and core.staff; a test compares them. VOLATILE: after waiting for a lock
# they see what the other transaction committed.
RANKS = """
CREATE FUNCTION staff_granted_by() RETURNS TABLE (role text, granter text) LANGUAGE sql IMMUTABLE AS $$
  SELECT v.* FROM (VALUES
  ('auditor', 'compliance_officer'), ('auditor', 'senior_officer'),
  ('collector', 'senior_officer'), ('collector', 'sre'),
  ('compliance_officer', 'compliance_officer'), ('compliance_officer', 'senior_officer'),
  ('senior_officer', 'senior_officer'),
  ('sre', 'senior_officer'), ('sre', 'sre'),
  ('support', 'compliance_officer'), ('support', 'senior_officer'),
  ('treasury_maker', 'compliance_officer'), ('treasury_maker', 'senior_officer'),
  ('treasury_signer', 'senior_officer')
  ) AS v (role, granter)
$$;

CREATE FUNCTION staff_teams() RETURNS TABLE (team text, role text) LANGUAGE sql IMMUTABLE AS $$
  SELECT v.* FROM (VALUES
  ('compliance', 'compliance_officer'), ('compliance', 'senior_officer'),
  ('officers', 'compliance_officer'), ('officers', 'senior_officer'), ('officers', 'treasury_signer'),
  ('treasury', 'treasury_signer')
  ) AS v (team, role)
$$;

-- Of active officers, the roles that are not held for a time: what somebody grants goes by these alone.
CREATE FUNCTION staff_standing() RETURNS TABLE (person uuid, role text) LANGUAGE sql VOLATILE AS $$
  SELECT held.identity_id, held.role::text FROM access_role_grant AS held
    JOIN access_identity AS officer ON officer.id = held.identity_id AND officer.is_active
                                   AND officer.kind = 'officer'
   WHERE held.revoked_at IS NULL AND held.valid_until IS NULL
$$;

CREATE FUNCTION staff_grants(giver uuid, roles text[]) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT NOT EXISTS (
    SELECT FROM unnest(roles) AS asked (role) WHERE NOT EXISTS (
      SELECT FROM staff_standing() AS held JOIN staff_granted_by() AS may ON may.granter = held.role
       WHERE held.person = giver AND may.role = asked.role))
$$;

CREATE FUNCTION staff_given(kind text, act jsonb) RETURNS text[] LANGUAGE sql VOLATILE AS $$
  SELECT CASE
    WHEN kind = 'staff.grant_role' THEN ARRAY[act ->> 'role']
    WHEN kind = 'staff.join' THEN ARRAY(SELECT jsonb_array_elements_text(act -> 'roles'))
    WHEN kind IN ('staff.restore', 'staff.rebind', 'staff.add_passkey') THEN ARRAY(
      SELECT held.role::text FROM access_role_grant AS held
       WHERE held.identity_id = (act ->> 'person')::uuid AND held.revoked_at IS NULL
         AND (held.valid_until IS NULL OR held.valid_until > clock_timestamp()) AND held.role <> 'break_glass')
    ELSE '{}'::text[] END
$$;

CREATE FUNCTION staff_way_back(maker uuid, person uuid) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
  WITH seated AS (
    SELECT DISTINCT held.person, seat.team FROM staff_standing() AS held JOIN staff_teams() AS seat USING (role)
     WHERE held.person NOT IN (staff_way_back.maker, staff_way_back.person)
       AND EXISTS (SELECT FROM access_officer_credential AS passkey
                    WHERE passkey.officer_id = held.person AND passkey.revoked_at IS NULL)
  ), more AS (
    SELECT team FROM seated WHERE team <> 'officers' GROUP BY team ORDER BY team
     LIMIT greatest(0, (SELECT count(DISTINCT seated.person) FROM seated) - 2)
  )
  SELECT '{"officers": 2}'::jsonb || coalesce((SELECT jsonb_object_agg(team, 1) FROM more), '{}')
$$;

CREATE FUNCTION staff_request_within_ranks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  act jsonb := convert_from(NEW.payload, 'UTF8')::jsonb;
  whom uuid := (act ->> 'person')::uuid;
  roles text[] := staff_given(NEW.kind, act);
  returns boolean := NEW.kind IN ('staff.restore', 'staff.rebind', 'staff.add_passkey');
BEGIN
  IF act ->> 'kind' IS DISTINCT FROM NEW.kind OR act ->> 'maker' IS DISTINCT FROM NEW.maker_id::text
     OR whom IS NULL OR NEW.subject IS DISTINCT FROM 'access.identity/' || whom THEN
    RAISE EXCEPTION 'what is signed is about something else' USING ERRCODE = 'restrict_violation';
  END IF;
  IF roles = '{}' OR returns AND whom = NEW.maker_id THEN
    RETURN NEW;
  END IF;
  IF whom = NEW.maker_id THEN
    -- An elevation: those who answer grant it, not who asks (the next migration holds them to it).
    IF NEW.kind <> 'staff.grant_role' OR (act ->> 'hours')::int <= 0 OR NOT EXISTS (
         SELECT FROM access_role_grant AS held
          WHERE held.identity_id = NEW.maker_id AND held.role = 'sre' AND held.revoked_at IS NULL) THEN
      RAISE EXCEPTION 'nobody asks for a role for themselves' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF staff_grants(NEW.maker_id, roles) THEN
    RETURN NEW;
  END IF;
  IF NOT returns OR EXISTS (
       SELECT FROM (SELECT DISTINCT held.person FROM staff_standing() AS held) AS other
        WHERE other.person <> whom AND staff_grants(other.person, roles)) THEN
    RAISE EXCEPTION 'it is above the role of whoever asks' USING ERRCODE = 'restrict_violation';
  END IF;
  IF TG_OP = 'INSERT' AND (
       NEW.facts ->> 'way_back' IS DISTINCT FROM 'yes'
       OR NOT approvals_covers(NEW.floor, staff_way_back(NEW.maker_id, whom))) THEN
    RAISE EXCEPTION 'the way back from a lost role asks for more people' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER staff_request_within_ranks BEFORE INSERT ON approvals_request
  FOR EACH ROW WHEN (NEW.kind LIKE 'staff.%') EXECUTE FUNCTION staff_request_within_ranks();
ALTER TABLE approvals_request ENABLE ALWAYS TRIGGER staff_request_within_ranks;
CREATE TRIGGER staff_request_still_within_ranks BEFORE UPDATE ON approvals_request
  FOR EACH ROW WHEN (NEW.kind LIKE 'staff.%' AND NEW.state IN ('approved', 'consumed'))
  EXECUTE FUNCTION staff_request_within_ranks();
ALTER TABLE approvals_request ENABLE ALWAYS TRIGGER staff_request_still_within_ranks;
"""

REMOVAL = """
DROP FUNCTION staff_request_within_ranks() CASCADE;
DROP FUNCTION staff_way_back(uuid, uuid);
DROP FUNCTION staff_given(text, jsonb);
DROP FUNCTION staff_grants(uuid, text[]);
DROP FUNCTION staff_standing();
DROP FUNCTION staff_teams();
DROP FUNCTION staff_granted_by();
"""


class Migration(migrations.Migration):
    dependencies = [("staff", "0001_guards"), ("access", "0001_initial"), ("approvals", "0007_within_terms")]
    operations = [migrations.RunSQL(sql=RANKS, reverse_sql=REMOVAL)]
