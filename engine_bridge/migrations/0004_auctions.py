from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("engine_bridge", "0003_rebuilt_to")]
    operations = [
        migrations.AddField("fill", "auction", models.BooleanField(default=False)),
        migrations.AddField("instrument", "call_until", models.DateTimeField(null=True)),
    ]
