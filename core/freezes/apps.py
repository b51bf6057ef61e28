from django.apps import AppConfig


class FreezesConfig(AppConfig):
    name = "core.freezes"
    label = "freezes"

    def ready(self) -> None:
        from core import access, approvals
        from core.freezes.actions.releases import KIND
        from core.freezes.permissions import Permission

        access.register(Permission)
        approvals.register(KIND)
