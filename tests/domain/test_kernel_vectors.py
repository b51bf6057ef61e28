"""The shared vectors …"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from kernel import canonical
from kernel.approval import DOMAIN_TAG, Statement, Verb
from tests.vectors import load

VECTORS = load("canonical")


def name(case: dict[str, Any]) -> str:
    return str(case["name"])


@pytest.mark.parametrize("case", VECTORS["accept"], ids=name)
def test_of_values_hold_in_both_directions(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    assert canonical.encode(case["value"]) == data
    assert canonical.decode(data) == case["value"]
    assert canonical.digest(data).hex() == case["digest"]


@pytest.mark.parametrize("case", VECTORS["refuse"], ids=name)
def test_of_other_bytes_are_refused(case: dict[str, Any]) -> None:
    pieces = case.get("repeat") or [[case["hex"], 1]]
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(b"".join(bytes.fromhex(text) * times for text, times in pieces))


@pytest.mark.parametrize("case", VECTORS["statements"], ids=lambda case: f"{case['verb']} {case['kind']}")
def test_of_statements_lead_to_their_challenge(case: dict[str, Any]) -> None:
    payload = case["payload"].encode()
    nonce = bytes.fromhex(case["nonce"])
    statement = Statement.about(
        payload, verb=Verb(case["verb"]), kind=case["kind"], deployment=case["deployment"], nonce=nonce
    )
    assert statement.digest.hex() == case["digest"]
    assert statement.encoded().decode() == case["statement"]
    assert statement.challenge().hex() == case["challenge"]
    # The same without any of our code but the words of the contract.
    plain = hashlib.sha256(DOMAIN_TAG + b"\x00" + case["statement"].encode()).hexdigest()
    assert plain == case["challenge"]


def test_name_their_source() -> None:
    for file in (
        "canonical",
        "bech32",
        "bip67",
        "bip143",
        "bip174",
        "merkle",
        "payloads",
        "safe",
        "ecdsa_p256",
        "ecdsa_secp256k1",
    ):
        assert load(file)["source"]


def test_of_statements_differ_by_every_part() -> None:
    challenges = [case["challenge"] for case in VECTORS["statements"]]
    assert len(set(challenges)) == len(challenges)
