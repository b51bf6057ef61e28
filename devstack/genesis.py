"""The genesis registry of the stack: who approves, which keys make the wallets, what nothing can exceed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.access.roles import HOLDERS, TEAMS, Role
from devstack import passkeys
from devstack.environment import Environment
from devstack.layout import Layout
from devstack.users import COLD_TOKENS, HOT_TOKENS
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.pinned import MAKERS
from kernel.registry import RECOVERY_DELAY_S_MIN

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


def document(
    environment: Environment,
    records: Mapping[str, Mapping[str, Any]],
    *,
    reconciler: str,
    witnesses: Sequence[str],
) -> dict[str, canonical.Value]:
    """The registry's members, from what each token said of its keys and the public keys of who is named."""
    where = environment.layout
    return {
        **_policies(environment, records, passkeys.of_staff(where)),
        "lanes": {"hot": {**LANE, "reconcilers": {"books": reconciler}}},
        "witnesses": {
            "keys": list(witnesses),
            "quorum": len(witnesses),
            "age_s_max": WITNESSED_S_MAX,
            "tokens": list(HOT_TOKENS),
        },
        "recovery": {"officers": _recovery(where), "quorum": 2, "delay_s": RECOVERY_DELAY_S_MIN},
    }


def _policies(
    environment: Environment, records: Mapping[str, Mapping[str, Any]], keys: Mapping[str, Authenticator]
) -> dict[str, canonical.Value]:
    """Who approves, which keys make the wallets, and what no approval can exceed."""
    officers: dict[str, canonical.Value] = {}
    for person in json.loads(passkeys.STAFF_FILE.read_text())["staff"]:
        roles = {Role(role) for role in person["roles"]}
        teams: list[canonical.Value] = [team for team, members in sorted(TEAMS.items()) if members & roles]
        if HOLDERS["custody:signer:order"] & roles:
            teams.append(MAKERS)
        if teams:
            key = keys[person["id"]].public_key_hex
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
            "custody.sweep": {"teams": {"treasury": 2}, "source": "hot", "destination": "cold/0"},
        },
        "limits": {
            "fee_sats_max": "100000",
            "feerate_sats_vb_max": "200",
            "window_s": 86_400,
            "window_units_max": {"hot": "1000000000", "cold": "5000000000"},
            "payment_units_max": {"cold": "100000000"},
            "registry_delay_s": REGISTRY_DELAY_S,
        },
    }


def _recovery(where: Layout) -> dict[str, canonical.Value]:
    """Who may order new officers when no quorum is left. Their passkeys stand for keys in other buildings."""
    keys = passkeys.kept(where.secrets / "recovery-keys.json", {one: one for one in RECOVERY_OFFICERS})
    return {
        one: {"name": name, "public_key": keys[one].public_key_hex} for one, name in RECOVERY_OFFICERS.items()
    }
