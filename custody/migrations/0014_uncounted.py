from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("custody", "0013_askers")]

    operations = [
        migrations.AddField("signerhealth", "uncounted", models.JSONField(default=dict)),
    ]
