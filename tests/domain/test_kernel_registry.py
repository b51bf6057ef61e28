"""A registry …"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kernel import canonical
from kernel.registry import DELAY_S_MIN, BadRegistry, Registry
from tests.softkeys import SoftKey
from tests.vault import ANA, BEN, DECODERS, KEYS, registry_document

KEYS_OF = {
    name: [SoftKey(1000 + 10 * place + index).public_key.hex() for index in range(2)]
    for place, name in enumerate(
        ["hot-1", "hot-2", "hot-3", "cold-1", "cold-2", "cold-3", "cold-4", "cold-5"]
    )
}


def wallet(threshold: int, *tokens: str) -> dict[str, Any]:
    return {
        "m": threshold,
        "tokens": list(tokens),
        "keys": [[KEYS_OF[t][index] for t in tokens] for index in (0, 1)],
    }


def document() -> dict[str, Any]:
    names = list(KEYS_OF)
    return copy.deepcopy(registry_document({"hot": wallet(2, *names[:3]), "cold": wallet(3, *names[3:])}))


def parse(value: dict[str, Any]) -> Registry:
    return Registry.parse(canonical.encode(value))


def test_is_read_with_its_addresses() -> None:
    registry = parse(document())
    assert registry.officers[ANA].teams == {"treasury", "compliance"}
    hot = registry.wallets["hot"]
    assert hot.address(0) != hot.address(1)
    assert hot.address(0).startswith("bcrt1q")
    assert hot.key_of("hot-2", 1).hex() == KEYS_OF["hot-2"][1]
    assert registry.own_address("cold/1") == ("cold", 1)
    assert registry.policies["custody.refill"].destination == "hot/0"


def test_keeps_its_digest_through_a_final_newline() -> None:
    data = canonical.encode(document())
    assert Registry.parse(data + b"\n").digest == canonical.digest(data) == Registry.parse(data).digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["v"], 2),
        (["v"], True),
        (["version"], 0),
        (["network"], "moonnet"),
        (["origin"], ""),
        (["officers", ANA, "public_key"], KEYS[BEN].public_key_hex),  # one person, two names
        (["officers", ANA, "public_key"], "04" + "11" * 64),
        (["officers", ANA, "decoder_key"], DECODERS[BEN].public_key().public_bytes_raw().hex()),
        (["officers", ANA, "teams"], []),
        (["officers", ANA, "teams"], ["treasury", "treasury"]),
        (["officers", ANA, "extra"], 1),
        (["officers", "ANA"], {"name": "Ana", "teams": ["x"], "public_key": KEYS[ANA].public_key_hex}),
        (["wallets", "hot", "m"], 4),
        (["wallets", "hot", "m"], 0),
        (["wallets", "hot", "m"], 1),  # two quorums of one token each never meet
        (["wallets", "cold", "m"], 2),
        (["limits", "payment_units_max"], {"warm": "1"}),
        (["limits", "destination_units_max"], {"hot": 1}),
        (["limits", "registry_delay_s"], -1),
        (["wallets", "hot", "keys", 0, 0], KEYS_OF["hot-2"][0]),  # a key twice
        (["wallets", "hot", "keys", 0, 0], KEYS_OF["cold-1"][0]),  # a key in two wallets
        (["wallets", "hot", "keys", 0, 0], "02" + "00" * 32),
        (["wallets", "hot", "keys", 0], KEYS_OF["hot-1"]),
        (["wallets", "hot", "keys"], []),
        (["policies", "custody.withdrawal", "teams"], {}),
        (["policies", "custody.withdrawal", "teams", "treasury"], 0),
        (["policies", "custody.withdrawal", "version"], 0),
        (["limits", "fee_sats_max"], 100000),
        (["limits", "window_s"], 0),
        (["limits", "window_units_max"], {"hot": "1"}),
        (["limits", "unknown"], 1),
        (["surprise"], 1),
    ],
)
def test_with_a_fault_is_refused(path: list[Any], value: Any) -> None:
    spoiled = document()
    inner = spoiled
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(BadRegistry):
        parse(spoiled)


def test_leaves_a_day_for_a_veto_where_real_money_is() -> None:
    found = document() | {"network": "mainnet"}
    for delay in ({}, {"registry_delay_s": DELAY_S_MIN - 1}):
        with pytest.raises(BadRegistry, match="registry_delay_s"):
            parse(found | {"limits": found["limits"] | delay})
    parse(found | {"limits": found["limits"] | {"registry_delay_s": DELAY_S_MIN}})


@pytest.mark.parametrize("name", ["hot", "hot/", "hot/9", "hot/00", "warm/0", "hot/-1", "hot/x", "/0"])
def test_names_only_addresses_that_it_has(name: str) -> None:
    with pytest.raises(BadRegistry):
        parse(document()).own_address(name)


def test_has_no_rules_with_windows_because_signers_believe_nobodys_sums() -> None:
    rule = {"name": "all", "when": [], "teams": {"treasury": 2}, "rejections": 1}
    window = {**rule, "name": "day", "sum": "count", "per": "maker", "seconds": 60, "at_most": "5"}
    found = parse({**document(), "rules": {"v": 1, "version": 1, "rules": [rule]}})
    assert found.rules is not None
    with pytest.raises(BadRegistry, match="windows"):
        parse({**document(), "rules": {"v": 1, "version": 1, "rules": [rule], "windows": [window]}})
    late = {**rule, "execute_s": 3600}
    with pytest.raises(BadRegistry, match="no periods"):
        parse({**document(), "rules": {"v": 1, "version": 1, "rules": [late]}})
