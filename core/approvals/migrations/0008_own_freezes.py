from django.db import migrations

from core.approvals import guards


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0007_within_terms"),
    ]

    operations = [
        migrations.RunSQL(sql=guards.OWN_ACCOUNT, reverse_sql=migrations.RunSQL.noop),
    ]
