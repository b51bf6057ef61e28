from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "core.access"
    label = "access"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import access, endings, health
        from core.access import checks, probes, resting
        from core.access.permissions import Permission
        from core.audit.permissions import Permission as AuditPermission

        checks.refuse_unsafe_start()
        access.register(Permission)
        access.register(AuditPermission)
        endings.register("access.permission", resting.permission)
        endings.register("access.posture", resting.posture)
        endings.register("access.rolegrant", resting.elevation)
        endings.register("access.session", resting.session)
        health.register("edge keys", probes.edge_keys)
        health.register("edge devices", probes.edge_devices)
