"""The whole stack: prepared, started in order, and gone again at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final, NoReturn

from devstack import kept, leftovers, passkeys, pinning, ports, tokens, users
from devstack import layout as layouts
from devstack.commands import Commands
from devstack.environment import Environment
from devstack.layout import HOME, Layout
from devstack.processes.part import PYTHON
from devstack.processes.table import Table
from devstack.supervisor import StartFailed, Supervisor


@dataclass(frozen=True)
class Stack(Commands):
    """A running stack, as the demo and tests see it."""

    supervisor: Supervisor
    table: Table

    def wait(self) -> None:
        """Stay up until interrupted; `Died` when a process ends."""
        self.supervisor.wait()


@contextmanager
def running(
    *,
    echo: bool = True,
    out: IO[str] = sys.stdout,
    say: bool = True,
    began: Callable[[str], None] = lambda _stage: None,
) -> Iterator[Stack]:
    """The stack on the state folder that COUNTERSIGN_VAR and PORT name, up for the length of the block.

    `began` hears of each stage as it begins: the first start takes a minute, and silence looks like a fault.
    """

    def tell(text: str) -> None:
        if say:
            print(text, file=out, flush=True)

    where = layouts.layout()
    with layouts.lock(where), leftovers.claim(where, tell=tell) as held:
        port = ports.asked()
        # Nothing is made for a port that cannot be had.
        ports.require_free(port or kept.port_of(where), what="the edge")
        secret = kept.load_secrets(where, port=port)
        accounts = users.prepare()
        layouts.make_folders(where, accounts)
        _forget_sockets(where)
        if not accounts.are_separate:
            tell(users.SINGLE_USER_NOTE)
        environment = Environment(where, secret)
        table = Table(environment, accounts)
        with (
            Supervisor(log_folder=where.logs, echo=echo, out=out, held=held) as supervisor,
            _ending_on_terminate(),
        ):
            began("PostgreSQL, Redis, the engine and a regtest chain start")
            if "DATABASE_URL" not in environment.replaced:
                table.backing.postgres.initialise()
            supervisor.start(*table.backing.all())
            if "DATABASE_URL" not in environment.replaced:
                table.backing.postgres.prepare_database()
            began("tokens get their keys: the wallets', the vault's and the notary's")
            tokens.prepare(environment, accounts)
            tokens.prepare_vault(environment, accounts)
            tokens.prepare_notary(environment, accounts, origin=environment.audit_origin)
            began("the database gets its schema, its roles and the founding staff")
            webhooks = _prepare_as_owner(environment)
            _prepare_as_worker(Commands(environment, accounts))
            began("signers, approver, vault, notary and witnesses start")
            trusted = table.trusted
            supervisor.start(trusted.notary(), trusted.vault(), *trusted.signers(), trusted.approver())
            pinning.pin(Commands(environment, accounts), trusted.logs())
            supervisor.start(trusted.other_supervisor())
            _name_witnesses(where)
            began("web, workers and the stand-ins for outside providers start")
            supervisor.start(*table.application.web(), *table.application.workers(), *trusted.reconciler())
            supervisor.start(*table.outside.all(webhooks))
            yield Stack(environment, accounts, supervisor, table)


def _prepare_as_owner(environment: Environment) -> dict[str, str]:
    """Migrations, privileges and founding staff, as the database's owner; where each provider delivers."""
    public = environment.layout.secrets / "passkeys-public.json"
    factors = environment.layout.secrets / "console-keys-public.json"
    done = subprocess.run(
        [str(PYTHON), "-m", "devstack.prepare", "owner", str(passkeys.STAFF_FILE), str(public), str(factors)],
        capture_output=True,
        text=True,
        check=False,
        cwd=HOME,
        env=dict(os.environ)
        | environment.values
        | {
            "DATABASE_URL": environment.database_url("cs_owner"),
            "DJANGO_SETTINGS_MODULE": "backoffice.settings",
        },
    )
    _require(done, "the database could not be brought up to date")
    addresses: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return addresses


def _prepare_as_worker(commands: Commands) -> None:
    """Wallets and quorums from the registry, and the venue's markets; what is there already stays."""
    done = commands.run_as("cs-worker", str(PYTHON), "-m", "devstack.prepare", "worker")
    _require(done, "wallets and markets could not be prepared")


def _require(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode:
        last = "\n    ".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise StartFailed(f"{what}:\n    {last}")


def _name_witnesses(where: Layout) -> None:
    """Tell the sealer whom to ask for cosignatures, and by which keys it knows them."""
    lines = [
        f"{(where.witness(name) / 'key.txt').read_text().strip()} {where.run / name / 'witness.sock'}"
        for name in users.WITNESSES
    ]
    where.audit_witnesses.write_text("\n".join(lines) + "\n")


def _forget_sockets(where: Layout) -> None:
    """Sockets of an earlier run that was killed: nobody listens there, and readiness must not be fooled."""
    for path in where.run.rglob("*.sock"):
        path.unlink(missing_ok=True)


_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _ending_on_terminate() -> Iterator[None]:
    """Let a termination signal end the block as Ctrl-C does, so that everything is stopped in order.

    Ctrl-C is among them: a shell that starts us in the background lets us inherit that it is ignored.
    """

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
