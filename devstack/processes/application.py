"""The application: what runs on Django."""

from __future__ import annotations

from devstack.layout import HOME
from devstack.processes.part import HOOK_SECRETS, PYTHON, WORKER_SECRETS, Part, listens_on
from devstack.supervisor import Process


class Application(Part):
    """The web tier, the workers and the long-running loops."""

    def web(self) -> list[Process]:
        """Console and trader API: two ASGI processes, two OS users, two database roles."""
        return [
            self._asgi(
                "console",
                doors="console service",
                without=(
                    *WORKER_SECRETS,
                    *HOOK_SECRETS,
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
                    *WORKER_SECRETS,
                    *HOOK_SECRETS,
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
                account, role="cs_worker", name=name, without=("PKCS11_MODULE", "HOOKS_KEY", *HOOK_SECRETS)
            ),
            ready_line=ready_line,
            ready_within_s=60,
            folder=HOME,
        )
