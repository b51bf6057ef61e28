from django.apps import AppConfig


class KycConfig(AppConfig):
    name = "kyc"

    def ready(self) -> None:
        from core import access, approvals, health
        from kyc import probes, subscribers  # noqa: F401 - subscribers register themselves
        from kyc.actions import erasures, tiers
        from kyc.permissions import Permission

        access.register(Permission)
        health.register("identity webhooks", probes.deliveries)
        health.register("identity providers", probes.providers)
        approvals.register(
            approvals.Kind(
                name=tiers.KIND,
                permission=Permission.APPROVE_TIER,
                on_approved=tiers.on_approved,
                on_rejected=tiers.on_not_approved,
                on_expired=tiers.on_not_approved,
                title="Raise a customer's tier",
                floor=tiers.FLOOR,
                facts=frozenset({"customer", "customer_tier", "tier"}),
                governed=True,
                approve_within=tiers.APPROVE_WITHIN,
                execute_within=tiers.EXECUTE_WITHIN,
            )
        )
        approvals.register(
            approvals.Kind(
                name=erasures.KIND,
                permission=Permission.APPROVE_ERASURE,
                on_approved=erasures.on_approved,
                on_rejected=erasures.on_rejected,
                on_expired=erasures.on_expired,
                title="Erase a customer",
                floor=erasures.TEAMS,
                facts=frozenset({"customer", "basis"}),
                approve_within=erasures.APPROVE_WITHIN,
                execute_within=erasures.EXECUTE_WITHIN,
            )
        )
