"""What each part of the table is built from."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from devstack.environment import Environment
from devstack.layout import HOME
from devstack.supervisor import Process
from devstack.users import Accounts

PYTHON: Final = HOME / ".venv" / "bin" / "python"

# Secrets that a process has no use for are not in its environment.
PROVIDER_SECRETS: Final = ("SUMSUB_APP_TOKEN", "SUMSUB_SECRET", "ONFIDO_TOKEN")
WORKER_SECRETS: Final = (*PROVIDER_SECRETS, "ALERT_WEBHOOK_SECRET")
HOOK_SECRETS: Final = ("SUMSUB_WEBHOOK_SECRET", "ONFIDO_WEBHOOK_TOKEN")


class Part:
    """Builds the processes of one part of one stack."""

    def __init__(self, environment: Environment, accounts: Accounts) -> None:
        self.environment = environment
        self.accounts = accounts
        self.var, self.run = environment.layout.var, environment.layout.run

    def python(self, name: str, user: str, *module: str, ready_line: str) -> Process:
        account = self.accounts.of(user)
        return Process(
            name=name,
            command=[str(PYTHON), "-m", *module],
            account=account,
            environment=self.environment.plain(account),
            ready_line=ready_line,  # not a probe of the port, which a stranger could answer
            folder=HOME,
        )


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
