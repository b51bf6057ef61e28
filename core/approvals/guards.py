"""The triggers that make double counting, a changed payload and a second execution impossible for everybody.

They hold against raw SQL by the application's own role. What they cannot hold against is the owner of the
database; for that there are the signers, who check the officers' signatures themselves.
"""

OPENING = """
CREATE FUNCTION approvals_request_opens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> 'open' THEN
    RAISE EXCEPTION 'a request begins open' USING ERRCODE = 'restrict_violation';
  END IF;
  IF octet_length(NEW.nonce) <> 32 THEN
    RAISE EXCEPTION 'a nonce is 32 bytes' USING ERRCODE = 'restrict_violation';
  END IF;
  IF jsonb_typeof(NEW.teams) <> 'object' OR NEW.teams = '{}'::jsonb
     OR (SELECT count(*) FROM jsonb_object_keys(NEW.teams)) > 6
     OR EXISTS (SELECT FROM jsonb_each(NEW.teams) AS team
                WHERE jsonb_typeof(team.value) <> 'number' OR team.value::text !~ '^[1-9][0-9]?$') THEN
    RAISE EXCEPTION 'every request names one to six teams, and at least one person of each'
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NOT EXISTS (SELECT FROM access_identity
                 WHERE id = NEW.maker_id AND is_active AND kind IN ('officer', 'service')) THEN
    RAISE EXCEPTION 'the maker is no active officer or service' USING ERRCODE = 'restrict_violation';
  END IF;
  NEW.opened_at := clock_timestamp();
  NEW.moved_at := NEW.opened_at;
  NEW.approve_by := NEW.opened_at + NEW.approve_within;
  NEW.execute_by := NEW.approve_by + NEW.execute_within;
  RETURN NEW;
END $$;
CREATE TRIGGER approvals_request_opens BEFORE INSERT ON approvals_request
  FOR EACH ROW EXECUTE FUNCTION approvals_request_opens();
ALTER TABLE approvals_request ENABLE ALWAYS TRIGGER approvals_request_opens;
"""

# Of these the maker signs that they ask, before anything is approved; a test compares it with what the apps
# register. Signers look for themselves.
ASKING = """
CREATE OR REPLACE FUNCTION approvals_asks(kind text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT kind IN ('custody.refill', 'custody.sweep', 'signer.registry', 'signer.release', 'signer.reopen')
$$;
"""

# Teams are joined by AND and a person in two teams fills one seat. By Hall's theorem the seats can be filled
# exactly if every set of teams has, in all its teams together, at least as many signers as it has seats.
# The function is VOLATILE, so that after waiting for a lock it sees what the other transaction committed.
# A passkey that was revoked since may have been in a thief's hand: what it agreed to counts no more.
COUNTING = """
CREATE OR REPLACE FUNCTION approvals_quorum_met(request uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  names text[]; seats int[]; chosen text[]; needed int; given int;
BEGIN
  SELECT array_agg(team.key ORDER BY team.key), array_agg(team.value::int ORDER BY team.key) INTO names, seats
    FROM approvals_request AS r, jsonb_each_text(r.teams) AS team WHERE r.id = request;
  IF names IS NULL THEN
    RETURN false;
  END IF;
  IF EXISTS (SELECT FROM approvals_request AS r
              WHERE r.id = request AND approvals_asks(r.kind) AND NOT EXISTS (
    SELECT FROM approvals_signature AS s
      JOIN access_officer_credential AS passkey ON passkey.id = s.credential_id AND passkey.revoked_at IS NULL
     WHERE s.request_id = r.id AND s.digest = r.digest AND s.officer_id = r.maker_id AND s.verb = 'ask'
  )) THEN
    RETURN false;
  END IF;
  FOR mask IN 1 .. (1 << cardinality(names)) - 1 LOOP
    chosen := '{}'; needed := 0;
    FOR n IN 1 .. cardinality(names) LOOP
      IF mask & (1 << (n - 1)) <> 0 THEN
        chosen := chosen || names[n]; needed := needed + seats[n];
      END IF;
    END LOOP;
    SELECT count(DISTINCT s.officer_id) INTO given
      FROM approvals_signature AS s
      JOIN approvals_request AS r ON r.id = s.request_id AND r.digest = s.digest
                                 AND r.maker_id <> s.officer_id
      JOIN access_identity AS officer ON officer.id = s.officer_id AND officer.is_active
      JOIN access_officer_credential AS passkey ON passkey.id = s.credential_id AND passkey.revoked_at IS NULL
     WHERE s.request_id = request AND s.verb = r.agreeing AND s.teams::text[] && chosen;
    IF given < needed THEN
      RETURN false;
    END IF;
  END LOOP;
  RETURN true;
END $$;
CREATE OR REPLACE FUNCTION approvals_rejections(request uuid) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT count(DISTINCT s.officer_id) FROM approvals_signature AS s
   WHERE s.request_id = request AND s.verb = 'reject'
$$;
"""

