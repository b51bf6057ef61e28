from django.apps import AppConfig


class FactorsConfig(AppConfig):
    name = "core.factors"
    label = "factors"

    def ready(self) -> None:
        from core import access, approvals, endings, health
        from core.factors import probes, resting, subscribers  # noqa: F401 - subscribers register themselves
        from core.factors.kinds import KINDS
        from core.factors.permissions import Permission

        access.register(Permission)
        endings.register("factors.entrance", resting.entrance)
        endings.register("factors.challenge", resting.ceremony)
        for kind in KINDS:
            approvals.register(kind)
        health.register("break-glass", probes.break_glass)
