import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

import core.fields
import core.ids
from core.append_only import append_only
from core.fixed_columns import fixed_columns

# A version is the payment's first transaction with other change. The database makes that transaction itself,
# from the PSBT that no statement changes, and hashes it: whoever writes SQL can name no other one, so neither
# take a coin out nor pay anybody else. A PSBT begins with its magic (5 bytes) and one field: a key of one byte,
# zero, and the unsigned transaction behind its size. That has no scripts and witnesses on its inputs, so each is
# 41 bytes; builders write the payment first and the change behind it.
TXID = r"""
CREATE FUNCTION custody_reversed(bytes bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  found bytea := '';
BEGIN
  FOR place IN REVERSE length(bytes) - 1 .. 0 LOOP
    found := found || substring(bytes FROM place + 1 FOR 1);
  END LOOP;
  RETURN found;
END $$;
CREATE FUNCTION custody_version_txid(psbt text, change numeric) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  data bytea := decode(psbt, 'base64');
  size int := get_byte(data, 7);
  start int := 8;
  plain bytea;
  outputs int;
  behind int;
BEGIN
  IF size = 253 THEN
    size := get_byte(data, 8) + 256 * get_byte(data, 9);
    start := 10;
  ELSIF size > 253 THEN
    RETURN NULL;
  END IF;
  plain := substring(data FROM start + 1 FOR size);
  outputs := 5 + 41 * get_byte(plain, 4);
  IF substring(data FROM 1 FOR 7) <> '\x70736274ff0100' OR get_byte(plain, 4) >= 253
     OR get_byte(plain, outputs) <> 2 THEN
    RETURN NULL;
  END IF;
  behind := outputs + 1 + 9 + get_byte(plain, outputs + 9);
  IF change = 0 THEN
    plain := substring(plain FROM 1 FOR outputs) || '\x01' || substring(plain FROM outputs + 2 FOR behind - outputs - 1)
      || substring(plain FROM size - 3);
  ELSE
    plain := substring(plain FROM 1 FOR behind) || custody_reversed(int8send(change::bigint))
      || substring(plain FROM behind + 9);
  END IF;
  RETURN encode(custody_reversed(sha256(sha256(plain))), 'hex');
END $$;
CREATE FUNCTION custody_version_of_payment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  paid custody_payment%ROWTYPE;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.raw <> '' AND NEW.raw <> OLD.raw THEN
      RAISE EXCEPTION 'version % keeps its transaction', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  SELECT * INTO paid FROM custody_payment WHERE id = NEW.payment_id;
  IF NEW.change_units < 0 OR NEW.fee_units + NEW.change_units <> paid.fee_units + paid.change_units
     OR NEW.txid IS DISTINCT FROM custody_version_txid(paid.psbt, NEW.change_units) THEN
    RAISE EXCEPTION '% is no version of payment %', NEW.txid, NEW.payment_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER custody_payment_version_of BEFORE INSERT OR UPDATE ON custody_payment_version
  FOR EACH ROW EXECUTE FUNCTION custody_version_of_payment();
ALTER TABLE custody_payment_version ENABLE ALWAYS TRIGGER custody_payment_version_of;
"""
UNDO = """
DROP FUNCTION custody_version_of_payment() CASCADE;
DROP FUNCTION custody_version_txid(text, numeric);
DROP FUNCTION custody_reversed(bytea);
"""

# A payment's transaction changes to one of its versions, whole, and to nothing else.
ONCE = """
CREATE OR REPLACE FUNCTION custody_payment_raw_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (ROW(NEW.txid, NEW.fee_units, NEW.vsize, NEW.change_units)
      IS DISTINCT FROM ROW(OLD.txid, OLD.fee_units, OLD.vsize, OLD.change_units)
      OR (OLD.raw <> '' AND NEW.raw <> OLD.raw))
     AND NOT EXISTS (SELECT FROM custody_payment_version v
                      WHERE v.payment_id = OLD.id AND v.txid = NEW.txid AND v.fee_units = NEW.fee_units
                        AND v.vsize = NEW.vsize AND v.change_units = NEW.change_units AND v.raw = NEW.raw) THEN
    RAISE EXCEPTION 'payment % keeps its transaction', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""
FREE = (
    "'txid', 'fee_units', 'vsize', 'change_units', 'raw', 'asked_at', 'offered_at', 'signed_at', 'handed_at', "
    "'sent_at', 'height', 'abandoned_at'"
)
FREED = f"""
DROP TRIGGER custody_payment_columns ON custody_payment;
CREATE TRIGGER custody_payment_columns BEFORE UPDATE ON custody_payment
  FOR EACH ROW EXECUTE FUNCTION keep_columns({FREE});
