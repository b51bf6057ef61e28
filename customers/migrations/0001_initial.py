import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import core.ids
from core.fixed_columns import fixed_columns


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("access", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Customer",
            fields=[
                (
                    "identity",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="customer",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("password", models.CharField(max_length=256)),
                ("country", models.CharField(max_length=2)),
                ("tier", models.PositiveSmallIntegerField(default=0)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "db_table": "customers_customer",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("tier__lte", 4)), name="customer_tier_known"),
                    models.CheckConstraint(
                        condition=models.Q(("country__regex", "^[A-Z]{2}$")), name="customer_country_iso"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=36, unique=True)),
                ("label", models.CharField(blank=True, max_length=64)),
                ("secret", models.BinaryField(help_text="AES-256-GCM under FIELD_KEY, bound to this row")),
                ("passphrase", models.BinaryField(help_text="keyed hash, bound to this row")),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=8), size=None
                    ),
                ),
                (
                    "ip_allowlist",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=49), blank=True, default=list, size=None
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="api_keys",
                        to="customers.customer",
                    ),
                ),
            ],
            options={
                "db_table": "customers_api_key",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("scopes__contained_by", ["read", "trade", "withdraw"]),
                            models.Q(("scopes", []), _negated=True),
                        ),
                        name="api_key_scopes_known",
                    )
                ],
            },
        ),
        fixed_columns("customers_customer", free=["password", "tier"]),
        fixed_columns("customers_api_key", free=["last_used_at", "revoked_at"]),
    ]
