from django.db import migrations, models

from core.approvals import guards


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0008_own_freezes"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="approvalsignature", name="signature_never_maker"),
        migrations.RemoveConstraint(model_name="approvalsignature", name="signature_verb_known"),
        migrations.AlterField(
            model_name="approvalsignature",
            name="verb",
            field=models.CharField(
                choices=[
                    ("approve", "approve"),
                    ("reject", "reject"),
                    ("release", "release"),
                    ("ask", "ask"),
                ],
                max_length=8,
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalsignature",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("officer", models.F("maker")), ("verb", "ask")),
                    models.Q(
                        models.Q(("officer", models.F("maker")), _negated=True),
                        models.Q(("verb", "ask"), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="signature_maker_only_asks",
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalsignature",
            constraint=models.CheckConstraint(
                condition=models.Q(("verb__in", ["approve", "reject", "release", "ask"])),
                name="signature_verb_known",
            ),
        ),
        migrations.RunSQL(
            sql=guards.ASKING + guards.COUNTING + guards.ANSWERING, reverse_sql=migrations.RunSQL.noop
        ),
    ]