ALTER TABLE custody_payment ENABLE ALWAYS TRIGGER custody_payment_columns;
"""
CHANGING = ["asked_at", "raw", "signed_at", "handed_at", "sent_at", "booked_at"]
ID = models.UUIDField(default=core.ids.new_id, editable=False, primary_key=True, serialize=False)


def answered(related: str) -> models.ForeignKey:
    """The column that names the version which a token answered."""
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT, related_name=related, to="custody.paymentversion"
    )


class Migration(migrations.Migration):
    """Wallets that are there know no caps of their signers until `load_registry` runs again."""

    dependencies = [("custody", "0015_order_life")]

    operations = [
        migrations.AddField("wallet", "fee_units_max", models.PositiveBigIntegerField(null=True)),
        migrations.AddField("wallet", "feerate_max", models.PositiveBigIntegerField(null=True)),
        migrations.CreateModel(
            name="PaymentVersion",
            fields=[
                ("id", ID),
                ("number", models.PositiveSmallIntegerField()),
                ("txid", models.CharField(max_length=64, unique=True)),
                ("fee_units", core.fields.UnitsField()),
                ("vsize", models.PositiveIntegerField()),
                ("change_units", core.fields.UnitsField()),
                ("reason", models.CharField(max_length=500)),
                ("built_at", models.DateTimeField()),
                ("asked_at", models.DateTimeField()),
                ("raw", models.TextField(blank=True, default="")),
                ("signed_at", models.DateTimeField(null=True)),
                ("handed_at", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("booked_at", models.DateTimeField(null=True)),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="custody.payment",
                    ),
                ),
            ],
            options={"db_table": "custody_payment_version"},
        ),
        migrations.CreateModel(
            name="VersionSignature",
            fields=[
                ("id", ID),
                ("token", models.CharField(max_length=64)),
                ("signatures", models.JSONField()),
                ("received_at", models.DateTimeField()),
                ("version", answered("signatures")),
            ],
            options={"db_table": "custody_version_signature"},
        ),
        migrations.CreateModel(
            name="VersionRefusal",
            fields=[
                ("id", ID),
                ("token", models.CharField(max_length=64)),
                ("code", models.CharField(max_length=64)),
                ("detail", models.CharField(blank=True, max_length=500)),
                ("refused_at", models.DateTimeField()),
                ("version", answered("refusals")),
            ],
            options={"db_table": "custody_version_refusal"},
        ),
        migrations.AddConstraint(
            model_name="paymentversion",
            constraint=models.UniqueConstraint(fields=("payment", "number"), name="version_numbered_once"),
        ),
        migrations.AddConstraint(
            model_name="paymentversion",
            constraint=models.CheckConstraint(
                condition=Q(raw="", signed_at__isnull=True, handed_at__isnull=True, sent_at__isnull=True)
                | ~Q(raw="") & Q(signed_at__isnull=False),
                name="version_stored_before_sent",
            ),
        ),
        migrations.AddConstraint(
            model_name="versionsignature",
            constraint=models.UniqueConstraint(fields=("version", "token"), name="token_signs_version_once"),
        ),
        fixed_columns("custody_payment_version", free=CHANGING),
        append_only("custody_version_signature"),
        append_only("custody_version_refusal"),
        migrations.RunSQL(sql=TXID, reverse_sql=UNDO),
        migrations.RunSQL(sql=ONCE, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(sql=FREED, reverse_sql=migrations.RunSQL.noop),
    ]
