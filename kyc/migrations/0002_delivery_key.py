from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kyc", "0001_initial")]
    operations = [
        migrations.AddField(
            model_name="webhookdelivery",
            name="key",
            field=models.BinaryField(
                default=b"", help_text="until then, the body's own key, sealed to the vault"
            ),
        ),
        migrations.AlterField(
            model_name="webhookdelivery",
            name="body",
            field=models.BinaryField(help_text="sealed, to the person once it is known about whom it is"),
        ),
    ]
