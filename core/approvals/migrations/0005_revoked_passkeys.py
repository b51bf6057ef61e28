from django.db import migrations

from core.approvals import guards


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0004_waiver"),
    ]

    operations = [
        migrations.RunSQL(sql=guards.COUNTING, reverse_sql=migrations.RunSQL.noop),
    ]
