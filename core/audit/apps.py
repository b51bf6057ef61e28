from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "core.audit"
    label = "audit"

    def ready(self) -> None:
        from core import health
        from core.audit import probing

        post_migrate.connect(guard_tables, sender=self)
        health.register("audit log", probing.read_log)
        health.register("witnesses", probing.read_witnesses)
        health.register("vault", probing.read_vault)


def guard_tables(**_: Any) -> None:
    """Every migration ends with the tripwire on every guarded table, also on those it has just made."""
    from core.audit import tripwire

    tripwire.install()
