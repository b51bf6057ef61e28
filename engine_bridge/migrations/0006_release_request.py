from django.db import migrations, models


class Migration(migrations.Migration):
    """Releases that wait for signatures while this is installed open nothing: they are asked for anew."""

    dependencies = [("engine_bridge", "0005_accounts_stay")]
    operations = [
        migrations.AddField("instrument", "release_request", models.UUIDField(null=True)),
    ]
