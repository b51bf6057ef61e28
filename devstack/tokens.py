"""The HSM tokens: one SoftHSM token per signer in a folder that only its OS user may enter, made once with
the registry that names them.

A real deployment makes keys in a ceremony and writes the registry from its record. Here the same programs
run by themselves, and the officers' passkeys are software keys that the demo holds.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from devstack import genesis
from devstack.environment import SOFTHSM, Environment
from devstack.layout import HOME, Layout
from devstack.users import HOT_TOKENS, NOTARY, TOKENS, WITNESSES, Account, Accounts
from kernel import canonical
from kernel.registry import Registry

TRUSTED_PYTHON: Final = HOME / ".venv-trusted" / "bin" / "python"

_CONFIG: Final = """\
directories.tokendir = {folder}
objectstore.backend = file
log.level = ERROR
slots.removable = false
slots.mechanisms = ALL
library.reset_on_fork = false
"""


class CannotProvision(RuntimeError):
    """A token could not be made ready; the text says which and why."""


def configuration(where: Layout, token: str) -> Path:
    """The token's SoftHSM configuration, which SOFTHSM2_CONF must name."""
    return where.token(token) / "softhsm2.conf"


def signer_environment(environment: Environment, account: Account, token: str) -> dict[str, str]:
    """What a signer is given: where its token is, and nothing else."""
    return environment.plain(account) | {"SOFTHSM2_CONF": str(configuration(environment.layout, token))}


def prepare(environment: Environment, accounts: Accounts) -> None:
    """Tokens, keys, passkeys and the registry, each made once."""
    where = environment.layout
    if where.registry.exists():
        return
    if environment.module == SOFTHSM:
        for token in TOKENS:
            _initialise(environment, accounts.of(f"cs-{token}"), token)
    with ThreadPoolExecutor(max_workers=4) as pool:
        records = dict(
            zip(TOKENS, pool.map(lambda token: _provision(environment, accounts, token), TOKENS), strict=True)
        )
    document = genesis.document(
        environment,
        records,
        reconciler=_reconciler(where, accounts),
        witnesses=[_witness(environment, accounts, name) for name in WITNESSES],
    )
    data = canonical.encode(document) + b"\n"
    Registry.parse(data)
    fresh = where.registry.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.chmod(0o644)
    fresh.replace(where.registry)


def _reconciler(where: Layout, accounts: Accounts) -> str:
    """The reconciler's key, in its own folder; the public half."""
    path = where.reconciler / "key.pem"
    if not path.exists():
        path.write_bytes(
            Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        accounts.of("cs-reconciler").own_file(path, mode=0o400)
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key.public_key().public_bytes_raw().hex()


def _witness(environment: Environment, accounts: Accounts, name: str) -> str:
    """A witness makes its key before it watches anything, because signers pin it; the public half."""
    account, state = accounts.of(f"cs-{name}"), environment.layout.witness(name)
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [
            *(str(TRUSTED_PYTHON), "-m", "core.audit.witness", "--name", witness_name(name)),
            *("--state", str(state), "--provision"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=HOME,
        env=environment.plain(account),
        **account.switch(),
    )
    if done.returncode:
        raise CannotProvision(f"{name}: {done.stderr.strip()}")
    return done.stdout.strip()


def witness_name(name: str) -> str:
    """The witness's name in its cosignatures."""
    return f"{name}.countersign.example"


def prepare_notary(environment: Environment, accounts: Accounts, *, origin: str) -> None:
    """The notary's token with the log's key, its empty memory, and the public key for everybody; once."""
    where = environment.layout
    if where.audit_public.exists():
        return
    if environment.module == SOFTHSM:
        _initialise(environment, accounts.of(f"cs-{NOTARY}"), NOTARY)
    command = [
        *(str(TRUSTED_PYTHON), "-m", "core.audit.notary", "provision", "--token", NOTARY),
        *("--module", environment.module, "--origin", origin, "--state", str(where.notary)),
    ]
    pin = environment.secrets.pin(NOTARY)
    printed = _run(accounts.of(f"cs-{NOTARY}"), command, environment, NOTARY, secret=pin)
    where.audit_public.write_text(printed)


def prepare_vault(environment: Environment, accounts: Accounts) -> None:
    """The vault's keys under its passphrase, and the public one for everybody; once."""
    where, account = environment.layout, accounts.of("cs-vault")
    if where.vault_public.exists():
        return
    done = subprocess.run(
        [
            *(str(TRUSTED_PYTHON), "-m", "core.vault", "provision"),
            *("--state", str(where.vault), "--origin", environment.vault_origin),
        ],
        input=environment.secrets["vault_passphrase"] + "\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=HOME,
        env=environment.plain(account),
        **account.switch(),
    )
    if done.returncode:
        raise CannotProvision(f"the vault: {(done.stderr or done.stdout).strip()}")
    where.vault_public.write_text(done.stdout)


def _initialise(environment: Environment, account: Account, token: str) -> None:
    """An empty token with its own PINs."""
    where, folder = environment.layout, environment.layout.token(token)
    store = folder / "store"
    if store.exists():
        shutil.rmtree(store)  # an earlier attempt that did not get as far as the registry
    account.own(store, mode=0o700)
    config = configuration(where, token)
    config.write_text(_CONFIG.format(folder=store))
    account.own_file(config, mode=0o400)
    util = shutil.which("softhsm2-util")
    if util is None:
        raise CannotProvision(
            "softhsm2-util is missing: install the Debian package softhsm2 (bin/setup does)"
        )
    # The PINs stand in this command's arguments for a moment. They guard a demonstration's keys;
    # softhsm2-util would otherwise want a terminal.
    pins = (
        "--so-pin",
        environment.secrets.security_officer_pin(token),
        "--pin",
        environment.secrets.pin(token),
    )
    _run(account, [util, "--init-token", "--free", "--label", token, *pins], environment, token)


def _provision(environment: Environment, accounts: Accounts, token: str) -> dict[str, Any]:
    """Let the signer's own program make the keys inside the token; what it reports about them."""
    count = genesis.HOT_KEYS if token in HOT_TOKENS else genesis.COLD_KEYS
    command = [
        *(str(TRUSTED_PYTHON), "-m", "custody.signer.provision", "--token", token),
        *("--count", str(count), "--module", environment.module),
    ]
    printed = _run(
        accounts.of(f"cs-{token}"), command, environment, token, secret=environment.secrets.pin(token)
    )
    record: dict[str, Any] = json.loads(printed)
    return record


def _run(
    account: Account, command: list[str], environment: Environment, token: str, *, secret: str = ""
) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command,
        input=secret + "\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=HOME,
        env=signer_environment(environment, account, token),
        umask=0o077,
        **account.switch(),
    )
    if done.returncode:
        program = Path(command[0]).name if "-m" not in command else command[2]
        raise CannotProvision(f"{program} failed for {token}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
