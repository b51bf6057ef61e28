from django.db import migrations

from core.append_only import append_only

SQL = """
-- An account's asset is the asset of its postings.
ALTER TABLE ledger_posting ADD CONSTRAINT posting_in_the_accounts_asset
  FOREIGN KEY (account_id, asset) REFERENCES ledger_account (id, asset);

-- `lock` carries nothing: SELECT ... FOR UPDATE asks for the UPDATE privilege on some column, and this is it.
ALTER TABLE ledger_account ADD COLUMN lock smallint;

CREATE FUNCTION ledger_account_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.units <> 0 OR NEW.held <> 0 THEN
      RAISE EXCEPTION 'an account begins empty' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.id, NEW.kind, NEW.asset, NEW.owner) IS DISTINCT FROM (OLD.id, OLD.kind, OLD.asset, OLD.owner) THEN
    RAISE EXCEPTION 'an account keeps its kind, asset and owner' USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.units, NEW.held) IS DISTINCT FROM (OLD.units, OLD.held) AND pg_trigger_depth() < 2 THEN
    RAISE EXCEPTION 'balances follow from postings and holds' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER ledger_account_guard BEFORE INSERT OR UPDATE ON ledger_account
  FOR EACH ROW EXECUTE FUNCTION ledger_account_guard();

-- Once for a statement, over all rows that it added. Each statement must balance by itself, so every entry
-- balances at any moment, not only at commit; and no row of before needs to be read again, since none can change.
CREATE FUNCTION ledger_postings_made() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE
  unbalanced uuid;
BEGIN
  SELECT entry_id INTO unbalanced FROM made GROUP BY entry_id, asset HAVING sum(units) <> 0 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'journal entry % does not sum to zero', unbalanced USING ERRCODE = 'check_violation';
  END IF;
  UPDATE ledger_account SET units = ledger_account.units + moved.units
    FROM (SELECT account_id, sum(units) AS units FROM made GROUP BY account_id) moved
    WHERE ledger_account.id = moved.account_id;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_postings_made AFTER INSERT ON ledger_posting REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_postings_made();

CREATE FUNCTION ledger_hold_applied() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'pending' THEN
      RAISE EXCEPTION 'a hold begins pending' USING ERRCODE = 'restrict_violation';
    END IF;
    UPDATE ledger_account SET held = held + NEW.units WHERE id = NEW.account_id;
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' OR OLD.state <> 'pending' OR NEW.state = 'pending'
     OR (NEW.id, NEW.account_id, NEW.units, NEW.reference) IS DISTINCT FROM
        (OLD.id, OLD.account_id, OLD.units, OLD.reference) THEN
    RAISE EXCEPTION 'a hold closes once and changes in nothing else' USING ERRCODE = 'restrict_violation';
  END IF;
  UPDATE ledger_account SET held = held - OLD.units WHERE id = OLD.account_id;
  RETURN NEW;
END $$;
CREATE TRIGGER ledger_hold_applied BEFORE INSERT OR UPDATE OR DELETE ON ledger_hold
  FOR EACH ROW EXECUTE FUNCTION ledger_hold_applied();

ALTER TABLE ledger_account ENABLE ALWAYS TRIGGER ledger_account_guard;
ALTER TABLE ledger_posting ENABLE ALWAYS TRIGGER ledger_postings_made;
ALTER TABLE ledger_hold ENABLE ALWAYS TRIGGER ledger_hold_applied;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [
        migrations.RunSQL(SQL, reverse_sql=migrations.RunSQL.noop),
        append_only("ledger_entry"),
        append_only("ledger_posting"),
    ]
