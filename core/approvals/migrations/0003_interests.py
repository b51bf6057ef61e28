from django.db import migrations

from core.approvals import guards


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0006_own_accounts"),
        ("approvals", "0002_policies"),
    ]

    operations = [
        migrations.RunSQL(sql=guards.OWN_ACCOUNT + guards.INTERESTS, reverse_sql=guards.INTERESTS_REMOVAL),
    ]
