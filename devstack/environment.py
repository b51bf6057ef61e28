"""Where the stack keeps its state, its secrets (made once), and the environment that each process is
given.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from devstack.standins.edge_issuer import DISK_RULE, MANAGED_RULE
from devstack.users import DESK_GROUP, NOTARY, TOKENS, WEB_GROUP, WITNESSES, Account, Accounts

HOME: Final = Path(__file__).resolve().parents[1]
DEFAULT_PORT: Final = 8000
SOCKET_PATH_MAX: Final = 90  # Linux allows 107 bytes, and file names follow
SOFTHSM: Final = "/usr/lib/softhsm/libsofthsm2.so"

REPLACEABLE: Final = (
    "DATABASE_URL",
    "REDIS_URL",
    "ENGINE_TARGET",
    "BITCOIN_RPC_URL",
    "SUMSUB_URL",
    "ONFIDO_URL",
    "PRICES_URL",
    "SIGNERS_DIR",
)
"""Set from outside, each of these replaces one embedded service by another."""


class AlreadyRunning(RuntimeError):
    """Another stack holds the lock of this state folder."""


class WrongPort(RuntimeError):
    """This state was made for another port, and signers have pinned the origin that contains it."""


class PortTaken(RuntimeError):
    """Something else listens on a port that the stack needs."""


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


@dataclass(frozen=True)
class Secrets:
    """What is generated once and then kept in a file that only its owner reads."""

    path: Path
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> str:
        return str(self.values[name])

    def pin(self, token: str) -> str:
        return str(self.values["pins"][token])

    def security_officer_pin(self, token: str) -> str:
        return str(self.values["so_pins"][token])


def load_secrets(where: Layout, *, port: int | None) -> Secrets:
    """The stack's secrets, made at the first start. `port` is what the caller asks for, if anything."""
    path = where.secrets / "stack.json"
    if not path.exists():
        where.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = _make_secrets(port or DEFAULT_PORT)
        descriptor = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(fresh, file, indent=1)
        path.with_suffix(".new").replace(path)
    values = json.loads(path.read_text())
    if port is not None and port != values["port"]:
        raise WrongPort(
            f"{where.shown()} was made for port {values['port']}: signers have pinned the approver's origin "
            f"with it. Use PORT={values['port']}, or another state folder (COUNTERSIGN_VAR)"
        )
    return Secrets(path, values)


def _make_secrets(port: int) -> dict[str, Any]:
    return {
        "port": port,
        "deployment": f"demo-{secrets.token_hex(4)}",
        "secret_key": secrets.token_urlsafe(48),
        "vault_passphrase": secrets.token_urlsafe(24),
        "field_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "hooks_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "rpc_password": secrets.token_hex(16),
        "sumsub_app_token": f"sbx:{secrets.token_hex(16)}",
        "sumsub_secret": secrets.token_hex(24),
        "sumsub_webhook_secret": secrets.token_hex(24),
        "onfido_token": f"api_sandbox.{secrets.token_hex(16)}",
        "onfido_webhook_token": secrets.token_hex(24),
        "console_aud": secrets.token_hex(32),
        "service_aud": secrets.token_hex(32),
        "pins": {token: f"{secrets.randbelow(10**8):08d}" for token in (*TOKENS, NOTARY)},
        "so_pins": {token: f"{secrets.randbelow(10**8):08d}" for token in (*TOKENS, NOTARY)},
    }