MOVING = """
CREATE FUNCTION approvals_request_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  IF (OLD.state, NEW.state) NOT IN (
    ('open', 'approved'), ('open', 'rejected'), ('open', 'withdrawn'), ('open', 'expired'),
    ('approved', 'consumed'), ('approved', 'withdrawn'), ('approved', 'expired')
  ) THEN
    RAISE EXCEPTION 'a request does not go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state = 'approved' AND OLD.approve_by <= moment
     OR NEW.state = 'consumed' AND OLD.execute_by <= moment THEN
    RAISE EXCEPTION 'its deadline has passed' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state = 'expired'
     AND (CASE OLD.state WHEN 'open' THEN OLD.approve_by ELSE OLD.execute_by END) > moment THEN
    RAISE EXCEPTION 'its deadline has not passed' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state IN ('approved', 'consumed')
     AND (approvals_rejections(OLD.id) >= OLD.rejections_needed OR NOT approvals_quorum_met(OLD.id)) THEN
    RAISE EXCEPTION 'the quorum is not met' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state = 'rejected' AND approvals_rejections(OLD.id) < OLD.rejections_needed THEN
    RAISE EXCEPTION 'too few have rejected it' USING ERRCODE = 'restrict_violation';
  END IF;
  NEW.moved_at := moment;
  RETURN NEW;
END $$;
CREATE TRIGGER approvals_request_moves BEFORE UPDATE ON approvals_request
  FOR EACH ROW EXECUTE FUNCTION approvals_request_moves();
ALTER TABLE approvals_request ENABLE ALWAYS TRIGGER approvals_request_moves;
"""

# FOR NO KEY UPDATE, not FOR SHARE: two officers who sign at once queue here, and the second sees the first.
SIGNING = """
ALTER TABLE approvals_request ADD CONSTRAINT request_identity UNIQUE (id, maker_id, digest);
ALTER TABLE approvals_signature ADD CONSTRAINT signature_of_this_payload
  FOREIGN KEY (request_id, maker_id, digest) REFERENCES approvals_request (id, maker_id, digest);
"""
ANSWERING = """
CREATE OR REPLACE FUNCTION approvals_signature_counts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  asked approvals_request;
BEGIN
  SELECT * INTO asked FROM approvals_request
   WHERE id = NEW.request_id AND approve_by > clock_timestamp() FOR NO KEY UPDATE;
  IF NOT FOUND OR asked.state <> 'open' THEN
    RAISE EXCEPTION 'the request is not open' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.verb = 'ask' AND NOT approvals_asks(asked.kind) THEN
    RAISE EXCEPTION 'nobody asks for % in that way', asked.kind USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.verb <> 'ask' AND approvals_asks(asked.kind) AND NOT EXISTS (
    SELECT FROM approvals_signature WHERE request_id = NEW.request_id AND verb = 'ask'
  ) THEN
    RAISE EXCEPTION 'its maker has not asked for it yet' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.verb NOT IN ('ask', 'reject', asked.agreeing) THEN
    RAISE EXCEPTION 'the request is answered by % or reject', asked.agreeing
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NOT EXISTS (SELECT FROM access_identity
                 WHERE id = NEW.officer_id AND is_active AND kind = 'officer') THEN
    RAISE EXCEPTION 'only an active officer signs' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NOT EXISTS (SELECT FROM access_officer_credential
                 WHERE id = NEW.credential_id AND officer_id = NEW.officer_id AND revoked_at IS NULL) THEN
    RAISE EXCEPTION 'the passkey is not one of the officer''s' USING ERRCODE = 'restrict_violation';
  END IF;
  NEW.signed_at := clock_timestamp();
  RETURN NEW;
END $$;
"""
ANSWERED = """
CREATE TRIGGER approvals_signature_counts BEFORE INSERT ON approvals_signature
  FOR EACH ROW EXECUTE FUNCTION approvals_signature_counts();
ALTER TABLE approvals_signature ENABLE ALWAYS TRIGGER approvals_signature_counts;
"""

