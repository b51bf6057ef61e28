"""The triggers that hold a request to what it was judged by, against raw SQL by the application's role too.

What each kind asks for itself stands here a second time, so that whoever owns the application's processes
cannot ask for less; a test compares it with what the apps register. The rules of the version in force are
judged again over the facts of the row. Of the facts the database knows the kind and the maker by itself. The
others, and the sums of windows, are the application's word, so where money moves the signers ask their own.
"""

# Beside the floor: how many people, the longest periods, the verb that agrees, and who has the last word (the
# rules; the rules, and nothing goes without one; the code alone). The signers' registry names the teams of
# payments and of orders, so only a number of people is known of these here.
KINDS = """
CREATE OR REPLACE FUNCTION approvals_terms() RETURNS TABLE (
  kind text, floor jsonb, people int, approve_within interval, execute_within interval, agreeing text,
  last_word text
) LANGUAGE sql IMMUTABLE AS $$
  SELECT v.kind, v.floor::jsonb, v.people, v.approve::interval, v.execute::interval, v.agreeing, v.last_word
    FROM (VALUES
  ('approvals.policy', '{"compliance": 1, "treasury": 1}', 2, '1 h', '1 h', 'approve', 'code'),
  ('custody.adjustment', '{"officers": 2}', 2, '1 d', '1 h', 'approve', 'governed'),
  ('custody.refill', '{}', 2, '2 d', '2 d', 'approve', 'governed'),
  ('custody.sweep', '{}', 2, '1 d', '1 d', 'approve', 'governed'),
  ('custody.withdrawal', '{}', 2, '1 d', '1 d', 'approve', 'governed'),
  ('engine.fee_level', '{"officers": 2}', 2, '1 d', '1 h', 'approve', 'rules'),
  ('engine.market_release', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'rules'),
  ('engine.price_band', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'rules'),
  ('factors.enrol_code', '{"officers": 1}', 1, '1 h', '1 h', 'approve', 'rules'),
  ('factors.enrol_passkey', '{"officers": 1}', 1, '1 h', '1 h', 'approve', 'rules'),
  ('factors.enrol_sealed', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'rules'),
  ('freezes.release', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'rules'),
  ('kyc.erasure', '{"officers": 2}', 2, '1 d', '1 d', 'approve', 'rules'),
  ('kyc.tier', '{"officers": 1}', 1, '1 d', '5 min', 'approve', 'governed'),
  ('signer.registry', '{}', 2, '1 h', '1 h', 'release', 'rules'),
  ('signer.release', '{}', 2, '1 h', '1 h', 'release', 'rules'),
  ('signer.reopen', '{}', 2, '1 h', '1 h', 'release', 'rules'),
  ('staff.add_passkey', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'rules'),
  ('staff.end_role', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'code'),
  ('staff.grant_role', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'rules'),
  ('staff.join', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'rules'),
  ('staff.leave', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'code'),
  ('staff.rebind', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'rules'),
  ('staff.restore', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'rules'),
  ('staff.revoke_passkey', '{"officers": 2}', 2, '1 h', '1 h', 'approve', 'code')
  ) AS v (kind, floor, people, approve, execute, agreeing, last_word)
$$;
"""

