from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0005_revoked_passkeys"),
    ]

    operations = [
        migrations.AddField(
            model_name="approvalrequest",
            name="was_for_lane",
            field=models.BooleanField(
                default=False, help_text="the signers' lane could have taken it, had the policy asked nobody"
            ),
        ),
        migrations.AddField(
            model_name="waiver",
            name="floor",
            field=models.JSONField(default=dict, help_text="the quorum that a request would have asked for"),
        ),
    ]
