from django.apps import AppConfig


class KycConfig(AppConfig):
    name = "kyc"

    def ready(self) -> None:
        from core import access, approvals
        from kyc import subscribers  # noqa: F401 - registers them
        from kyc.actions import tiers
        from kyc.permissions import Permission

        access.register(Permission)
        approvals.register(
            approvals.Kind(
                name=tiers.KIND,
                permission=Permission.APPROVE_TIER,
                on_approved=tiers.on_approved,
                on_rejected=tiers.on_not_approved,
                on_expired=tiers.on_not_approved,
                title="Raise a customer's tier",
                conflict=tiers.conflict,
            )
        )
