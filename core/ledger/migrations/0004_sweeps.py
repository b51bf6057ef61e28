"""A sweep's entry may touch what a refill's does, the other way round."""

from django.db import migrations

from core.ledger import rules


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_rules")]
    operations = [
        migrations.RunSQL(sql=rules.UNDO + rules.GUARDS, reverse_sql=migrations.RunSQL.noop),
    ]
