from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("engine_bridge", "0007_fees_and_bands")]
    operations = [
        migrations.AddField("enginecursor", "last_event_at", models.DateTimeField(null=True)),
    ]
