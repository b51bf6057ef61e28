from django.db import migrations

from core.append_only import append_only
from core.fixed_columns import fixed_columns

# What was stored before it was sent is sent again as it is; an address that was given out keeps its owner.
ONCE = """
CREATE FUNCTION custody_payment_raw_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.raw <> '' AND NEW.raw <> OLD.raw THEN
    RAISE EXCEPTION 'payment % keeps its transaction', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER custody_payment_raw BEFORE UPDATE ON custody_payment
  FOR EACH ROW EXECUTE FUNCTION custody_payment_raw_once();
ALTER TABLE custody_payment ENABLE ALWAYS TRIGGER custody_payment_raw;
CREATE FUNCTION custody_address_owner_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.customer_id IS NOT NULL AND NEW.customer_id IS DISTINCT FROM OLD.customer_id THEN
    RAISE EXCEPTION 'address % keeps its owner', OLD.address USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER custody_address_owner BEFORE UPDATE ON custody_address
  FOR EACH ROW EXECUTE FUNCTION custody_address_owner_once();
ALTER TABLE custody_address ENABLE ALWAYS TRIGGER custody_address_owner;
"""
UNDO = """
DROP FUNCTION custody_payment_raw_once() CASCADE;
DROP FUNCTION custody_address_owner_once() CASCADE;
"""

# Who makes a request where screening had nothing to say: no person, but somebody whom the log can name.
SCREENING = """
INSERT INTO access_identity (id, kind, email, display_name, is_active)
VALUES ('01900000-0000-7000-8000-0000000005c0', 'service', '', 'Automatic screening', TRUE);
"""

# The state tables of the domain once more, for everybody who writes SQL; a test compares the two.
MOVES = {
    "custody_withdrawal": """{
    "requested": ["cancelled", "expired", "on_hold", "screened"],
    "on_hold": ["cancelled", "expired", "rejected", "screened"],
    "screened": ["approved", "cancelled", "expired", "rejected"],
    "approved": ["built", "expired", "rejected"],
    "built": ["failed", "signing"],
    "signing": ["refused", "signed"],
    "refused": ["failed", "signing"],
    "signed": ["broadcast", "confirmed", "conflicted"],
    "broadcast": ["confirmed", "conflicted"],
    "confirmed": ["broadcast", "settled"],
    "conflicted": ["confirmed", "failed"],
    "settled": [],
    "rejected": [],
    "cancelled": [],
    "expired": [],
    "failed": []
}""",
    "custody_refill": """{
    "proposed": ["dismissed", "requested"],
    "requested": ["approved", "expired", "rejected"],
    "approved": ["built", "expired", "rejected"],
    "built": ["exported", "failed"],
    "exported": ["confirmed", "lapsed", "signed"],
    "signed": ["broadcast", "confirmed", "conflicted"],
    "broadcast": ["confirmed", "conflicted"],
    "confirmed": ["broadcast", "settled"],
    "conflicted": ["confirmed", "failed"],
    "lapsed": ["confirmed"],
    "settled": [],
    "dismissed": [],
    "rejected": [],
    "expired": [],
    "failed": []
}""",
    "custody_deposit": """{
    "seen": ["credited", "in_suspense", "orphaned"],
    "orphaned": ["seen"],
    "credited": ["missing"],
    "in_suspense": ["missing"],
    "missing": ["credited", "in_suspense"]
}""",
    "custody_adjustment": """{
    "requested": ["expired", "posted", "rejected"],
    "posted": [],
    "rejected": [],
    "expired": []
}""",
}
STEP = """
CREATE FUNCTION custody_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> OLD.state AND NOT (TG_ARGV[0]::jsonb -> OLD.state) ? NEW.state THEN
    RAISE EXCEPTION '% cannot go from % to %', TG_TABLE_NAME, OLD.state, NEW.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def moves(table: str) -> migrations.RunSQL:
    """The operation that lets a row of `table` take listed steps only."""
    return migrations.RunSQL(
        sql=f"CREATE TRIGGER {table}_moves BEFORE UPDATE ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION custody_step('{MOVES[table]}'); "
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_moves;",
        reverse_sql=f"DROP TRIGGER {table}_moves ON {table};",
    )


ROAD = ["state", "reason", "expires_at", "settled_at", "maker_id", "request_id"]


class Migration(migrations.Migration):
    dependencies = [("custody", "0001_initial")]

    operations = [
        fixed_columns("custody_withdrawal", free=ROAD),
        fixed_columns("custody_refill", free=ROAD),
        fixed_columns("custody_adjustment", free=["state", "request_id", "posted_at"]),
        fixed_columns(
            "custody_payment", free=["raw", "asked_at", "signed_at", "sent_at", "height", "abandoned_at"]
        ),
        fixed_columns("custody_deposit", free=["state", "height", "credited_at"]),
        fixed_columns("custody_address", free=["customer_id", "assigned_at"]),
        fixed_columns("custody_utxo", free=["height", "spent_in", "spent_by"]),
        fixed_columns("custody_utxo_lock", free=["released_at"]),
        fixed_columns("custody_beneficiary", free=["cleared_at", "cleared_by_id"]),
        append_only("custody_token_signature"),
        append_only("custody_token_refusal"),
        append_only("custody_price"),
        migrations.RunSQL(sql=ONCE, reverse_sql=UNDO),
        migrations.RunSQL(sql=STEP, reverse_sql="DROP FUNCTION custody_step();"),
        *map(moves, MOVES),
        migrations.RunSQL(sql=SCREENING, reverse_sql=migrations.RunSQL.noop),
    ]
