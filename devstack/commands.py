"""One-off programs, run as one of the stack's users with the environment that its processes have."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from devstack import tokens, users
from devstack.environment import Environment
from devstack.layout import HOME
from devstack.processes.part import PYTHON
from devstack.users import Accounts


@dataclass(frozen=True)
class Commands:
    """Runs programs beside a stack, whether or not this process started it."""

    environment: Environment
    accounts: Accounts

    def manage(self, *command: str, user: str = "cs-worker") -> subprocess.CompletedProcess[str]:
        """Run a management command as one of the application's users."""
        return self.run_as(user, str(PYTHON), "manage.py", *command)

    def run_as(
        self, user: str, *command: str, secret: str = "", extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as that user; `secret` is what it reads from standard input."""
        account = self.accounts.of(user)
        token = user.removeprefix("cs-")
        if token in (*users.TOKENS, users.NOTARY):
            variables = tokens.signer_environment(self.environment, account, token)
        elif user in users.WEB_USERS:
            variables = self.environment.django(account, role=user.replace("-", "_"), name="command")
        else:
            variables = self.environment.plain(account)
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            input=secret,
            capture_output=True,
            text=True,
            check=False,
            cwd=HOME,
            env={**variables, **(extra or {})},
            umask=0o077,
            **account.switch(),
        )
        return done
