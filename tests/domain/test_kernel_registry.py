"""A registry …"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.cosignature import Cosigner
from kernel.registry import DELAY_S_MIN, RECOVERY_DELAY_S_MIN, BadRegistry, Registry
from tests.registries import RIA, SAM
from tests.softkeys import SoftKey
from tests.vault import ANA, BEN, DECODERS, KEYS, registry_document
from tests.watchers import Watcher, section

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
    assert registry.officers[ANA].teams == {"treasury", "compliance", "makers"}
    assert registry.askers == {ANA}
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


def test_has_no_rule_that_asks_nobody_because_signers_would_take_any_one_officer() -> None:
    when = [["kind", "is", "custody.withdrawal"], ["lane", "is", "open"]]
    rules = {"v": 1, "version": 1, "rules": [{"name": "small", "when": when, "unattended": True}]}
    with pytest.raises(BadRegistry, match="name teams"):
        parse({**document(), "rules": rules})


def test_counts_no_witness_twice_and_waits_for_none_that_it_does_not_name() -> None:
    north, south = (Watcher(name).cosigner for name in ("north", "south"))
    parse({**document(), "witnesses": section(keys=[str(north), str(south)])})
    for keys in ([north, Cosigner("south", north.public_key)], [north, Cosigner("north", south.public_key)]):
        with pytest.raises(BadRegistry, match="share a name or a key"):
            parse({**document(), "witnesses": section(keys=[str(one) for one in keys])})
    for changes in ({"quorum": 4}, {"quorum": 0}, {"age_s_max": 0}, {"tokens": ["warm-1"]}):
        with pytest.raises(BadRegistry):
            parse({**document(), "witnesses": section(**changes)})


def test_brings_nobody_back_by_one_person_or_within_three_days() -> None:
    people = {
        who: {"name": who[-2:], "public_key": Authenticator(who[-2:] * 32).public_key_hex}
        for who in (RIA, SAM)
    }
    whole = {"officers": people, "quorum": 2, "delay_s": RECOVERY_DELAY_S_MIN}
    found = parse({**document(), "recovery": whole}).recovery
    assert found is not None
    assert [one.teams for one in found.officers.values()] == [{"recovery"}] * 2
    for changes in ({"quorum": 1}, {"quorum": 3}, {"delay_s": RECOVERY_DELAY_S_MIN - 1}, {"delay_s": 10**9}):
        with pytest.raises(BadRegistry, match="two officers at least"):
            parse({**document(), "recovery": {**whole, **changes}})


OWNERS = [SoftKey(2000 + number) for number in range(5)]
SAFE = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
DOLLARS = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


def with_safe() -> dict[str, Any]:
    """The same registry with a Safe of five owners beside its wallets."""
    safe = {
        "chain_id": 1,
        "address": SAFE,
        "m": 3,
        "owners": {f"eth-{number}": key.public_key.hex() for number, key in enumerate(OWNERS, start=1)},
        "teams": {"treasury": 2},
        "assets": {
            "ETH": {"decimals": 18, "window_units_max": "50000000000000000000"},
            "USDT": {"decimals": 6, "contract": DOLLARS, "window_units_max": "1", "confirm_above": "1"},
        },
    }
    return {**document(), "safes": {"vault": safe}}


def test_pins_a_safe_with_what_it_may_pay() -> None:
    registry = parse(with_safe())
    safe = registry.safes["vault"]
    assert (safe.network, safe.tokens) == ("eip155:1", ("eth-1", "eth-2", "eth-3", "eth-4", "eth-5"))
    assert safe.accounts == ("vault/ETH", "vault/USDT")
    assert safe.share(50) == 30
    assert safe.caps(registry.limits, "ETH").window_units_max == {"vault/ETH": 50 * 10**18}
    assert safe.transfer("ETH", 5, DOLLARS) == (DOLLARS, 5, b"")
    assert safe.transfer("USDT", 5, SAFE)[:2] == (DOLLARS, 0)
    assert [one.name for one in registry.signing] == ["cold", "hot", "vault"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["address"], SAFE.lower()),
        (["address"], DOLLARS),  # the Safe would be one of its assets
        (["address"], "0x" + "0" * 40),
        (["chain_id"], "1"),
        (["chain_id"], 0),
        (["m"], 2),  # no majority
        (["m"], 6),
        (["owners", "eth-1"], OWNERS[1].public_key.hex()),
        (["owners", "eth-1"], KEYS_OF["hot-1"][0]),  # a key of another wallet
        (["owners", "hot-1"], SoftKey(2009).public_key.hex()),  # a token of another wallet
        (["owners", "eth-1"], "02" + "00" * 32),
        (["owners"], []),
        (["teams"], {}),
        (["policy"], 0),
        (["assets"], {}),
        (["assets", "ETH", "decimals"], 8),
        (["assets", "ETH", "contract"], SAFE),
        (["assets", "USDT", "contract"], DOLLARS.lower()),
        (["assets", "USDT", "decimals"], 18),
        (["assets", "USDT", "window_units_max"], 1),
        (["assets", "BTC"], {"decimals": 8, "window_units_max": "1", "contract": SAFE}),
        (["assets", "DOGE"], {"decimals": 8, "window_units_max": "1", "contract": SAFE}),
        (["assets", "ETH", "surprise"], 1),
        (["surprise"], 1),
    ],
)
def test_with_a_faulty_safe_is_refused(path: list[Any], value: Any) -> None:
    spoiled = with_safe()
    inner = spoiled["safes"]["vault"]
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(BadRegistry):
        parse(spoiled)


def test_has_no_safe_under_two_names_and_no_lane_on_one() -> None:
    found = with_safe()
    twin = {**found["safes"]["vault"], "owners": {}}
    twin["owners"] = {f"x-{number}": SoftKey(2020 + number).public_key.hex() for number in range(5)}
    with pytest.raises(BadRegistry, match="two names for one Safe"):
        parse({**found, "safes": {**found["safes"], "twin": twin}})
    with pytest.raises(BadRegistry, match="shares its name"):
        parse({**found, "safes": {"hot": twin}})
    for name in ("Vault", "va/ult", ""):
        with pytest.raises(BadRegistry, match="a name of small letters"):
            parse({**found, "safes": {name: twin}})
    lane = {"transaction_units_max": "1", "destination_units_max": "1", "window_units_max": "1"}
    with pytest.raises(BadRegistry, match="or a Safe"):
        parse({**found, "lanes": {"vault": lane}})
