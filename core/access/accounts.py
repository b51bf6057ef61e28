"""Which customers' accounts are a staff member's own: recorded for good, declared or found by e-mail.

Nobody on the staff answers about an account of their own. The rule rests on rows, not on a comparison at the
time: whoever changes an address afterwards stays bound. The database finds the rows by itself, whichever
program adds a person or an address, so there is no sign-up that forgets to look.
"""

# Over-matching is the safe side: a stranger's mailbox that looks alike only means that somebody else answers.
FINDING = """
CREATE FUNCTION access_mailbox(address text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT replace(split_part(split_part(plain, '@', 1), '+', 1), '.', '') || '@'
      || CASE rtrim(split_part(plain, '@', -1), '.')
         WHEN 'googlemail.com' THEN 'gmail.com' ELSE rtrim(split_part(plain, '@', -1), '.') END
    FROM (SELECT lower(normalize(btrim(address), NFKC)) AS plain) AS one
$$;
CREATE INDEX access_identity_mailbox ON access_identity (access_mailbox(email), kind) WHERE email <> '';
CREATE FUNCTION access_own_account_found() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.email <> '' THEN
    INSERT INTO access_own_account (id, officer_id, customer_id, found_by, recorded_at)
    SELECT gen_random_uuid(), officer.id, customer.id, 'email', clock_timestamp()
      FROM access_identity AS officer
      JOIN access_identity AS customer ON access_mailbox(customer.email) = access_mailbox(officer.email)
     WHERE officer.kind = 'officer' AND customer.kind = 'customer'
       AND officer.email <> '' AND customer.email <> ''
       AND access_mailbox(officer.email) = access_mailbox(NEW.email)
       AND NEW.id IN (officer.id, customer.id)
        ON CONFLICT (officer_id, customer_id) DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER access_own_account_found AFTER INSERT OR UPDATE OF email ON access_identity
  FOR EACH ROW EXECUTE FUNCTION access_own_account_found();
ALTER TABLE access_identity ENABLE ALWAYS TRIGGER access_own_account_found;
INSERT INTO access_own_account (id, officer_id, customer_id, found_by, recorded_at)
SELECT gen_random_uuid(), officer.id, customer.id, 'email', clock_timestamp()
  FROM access_identity AS officer
  JOIN access_identity AS customer ON access_mailbox(customer.email) = access_mailbox(officer.email)
 WHERE officer.kind = 'officer' AND customer.kind = 'customer';
"""

# A declaration binds an officer to a customer, never two officers or two customers.
SHAPE = """
CREATE FUNCTION access_own_account_shape() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM access_identity WHERE id = NEW.officer_id AND kind = 'officer')
     OR NOT EXISTS (SELECT FROM access_identity WHERE id = NEW.customer_id AND kind = 'customer') THEN
    RAISE EXCEPTION 'an own account is an officer''s account as a customer'
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER access_own_account_shape BEFORE INSERT ON access_own_account
  FOR EACH ROW EXECUTE FUNCTION access_own_account_shape();
ALTER TABLE access_own_account ENABLE ALWAYS TRIGGER access_own_account_shape;
"""

REMOVAL = """
DROP FUNCTION access_own_account_found() CASCADE;
DROP INDEX access_identity_mailbox;
DROP FUNCTION access_mailbox(text);
DROP FUNCTION access_own_account_shape() CASCADE;
"""
