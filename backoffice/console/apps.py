from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "backoffice.console"
    label = "console"

    def ready(self) -> None:
        from backoffice.console.permissions import Permission
        from core import access

        access.register(Permission)
