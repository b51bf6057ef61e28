from django.db import migrations, models

from core.ledger import rules

CUSTOMERS = ["customer_funding", "customer_trading", "in_transit"]


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_triggers")]
    operations = [
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", CUSTOMERS), ("owner__isnull", True), _connector="XOR"),
                name="account_of_whom",
            ),
        ),
        migrations.RunSQL(sql=rules.GUARDS, reverse_sql=rules.UNDO),
    ]
