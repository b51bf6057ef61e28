from django.db import migrations

from core.approvals import terms


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0006_backtesting"),
    ]

    operations = [
        migrations.RunSQL(sql=terms.KINDS + terms.JUDGING, reverse_sql=terms.REMOVAL),
    ]
