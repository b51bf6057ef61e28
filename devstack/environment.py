"""The environment that each process of the stack is given."""

from __future__ import annotations

import os
from typing import Final

from devstack.kept import DEFAULT_PORT, Secrets
from devstack.layout import HOME, Layout
from devstack.ports import free_port
from devstack.standins.edge_issuer import DISK_RULE, MANAGED_RULE
from devstack.users import NOTARY, Account

SOFTHSM: Final = "/usr/lib/softhsm/libsofthsm2.so"

REPLACEABLE: Final = (
    "DATABASE_URL",
    "REDIS_URL",
    "ENGINE_TARGET",
    "BITCOIN_RPC_URL",
    "SUMSUB_URL",
    "ONFIDO_URL",
    "PRICES_URL",
    "SIGNERS_DIR",
    "ALERT_WEBHOOK_URL",
)
"""Set from outside, each of these replaces one embedded service by another."""
PASSED_ON: Final = ("ALERT_SMTP_URL", "ALERT_FROM", "ALERT_WEBHOOK_SECRET")
"""Nothing of ours stands in for these; they are passed on where they are set."""


class Environment:
    """The variables of one stack, and which of them each process is given."""

    def __init__(self, where: Layout, secret: Secrets) -> None:
        self.layout = where
        self.secrets = secret
        self.port = port = int(secret["port"])
        # The usual ports where there is one stack; any free ones beside it.
        self.node_port = free_port(18443 if port == DEFAULT_PORT else 0)
        self.sumsub_port = free_port(8101 if port == DEFAULT_PORT else 0)
        self.onfido_port = free_port(8102 if port == DEFAULT_PORT else 0)
        self.prices_port = free_port(8103 if port == DEFAULT_PORT else 0)
        self.alerts_port = free_port(8104 if port == DEFAULT_PORT else 0)
        run = where.run
        outside = {name: os.environ[name] for name in (*REPLACEABLE, *PASSED_ON) if os.environ.get(name)}
        self.replaced = frozenset(outside)
        self.module = os.environ.get("PKCS11_MODULE", SOFTHSM)
        node = f"http://countersign:{secret['rpc_password']}@127.0.0.1:{self.node_port}"
        self.values: dict[str, str] = {
            "DATABASE_URL": self.database_url("cs_console"),
            "REDIS_URL": f"unix://{run}/redis/redis.sock",
            "ENGINE_TARGET": f"unix:{run}/engine/orders.sock",
            "ENGINE_TRANSFERS_TARGET": f"unix:{run}/engine-desk/transfers.sock",
            "ENGINE_ADMIN_TARGET": f"unix:{run}/engine-desk/admin.sock",
            "ENGINE_READER_TARGET": f"unix:{run}/engine-reader/reader.sock",
            "BITCOIN_RPC_URL": node,
            "SIGNERS_DIR": str(run / "signers"),
            "SUMSUB_URL": f"http://127.0.0.1:{self.sumsub_port}",
            "ONFIDO_URL": f"http://127.0.0.1:{self.onfido_port}",
            "PRICES_URL": f"http://127.0.0.1:{self.prices_port}",
            "ALERT_WEBHOOK_URL": f"http://127.0.0.1:{self.alerts_port}/alerts",
            "ALERT_WEBHOOK_SECRET": secret["alert_webhook_secret"],
            "DEPLOYMENT": secret["deployment"],
            "NETWORK": "regtest",
            "SUMSUB_APP_TOKEN": secret["sumsub_app_token"],
            "SUMSUB_SECRET": secret["sumsub_secret"],
            "SUMSUB_WEBHOOK_SECRET": secret["sumsub_webhook_secret"],
            "ONFIDO_TOKEN": secret["onfido_token"],
            "ONFIDO_WEBHOOK_TOKEN": secret["onfido_webhook_token"],
            "ACCESS_TEAM_URL": f"http://127.0.0.1:{port}",
            "ACCESS_CONSOLE_AUD": secret["console_aud"],
            "ACCESS_SERVICE_AUD": secret["service_aud"],
            "POSTURE_MANAGED_RULES": MANAGED_RULE,
            "POSTURE_DISK_RULES": DISK_RULE,
            "CONSOLE_ORIGIN": f"http://console.localhost:{port}",
            "SERVICE_ORIGIN": f"http://service.localhost:{port}",
            "API_ORIGIN": f"http://api.localhost:{port}",
            "HOOKS_ORIGIN": f"http://hooks.localhost:{port}",
            "APPROVER_ORIGIN": f"http://approver.localhost:{port}",
            "APPROVER_RP_ID": "approver.localhost",
            "SECRET_KEY": secret["secret_key"],
            "FIELD_KEY": secret["field_key"],
            "HOOKS_KEY": secret["hooks_key"],
            "AUDIT_KEY_FILE": str(where.audit_public),
            "AUDIT_NOTARY_SOCKET": str(run / NOTARY / "notary.sock"),
            "AUDIT_WITNESSES_FILE": str(where.audit_witnesses),
            "AUDIT_TESTIMONY_SOCKET": str(run / "testimony" / "sealer.sock"),
            "VAULT_KEY_FILE": str(where.vault_public),
            "VAULT_SOCKET": str(run / "vault" / "vault.sock"),
            "WATCHED_LOGS_FILE": str(where.watched_logs),
            "RECONCILER_SOCKET": str(run / "reconciler" / "reconciler.sock"),
            "REGISTRY_FILE": str(where.registry),
            "PKCS11_MODULE": self.module,
            "SCREENING_LIST": os.environ.get("SCREENING_LIST", str(HOME / "fixtures" / "screening.txt")),
        } | outside

    @property
    def vault_origin(self) -> str:
        """The name of the vault's own log."""
        return f"{self.values['DEPLOYMENT']}/vault"

    @property
    def audit_origin(self) -> str:
        """The audit log's name in its checkpoints."""
        return f"countersign/{self.values['DEPLOYMENT']}/audit"

    def database_url(self, role: str) -> str:
        """How this role reaches the embedded database; one set from outside stands for every role."""
        outside = os.environ.get("DATABASE_URL")
        return outside or f"postgresql://{role}@/countersign?host={self.layout.run}/postgres"

    def plain(self, account: Account) -> dict[str, str]:
        """What every process gets: a path, a locale, and nothing of ours."""
        kept = {name: os.environ[name] for name in ("LANG", "TERM", "COUNTERSIGN_HOME") if name in os.environ}
        home = "/nonexistent" if account.name.startswith("cs-") else os.environ.get("HOME", "/")
        fixed = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "TZ": "UTC", "PYTHONUNBUFFERED": "1"}
        return kept | fixed

    def django(
        self, account: Account, *, role: str, name: str, without: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """What a Django process gets, less the secrets that its part has no use for."""
        mine = {key: value for key, value in self.values.items() if key not in without}
        mine |= {
            "DATABASE_URL": self.database_url(role),
            "DJANGO_SETTINGS_MODULE": "backoffice.settings",
            "PROCESS_NAME": name,
        }
        return self.plain(account) | mine
