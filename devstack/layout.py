"""Where the stack keeps its state: every path, who owns it, and the lock of whoever runs on it."""

from __future__ import annotations

import base64
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from devstack.users import DESK_GROUP, NOTARY, READER_GROUP, TOKENS, WEB_GROUP, WITNESSES, Accounts

HOME: Final = Path(__file__).resolve().parents[1]
SOCKET_PATH_MAX: Final = 90  # Linux allows 107 bytes, and file names follow


class AlreadyRunning(RuntimeError):
    """Another stack holds the lock of this state folder."""


@dataclass(frozen=True)
class Layout:
    """Every path of one stack. `var` can be moved with COUNTERSIGN_VAR; sockets stay where their names
    are short.
    """

    var: Path
    run: Path

    @classmethod
    def of(cls, var: Path) -> Layout:
        run = var / "run"
        if len(str(run).encode()) > SOCKET_PATH_MAX - len("/signers/cold-1.sock"):
            # A unix socket's path must be short, and the checkout's is long.
            digest = base64.b32encode(str(var).encode()).decode().strip("=")[-12:].lower()
            run = Path("/tmp") / f"countersign-{os.getuid()}-{digest}"  # noqa: S108 -- owned and 0755, made below
        return cls(var=var, run=run)

    def shown(self) -> str:
        """The state folder as the person knows it, not as it is mounted for other OS users."""
        home = os.environ.get("COUNTERSIGN_HOME")
        return str(self.var).replace(str(HOME), home, 1) if home else str(self.var)

    @property
    def secrets(self) -> Path:
        return self.var / "secrets"

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def registry(self) -> Path:
        return self.var / "registry.json"

    @property
    def notary(self) -> Path:
        """Where the notary keeps what it signed last."""
        return self.var / "notary"

    @property
    def audit_public(self) -> Path:
        return self.var / "audit-key.txt"

    @property
    def reconciler(self) -> Path:
        """The reconciler's key: only its OS user may enter."""
        return self.var / "reconciler"

    @property
    def vault(self) -> Path:
        """The vault's keys and its log: only its OS user may enter."""
        return self.var / "vault"

    @property
    def vault_public(self) -> Path:
        return self.var / "vault-key.txt"

    @property
    def watched_logs(self) -> Path:
        """The keys and sockets of the trusted programs' own logs."""
        return self.var / "watched-logs.txt"

    @property
    def audit_witnesses(self) -> Path:
        return self.var / "audit-witnesses.txt"

    def witness(self, name: str) -> Path:
        """Where a witness keeps its key and what it has seen; others may read the latter."""
        return self.var / "witnesses" / name

    def token(self, name: str) -> Path:
        """The token's own folder: only its OS user may enter it."""
        return self.var / "tokens" / name

    def signer_state(self, name: str) -> Path:
        """Where a signer keeps its spending counters and its pinned registry digest."""
        return self.var / "signers" / name


def layout() -> Layout:
    """The layout that the environment asks for; var/ in the checkout without COUNTERSIGN_VAR."""
    asked = os.environ.get("COUNTERSIGN_VAR")
    return Layout.of(Path(asked).resolve() if asked else HOME / "var")


def lock(where: Layout) -> IO[str]:
    """Hold the state folder until the returned file is closed; `AlreadyRunning` says who has it."""
    where.var.mkdir(parents=True, exist_ok=True)
    file = (where.var / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise AlreadyRunning(
            f"a stack is running on {where.shown()} already (process {holder}). "
            "Stop it with Ctrl-C in its terminal, or give this one a state of its own: "
            "COUNTERSIGN_VAR=/some/folder PORT=8010 make run"
        ) from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def is_locked(where: Layout) -> bool:
    """Whether a stack is running on this state."""
    try:
        lock(where).close()
    except AlreadyRunning:
        return True
    return False


def make_folders(where: Layout, accounts: Accounts) -> None:
    """Every folder with its owner and mode. Folders of secrets admit their owner only."""
    for folder in (
        *(where.var, where.run),
        *(where.var / name for name in ("tokens", "signers", "witnesses")),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    where.secrets.mkdir(mode=0o700, exist_ok=True)
    where.logs.mkdir(mode=0o700, exist_ok=True)
    of = accounts.of
    for name, user in (
        ("postgres", "cs-db"),
        ("redis", "cs-redis"),
        ("node", "cs-node"),
        ("edge", "cs-node"),
        ("engine", "cs-engine"),
        ("worker", "cs-worker"),
    ):
        of(user).own(where.var / name, mode=0o700)
    of("cs-db").own(where.run / "postgres", mode=0o755)
    for name, user, group in (
        ("redis", "cs-redis", WEB_GROUP),
        ("engine", "cs-engine", WEB_GROUP),
        ("engine-desk", "cs-engine", DESK_GROUP),
        ("engine-reader", "cs-engine", READER_GROUP),
        ("testimony", "cs-worker", WEB_GROUP),
    ):
        folder = of(user).own(where.run / name, mode=0o2750)
        if accounts.are_separate:
            os.chown(folder, of(user).uid, accounts.gid(group))
            folder.chmod(0o2750)  # sockets made inside belong to the group as well
    # Each web process makes its own socket in a folder of its own; the edge reaches all of them.
    for name, user in (("console", "cs-console"), ("trader", "cs-trader"), ("approver", "cs-approver")):
        of(user).own(where.run / name, mode=0o750)
    of("cs-approver").own(where.run / "approver-log", mode=0o755)
    of("cs-approver").own(where.var / "approver", mode=0o711)
    signers = where.run / "signers"
    signers.mkdir(exist_ok=True)
    # Each signer makes its socket here, and nobody can replace another's.
    signers.chmod(0o1777)
    for witness in WITNESSES:
        of(f"cs-{witness}").own(where.witness(witness), mode=0o755)
        of(f"cs-{witness}").own(where.run / witness, mode=0o755)
    of("cs-reconciler").own(where.reconciler, mode=0o700)
    of("cs-reconciler").own(where.run / "reconciler", mode=0o755)
    of("cs-vault").own(where.vault, mode=0o700)
    of("cs-vault").own(where.run / "vault", mode=0o755)
    of(f"cs-{NOTARY}").own(where.notary, mode=0o755)
    of(f"cs-{NOTARY}").own(where.run / NOTARY, mode=0o755)
    of(f"cs-{NOTARY}").own(where.token(NOTARY), mode=0o700)
    for token in TOKENS:
        of(f"cs-{token}").own(where.token(token), mode=0o700)
        of(f"cs-{token}").own(where.signer_state(token), mode=0o700)
