from django.db import migrations, models


class Migration(migrations.Migration):
    """Wallets that are there say a day, as every registry allows, until `load_registry` runs again."""

    dependencies = [("custody", "0014_uncounted")]

    operations = [
        migrations.AddField("wallet", "order_life_s", models.PositiveIntegerField(default=86_400)),
    ]
