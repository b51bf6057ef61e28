"""Between the OS users of the stack ..."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from devstack import environment, tokens, users
from devstack.commands import Commands
from devstack.environment import Environment, Layout
from devstack.postgres import Postgres
from devstack.processes import PYTHON
from devstack.supervisor import Supervisor
from kernel import lane
from kernel.registry import Registry

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give processes users of their own")


@pytest.fixture(scope="module")
def where() -> Iterator[Layout]:
    # Not tmp_path: pytest's folders admit root only, and these users must reach their own.
    folder = Path(tempfile.mkdtemp(prefix="countersign-walls-"))
    folder.chmod(0o755)
    yield Layout.of(folder / "var")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def commands(where: Layout) -> Commands:
    """Tokens with keys and a registry, and no process yet."""
    accounts = users.prepare()
    secrets = environment.load_secrets(where, port=8199)
    environment.make_folders(where, accounts)
    made = Environment(where, secrets)
    tokens.prepare(made, accounts)
    return Commands(made, accounts)


def open_token(commands: Commands, *, user: str, token: str) -> tuple[int, str]:
    """Let a user try to log in to a token, knowing even its PIN."""
    done = commands.run_as(
        user,
        *(str(tokens.TRUSTED_PYTHON), "-m", "custody.signer.provision", "--token", token),
        *("--count", "1", "--module", commands.environment.module),
        secret=commands.environment.secrets.pin(token) + "\n",
        extra={"SOFTHSM2_CONF": str(tokens.configuration(commands.environment.layout, token))},
    )
    return done.returncode, done.stdout + done.stderr


def test_a_signer_opens_its_own_token(commands: Commands) -> None:
    code, said = open_token(commands, user="cs-hot-1", token="hot-1")
    assert code == 0, said


@pytest.mark.parametrize(
    "user", ["cs-console", "cs-trader", "cs-worker", "cs-approver", "cs-hot-2", "cs-cold-1"]
)
def test_nobody_else_opens_it_even_with_the_pin(commands: Commands, user: str) -> None:
    code, said = open_token(commands, user=user, token="hot-1")
    assert code != 0
    assert '"type":"provisioned"' not in said


@pytest.mark.parametrize("user", ["cs-console", "cs-trader", "cs-worker", "cs-hot-1"])
def test_nobody_reads_the_stacks_secrets_or_anothers_token(commands: Commands, user: str) -> None:
    layout = commands.environment.layout
    for path in (layout.secrets, layout.token("hot-2"), layout.signer_state("hot-2")):
        done = commands.run_as(user, "/usr/bin/ls", str(path))
        assert "Permission denied" in done.stderr, path


def test_only_the_worker_reaches_the_engines_transfers_and_governance(commands: Commands) -> None:
    desk = str(commands.environment.layout.run / "engine-desk")
    assert commands.run_as("cs-worker", "/usr/bin/ls", desk).returncode == 0
    for user in ("cs-console", "cs-trader", "cs-node", "cs-hot-1"):
        assert "Permission denied" in commands.run_as(user, "/usr/bin/ls", desk).stderr


def test_only_the_worker_reads_the_audit_logs_key(commands: Commands) -> None:
    from devstack.stack import _make_audit_key

    layout = commands.environment.layout
    _make_audit_key(layout, commands.accounts, origin="countersign/test/audit")
    assert commands.run_as("cs-worker", "/usr/bin/cat", str(layout.audit_key)).returncode == 0
    for user in ("cs-console", "cs-trader", "cs-node"):
        assert commands.run_as(user, "/usr/bin/cat", str(layout.audit_key)).returncode != 0


def test_the_registry_names_the_keys_that_the_tokens_hold(commands: Commands) -> None:
    registry = Registry.parse(commands.environment.layout.registry.read_bytes())
    hot, cold = registry.wallets["hot"], registry.wallets["cold"]
    assert (hot.threshold, len(hot.tokens), len(hot.keys)) == (2, 3, 32)
    assert (cold.threshold, len(cold.tokens), len(cold.keys)) == (3, 5, 8)
    assert registry.policies["custody.refill"].destination == "hot/0"
    treasury = sorted(o.name for o in registry.officers.values() if "treasury" in o.teams)
    assert treasury == ["Ben Brandt", "Cy Castellan"]


def test_the_registry_was_ordered_by_every_officer_in_it(commands: Commands) -> None:
    layout = commands.environment.layout
    verify = ["verify", "--genesis", str(layout.registry_order), str(layout.registry)]
    done = subprocess.run(
        [str(tokens.TRUSTED_PYTHON), "-m", "custody.signer.registry", *verify],
        cwd=environment.HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("ordered by every officer in it\n"), done.stderr
    # What the threat model cites: all of the web tier and its database lost, per day.
    hot = Registry.parse(layout.registry.read_bytes()).wallets["hot"]
    section = Registry.parse(layout.registry.read_bytes()).lanes["hot"]
    worst = lane.worst_loss(
        section.window_units_max, threshold=hot.threshold, tokens=len(hot.tokens), hosts_lost=0
    )
    assert (worst, section.window_s) == (6_000_000, 86_400)


def test_making_tokens_again_changes_nothing(commands: Commands) -> None:
    before = commands.environment.layout.registry.read_bytes()
    tokens.prepare(commands.environment, commands.accounts)
    assert commands.environment.layout.registry.read_bytes() == before


def test_each_user_is_one_database_role_and_no_other(
    commands: Commands, where: Layout, tmp_path: Path
) -> None:
    accounts = commands.accounts
    cluster = Postgres(
        data=where.var / "postgres",
        sockets=where.run / "postgres",
        account=accounts.of("cs-db"),
        accounts=accounts,
        is_for_tests=True,
    )
    cluster.initialise()
    roles = {"cs-console": "cs_console", "cs-trader": "cs_trader", "cs-worker": "cs_worker"}
    strangers = ("cs-hot-1", "cs-node", "cs-approver", "cs-engine")
    ask = """
import psycopg, sys
for url in sys.argv[1:]:
    try:
        print(psycopg.connect(url).execute("SELECT current_user").fetchone()[0])
    except psycopg.OperationalError:
        continue
"""

    def become(user: str) -> list[str]:
        urls = [cluster.url(role) for role in (*roles.values(), "cs_owner", "postgres")]
        return commands.run_as(user, str(PYTHON), "-c", ask, *urls).stdout.split()

    with Supervisor(log_folder=tmp_path, echo=False) as supervisor:
        supervisor.start(cluster.process())
        cluster.prepare_database()
        cluster.prepare_database()  # may be repeated
        for user, role in roles.items():
            assert become(user) == [role]
        for stranger in strangers:
            assert become(stranger) == []
        with psycopg.connect(cluster.url("cs_owner")) as owner:
            assert owner.execute("SHOW listen_addresses").fetchone() == ("",)
