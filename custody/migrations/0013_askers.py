from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("custody", "0012_warned"),
    ]

    operations = [
        migrations.CreateModel(
            name="Asker",
            fields=[
                ("officer", models.UUIDField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("registry_version", models.PositiveIntegerField()),
            ],
            options={
                "db_table": "custody_asker",
            },
        ),
    ]
