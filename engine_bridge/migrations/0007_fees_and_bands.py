import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

# An account's fees are what an approved request says of them, for SQL as well: a lower fee is the house's money.
APPROVED_FEES = """
CREATE FUNCTION engine_fees_approved() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' AND NEW.maker_ppm IS NULL AND NEW.taker_ppm IS NULL AND NEW.level = 'Lv1' THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'UPDATE' AND OLD.account_id = NEW.account_id
     AND (OLD.level, OLD.maker_ppm, OLD.taker_ppm) IS NOT DISTINCT FROM
         (NEW.level, NEW.maker_ppm, NEW.taker_ppm) THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'INSERT' OR OLD.account_id <> NEW.account_id OR NOT EXISTS (
    SELECT FROM approvals_request AS r,
           LATERAL (SELECT convert_from(r.payload, 'UTF8')::jsonb AS act OFFSET 0) AS said
     WHERE r.id = NEW.approved_request AND r.kind = 'engine.fee_level' AND r.state = 'consumed'
       AND NOT EXISTS (SELECT FROM approvals_request AS later
                        WHERE later.kind = r.kind AND later.subject = r.subject AND later.state = 'consumed'
                          AND later.opened_at > r.opened_at)
       AND r.subject = 'engine_bridge.accountfees/' || NEW.account_id
       AND said.act ->> 'level' = NEW.level
       AND said.act ->> 'maker_ppm' = coalesce(NEW.maker_ppm::text, 'market')
       AND said.act ->> 'taker_ppm' = coalesce(NEW.taker_ppm::text, 'market')
  ) THEN
    RAISE EXCEPTION 'fees change by an approved request only' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER engine_fees_approved BEFORE INSERT OR UPDATE ON engine_account_fees
  FOR EACH ROW EXECUTE FUNCTION engine_fees_approved();
ALTER TABLE engine_account_fees ENABLE ALWAYS TRIGGER engine_fees_approved;
"""


class Migration(migrations.Migration):
    """Fees of accounts and price bands, as officers want them. Whatever band the engine has is taken over."""

    dependencies = [("engine_bridge", "0006_release_request"), ("approvals", "0013_fees_and_bands")]
    operations = [
        migrations.AddField("instrument", "band_ppm", models.PositiveIntegerField(null=True)),
        migrations.AddField("instrument", "band_reference_ticks", models.PositiveBigIntegerField(default=0)),
        migrations.AddField("instrument", "band_told_at", models.DateTimeField(null=True)),
        migrations.AddField("instrument", "band_request", models.UUIDField(null=True)),
        migrations.AddField("fill", "fee_ppm", models.IntegerField(null=True)),
        migrations.CreateModel(
            name="AccountFees",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="fees",
                        serialize=False,
                        to="engine_bridge.engineaccount",
                    ),
                ),
                ("level", models.CharField(default="Lv1", max_length=12)),
                ("maker_ppm", models.IntegerField(null=True)),
                ("taker_ppm", models.IntegerField(null=True)),
                ("request", models.UUIDField(null=True)),
                ("approved_request", models.UUIDField(null=True)),
                ("decided_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "engine_account_fees",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(maker_ppm__isnull=True, taker_ppm__isnull=True)
                        | Q(maker_ppm__isnull=False, taker_ppm__isnull=False),
                        name="account_fees_both_or_neither",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ToldFees",
            fields=[
                ("account_id", models.PositiveBigIntegerField(primary_key=True, serialize=False)),
                ("maker_ppm", models.IntegerField(null=True)),
                ("taker_ppm", models.IntegerField(null=True)),
                ("event_seq", models.PositiveBigIntegerField()),
            ],
            options={"db_table": "engine_told_fees"},
        ),
        migrations.RunSQL(sql=APPROVED_FEES, reverse_sql="DROP FUNCTION engine_fees_approved() CASCADE;"),
    ]
