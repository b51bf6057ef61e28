from django.apps import AppConfig


class CustodyConfig(AppConfig):
    name = "custody"

    def ready(self) -> None:
        from core import access, approvals
        from custody import events, subscribers  # noqa: F401 - declares messages, registers their readers
        from custody.kinds import ADJUSTMENT, REFILL, WITHDRAWAL
        from custody.permissions import Permission

        access.register(Permission)
        for kind in (WITHDRAWAL, REFILL, ADJUSTMENT):
            approvals.register(kind)
