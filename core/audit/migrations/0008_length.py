from django.db import migrations, models

# A length in the type costs an append a tenth of what a CHECK does, which the server parses anew with every
# statement. Without USING: that would cut a longer text off, where this stops.
BOUNDED = "ALTER TABLE audit_event ALTER COLUMN canon TYPE varchar(262144)"
UNBOUNDED = "ALTER TABLE audit_event ALTER COLUMN canon TYPE text"


class Migration(migrations.Migration):
    dependencies = [("audit", "0007_two_column_key")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(sql=BOUNDED, reverse_sql=UNBOUNDED)],
            state_operations=[
                migrations.AlterField("auditevent", "canon", models.CharField(max_length=262144))
            ],
        ),
    ]
