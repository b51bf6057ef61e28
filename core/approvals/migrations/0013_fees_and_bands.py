"""The fees of an account, and a market's price band, are asked for and approved."""

from django.db import migrations

from core.approvals import terms


class Migration(migrations.Migration):
    dependencies = [("approvals", "0012_erasures")]
    operations = [migrations.RunSQL(sql=terms.KINDS, reverse_sql=migrations.RunSQL.noop)]
