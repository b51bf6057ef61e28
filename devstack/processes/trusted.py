"""The trusted programs: those that hold a key, and those that check what the others do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from devstack import tokens
from devstack.layout import HOME
from devstack.processes.part import HOOK_SECRETS, PYTHON, WORKER_SECRETS, Part, listens_on
from devstack.supervisor import Process
from devstack.users import HOT_TOKENS, NOTARY, WITNESSES, Account

_APPROVER_PINS: Final = ("APPROVER_ORIGIN", "APPROVER_RP_ID", "CONSOLE_ORIGIN", "DEPLOYMENT")


class Trusted(Part):
    """Each alone with its key, as an OS user of its own."""

    def signers(self) -> list[Process]:
        """One process and OS user per hot token. Cold signers have no socket and run only when asked."""
        if "SIGNERS_DIR" in self.environment.replaced:
            return []
        return [self._signer(token) for token in HOT_TOKENS]

    def _signer(self, token: str) -> Process:
        account = self.accounts.of(f"cs-{token}")
        path = self.run / "signers" / f"{token}.sock"
        return Process(
            name=token,
            command=[
                *(str(tokens.TRUSTED_PYTHON), "-m", "custody.signer", "--token", token),
                *("--registry", str(self.environment.layout.registry), "--socket", str(path)),
                *("--state", str(self.environment.layout.signer_state(token))),
                *("--module", self.environment.module),
                *("--allow-uid", str(self.accounts.of("cs-worker").uid)),
                *("--attest-uid", str(self.accounts.of("cs-reconciler").uid)),
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
        """Compares the hot wallet with the books by its own look at both. Workers may ask it, and it tells
        the signers where something is wrong.

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
                    *WORKER_SECRETS,
                    *HOOK_SECRETS,
                    *("FIELD_KEY", "HOOKS_KEY", "SECRET_KEY", "REDIS_URL", "PKCS11_MODULE"),
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
            | {name: self.environment.values[name] for name in _APPROVER_PINS},
            is_ready=listens_on(path),
            folder=HOME,
        )
