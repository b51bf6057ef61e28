from django.apps import AppConfig


class EngineBridgeConfig(AppConfig):
    name = "engine_bridge"
    label = "engine_bridge"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import access
        from engine_bridge import events, subscribers  # noqa: F401 - declares messages, registers their readers
        from engine_bridge.permissions import Permission

        access.register(Permission)
