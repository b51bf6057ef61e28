from django.db import migrations, models

# What customers were credited against no coins is what posted adjustments come to, each with its own request
# that was acted upon. Looked at whenever that account moves, which is seldom.
CREDITS = """
CREATE FUNCTION custody_credits_agreed() RETURNS trigger LANGUAGE plpgsql
  SET search_path = public, pg_temp AS $$
DECLARE
  agreed numeric;
BEGIN
  SELECT coalesce(sum(a.units), 0) INTO agreed
    FROM custody_adjustment a JOIN approvals_request r ON r.id = a.request_id
   WHERE a.asset = NEW.asset AND a.state = 'posted'
     AND r.kind = 'custody.adjustment' AND r.state = 'consumed'
     AND convert_from(r.payload, 'UTF8')::jsonb @> jsonb_build_object(
       'adjustment', a.id::text, 'asset', a.asset, 'amount', a.units::text, 'customer', a.customer_id::text);
  IF NEW.units <> -agreed THEN
    RAISE EXCEPTION 'credits against no coins would be %, and credits that officers agreed to are %',
      -NEW.units, agreed USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER custody_credits_agreed AFTER UPDATE ON ledger_account FOR EACH ROW
  WHEN (NEW.kind = 'external' AND NEW.units <> OLD.units) EXECUTE FUNCTION custody_credits_agreed();
ALTER TABLE ledger_account ENABLE ALWAYS TRIGGER custody_credits_agreed;

-- What a withdrawal reserves is free again once it ended unpaid, and posted once it is settled, never before:
-- else the customer could spend it a second time while the chain pays.
CREATE FUNCTION custody_hold_follows() RETURNS trigger LANGUAGE plpgsql
  SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.state <> OLD.state AND NEW.reference LIKE 'custody.withdrawal/%' AND EXISTS (
    SELECT 1 FROM custody_withdrawal w WHERE w.id = split_part(NEW.reference, '/', 2)::uuid AND w.state <> ALL (
      CASE NEW.state WHEN 'posted' THEN ARRAY['settled']
        ELSE ARRAY['rejected', 'cancelled', 'expired', 'failed'] END)
  ) THEN
    RAISE EXCEPTION 'the hold % ends with its withdrawal', NEW.reference USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER custody_hold_follows AFTER UPDATE ON ledger_hold FOR EACH ROW
  EXECUTE FUNCTION custody_hold_follows();
ALTER TABLE ledger_hold ENABLE ALWAYS TRIGGER custody_hold_follows;
"""
UNDO = """
DROP FUNCTION custody_credits_agreed() CASCADE;
DROP FUNCTION custody_hold_follows() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("custody", "0016_versions"),
        ("ledger", "0003_rules"),
        ("approvals", "0001_initial"),
    ]

    operations = [
        migrations.AddField("reconciliation", "breaks", models.JSONField(default=list)),
        migrations.RunSQL(sql=CREDITS, reverse_sql=UNDO),
    ]
