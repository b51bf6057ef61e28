"""No ceremony opens anything but its own act any more, so nobody looks for somebody's latest."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("factors", "0005_own_factors")]
    operations = [migrations.RemoveIndex(model_name="challenge", name="challenge_recent")]
