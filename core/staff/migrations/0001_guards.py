"""Rights come from approvals, for SQL as well: a role, a passkey, a subject or a return that no two officers have
just signed is refused by the database. Only the founding, while nobody is on the staff, needs nobody."""

from django.db import migrations

GUARDS = """
CREATE FUNCTION staff_is_being_founded() RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT NOT EXISTS (SELECT FROM access_identity WHERE kind = 'officer' AND created_at < now())
$$;

-- "Just": consumed in this very transaction, so that an old approval cannot be used a second time.
CREATE FUNCTION staff_just_approved(change text, person uuid, terms jsonb) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT EXISTS (
    SELECT FROM approvals_request
     WHERE kind = change AND state = 'consumed' AND moved_at >= now()
       AND subject = 'access.identity/' || person AND convert_from(payload, 'UTF8')::jsonb @> terms)
$$;

CREATE FUNCTION staff_refused(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% needs the approval of two others', what USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION staff_identity_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.kind = 'customer' OR staff_is_being_founded() THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NOT staff_just_approved('staff.join', NEW.id,
                               jsonb_build_object('subject', NEW.access_subject, 'email', NEW.email)) THEN
      PERFORM staff_refused('joining');
    END IF;
    RETURN NEW;
  END IF;
  IF NEW.access_subject IS DISTINCT FROM OLD.access_subject
     AND NOT staff_just_approved('staff.rebind', NEW.id, jsonb_build_object('subject', NEW.access_subject)) THEN
    PERFORM staff_refused('another subject');
  END IF;
  IF NEW.is_active AND NOT OLD.is_active AND NOT staff_just_approved('staff.restore', NEW.id, '{}') THEN
    PERFORM staff_refused('coming back');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER staff_identity_guard BEFORE INSERT OR UPDATE ON access_identity
  FOR EACH ROW EXECUTE FUNCTION staff_identity_guard();
ALTER TABLE access_identity ENABLE ALWAYS TRIGGER staff_identity_guard;

CREATE FUNCTION staff_grant_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.role = 'break_glass' THEN
    RETURN NEW; -- no approval gives this one: core.factors guards it
  END IF;
  IF staff_is_being_founded()
     OR NEW.valid_until IS NULL AND (
          staff_just_approved('staff.join', NEW.identity_id, jsonb_build_object('roles', jsonb_build_array(NEW.role)))
          OR staff_just_approved('staff.grant_role', NEW.identity_id,
                                 jsonb_build_object('role', NEW.role, 'hours', 0)))
     OR NEW.valid_until IS NOT NULL AND staff_just_approved(
          'staff.grant_role', NEW.identity_id,
          jsonb_build_object('role', NEW.role,
                             'hours', round(extract(epoch FROM NEW.valid_until - NEW.granted_at) / 3600)::int)) THEN
    RETURN NEW;
  END IF;
  PERFORM staff_refused('a role');
  RETURN NULL;
END $$;
CREATE TRIGGER staff_grant_guard BEFORE INSERT ON access_role_grant
  FOR EACH ROW EXECUTE FUNCTION staff_grant_guard();
ALTER TABLE access_role_grant ENABLE ALWAYS TRIGGER staff_grant_guard;

CREATE FUNCTION staff_passkey_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT staff_is_being_founded() AND NOT staff_just_approved(
       'staff.add_passkey', NEW.officer_id,
       jsonb_build_object('credential_id', NEW.credential_id, 'public_key', NEW.public_key)) THEN
    PERFORM staff_refused('a passkey');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER staff_passkey_guard BEFORE INSERT ON access_officer_credential
  FOR EACH ROW EXECUTE FUNCTION staff_passkey_guard();
ALTER TABLE access_officer_credential ENABLE ALWAYS TRIGGER staff_passkey_guard;
"""

REMOVAL = """
DROP FUNCTION staff_identity_guard() CASCADE;
DROP FUNCTION staff_grant_guard() CASCADE;
DROP FUNCTION staff_passkey_guard() CASCADE;
DROP FUNCTION staff_refused(text);
DROP FUNCTION staff_just_approved(text, uuid, jsonb);
DROP FUNCTION staff_is_being_founded();
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("access", "0001_initial"), ("approvals", "0001_initial")]
    operations = [migrations.RunSQL(sql=GUARDS, reverse_sql=REMOVAL)]
