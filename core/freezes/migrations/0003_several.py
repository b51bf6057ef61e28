"""Whoever stops a thing has a freeze of their own, so one scope may have several."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("freezes", "0002_pullers")]
    operations = [migrations.RemoveConstraint(model_name="freeze", name="freeze_in_force_once")]
