from django.db import migrations, models

# Hashes do not get smaller by compression: it would only cost time, on either way.
PLAIN = "ALTER TABLE audit_checkpoint ALTER COLUMN hashes SET STORAGE EXTERNAL"


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_subjects")]
    operations = [
        migrations.AddField(
            model_name="auditcheckpoint",
            name="hashes",
            field=models.BinaryField(
                default=b"", help_text="of the leaves that it added, in order; empty in the oldest"
            ),
        ),
        migrations.RunSQL(sql=PLAIN, reverse_sql=migrations.RunSQL.noop),
    ]
