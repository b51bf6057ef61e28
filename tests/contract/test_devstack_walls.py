"""Between the OS users of the stack ..."""

from __future__ import annotations

import ast
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from devstack import genesis, kept, tokens, users
from devstack import layout as layouts
from devstack.commands import Commands
from devstack.environment import Environment
from devstack.layout import Layout
from devstack.postgres import Postgres
from devstack.processes.part import PYTHON
from devstack.processes.trusted import Trusted
from devstack.supervisor import Supervisor
from devstack.tokens import TRUSTED_PYTHON
from kernel import merkle, note
from kernel.note import Verifier
from kernel.registry import Registry

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give processes users of their own"),
    pytest.mark.slow,
]


FEW: Final = 2
"""Keys of a token here: to make one takes it 50 ms."""
OUTSIDE_OF_TESTS: Final = (genesis.HOT_KEYS, genesis.COLD_KEYS)


@pytest.fixture(scope="module")
def where() -> Iterator[Layout]:
    # Not tmp_path: pytest's folders admit root only, and these users must reach their own.
    folder = Path(tempfile.mkdtemp(prefix="countersign-walls-"))
    folder.chmod(0o755)
    yield Layout.of(folder / "var")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def commands(where: Layout) -> Iterator[Commands]:
    """Tokens with keys and a registry, and no process yet."""
    accounts = users.prepare()
    secrets = kept.load_secrets(where, port=8199)
    layouts.make_folders(where, accounts)
    made = Environment(where, secrets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(genesis, "HOT_KEYS", FEW)
        patch.setattr(genesis, "COLD_KEYS", FEW)
        tokens.prepare(made, accounts)
        yield Commands(made, accounts)


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


def test_each_trusted_program_is_a_user_of_its_own(commands: Commands) -> None:
    trusted = Trusted(commands.environment, commands.accounts)
    programs = [
        *trusted.signers(),
        trusted.notary(),
        trusted.vault(),
        trusted.approver(),
        *trusted.witnesses(),
    ]
    theirs = [program.account.uid for program in programs]
    assert len(programs) == len(set(theirs)) == 8
    others = {commands.accounts.of(user).uid for user in users.WEB_USERS | {"cs-db", "cs-node", "cs-engine"}}
    assert not {0, *others} & set(theirs)
    assert trusted.other_supervisor().command[-2:] == ["devstack", "witnesses"]


@pytest.mark.parametrize("user", ["cs-worker", "cs-db", "cs-notary", "cs-witness-2"])
def test_a_witness_is_reached_by_nobody_elses_hand(commands: Commands, user: str) -> None:
    state = commands.environment.layout.witness("witness-1")
    secret = [path for path in state.iterdir() if path.stat().st_mode & 0o044 == 0]
    assert secret, "its key is somewhere else"
    for path in secret:
        assert "Permission denied" in commands.run_as(user, "/usr/bin/cat", str(path)).stderr
    assert "Permission denied" in commands.run_as(user, "/usr/bin/touch", str(state / "seen")).stderr


@pytest.mark.parametrize(("user", "may"), [("cs-db", False), ("cs-console", True), ("cs-trader", True)])
def test_writers_reach_the_sealers_ear_and_the_database_does_not(
    commands: Commands, user: str, may: bool
) -> None:
    said = Path(commands.environment.values["AUDIT_TESTIMONY_SOCKET"]).parent
    done = commands.run_as(user, "/usr/bin/ls", str(said))
    assert ("Permission denied" not in done.stderr) == may


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
    reader = str(commands.environment.layout.run / "engine-reader")
    assert commands.run_as("cs-reconciler", "/usr/bin/ls", reader).returncode == 0
    for user, folder in (("cs-worker", reader), ("cs-console", reader), ("cs-reconciler", desk)):
        assert "Permission denied" in commands.run_as(user, "/usr/bin/ls", folder).stderr


def test_only_the_notary_opens_the_audit_logs_key(commands: Commands) -> None:
    layout = commands.environment.layout
    tokens.prepare_notary(commands.environment, commands.accounts, origin=commands.environment.audit_origin)
    public = layout.audit_public.read_text()
    assert Verifier.parse(public).name == commands.environment.audit_origin
    asked = [
        *(str(TRUSTED_PYTHON), "-m", "core.audit.notary", "provision", "--token", "notary"),
        *("--module", commands.environment.module, "--origin", commands.environment.audit_origin),
        *("--state", str(layout.notary)),
    ]
    pin = commands.environment.secrets.pin("notary") + "\n"
    assert commands.run_as("cs-notary", *asked, secret=pin).stdout == public
    config = {"SOFTHSM2_CONF": str(tokens.configuration(layout, "notary"))}
    for user in ("cs-console", "cs-trader", "cs-worker", "cs-hot-1"):
        done = commands.run_as(user, *asked, secret=pin, extra=config)
        assert (done.returncode, public in done.stdout) == (1, False)
    wrong = commands.run_as("cs-notary", *asked, secret="0000\n")
    assert "notary locked: notary refused the PIN: PinIncorrect" in wrong.stdout


ASK_VAULT = """
import sys
from pathlib import Path
from core.trusted.serving import ask
print(ask(Path(sys.argv[1]), {"v": 1, "type": "open"}, patience_s=60)[0]["code"])
"""


def test_the_vaults_key_is_its_own_and_the_trader_api_cannot_even_ask(
    commands: Commands, where: Layout, tmp_path: Path
) -> None:
    tokens.prepare_vault(commands.environment, commands.accounts)
    for user in ("cs-console", "cs-worker", "cs-trader", "cs-notary", "cs-hot-1"):
        assert "Permission denied" in commands.run_as(user, "/usr/bin/ls", str(where.vault)).stderr
    place = str(where.run / "vault" / "vault.sock")
    trusted = Trusted(commands.environment, commands.accounts)
    with Supervisor(log_folder=tmp_path, echo=False) as supervisor:
        supervisor.start(trusted.vault())
        for user, said in (("cs-console", "VAULT_BAD_QUESTION\n"), ("cs-worker", "VAULT_BAD_QUESTION\n")):
            assert commands.run_as(user, str(TRUSTED_PYTHON), "-c", ASK_VAULT, place).stdout == said
        for user in ("cs-trader", "cs-hot-1"):
            refused = commands.run_as(user, str(TRUSTED_PYTHON), "-c", ASK_VAULT, place)
            assert (refused.stdout, refused.returncode) == ("", 1)


ASK_SIGNER = """
import sys
from pathlib import Path
from core.trusted.serving import ask
asked = [{"v": 1, "type": one} for one in ("attest", "sign", "sign_unattended", "order")]
print(*(said["code"] for said in ask(Path(sys.argv[1]), *asked, patience_s=60)))
"""


def test_the_reconciler_may_attest_to_a_signer_and_nothing_else(
    commands: Commands, where: Layout, tmp_path: Path
) -> None:
    place = str(where.run / "signers" / "hot-1.sock")
    signer = Trusted(commands.environment, commands.accounts).signers()[0]
    bad, unknown = "SIGNER_BAD_REQUEST", "SIGNER_UNKNOWN_PEER"
    with Supervisor(log_folder=tmp_path, echo=False) as supervisor:
        supervisor.start(signer)
        for user, said in (
            ("cs-worker", [bad, bad, bad, bad]),
            ("cs-reconciler", [bad, unknown, unknown, unknown]),
            ("cs-console", []),
        ):
            assert commands.run_as(user, str(TRUSTED_PYTHON), "-c", ASK_SIGNER, place).stdout.split() == said


ASK_NOTARY = """
import sys
from pathlib import Path
from core.trusted.serving import ask
wanted = {"v": 1, "type": "sign", "size": 1, "root": sys.argv[2], "proof": []}
print(ask(Path(sys.argv[1]), wanted, patience_s=60)[0])
"""


def test_only_the_sealers_user_has_heads_signed_and_only_by_a_continued_log(
    commands: Commands, where: Layout, tmp_path: Path
) -> None:
    tokens.prepare_notary(commands.environment, commands.accounts, origin=commands.environment.audit_origin)
    log = Verifier.parse(where.audit_public.read_text())

    def ask(user: str, leaf: bytes) -> str:
        place, root = str(where.run / "notary" / "notary.sock"), merkle.leaf(leaf).hex()
        return commands.run_as(user, str(TRUSTED_PYTHON), "-c", ASK_NOTARY, place, root).stdout

    trusted = Trusted(commands.environment, commands.accounts)
    with Supervisor(log_folder=tmp_path, echo=False) as supervisor:
        supervisor.start(trusted.notary())
        assert "signed" not in ask("cs-console", b"one")
        answer = ast.literal_eval(ask("cs-worker", b"one"))
        head = note.Checkpoint.parse(note.open_note(answer["note"], by=log))
        assert (head.size, head.root) == (1, merkle.leaf(b"one"))
        assert ast.literal_eval(ask("cs-worker", b"other"))["code"] == "NOTARY_LOG_REWRITTEN"


def test_the_registry_names_the_keys_that_the_tokens_hold(commands: Commands) -> None:
    registry = Registry.parse(commands.environment.layout.registry.read_bytes())
    hot, cold = registry.wallets["hot"], registry.wallets["cold"]
    assert (hot.threshold, len(hot.tokens), len(hot.keys)) == (2, 3, FEW)
    assert (cold.threshold, len(cold.tokens), len(cold.keys)) == (3, 5, FEW)
    assert OUTSIDE_OF_TESTS == (32, 8)
    assert registry.policies["custody.refill"].destination == "hot/0"
    treasury = sorted(o.name for o in registry.officers.values() if "treasury" in o.teams)
    assert treasury == ["Ben Brandt", "Cy Castellan"]


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
