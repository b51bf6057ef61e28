"""What keeps state behind the application: database, Redis, engine and node."""

from __future__ import annotations

from typing import Final

from devstack import bitcoind
from devstack import redis as embedded_redis
from devstack.environment import Environment
from devstack.layout import HOME
from devstack.postgres import Postgres
from devstack.processes.part import Part, listens_on
from devstack.supervisor import Process
from devstack.users import Accounts

ENGINE: Final = HOME / "engine" / "target" / "debug" / "countersign-engine"


class Backing(Part):
    """Each of them, unless the environment replaces it."""

    def __init__(self, environment: Environment, accounts: Accounts) -> None:
        super().__init__(environment, accounts)
        self.postgres = Postgres(
            data=self.var / "postgres",
            sockets=self.run / "postgres",
            account=accounts.of("cs-db"),
            accounts=accounts,
        )

    def all(self) -> list[Process]:
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
        port, secret = self.environment.node_port, self.environment.secrets["rpc_password"]
        if (exe := bitcoind.executable()) is not None:
            state = account.own(folder / "bitcoind", mode=0o700)
            configuration = bitcoind.configured(state, port=port, password=secret)
            account.own_file(configuration, mode=0o400)
            return Process(
                name="bitcoind",
                command=bitcoind.command(exe, folder=state, configuration=configuration),
                account=account,
                environment=self.environment.plain(account),
                ready_line=bitcoind.READY_LINE,
                ready_within_s=bitcoind.START_WITHIN_S,
                folder=state,
            )
        password = folder / "rpc-password"
        password.write_text(secret)
        account.own_file(password, mode=0o400)
        return self.python(
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
                *("--reader-socket", str(self.run / "engine-reader" / "reader.sock")),
                *(() if any((self.var / "engine").iterdir()) else ("--init",)),
            ],
            account=account,
            environment=self.environment.plain(account),
            is_ready=listens_on(sockets / "orders.sock"),
        )
