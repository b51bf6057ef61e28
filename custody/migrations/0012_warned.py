from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("custody", "0011_outstanding"),
    ]

    operations = [
        migrations.AddField(
            model_name="signerhealth",
            name="warned",
            field=models.JSONField(default=list),
        ),
    ]
