from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_checkpoint_hashes")]
    operations = [
        migrations.AddField(
            model_name="audittile",
            name="root",
            field=models.BinaryField(default=b"", help_text="the one hash over them; empty in the oldest"),
        ),
    ]
