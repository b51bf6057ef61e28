from django.db import migrations

from core.fixed_columns import fixed_columns

# Whose file at the provider it is, is settled once: only how far it was read, and what was read, moves on.
MOVING = [
    *("applicant_id", "level", "requested_seq", "applied_seq", "last_snapshot_started_at", "fingerprint"),
    *("sdk_token", "sdk_token_level", "sdk_token_until", "trouble"),
]


class Migration(migrations.Migration):
    dependencies = [("kyc", "0002_delivery_key")]
    operations = [fixed_columns("kyc_provider_applicant", free=MOVING)]
