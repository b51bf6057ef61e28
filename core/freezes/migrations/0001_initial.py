import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import core.ids
from core.fixed_columns import fixed_columns

# A freeze ends once, and only by a request that was approved for this very freeze.
RELEASED_BY_QUORUM = """
CREATE FUNCTION freezes_released_by_quorum() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' AND NEW.released_at IS NULL THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'INSERT' OR OLD.released_at IS NOT NULL OR NOT EXISTS (
    SELECT FROM approvals_request
     WHERE id = NEW.release_request AND kind = 'freezes.release' AND state = 'consumed'
       AND subject = 'freezes.freeze/' || OLD.id
  ) THEN
    RAISE EXCEPTION 'a freeze ends by an approved release only' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER freezes_released_by_quorum BEFORE INSERT OR UPDATE ON freezes_freeze
  FOR EACH ROW EXECUTE FUNCTION freezes_released_by_quorum();
ALTER TABLE freezes_freeze ENABLE ALWAYS TRIGGER freezes_released_by_quorum;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("approvals", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Freeze",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("scope", models.CharField(max_length=96)),
                ("reason", models.CharField(max_length=500)),
                ("pulled_at", models.DateTimeField()),
                ("released_at", models.DateTimeField(blank=True, null=True)),
                ("release_request", models.UUIDField(blank=True, null=True)),
                (
                    "pulled_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "freezes_freeze",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("released_at__isnull", True)),
                        fields=("scope",),
                        name="freeze_in_force_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("release_request__isnull", True), ("released_at__isnull", True)),
                            models.Q(("release_request__isnull", False), ("released_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="freeze_released_by_approval",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True), name="freeze_reasoned"
                    ),
                ],
            },
        ),
        fixed_columns("freezes_freeze", free=["released_at", "release_request"]),
        migrations.RunSQL(
            sql=RELEASED_BY_QUORUM, reverse_sql="DROP FUNCTION freezes_released_by_quorum() CASCADE;"
        ),
    ]
