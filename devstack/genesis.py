"""The ceremony of the first registry, held by the development stack alone.

A real one takes people in a room (`docs/ceremonies/genesis.md`). Here the same program builds the registry
from the same kinds of files, every officer's software passkey signs it, and signers begin with that order.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.access.roles import TEAMS, Role
from devstack.environment import HOME, Environment
from devstack.users import COLD_TOKENS, HOT_TOKENS
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.approval import Statement, Verb
from kernel.registry import Registry

TRUSTED_PYTHON: Final = HOME / ".venv-trusted" / "bin" / "python"
STAFF_FILE: Final = HOME / "fixtures" / "staff.json"
NONCE: Final = b"\x00" * 32
ORDER_HOURS: Final = 6 * 24  # a stack may be prepared on one day and started on another

HOT_THRESHOLD: Final = 2
COLD_THRESHOLD: Final = 3


class CeremonyFailed(RuntimeError):
    """The program that makes the registry refused; the text says why."""


def hold(
    environment: Environment,
    records: Mapping[str, Mapping[str, Any]],
    passkeys: Mapping[str, Authenticator],
) -> None:
    """Make the registry and the order by all its officers; both are complete before either is in place."""
    where = environment.layout
    folder = where.ceremony
    folder.mkdir(mode=0o700, exist_ok=True)
    staff = json.loads(STAFF_FILE.read_text())["staff"]
    enrolments = [_enrolment(person, passkeys[person["id"]]) for person in staff if _teams(person)]
    people = [_write(folder / f"officer-{one['officer']}.json", one) for one in enrolments]
    keys = [_write(folder / f"token-{name}.json", record) for name, record in records.items()]
    template = _write(folder / "template.json", _template(environment))
    built, payload, order = (folder / name for name in ("registry.json", "payload.json", "order.json"))
    _genesis("build", built, "--template", template, "--officer", *people, "--token", *keys)
    leader = next(person["id"] for person in staff if not _teams(person))
    told = ["--registry", str(built), "--maker", leader, "--reason", "the first registry of a stack"]
    _genesis("order", payload, *told, "--hours", str(ORDER_HOURS))
    registry, body = Registry.parse(built.read_bytes()), payload.read_bytes().removesuffix(b"\n")
    statement = Statement.about(
        body, verb=Verb.RELEASE, kind="signer.registry", deployment=registry.deployment, nonce=NONCE
    )
    approvals = [
        _write(
            folder / f"approval-{officer}.json",
            passkeys[officer]
            .approve(statement, officer=officer, origin=registry.origin, rp_id=registry.rp_id)
            .as_json(),
        )
        for officer in registry.officers
    ]
    signed = ["--registry", str(built), "--payload", str(payload), "--approval", *approvals]
    _genesis("collect", order, *signed)
    for source, target in ((order, where.registry_order), (built, where.registry)):
        fresh = target.with_suffix(".new")
        fresh.write_bytes(source.read_bytes())
        fresh.chmod(0o644)
        fresh.replace(target)


def _genesis(verb: str, out: Path, *arguments: str) -> None:
    command = [str(TRUSTED_PYTHON), "-m", "custody.signer.genesis", verb, *arguments, "--out", str(out)]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CeremonyFailed(f"{verb}: {done.stderr.strip()}")
    print(done.stdout.splitlines()[-1], file=sys.stderr)


def _write(path: Path, document: Mapping[str, canonical.Value]) -> str:
    path.write_bytes(canonical.encode(document) + b"\n")
    return str(path)


def _teams(person: Mapping[str, Any]) -> list[canonical.Value]:
    roles = {Role(role) for role in person["roles"]}
    return [team for team, members in sorted(TEAMS.items()) if members & roles]


def _enrolment(person: Mapping[str, Any], passkey: Authenticator) -> dict[str, canonical.Value]:
    return {
        "v": 1,
        "type": "enrolment",
        "officer": person["id"],
        "name": person["name"],
        "teams": _teams(person),
        "public_key": passkey.public_key_hex,
    }


def _public_hex(private_hex: str) -> str:
    """Of an Ed25519 key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private_hex))
    return key.public_key().public_bytes_raw().hex()


def _template(environment: Environment) -> dict[str, canonical.Value]:
    """What the people of a deployment agree on before they meet: quorums, limits, and the lane."""
    return {
        "deployment": environment.values["DEPLOYMENT"],
        "network": environment.values["NETWORK"],
        "rp_id": environment.values["APPROVER_RP_ID"],
        "origin": environment.values["APPROVER_ORIGIN"],
        "wallets": {
            "hot": {"m": HOT_THRESHOLD, "tokens": list(HOT_TOKENS)},
            "cold": {"m": COLD_THRESHOLD, "tokens": list(COLD_TOKENS)},
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
        },
        "lanes": {
            "hot": {
                "transaction_units_max": "1000000",
                "destination_units_max": "1500000",
                "window_units_max": "6000000",
                "window_s": 86_400,
                "cooling_off_s": 86_400,
                "attestation_age_s_max": 900,
                "reconcilers": {"books": _public_hex(environment.secrets["reconciler_key"])},
            }
        },
    }
