"""The HSM tokens: one SoftHSM token per signer in a folder that only its OS user may enter, and the
genesis registry.

A real deployment makes keys in a ceremony and writes the registry from its record. Here the same programs
run by themselves, and the officers' passkeys are software keys that the demo holds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
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

from core.access.roles import TEAMS, Role
from devstack.environment import HOME, SOFTHSM, Environment, Layout
from devstack.users import COLD_TOKENS, HOT_TOKENS, NOTARY, TOKENS, WITNESSES, Account, Accounts
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.registry import RECOVERY_DELAY_S_MIN, Registry

TRUSTED_PYTHON: Final = HOME / ".venv-trusted" / "bin" / "python"
STAFF_FILE: Final = HOME / "fixtures" / "staff.json"

HOT_KEYS: Final = 32
COLD_KEYS: Final = 8
HOT_THRESHOLD: Final = 2
COLD_THRESHOLD: Final = 3

LANE: Final[dict[str, canonical.Value]] = {
    "transaction_units_max": "2000000",
    "destination_units_max": "3000000",
    "window_units_max": "6000000",
    "window_s": 86_400,
    # So short only that a demonstration can show it: a real lane waits for days (ADR 0018).
    "cooling_off_s": 5,
    "attestation_age_s_max": 600,
}
"""What the hot wallet pays without officers, in satoshis."""
WITNESSED_S_MAX: Final = 900
REGISTRY_DELAY_S: Final = 86_400
RECOVERY_OFFICERS: Final = {
    "01900000-0000-7000-8000-0000000000f1": "Rae (recovery)",
    "01900000-0000-7000-8000-0000000000f2": "Rui (recovery)",
    "01900000-0000-7000-8000-0000000000f3": "Ros (recovery)",
}

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
    passkeys = _passkeys(where)
    document = _registry(environment, records, passkeys)
    document["lanes"] = {"hot": {**LANE, "reconcilers": {"books": _reconciler(where, accounts)}}}
    document["witnesses"] = {
        "keys": [_witness(environment, accounts, name) for name in WITNESSES],
        "quorum": len(WITNESSES),
        "age_s_max": WITNESSED_S_MAX,
        "tokens": list(HOT_TOKENS),
    }
    document["recovery"] = {"officers": _recovery(where), "quorum": 2, "delay_s": RECOVERY_DELAY_S_MIN}
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


def _recovery(where: Layout) -> dict[str, canonical.Value]:
    """Who may order new officers when no quorum is left. Their passkeys stand for keys in other buildings."""
    keys = _kept(where.secrets / "recovery-keys.json", {one: one for one in RECOVERY_OFFICERS})
    return {
        one: {"name": name, "public_key": keys[one].public_key_hex} for one, name in RECOVERY_OFFICERS.items()
    }


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
    count = HOT_KEYS if token in HOT_TOKENS else COLD_KEYS
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


def _passkeys(where: Layout) -> dict[str, Authenticator]:
    """Two software passkeys per member of staff, for the two hosts, kept for the demo's scripted officers.

    And two that stand for the sealed keys in the safes.
    """
    console = _kept(where.secrets / "console-keys.json", _emails())
    safes = _kept(where.secrets / "sealed-keys.json", {place: place for place in ("safe 1", "safe 2")})
    first: dict[str, object] = {identity: {"passkeys": [_public(key)]} for identity, key in console.items()}
    first["sealed"] = [_public(key) | {"label": place} for place, key in safes.items()]
    (where.secrets / "console-keys-public.json").write_text(json.dumps(first, indent=1))
    keys = _kept(where.secrets / "passkeys.json", _emails())
    public = {identity: [_public(key)] for identity, key in keys.items()}
    (where.secrets / "passkeys-public.json").write_text(json.dumps(public, indent=1))
    return keys


def _emails() -> dict[str, str]:
    """Each member of staff's e-mail by their id."""
    return {person["id"]: person["email"] for person in json.loads(STAFF_FILE.read_text())["staff"]}


def _kept(path: Path, names: Mapping[str, str]) -> dict[str, Authenticator]:
    """A passkey for each id; the file holds the secrets by the names."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    keys = {identity: Authenticator(known.get(name)) for identity, name in names.items()}
    fresh = {name: keys[identity].private_key_hex for identity, name in names.items()}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(fresh, file, indent=1)
    return keys


def _public(key: Authenticator) -> dict[str, str]:
    return {
        "credential_id": key.credential_id,
        "public_key": key.public_key_hex,
        "label": "software passkey",
    }


def _registry(
    environment: Environment, records: Mapping[str, Mapping[str, Any]], passkeys: Mapping[str, Authenticator]
) -> dict[str, canonical.Value]:
    """The genesis registry: who approves, which keys make the wallets, and what no approval can exceed."""
    officers: dict[str, canonical.Value] = {}
    for person in json.loads(STAFF_FILE.read_text())["staff"]:
        roles = {Role(role) for role in person["roles"]}
        teams: list[canonical.Value] = [team for team, members in sorted(TEAMS.items()) if members & roles]
        if teams:
            key = passkeys[person["id"]].public_key_hex
            officers[person["id"]] = {"name": person["name"], "teams": teams, "public_key": key}

    def wallet(threshold: int, tokens: tuple[str, ...], count: int) -> dict[str, canonical.Value]:
        rows: list[canonical.Value] = [
            [str(records[token]["public_keys"][index]) for token in tokens] for index in range(count)
        ]
        return {"m": threshold, "tokens": list(tokens), "keys": rows}

    return {
        "v": 1,
        "version": 1,
        "deployment": environment.values["DEPLOYMENT"],
        "network": environment.values["NETWORK"],
        "rp_id": environment.values["APPROVER_RP_ID"],
        "origin": environment.values["APPROVER_ORIGIN"],
        "officers": officers,
        "wallets": {
            "hot": wallet(HOT_THRESHOLD, HOT_TOKENS, HOT_KEYS),
            "cold": wallet(COLD_THRESHOLD, COLD_TOKENS, COLD_KEYS),
        },
        "policies": {
            "custody.withdrawal": {"teams": {"treasury": 2}, "source": "hot"},
            "custody.refill": {"teams": {"treasury": 2}, "source": "cold", "destination": "hot/0"},
        },
        "limits": {
            "fee_sats_max": "100000",
            "feerate_sats_vb_max": "200",
            "window_s": 86_400,
            "window_units_max": {"hot": "1000000000", "cold": "5000000000"},
            "registry_delay_s": REGISTRY_DELAY_S,
        },
    }
