"""Customers are erased under approval."""

from django.db import migrations

from core.approvals import terms


class Migration(migrations.Migration):
    dependencies = [("approvals", "0011_sweeps")]
    operations = [migrations.RunSQL(sql=terms.KINDS, reverse_sql=migrations.RunSQL.noop)]