def require_free(port: int, *, what: str) -> None:
    """Raise `PortTaken` when something listens on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise PortTaken(
                f"port {port}, where {what} should listen, is taken: stop what uses it, "
                "or choose another with PORT="
            ) from None


def free_port(preferred: int) -> int:
    """The preferred loopback port, or any free one."""
    for candidate in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PortTaken("no loopback port is free")


class Environment:
    """The variables of one stack, and which of them each process is given."""

    def __init__(self, where: Layout, secret: Secrets) -> None:
        self.layout = where
        self.secrets = secret
        self.port = port = int(secret["port"])
        # The usual ports where there is one stack; any free ones beside it.
        self.node_port = free_port(18443 if port == DEFAULT_PORT else 0)
        self.sumsub_port = free_port(8101 if port == DEFAULT_PORT else 0)
        self.onfido_port = free_port(8102 if port == DEFAULT_PORT else 0)
        self.prices_port = free_port(8103 if port == DEFAULT_PORT else 0)
        run = where.run
        outside = {name: os.environ[name] for name in REPLACEABLE if os.environ.get(name)}
        self.replaced = frozenset(outside)
        self.module = os.environ.get("PKCS11_MODULE", SOFTHSM)
        node = f"http://countersign:{secret['rpc_password']}@127.0.0.1:{self.node_port}"
        self.values: dict[str, str] = {
            "DATABASE_URL": self.database_url("cs_console"),
            "REDIS_URL": f"unix://{run}/redis/redis.sock",
            "ENGINE_TARGET": f"unix:{run}/engine/orders.sock",
            "ENGINE_TRANSFERS_TARGET": f"unix:{run}/engine-desk/transfers.sock",
            "ENGINE_ADMIN_TARGET": f"unix:{run}/engine-desk/admin.sock",
            "BITCOIN_RPC_URL": node,
            "SIGNERS_DIR": str(run / "signers"),
            "SUMSUB_URL": f"http://127.0.0.1:{self.sumsub_port}",
            "ONFIDO_URL": f"http://127.0.0.1:{self.onfido_port}",
            "PRICES_URL": f"http://127.0.0.1:{self.prices_port}",
            "DEPLOYMENT": secret["deployment"],
            "NETWORK": "regtest",
            "SUMSUB_APP_TOKEN": secret["sumsub_app_token"],
            "SUMSUB_SECRET": secret["sumsub_secret"],
            "SUMSUB_WEBHOOK_SECRET": secret["sumsub_webhook_secret"],
            "ONFIDO_TOKEN": secret["onfido_token"],
            "ONFIDO_WEBHOOK_TOKEN": secret["onfido_webhook_token"],
            "ACCESS_TEAM_URL": f"http://127.0.0.1:{port}",
            "ACCESS_CONSOLE_AUD": secret["console_aud"],
            "ACCESS_SERVICE_AUD": secret["service_aud"],
            "POSTURE_MANAGED_RULES": MANAGED_RULE,
            "POSTURE_DISK_RULES": DISK_RULE,
            "CONSOLE_ORIGIN": f"http://console.localhost:{port}",
            "SERVICE_ORIGIN": f"http://service.localhost:{port}",
            "API_ORIGIN": f"http://api.localhost:{port}",
            "HOOKS_ORIGIN": f"http://hooks.localhost:{port}",
            "APPROVER_ORIGIN": f"http://approver.localhost:{port}",
            "APPROVER_RP_ID": "approver.localhost",
            "SECRET_KEY": secret["secret_key"],
            "FIELD_KEY": secret["field_key"],
            "HOOKS_KEY": secret["hooks_key"],
            "AUDIT_KEY_FILE": str(where.audit_public),
            "AUDIT_NOTARY_SOCKET": str(run / NOTARY / "notary.sock"),
            "AUDIT_WITNESSES_FILE": str(where.audit_witnesses),
            "AUDIT_TESTIMONY_SOCKET": str(run / "testimony" / "sealer.sock"),
            "VAULT_KEY_FILE": str(where.vault_public),
            "VAULT_SOCKET": str(run / "vault" / "vault.sock"),
            "WATCHED_LOGS_FILE": str(where.watched_logs),
            "RECONCILER_SOCKET": str(run / "reconciler" / "reconciler.sock"),
            "REGISTRY_FILE": str(where.registry),
            "PKCS11_MODULE": self.module,
            "SCREENING_LIST": os.environ.get("SCREENING_LIST", str(HOME / "fixtures" / "screening.txt")),
        } | outside

    @property
    def vault_origin(self) -> str:
        """The name of the vault's own log."""
        return f"{self.values['DEPLOYMENT']}/vault"

    @property
    def audit_origin(self) -> str:
        """The audit log's name in its checkpoints."""
        return f"countersign/{self.values['DEPLOYMENT']}/audit"

    def database_url(self, role: str) -> str:
        """How this role reaches the embedded database; one set from outside stands for every role."""
        outside = os.environ.get("DATABASE_URL")
        return outside or f"postgresql://{role}@/countersign?host={self.layout.run}/postgres"

    def plain(self, account: Account) -> dict[str, str]:
        """What every process gets: a path, a locale, and nothing of ours."""
        kept = {name: os.environ[name] for name in ("LANG", "TERM", "COUNTERSIGN_HOME") if name in os.environ}
        home = "/nonexistent" if account.name.startswith("cs-") else os.environ.get("HOME", "/")
        fixed = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "TZ": "UTC", "PYTHONUNBUFFERED": "1"}
        return kept | fixed

    def django(
        self, account: Account, *, role: str, name: str, without: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """What a Django process gets, less the secrets that its part has no use for."""
        mine = {key: value for key, value in self.values.items() if key not in without}
        mine |= {
            "DATABASE_URL": self.database_url(role),
            "DJANGO_SETTINGS_MODULE": "backoffice.settings",
            "PROCESS_NAME": name,
        }
        return self.plain(account) | mine
