"""The table of processes: what runs, as whom, with which secrets, and when it counts as ready."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from devstack import redis as embedded_redis
from devstack import tokens
from devstack.environment import HOME, Environment
from devstack.postgres import Postgres
from devstack.supervisor import Process
from devstack.users import HOT_TOKENS, NOTARY, WITNESSES, Account, Accounts

PYTHON: Final = HOME / ".venv" / "bin" / "python"
ENGINE: Final = HOME / "engine" / "target" / "debug" / "countersign-engine"

# Secrets that a process has no use for are not in its environment.
_PROVIDER_SECRETS: Final = ("SUMSUB_APP_TOKEN", "SUMSUB_SECRET", "ONFIDO_TOKEN")
_APPROVER_PINS: Final = ("APPROVER_ORIGIN", "APPROVER_RP_ID", "CONSOLE_ORIGIN", "DEPLOYMENT")
_HOOK_SECRETS: Final = ("SUMSUB_WEBHOOK_SECRET", "ONFIDO_WEBHOOK_TOKEN")


def listens_on(path: Path) -> Callable[[], bool]:
    """Whether something accepts connections on this unix socket."""

    def probe() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(path))
            except OSError:
                return False
            return True

    return probe


class Table:
    """Builds each process of one stack."""

    def __init__(self, environment: Environment, accounts: Accounts) -> None:
        self.environment = environment
        self.accounts = accounts
        self.var, self.run = environment.layout.var, environment.layout.run
        self.postgres = Postgres(
            data=self.var / "postgres",
            sockets=self.run / "postgres",
            account=accounts.of("cs-db"),
            accounts=accounts,
        )

    # --- Services that keep state -----------------------------------------------------------------

    def services(self) -> list[Process]:
        """Database, Redis, engine and node, without those that the environment replaces."""
        replaced = self.environment.replaced
        found: list[Process] = []
        if "DATABASE_URL" not in replaced:
            found.append(self.postgres.process())
        if "REDIS_URL" not in replaced:
            found.append(self._redis())
        if "BITCOIN_RPC_URL" not in replaced:
            found.append(self._node())
        if "ENGINE_TARGET" not in replaced:
            found.append(self._engine())
        return found

    def _redis(self) -> Process:
        return embedded_redis.process(
            data=self.var / "redis",
            socket=self.run / "redis" / "redis.sock",
            account=self.accounts.of("cs-redis"),
        )

    def _node(self) -> Process:
        account, folder = self.accounts.of("cs-node"), self.var / "node"
        password = folder / "rpc-password"
        password.write_text(self.environment.secrets["rpc_password"])
        account.own_file(password, mode=0o400)
        port = self.environment.node_port
        return self._python(
            "regtest",
            "cs-node",
            *("devstack.standins.regtest", "--folder", str(folder / "chain")),
            *("--port", str(port), "--password-file", str(password)),
            ready_line="regtest node at height",
        )

    def _engine(self) -> Process:
        account = self.accounts.of("cs-engine")
        sockets, desk = self.run / "engine", self.run / "engine-desk"
        return Process(
            name="engine",
            command=[
                *(str(ENGINE), "serve", "--dir", str(self.var / "engine")),
                *("--socket", str(sockets / "orders.sock")),
                *("--transfers-socket", str(desk / "transfers.sock")),
                *("--admin-socket", str(desk / "admin.sock")),
                *(() if any((self.var / "engine").iterdir()) else ("--init",)),
            ],
            account=account,
            environment=self.environment.plain(account),
            is_ready=listens_on(sockets / "orders.sock"),
        )

    # --- The outside world ------------------------------------------------------------------------

    def outside(self, webhooks: Mapping[str, str]) -> list[Process]:
        """The stand-in providers, told where to deliver, and the edge."""
        values, port = self.environment.values, self.environment.port
        found = []
        if "SUMSUB_URL" not in self.environment.replaced:
            found.append(
                self._python(
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
                self._python(
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
                self._python(
                    "prices",
                    "cs-node",
                    *("devstack.standins.prices", "--port", str(self.environment.prices_port)),
                    ready_line="listens at",
                )
            )
        found.append(
            self._python(
                "edge",
                "cs-node",
                *("devstack.standins.edge", "--port", str(port), "--staff", str(tokens.STAFF_FILE)),
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

    # --- Trusted programs -------------------------------------------------------------------------

    def signers(self) -> list[Process]:
        """One process and OS user per hot token. Cold signers have no socket and run only when asked."""
        if "SIGNERS_DIR" in self.environment.replaced:
            return []
        worker = self.accounts.of("cs-worker").uid
        return [self._signer(token, allowed=worker) for token in HOT_TOKENS]

    def _signer(self, token: str, *, allowed: int) -> Process:
        account = self.accounts.of(f"cs-{token}")
        path = self.run / "signers" / f"{token}.sock"
        return Process(
            name=token,
            command=[
                *(str(tokens.TRUSTED_PYTHON), "-m", "custody.signer", "--token", token),
                *("--registry", str(self.environment.layout.registry), "--socket", str(path)),
                *("--state", str(self.environment.layout.signer_state(token))),
                *("--module", self.environment.module, "--allow-uid", str(allowed)),
            ],
            account=account,
            environment=tokens.signer_environment(self.environment, account, token),
            secret=self.environment.secrets.pin(token),
            ready_line=" ready ",
            folder=HOME,
        )

    def notary(self) -> Process:
        """The only holder of the audit log's signing key; the sealer alone may ask it."""
        account, path = self.accounts.of(f"cs-{NOTARY}"), self.run / NOTARY / "notary.sock"
        return Process(
            name=NOTARY,
            command=[
                *(str(tokens.TRUSTED_PYTHON), "-m", "core.audit.notary", "serve", "--token", NOTARY),
                *("--module", self.environment.module, "--origin", self.environment.audit_origin),
                *("--state", str(self.environment.layout.notary), "--socket", str(path)),
                *("--allow-uid", str(self.accounts.of("cs-worker").uid)),
            ],
            account=account,
            environment=tokens.signer_environment(self.environment, account, NOTARY),
            secret=self.environment.secrets.pin(NOTARY),
            ready_line=" ready ",
            folder=HOME,
        )

    def vault(self) -> Process:
        """The only holder of the key that opens personal data; console and worker may ask."""
        account, path = self.accounts.of("cs-vault"), self.run / "vault" / "vault.sock"
        askers = [str(self.accounts.of(user).uid) for user in ("cs-console", "cs-worker")]
        return Process(
            name="vault",
            command=[
                *(str(tokens.TRUSTED_PYTHON), "-m", "core.vault", "serve", "--socket", str(path)),
                *("--state", str(self.environment.layout.vault), "--origin", self.environment.vault_origin),
                *(word for uid in dict.fromkeys(askers) for word in ("--allow-uid", uid)),
                *("--worker-uid", askers[-1]),
            ],
            account=account,
            environment=self.environment.plain(account),
            secret=self.environment.secrets["vault_passphrase"],
            ready_line=" ready ",
            folder=HOME,
        )

    def reconciler(self) -> list[Process]:
        """Compares the hot wallet with the books by its own look at both; workers may ask it.

        There is none where the registry was made before it, and so names none.
        """
        account, key = self.accounts.of("cs-reconciler"), self.environment.layout.reconciler / "key.pem"
        if not key.exists():
            return []
        process = Process(
            name="reconciler",
            command=[
                *(str(PYTHON), str(HOME / "manage.py"), "serve_reconciler"),
                *("--key", str(key)),
                *("--allow-uid", str(self.accounts.of("cs-worker").uid)),
            ],
            account=account,
            environment=self.environment.django(
                account,
                role="cs_reconciler",
                name="reconciler",
                without=(
                    *_PROVIDER_SECRETS,
                    *_HOOK_SECRETS,
                    *("FIELD_KEY", "HOOKS_KEY", "SECRET_KEY", "REDIS_URL", "SIGNERS_DIR", "PKCS11_MODULE"),
                    *("AUDIT_NOTARY_SOCKET", "VAULT_SOCKET"),
                ),
            ),
            ready_line="reconciler ready",
            ready_within_s=60,
            folder=HOME,
        )
        return [process]

    def other_supervisor(self) -> Process:
        """The witnesses' own supervisor, which this one starts and knows nothing more of."""
        account = Account("witnesses", os.geteuid(), os.getegid(), ())
        return Process(
            name="witnesses",
            command=[str(PYTHON), "-m", "devstack", "witnesses"],
            account=account,
            environment=self.environment.plain(account) | {"COUNTERSIGN_VAR": str(self.var)},
            ready_line="witnesses are up",
            folder=HOME,
        )

    def logs(self) -> list[Path]:
        """The sockets at which trusted programs show their own logs."""
        signers = [] if "SIGNERS_DIR" in self.environment.replaced else HOT_TOKENS
        return [
            *(self.run / "signers" / f"{token}.sock" for token in signers),
            self.run / "approver-log" / "log.sock",
            self.run / "vault" / "vault.sock",
        ]

    def witnesses(self) -> list[Process]:
        """Two witnesses of every log, each with its own OS user, key and memory."""
        where = self.environment.layout
        return [
            Process(
                name=name,
                command=[
                    *(str(tokens.TRUSTED_PYTHON), "-m", "core.audit.witness"),
                    *("--name", tokens.witness_name(name), "--log", str(where.audit_public)),
                    *("--log", str(where.watched_logs)),
                    *("--state", str(where.witness(name)), "--socket", str(self.run / name / "witness.sock")),
                ],
                account=self.accounts.of(f"cs-{name}"),
                environment=self.environment.plain(self.accounts.of(f"cs-{name}")),
                ready_line=" ready",
                folder=HOME,
            )
            for name in WITNESSES
        ]

    def approver(self) -> Process:
        """The page on which officers sign: its own process, host and virtual environment."""
        account, path = self.accounts.of("cs-approver"), self.run / "approver" / "approver.sock"
        return Process(
            name="approver",
            command=[
                *(str(tokens.TRUSTED_PYTHON), "-m", "custody.approver", "--socket", str(path)),
                *("--state", str(self.var / "approver"), "--registry", str(self.environment.layout.registry)),
                *("--log-socket", str(self.run / "approver-log" / "log.sock")),
                *("--allow-uid", str(self.accounts.of("cs-worker").uid)),
            ],
            account=account,
            environment=self.environment.plain(account)
            | {
                name: self.environment.values[name]
                for name in ("APPROVER_ORIGIN", "APPROVER_RP_ID", "CONSOLE_ORIGIN", "DEPLOYMENT")
            },
            is_ready=listens_on(path),
            folder=HOME,
        )

    # --- The application --------------------------------------------------------------------------

    def web(self) -> list[Process]:
        """Console and trader API: two ASGI processes, two OS users, two database roles."""
        return [
            self._asgi(
                "console",
                doors="console service",
                without=(
                    *_PROVIDER_SECRETS,
                    *_HOOK_SECRETS,
                    "HOOKS_KEY",
                    "AUDIT_NOTARY_SOCKET",
                    "PKCS11_MODULE",
                    "BITCOIN_RPC_URL",
                ),
                options=("--ws-max-size", "16384"),
            ),
            self._asgi(
                "trader",
                doors="api hooks",
                without=(
                    *_PROVIDER_SECRETS,
                    *_HOOK_SECRETS,
                    "AUDIT_NOTARY_SOCKET",
                    "PKCS11_MODULE",
                    "SIGNERS_DIR",
                    "BITCOIN_RPC_URL",
                ),
            ),
        ]

    def _asgi(
        self, name: str, *, doors: str, without: tuple[str, ...], options: tuple[str, ...] = ()
    ) -> Process:
        account, path = self.accounts.of(f"cs-{name}"), self.run / name / f"{name}.sock"
        return Process(
            name=name,
            command=[
                *(str(PYTHON), "-m", "uvicorn", f"backoffice.asgi:{name}", "--uds", str(path)),
                *("--ws", "websockets-sansio", "--lifespan", "off", "--no-access-log", "--no-server-header"),
                *("--no-proxy-headers", "--timeout-graceful-shutdown", "3", *options),
            ],
            account=account,
            environment=self.environment.django(account, role=f"cs_{name}", name=name, without=without)
            | {"OPEN_DOORS": doors},
            is_ready=listens_on(path),
            ready_within_s=60,
            folder=HOME,
        )

    def workers(self) -> list[Process]:
        """Celery's worker and scheduler, and the long-running loops."""
        state = self.var / "worker"
        celery = ("celery", "-A", "backoffice.celery")
        return [
            self._work(
                "worker",
                *(*celery, "worker", "--pool", "threads", "--concurrency", "4", "--loglevel", "INFO"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat", "--queues", "countersign"),
                ready_line=" ready.",
            ),
            self._work(
                "scheduler",
                *(*celery, "beat", "--loglevel", "INFO", "--schedule", str(state / "beat"), "--pidfile="),
                ready_line="beat: Starting",
            ),
            *(
                self._work(name, command=command, ready_line=" leads")
                for name, command in self.daemons().items()
            ),
        ]

    @staticmethod
    def daemons() -> dict[str, str]:
        """Process name to management command."""
        return {
            "relay": "relay_outbox",
            "watcher": "watch_chain",
            "settlement": "settle",
            "sealer": "seal_audit",
            "collector": "collect_cosignatures",
        }

    def _work(self, name: str, *module: str, command: str = "", ready_line: str = "") -> Process:
        account = self.accounts.of("cs-worker")
        start = ["-m", *module] if module else [str(HOME / "manage.py"), command]
        return Process(
            name=name,
            command=[str(PYTHON), *start],
            account=account,
            environment=self.environment.django(
                account, role="cs_worker", name=name, without=("PKCS11_MODULE", "HOOKS_KEY", *_HOOK_SECRETS)
            ),
            ready_line=ready_line,
            ready_within_s=60,
            folder=HOME,
        )

    def _python(self, name: str, user: str, *module: str, ready_line: str) -> Process:
        account = self.accounts.of(user)
        return Process(
            name=name,
            command=[str(PYTHON), "-m", *module],
            account=account,
            environment=self.environment.plain(account),
            ready_line=ready_line,  # not a probe of the port, which a stranger could answer
            folder=HOME,
        )
