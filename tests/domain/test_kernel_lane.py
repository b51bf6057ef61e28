"""The unattended lane, and what a reconciler says of a wallet, …"""

from __future__ import annotations

from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel import canonical, lane
from kernel.lane import Attestation, BadAttestation, Lane
from kernel.members import BadMember

YEAR_S: Final = 366 * 86_400
SECTION: Final[dict[str, Any]] = {
    "transaction_units_max": "30",
    "destination_units_max": "40",
    "window_units_max": "90",
    "window_s": 3_600,
    "cooling_off_s": 7_200,
    "attestation_age_s_max": 600,
    "reconcilers": {"one": "ab" * 32, "two": "cd" * 32},
}
SAID: Final[dict[str, Any]] = {
    "v": 3,
    "kind": "custody.attestation",
    "deployment": "test",
    "network": "regtest",
    "wallet": "hot",
    "height": 7,
    "on_chain": "50",
    "in_books": "50",
    "breaks": 0,
    "spent": {"aa:0": "bb"},
    "time": "2026-11-30T12:00:00Z",
}


def parsed(**changes: Any) -> Attestation:
    return Attestation.parse(canonical.encode({**SAID, **changes}))


def test_is_read_as_the_registry_says_it() -> None:
    assert Lane.read(SECTION) == Lane(
        30, 40, 90, 3_600, 7_200, 600, {"one": b"\xab" * 32, "two": b"\xcd" * 32}
    )
    assert Lane.read({**SECTION, "transaction_units_max": "90"}).transaction_units_max == 90
    for name in ("window_s", "cooling_off_s", "attestation_age_s_max"):
        Lane.read({**SECTION, name: YEAR_S})
        with pytest.raises(BadMember, match="no time in a lane is longer than a year"):
            Lane.read({**SECTION, name: YEAR_S + 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"transaction_units_max": "91"},
        {"reconcilers": {}},
        {"reconcilers": {"one": "ab" * 32, "two": "cd" * 31}},
        {"reconcilers": ["ab" * 32]},
        *({name: -1} for name in SECTION if name != "reconcilers"),
        *({name: 0} for name in ("window_s", "cooling_off_s", "attestation_age_s_max")),
        {"officers": 2},
    ],
    ids=str,
)
def test_is_no_lane_with_less_or_more(changes: dict[str, Any]) -> None:
    with pytest.raises(BadMember):
        Lane.read({**SECTION, **changes})
    for name in changes.keys() & SECTION.keys():
        with pytest.raises(BadMember):
            Lane.read({key: value for key, value in SECTION.items() if key != name})


@pytest.mark.parametrize(
    ("threshold", "tokens", "lost", "share", "loss"),
    [(2, 3, 0, 66, 99), (2, 3, 1, 66, 132), (2, 3, 2, 66, -1), (3, 5, 0, 60, 100), (3, 5, 2, 60, 180)],
)
def test_loses_what_its_signers_shares_come_to(
    threshold: int, tokens: int, lost: int, share: int, loss: int
) -> None:
    assert lane.share(100, threshold=threshold, tokens=tokens) == share
    assert lane.worst_loss(100, threshold=threshold, tokens=tokens, hosts_lost=lost) == loss


def test_agrees_where_chain_and_books_do_and_nothing_else_is_wrong() -> None:
    found = parsed()
    assert (found.deployment, found.network, found.wallet, found.height) == ("test", "regtest", "hot", 7)
    assert (found.on_chain, found.in_books, found.breaks, found.spent) == (50, 50, 0, {"aa:0": "bb"})
    assert found.agrees
    for changes in ({"on_chain": "51"}, {"in_books": "51"}, {"breaks": 1}):
        assert not parsed(**changes).agrees


def test_names_so_many_coins_and_no_more() -> None:
    coins = {f"{number:064x}:0": "bb" for number in range(201)}
    assert lane.SPENT_MAX == 200 == len(parsed(spent=dict(list(coins.items())[:200])).spent)
    with pytest.raises(BadAttestation, match="200 coins at most"):
        parsed(spent=coins)


@pytest.mark.parametrize(
    "changes",
    [
        *({"v": 2}, {"v": True}, {"kind": "custody.intent"}, {"height": 0}, {"breaks": -1}, {"breaks": True}),
        *({"on_chain": "-1"}, {"on_chain": 50}, {"in_books": ""}, {"wallet": ""}, {"time": "now"}),
        *({"spent": ["aa:0"]}, {"spent": {"aa:0": 7}}, {"more": 1}),
    ],
    ids=str,
)
def test_says_nothing_in_another_shape(changes: dict[str, Any]) -> None:
    with pytest.raises(BadAttestation):
        parsed(**changes)


def test_believes_the_reconcilers_that_are_pinned_and_names_whose_word_it_is() -> None:
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3)]
    by = {f"r{number}": key.public_key().public_bytes_raw() for number, key in enumerate(keys[:2])}
    payload = canonical.encode(SAID)
    signed = [key.sign(lane.DOMAIN_TAG + payload) for key in keys]
    assert [lane.check_attestation(payload, one, by=by) for one in signed[:2]] == ["r0", "r1"]
    for data, signature in (
        *((payload, signed[2]), (payload + b" ", signed[0]), (payload, b"")),
        (payload, keys[0].sign(payload)),
    ):
        with pytest.raises(BadAttestation, match="no pinned reconciler signed it"):
            lane.check_attestation(data, signature, by=by)
