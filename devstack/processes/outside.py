"""The outside world: the stand-in providers and the edge."""

from __future__ import annotations

from collections.abc import Mapping

from devstack.passkeys import STAFF_FILE
from devstack.processes.part import Part
from devstack.supervisor import Process


class Outside(Part):
    """The stand-ins, unless the environment replaces them, and the edge."""

    def all(self, webhooks: Mapping[str, str]) -> list[Process]:
        """The stand-in providers, told where to deliver, and the edge."""
        values, port = self.environment.values, self.environment.port
        found = []
        if "SUMSUB_URL" not in self.environment.replaced:
            found.append(
                self.python(
                    "sumsub",
                    "cs-node",
                    *("devstack.standins.sumsub", "--port", str(self.environment.sumsub_port)),
                    *("--app-token", values["SUMSUB_APP_TOKEN"], "--secret", values["SUMSUB_SECRET"]),
                    *("--webhook-url", webhooks["sumsub"]),
                    *("--webhook-secret", values["SUMSUB_WEBHOOK_SECRET"]),
                    ready_line="listens at",
                )
            )
        if "ONFIDO_URL" not in self.environment.replaced:
            found.append(
                self.python(
                    "onfido",
                    "cs-node",
                    *("devstack.standins.onfido", "--port", str(self.environment.onfido_port)),
                    *("--token", values["ONFIDO_TOKEN"], "--webhook-url", webhooks["onfido"]),
                    *("--webhook-token", values["ONFIDO_WEBHOOK_TOKEN"]),
                    ready_line="listens at",
                )
            )
        if "PRICES_URL" not in self.environment.replaced:
            found.append(
                self.python(
                    "prices",
                    "cs-node",
                    *("devstack.standins.prices", "--port", str(self.environment.prices_port)),
                    ready_line="listens at",
                )
            )
        if "ALERT_WEBHOOK_URL" not in self.environment.replaced:
            found.append(
                self.python(
                    "alerts",
                    "cs-node",
                    *("devstack.standins.alerts", "--port", str(self.environment.alerts_port)),
                    *("--secret", values["ALERT_WEBHOOK_SECRET"]),
                    ready_line="listens at",
                )
            )
        found.append(
            self.python(
                "edge",
                "cs-node",
                *("devstack.standins.edge", "--port", str(port), "--staff", str(STAFF_FILE)),
                *("--keys", str(self.var / "edge" / "keys.json")),
                *("--console", str(self.run / "console" / "console.sock")),
                *("--trader", str(self.run / "trader" / "trader.sock")),
                *("--approver", str(self.run / "approver" / "approver.sock")),
                *(
                    "--console-aud",
                    values["ACCESS_CONSOLE_AUD"],
                    "--service-aud",
                    values["ACCESS_SERVICE_AUD"],
                ),
                ready_line="edge stand-in at",
            )
        )
        return found
