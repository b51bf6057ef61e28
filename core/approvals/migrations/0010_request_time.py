"""Windows sum the last hours of requests: without an index, all that there ever were are read for it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0009_asking")]
    operations = [
        migrations.AddIndex(
            model_name="approvalrequest",
            index=models.Index(fields=["opened_at"], name="request_time"),
        )
    ]
