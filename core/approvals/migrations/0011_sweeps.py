"""Sweeps of the hot wallet are asked for and judged as refills are."""

from django.db import migrations

from core.approvals import guards, terms


class Migration(migrations.Migration):
    dependencies = [("approvals", "0010_request_time")]
    operations = [
        migrations.RunSQL(sql=guards.ASKING, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(sql=terms.KINDS, reverse_sql=migrations.RunSQL.noop),
    ]
