from django.db import migrations

from core.append_only import append_only


class Migration(migrations.Migration):
    """Orders, balances and transfers belong to a number: whoever could give it to somebody else gave these."""

    dependencies = [("engine_bridge", "0004_auctions")]
    operations = [append_only("engine_account")]
