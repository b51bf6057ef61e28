from django.apps import AppConfig


class EngineBridgeConfig(AppConfig):
    name = "engine_bridge"
    label = "engine_bridge"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import access, approvals, health
        from engine_bridge import checks, events, probes, subscribers  # noqa: F401 - these register themselves
        from engine_bridge.actions import bands, fees, halts
        from engine_bridge.permissions import Permission

        access.register(Permission)
        for kind in (halts.KIND, bands.KIND, fees.KIND):
            approvals.register(kind)
        health.register("engine", probes.read_engine)
        health.register("settlement", probes.read_settlement)
