from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("custody", "0009_handed"),
    ]

    operations = [
        migrations.AddField(
            model_name="signerhealth",
            name="registry_digest",
            field=models.CharField(blank=True, default="", max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="signerhealth",
            name="journal_lines",
            field=models.PositiveIntegerField(default=0, help_text="so many of them were read"),
        ),
        migrations.AddField(
            model_name="signerhealth",
            name="journal_last",
            field=models.CharField(
                blank=True, default="", help_text="the hash of the last one read", max_length=64
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="signerhealth",
            name="announced",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="signerhealth",
            name="vetoed",
            field=models.JSONField(default=dict),
        ),
    ]
