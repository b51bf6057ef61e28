"""A sweep that lapsed lets go of its coins, and ends once something else spends one of them for good. Neither
it nor a refill that lapsed keeps the next one from being under way when a block has it after all.
"""

from django.db import migrations, models

# The state table of the domain once more, for everybody who writes SQL; a test compares the two.
MOVES = """{
    "proposed": ["dismissed", "requested"],
    "requested": ["approved", "expired", "rejected"],
    "approved": ["built", "expired", "rejected"],
    "built": ["failed", "signing"],
    "signing": ["confirmed", "lapsed", "refused", "signed"],
    "refused": ["confirmed", "lapsed", "signing"],
    "signed": ["broadcast", "confirmed", "conflicted"],
    "broadcast": ["confirmed", "conflicted"],
    "confirmed": ["broadcast", "settled"],
    "conflicted": ["confirmed", "failed"],
    "lapsed": ["confirmed", "failed"],
    "settled": [],
    "dismissed": [],
    "rejected": [],
    "expired": [],
    "failed": []
}"""
STEPS = f"""
DROP TRIGGER custody_sweep_moves ON custody_sweep;
CREATE TRIGGER custody_sweep_moves BEFORE UPDATE ON custody_sweep
  FOR EACH ROW EXECUTE FUNCTION custody_step('{MOVES}');
ALTER TABLE custody_sweep ENABLE ALWAYS TRIGGER custody_sweep_moves;
"""
FREED = """
UPDATE custody_utxo_lock SET released_at = now() WHERE released_at IS NULL AND payment_id IN (
  SELECT p.id FROM custody_payment p JOIN custody_sweep s ON s.id = p.sweep_id WHERE s.state = 'lapsed');
"""

ALONE = {
    ("sweep", "source"): ["approved", "built", "proposed", "refused", "requested", "signed", "signing"],
    ("refill", "target"): ["approved", "built", "exported", "proposed", "requested", "signed"],
}


def alone(noun: str, wallet: str, states: list[str]) -> list[migrations.operations.base.Operation]:
    """The operations after which a wallet has at most one such row in these states."""
    name = f"{noun}_one_live"
    constraint = models.UniqueConstraint(
        condition=models.Q(("state__in", states)), fields=(wallet,), name=name
    )
    return [
        migrations.RemoveConstraint(model_name=noun, name=name),
        migrations.AddConstraint(model_name=noun, constraint=constraint),
    ]


class Migration(migrations.Migration):
    dependencies = [("custody", "0020_listed")]
    operations = [
        *(each for (noun, wallet), states in ALONE.items() for each in alone(noun, wallet, states)),
        migrations.RunSQL(sql=STEPS, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(sql=FREED, reverse_sql=migrations.RunSQL.noop),
    ]
