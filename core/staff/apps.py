from django.apps import AppConfig


class StaffConfig(AppConfig):
    name = "core.staff"
    label = "staff"

    def ready(self) -> None:
        from core import approvals
        from core.staff.kinds import KINDS

        for kind in KINDS:
            approvals.register(kind)
