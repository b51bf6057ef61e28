from django.db import migrations, models
from django.db.models import Q

# One more column of a payment changes: when a node was first given it.
FREE = "'raw', 'asked_at', 'offered_at', 'signed_at', 'handed_at', 'sent_at', 'height', 'abandoned_at'"
FREED = f"""
DROP TRIGGER custody_payment_columns ON custody_payment;
CREATE TRIGGER custody_payment_columns BEFORE UPDATE ON custody_payment
  FOR EACH ROW EXECUTE FUNCTION keep_columns({FREE});
ALTER TABLE custody_payment ENABLE ALWAYS TRIGGER custody_payment_columns;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("custody", "0008_recoveries"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="payment", name="payment_stored_before_sent"),
        migrations.AddField(
            model_name="payment",
            name="handed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=Q(raw="", signed_at__isnull=True, handed_at__isnull=True, sent_at__isnull=True)
                | ~Q(raw="") & Q(signed_at__isnull=False),
                name="payment_stored_before_sent",
            ),
        ),
        migrations.RunSQL(sql=FREED, reverse_sql=migrations.RunSQL.noop),
    ]