# A version is what its own approved request says, byte for byte, and the next one. The first is founded.
PUBLISHING = """
CREATE FUNCTION approvals_policy_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.version <> 1 + (SELECT coalesce(max(version), 0) FROM approvals_policy) THEN
    RAISE EXCEPTION 'versions follow one another' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.version > 1 AND NOT EXISTS (
    SELECT FROM approvals_request AS r
     WHERE r.id = NEW.request_id AND r.kind = 'approvals.policy' AND r.state = 'consumed'
       AND convert_from(r.payload, 'UTF8')::jsonb ->> 'document' = convert_from(NEW.document, 'UTF8')
       AND (convert_from(r.payload, 'UTF8')::jsonb ->> 'version')::int = NEW.version
  ) THEN
    RAISE EXCEPTION 'no approved request says this policy' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER approvals_policy_published BEFORE INSERT ON approvals_policy
  FOR EACH ROW EXECUTE FUNCTION approvals_policy_published();
ALTER TABLE approvals_policy ENABLE ALWAYS TRIGGER approvals_policy_published;
"""

# The payload says whose account an act is about, so that no row beside it can hide it. Whoever's interest was
# recorded after they signed stops the act, too; so does a maker who was suspended since.
# The release of a freeze says it by the freeze's scope.
OWN_ACCOUNT = """
CREATE OR REPLACE FUNCTION approvals_own_account(payload bytea, person uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM access_own_account AS own,
                             LATERAL (SELECT convert_from(payload, 'UTF8')::jsonb AS act) AS said
                  WHERE own.officer_id = person
                    AND (own.customer_id::text = said.act ->> 'customer'
                         OR 'customer:' || own.customer_id = said.act ->> 'scope'))
$$;
"""

INTERESTS = """
CREATE FUNCTION approvals_request_disinterested() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF approvals_own_account(NEW.payload, NEW.maker_id) THEN
      RAISE EXCEPTION 'the request is about the maker''s own account' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF NEW.state IN ('approved', 'consumed') AND EXISTS (
    SELECT FROM approvals_signature AS s
     WHERE s.request_id = OLD.id AND s.verb = OLD.agreeing
       AND approvals_own_account(OLD.payload, s.officer_id)
  ) THEN
    RAISE EXCEPTION 'an approver has an account of their own in it' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state = 'consumed' AND NOT EXISTS (
    SELECT FROM access_identity WHERE id = OLD.maker_id AND is_active
  ) THEN
    RAISE EXCEPTION 'the maker is suspended' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER approvals_request_disinterested BEFORE INSERT OR UPDATE ON approvals_request
  FOR EACH ROW EXECUTE FUNCTION approvals_request_disinterested();
ALTER TABLE approvals_request ENABLE ALWAYS TRIGGER approvals_request_disinterested;
CREATE FUNCTION approvals_signature_disinterested() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM approvals_request AS r
              WHERE r.id = NEW.request_id AND approvals_own_account(r.payload, NEW.officer_id)) THEN
    RAISE EXCEPTION 'the request is about the officer''s own account' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER approvals_signature_disinterested BEFORE INSERT ON approvals_signature
  FOR EACH ROW EXECUTE FUNCTION approvals_signature_disinterested();
ALTER TABLE approvals_signature ENABLE ALWAYS TRIGGER approvals_signature_disinterested;
"""
INTERESTS_REMOVAL = """
DROP FUNCTION approvals_signature_disinterested() CASCADE;
DROP FUNCTION approvals_request_disinterested() CASCADE;
DROP FUNCTION approvals_own_account(bytea, uuid);
"""

REMOVAL = """
DROP FUNCTION approvals_signature_counts() CASCADE;
DROP FUNCTION approvals_request_moves() CASCADE;
DROP FUNCTION approvals_quorum_met(uuid);
DROP FUNCTION approvals_rejections(uuid);
DROP FUNCTION approvals_request_opens() CASCADE;
ALTER TABLE approvals_signature DROP CONSTRAINT signature_of_this_payload;
ALTER TABLE approvals_request DROP CONSTRAINT request_identity;
"""
