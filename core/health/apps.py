from django.apps import AppConfig


class HealthConfig(AppConfig):
    name = "core.health"
    label = "health"

    def ready(self) -> None:
        from core import access
        from core.health.permissions import Permission

        access.register(Permission)
