from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("engine_bridge", "0002_wanted_state")]
    operations = [
        migrations.AddField("enginecursor", "rebuilt_to", models.PositiveBigIntegerField(default=0)),
    ]
