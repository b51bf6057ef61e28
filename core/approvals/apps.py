from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "core.approvals"
    label = "approvals"

    def ready(self) -> None:
        from core import access
        from core.approvals import kinds
        from core.approvals.actions import policies
        from core.approvals.permissions import Permission

        access.register(Permission)
        kinds.register(policies.KIND)
