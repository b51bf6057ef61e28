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

CREATE FUNCTION ledger_posting_applied() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public AS $$
BEGIN
  UPDATE ledger_account SET units = units + NEW.units WHERE id = NEW.account_id;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_posting_applied AFTER INSERT ON ledger_posting
  FOR EACH ROW EXECUTE FUNCTION ledger_posting_applied();

CREATE FUNCTION ledger_entry_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM ledger_posting WHERE entry_id = NEW.entry_id GROUP BY asset HAVING sum(units) <> 0) THEN
    RAISE EXCEPTION 'journal entry % does not sum to zero', NEW.entry_id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_entry_balanced AFTER INSERT ON ledger_posting DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION ledger_entry_balanced();

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
ALTER TABLE ledger_posting ENABLE ALWAYS TRIGGER ledger_posting_applied;
ALTER TABLE ledger_posting ENABLE ALWAYS TRIGGER ledger_entry_balanced;
ALTER TABLE ledger_hold ENABLE ALWAYS TRIGGER ledger_hold_applied;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [
        migrations.RunSQL(SQL, reverse_sql=migrations.RunSQL.noop),
        append_only("ledger_entry"),
        append_only("ledger_posting"),
    ]
