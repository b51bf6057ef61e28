from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "core.audit"
    label = "audit"

    def ready(self) -> None:
        post_migrate.connect(guard_tables, sender=self)


def guard_tables(**_: Any) -> None:
    """Every migration ends with the tripwire on every guarded table, also on those it has just made."""
    from core.audit import tripwire

    tripwire.install()