# The same as kernel.policy: conditions in their order, and NULL where one asks for a fact that is not there.
JUDGING = """
CREATE FUNCTION approvals_holds(conditions jsonb, facts jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  one jsonb; fact jsonb; bound numeric; found boolean;
BEGIN
  FOR one IN SELECT part.value FROM jsonb_array_elements(conditions) WITH ORDINALITY AS part
             ORDER BY part.ordinality
  LOOP
    fact := facts -> (one ->> 0);
    IF one ->> 1 IN ('at_most', 'below', 'at_least', 'above') THEN
      IF jsonb_typeof(fact) IS DISTINCT FROM 'number' THEN
        RETURN NULL;
      END IF;
      bound := (one ->> 2)::numeric;
      found := CASE one ->> 1
        WHEN 'at_most' THEN fact::numeric <= bound WHEN 'below' THEN fact::numeric < bound
        WHEN 'at_least' THEN fact::numeric >= bound ELSE fact::numeric > bound END;
    ELSIF jsonb_typeof(fact) IS DISTINCT FROM 'string' THEN
      RETURN NULL;
    ELSE
      found := CASE one ->> 1 WHEN 'is' THEN fact = one -> 2 ELSE (one -> 2) @> fact END;
    END IF;
    IF NOT found THEN
      RETURN false;
    END IF;
  END LOOP;
  RETURN true;
END $$;

CREATE FUNCTION approvals_deciding(policy jsonb, facts jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  rule jsonb; found boolean;
BEGIN
  FOR rule IN SELECT part.value FROM jsonb_array_elements(policy -> 'rules') WITH ORDINALITY AS part
              ORDER BY part.ordinality
  LOOP
    found := approvals_holds(rule -> 'when', facts);
    IF found IS NULL THEN
      RAISE EXCEPTION 'rule % asks for a fact that nobody told', rule ->> 'name'
        USING ERRCODE = 'restrict_violation';
    END IF;
    IF found THEN
      RETURN rule;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;

CREATE FUNCTION approvals_covers(given jsonb, needed jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT NOT EXISTS (SELECT FROM jsonb_each_text(needed) AS team
                      WHERE coalesce((given ->> team.key)::int, 0) < team.value::int)
$$;

CREATE FUNCTION approvals_request_within_terms() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  own record; newest int; policy jsonb; decided jsonb; overrun jsonb; rule jsonb;
BEGIN
  IF NEW.facts ->> 'kind' IS DISTINCT FROM NEW.kind
     OR NEW.facts ->> 'maker' IS DISTINCT FROM NEW.maker_id::text THEN
    RAISE EXCEPTION 'the facts are those of another act' USING ERRCODE = 'restrict_violation';
  END IF;
  SELECT terms.* INTO own FROM approvals_terms() AS terms WHERE terms.kind = NEW.kind;
  IF own.kind IS NOT NULL AND (
    NOT approvals_covers(NEW.floor, own.floor) OR NEW.agreeing <> own.agreeing
    OR NEW.approve_within > own.approve_within OR NEW.execute_within > own.execute_within
    OR (SELECT coalesce(sum(team.value::int), 0) FROM jsonb_each_text(NEW.floor) AS team) < own.people
  ) THEN
    RAISE EXCEPTION 'its terms are below those of its kind' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NOT approvals_covers(NEW.teams, NEW.floor) THEN
    RAISE EXCEPTION 'it asks for fewer people than its kind does' USING ERRCODE = 'restrict_violation';
  END IF;
  SELECT p.version, convert_from(p.document, 'UTF8')::jsonb INTO newest, policy
    FROM approvals_policy AS p ORDER BY p.version DESC LIMIT 1;
  IF NEW.policy_version <> newest THEN
    RAISE EXCEPTION 'it was judged under another version of the policy' USING ERRCODE = 'restrict_violation';
  END IF;
  IF own.last_word IS DISTINCT FROM 'code' THEN
    decided := approvals_deciding(policy, NEW.facts);
    SELECT part.value INTO overrun FROM jsonb_array_elements(policy -> 'windows') AS part
     WHERE part.value ->> 'name' = NEW.rule AND approvals_holds(part.value -> 'when', NEW.facts);
  END IF;
  IF NEW.rule <> coalesce(overrun ->> 'name', decided ->> 'name', '') THEN
    RAISE EXCEPTION 'another rule decides about it' USING ERRCODE = 'restrict_violation';
  END IF;
  IF decided ? 'deny' OR overrun ? 'deny' OR decided ? 'unattended' AND overrun IS NULL
     OR own.last_word = 'governed' AND decided IS NULL AND overrun IS NULL THEN
    RAISE EXCEPTION 'no rule puts it before anybody' USING ERRCODE = 'restrict_violation';
  END IF;
  FOREACH rule IN ARRAY ARRAY[decided, overrun] LOOP
    IF NOT approvals_covers(NEW.teams, rule -> 'teams')
       OR NEW.approve_within > make_interval(secs => (rule ->> 'approve_s')::int)
       OR NEW.execute_within > make_interval(secs => (rule ->> 'execute_s')::int) THEN
      RAISE EXCEPTION 'its terms are below those of rule %', rule ->> 'name'
        USING ERRCODE = 'restrict_violation';
    END IF;
  END LOOP;
  IF NEW.rejections_needed
     > coalesce(least((decided ->> 'rejections')::int, (overrun ->> 'rejections')::int), 1) THEN
    RAISE EXCEPTION 'more people would have to reject it' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER approvals_request_within_terms BEFORE INSERT ON approvals_request
  FOR EACH ROW EXECUTE FUNCTION approvals_request_within_terms();
ALTER TABLE approvals_request ENABLE ALWAYS TRIGGER approvals_request_within_terms;

CREATE FUNCTION approvals_waiver_within_terms() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  newest int; decided jsonb;
BEGIN
  SELECT p.version, approvals_deciding(convert_from(p.document, 'UTF8')::jsonb, NEW.facts)
    INTO newest, decided FROM approvals_policy AS p ORDER BY p.version DESC LIMIT 1;
  IF NEW.policy_version <> newest OR NEW.facts ->> 'kind' IS DISTINCT FROM NEW.kind
     OR decided -> 'unattended' IS DISTINCT FROM 'true'::jsonb OR decided ->> 'name' <> NEW.rule THEN
    RAISE EXCEPTION 'the policy in force asks somebody about it' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER approvals_waiver_within_terms BEFORE INSERT ON approvals_waiver
  FOR EACH ROW EXECUTE FUNCTION approvals_waiver_within_terms();
ALTER TABLE approvals_waiver ENABLE ALWAYS TRIGGER approvals_waiver_within_terms;
"""

REMOVAL = """
DROP FUNCTION approvals_waiver_within_terms() CASCADE;
DROP FUNCTION approvals_request_within_terms() CASCADE;
DROP FUNCTION approvals_covers(jsonb, jsonb);
DROP FUNCTION approvals_deciding(jsonb, jsonb);
DROP FUNCTION approvals_holds(jsonb, jsonb);
DROP FUNCTION approvals_terms();
"""
