from django.db import migrations, models

# Two more columns of a customer change.
FREED = """
DROP TRIGGER customers_customer_columns ON customers_customer;
CREATE TRIGGER customers_customer_columns BEFORE UPDATE ON customers_customer FOR EACH ROW
  EXECUTE FUNCTION keep_columns('password', 'tier', 'password_asked_at', 'withdrawals_held_until');
ALTER TABLE customers_customer ENABLE ALWAYS TRIGGER customers_customer_columns;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="customer",
            name="password_asked_at",
            field=models.DateTimeField(help_text="when the link in force was asked for", null=True),
        ),
        migrations.AddField(
            model_name="customer",
            name="withdrawals_held_until",
            field=models.DateTimeField(help_text="after a password by mail", null=True),
        ),
        migrations.RunSQL(sql=FREED, reverse_sql=migrations.RunSQL.noop),
    ]
