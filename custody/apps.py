from django.apps import AppConfig


class CustodyConfig(AppConfig):
    name = "custody"

    def ready(self) -> None:
        from core import access, approvals, health
        from custody import events, probes, subscribers  # noqa: F401 - declares messages, registers their readers
        from custody.kinds import ADJUSTMENT, ORDERS, REFILL, SWEEP, WITHDRAWAL
        from custody.permissions import Permission

        access.register(Permission)
        for kind in (WITHDRAWAL, REFILL, SWEEP, ADJUSTMENT, *ORDERS):
            approvals.register(kind)
        health.register("chain", probes.read_watcher)
        health.register("payments", probes.read_payments)
        health.register("prices", probes.read_prices)
        health.register("hot wallet", probes.read_hot_wallet)
        health.register("reconciliation", probes.read_reconciliation)
        health.register("signers", probes.read_signers)
        health.register("registries", probes.read_registries)
