"""The approver page shows of each act …"""

from __future__ import annotations

from typing import Any, Final

import pytest

from kernel import canonical
from tests.contract.test_approver_acts import read

MAKER: Final = "01900000-0000-7000-8000-0000000000a1"
ONE: Final = "01900000-0000-7000-8000-0000000000c1"
OTHER: Final = "01900000-0000-7000-8000-0000000000d1"
PERSON: Final = "01900000-0000-7000-8000-0000000000b2"
DESTINATION: Final = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
POINT: Final = "04" + "ab" * 64
UNTIL: Final = "2020-11-30T12:00:00Z"

PAYMENT: Final = {
    "network": "eip155:1",
    "asset": "USDT",
    "amount": "1234567890000",
    "destination": DESTINATION,
    "destination_label": "Tom",
    "fee_cap": "250",
    "source": "warm",
    "policy": 7,
    "expires": UNTIL,
}
STAFF: Final = {"person": PERSON, "person_name": "Ben Brandt", "reason": "he asked"}
PASSKEY: Final = {
    "credential_id": "cred-1",
    "public_key": POINT,
    "label": "blue key",
    "aaguid": ONE,
    "attestation": "packed",
}
ORDER: Final = {"reason": "a laptop", "expires": UNTIL}
DOCUMENT: Final = (
    '{"rules":[{"approve_s":60,"execute_s":90,"name":"big","rejections":2,"teams":{"treasury":2},'
    '"when":[["amount","above","5"],["asset","is","BTC"]]},{"name":"lane","unattended":true,"when":[]},'
    '{"deny":"wait","name":"rest","when":[["hour","below","6"]]}],"version":3,'
    '"windows":[{"limit":"9","name":"day"}]}'
)
KEYS: Final = [f"{'0a' * 16} Ana", f"{'0b' * 16} Ben\u202e"]

ACTS: Final[dict[str, dict[str, Any]]] = {
    "custody.withdrawal": {**PAYMENT, "withdrawal": ONE, "customer": OTHER},
    "custody.refill": {**PAYMENT, "refill": ONE},
    "custody.sweep": {**PAYMENT, "sweep": ONE},
    "custody.adjustment": {
        "asset": "ETH",
        "amount": "1000000000000000000",
        "customer": OTHER,
        "reason": "a bug",
        "reference": "T-1",
        "adjustment": ONE,
        "expires": UNTIL,
        "v": 2,
    },
    "kyc.tier": {
        "case": ONE,
        "customer": OTHER,
        "tier": 3,
        "tier_before": 1,
        "reason": "papers",
        "expires": UNTIL,
    },
    "kyc.erasure": {
        "erasure": ONE,
        "customer": OTHER,
        "basis": "person_asked",
        "kept_until": "2031-01-02",
        "reason": "a letter",
        "expires": UNTIL,
    },
    "freezes.release": {
        "freeze": ONE,
        "scope": "market:BTC-USDT",
        "pulled_at": UNTIL,
        "frozen_because": "odd",
        "reason": "even",
    },
    "engine.market_release": {
        "market": "BTC-USDT",
        "from": "halted",
        "to": "cancel_only",
        "reason": "one price",
    },
    "engine.fee_level": {
        "customer": OTHER,
        "level": "VIP2",
        "level_before": "Lv1",
        "maker_ppm": "0",
        "taker_ppm": "650",
        "maker_ppm_before": "market",
        "taker_ppm_before": "100000",
        "reason": "volume",
    },
    "engine.price_band": {
        "market": "BTC-USDT",
        "band_ppm": 75_000,
        "band_ppm_before": 0,
        "reference_price": "42000.5",
        "reason": "it moved",
    },
    "staff.join": {
        **STAFF,
        "name": "Zoë",
        "email": "zoe@x.example",
        "subject": "5f1c",
        "roles": ["support", "senior_officer"],
    },
    "staff.grant_role": {**STAFF, "role": "senior_officer", "hours": 8},
    "staff.end_role": {**STAFF, "role": "sre"},
    "staff.leave": STAFF,
    "staff.restore": STAFF,
    "staff.rebind": {**STAFF, "subject": "5f1d"},
    "staff.add_passkey": {**STAFF, **PASSKEY, "v": 2},
    "staff.revoke_passkey": {**STAFF, "credential_id": "cred-1"},
    "approvals.policy": {"version": 3, "document": DOCUMENT, "backtest": "ef" * 32, "reason": "r"},
    "signer.freeze": {**ORDER, "wallet": "warm"},
    "signer.veto": {**ORDER, "digest": "cd" * 32},
    "signer.release": {**ORDER, "wallet": "*"},
    "signer.reopen": {**ORDER, "v": 2, "token": "hot-1", "standing": "ab" * 32, "suspended": []},
    "signer.registry": {**ORDER, "v": 2, "version": 4, "digest": "cd" * 32, "keys": KEYS},
    "signer.recovery": {**ORDER, "v": 2, "version": 4, "digest": "cd" * 32, "keys": KEYS},
    "factors.enrol_passkey": {**STAFF, **PASSKEY, "factor": OTHER},
    "factors.enrol_sealed": {**STAFF, **PASSKEY, "factor": OTHER},
    "factors.enrol_code": {**STAFF, "factor": OTHER, "label": "telephone", "fingerprint": "ab" * 32},
}

PAID: Final = {
    "To": DESTINATION,
    "Known as": "Tom",
    "Out of": "warm wallet on Ethereum, chain 1",
    "Network fee": "at most 0.00025 USDT",
    "Void after": UNTIL,
    "Policy version": "7",
}
WHOM: Final = {"Person": "Ben Brandt", "Person’s id": PERSON, "Because": "he asked"}
KEY: Final = {
    "Fingerprint": POINT,
    "Label": "blue key",
    "Passkey": "cred-1",
    "Key": POINT,
    "Model": ONE,
    "Attestation": "packed",
}
ORDERED: Final = {"Because": "a laptop", "Void after": UNTIL}
OFFICERS: Final = {"Passkey of Ana": "0a" * 16, "Passkey of Ben⟨U+202E⟩": "0b" * 16}

SHOWN: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "custody.withdrawal": (
        "Pay 1\u202f234\u202f567.89 USDT",
        {**PAID, "Withdrawal": ONE, "Customer": OTHER},
    ),
    "custody.refill": ("Move 1\u202f234\u202f567.89 USDT from cold to hot", {**PAID, "Refill": ONE}),
    "custody.sweep": ("Move 1\u202f234\u202f567.89 USDT from hot to cold", {**PAID, "Sweep": ONE}),
    "custody.adjustment": (
        "Credit 1 ETH",
        {
            "To customer": OTHER,
            "Because": "a bug",
            "Reference": "T-1",
            "Void after": UNTIL,
            "Adjustment": ONE,
        },
    ),
    "kyc.tier": (
        "Raise a customer from tier 1 to tier 3",
        {"Customer": OTHER, "Because": "papers", "Void after": UNTIL, "Case": ONE},
    ),
    "kyc.erasure": (
        "Erase a customer, for good",
        {
            "Customer": OTHER,
            "On what basis": "the person asked for it",
            "Files must be kept until": "2031-01-02",
            "Because": "a letter",
            "Void after": UNTIL,
            "Erasure": ONE,
        },
    ),
    "freezes.release": (
        "Release the freeze of market:BTC-USDT",
        {"Frozen since": UNTIL, "Frozen because": "odd", "Safe again because": "even", "Freeze": ONE},
    ),
    "engine.market_release": (
        "Let BTC-USDT trade again",
        {"From": "halted", "To": "cancel only", "Safe again because": "one price"},
    ),
    "engine.fee_level": (
        "Let a customer pay the fees of VIP2",
        {
            "Customer": OTHER,
            "Maker’s fee": "0 % of what they receive; now the market’s own",
            "Taker’s fee": "0.065 % of what they receive; now 10 % of what they receive",
            "Fee level now": "Lv1",
            "Because": "volume",
        },
    ),
    "engine.price_band": (
        "Let BTC-USDT trade up to 7.5 % away",
        {"From": "42000.5, until the next trade", "Price band now": "none", "Because": "it moved"},
    ),
    "staff.join": (
        "Let Zoë join",
        {**WHOM, "E-mail": "zoe@x.example", "At the edge": "5f1c", "Roles": "support, senior officer"},
    ),
    "staff.grant_role": ("Make Ben Brandt senior officer", {**WHOM, "For": "8 hours"}),
    "staff.end_role": ("End Ben Brandt’s role of sre", WHOM),
    "staff.leave": ("Let Ben Brandt leave", WHOM),
    "staff.restore": ("End the suspension of Ben Brandt", WHOM),
    "staff.rebind": ("Bind Ben Brandt to another account", {**WHOM, "At the edge": "5f1d"}),
    "staff.add_passkey": ("Let Ben Brandt sign with another passkey", {**WHOM, **KEY}),
    "staff.revoke_passkey": ("Revoke a passkey of Ben Brandt", {**WHOM, "Passkey": "cred-1"}),
    "approvals.policy": (
        "Let policy 3 say who must approve",
        {
            "1. big": '"amount" "above" "5" and "asset" "is" "BTC": {"treasury":2}, 2 can reject, '
            "to be approved within 60 s, to be executed within 90 s",
            "2. lane": "always: nobody, the signers’ lane decides",
            "3. rest": '"hour" "below" "6": refused, wait',
            "Window day": '{"limit":"9","name":"day"}',
            "Because": "r",
            "Back-test’s digest": "ef" * 32,
            "The whole document": DOCUMENT,
        },
    ),
    "signer.freeze": ("Freeze the signers of the warm wallet", ORDERED),
    "signer.veto": (
        "Veto a registry that was announced to the signers",
        {**ORDERED, "Registry’s digest": "cd" * 32},
    ),
    "signer.release": (
        "Let every signer sign again",
        {**ORDERED, "First": "freeze and suspend anew what a reopened signer may have forgotten"},
    ),
    "signer.reopen": ("Let the signer hot-1 begin a new memory", {**ORDERED, "What it found": "ab" * 32}),
    "signer.registry": (
        "Let the signers take up registry 4",
        {**ORDERED, **OFFICERS, "Registry’s digest": "cd" * 32},
    ),
    "signer.recovery": (
        "Recover: let the signers take up the officers of registry 4",
        {**ORDERED, **OFFICERS, "Registry’s digest": "cd" * 32},
    ),
    "factors.enrol_passkey": ("Let Ben Brandt come in with another passkey", {**WHOM, **KEY}),
    "factors.enrol_sealed": ("Put another key for emergencies into a safe", {**WHOM, **KEY}),
    "factors.enrol_code": (
        "Let Ben Brandt use another authenticator app",
        {**WHOM, "Label": "telephone", "Fingerprint": "ab" * 32},
    ),
}


def payload(kind: str, members: dict[str, Any]) -> tuple[str, bytes]:
    return kind, canonical.encode({"v": 1, "kind": kind, "deployment": "test", "maker": MAKER, **members})


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What it makes of one payload of each kind, no two of whose members are alike."""
    return read([payload(kind, members) for kind, members in ACTS.items()])


def test_every_member_under_its_own_name(page: dict[str, Any]) -> None:
    """Also of kinds whose shown lines nobody else reads: an officer signs what stands there."""
    assert set(page["kinds"]) == ACTS.keys() == SHOWN.keys()
    for kind, act in zip(ACTS, page["found"], strict=True):
        headline, expected = SHOWN[kind]
        shown = {line["label"]: line["value"] for line in (*act["lines"], *act["details"])}
        assert (kind, act["headline"], shown | expected) == (kind, headline, shown)
        assert (shown["Maker"], len(shown)) == (MAKER, len(act["lines"]) + len(act["details"]))


def test_the_answers_that_it_can_be_given_and_who_asks(page: dict[str, Any]) -> None:
    found = dict(zip(ACTS, page["found"], strict=True))
    assert {kind for kind, act in found.items() if act["verb"] == "release"} == {
        *("signer.release", "signer.reopen", "signer.registry", "signer.recovery")
    }
    assert {kind for kind, act in found.items() if act["asks"]} == {
        *("custody.refill", "custody.sweep", "signer.release", "signer.reopen", "signer.registry")
    }
    for kind, act in found.items():
        rejects = [] if kind in ("signer.freeze", "signer.veto") else ["reject"]
        assert act["answers"] == [act["verb"], *rejects]
        assert act["expires"] == ACTS[kind].get("expires")
        assert act["suspended"] == ([] if kind == "signer.reopen" else None)
        assert act["goodForHours"] == (24 if act["verb"] == "release" else 168)


def test_the_founding_by_its_first_registry_alone() -> None:
    acts = {"signer.registry": 1, "signer.recovery": 1, "approvals.policy": 1}
    document = DOCUMENT.replace('"version":3', '"version":1')
    asked = [payload(kind, {**ACTS[kind], "version": 1}) for kind in acts]
    asked[2] = payload("approvals.policy", {**ACTS["approvals.policy"], "version": 1, "document": document})
    found = read(asked)["found"]
    assert [act["isFounding"] for act in found] == [True, False, False]
    assert [act["goodForHours"] for act in found] == [168, 24, 168]  # people in many places sign the first


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("approvals.policy", {"version": 4}),
        ("signer.registry", {"keys": ["short Ana"]}),
        ("staff.add_passkey", {"public_key": "05" + "ab" * 64}),
        ("custody.withdrawal", {"policy": 0}),
        ("custody.withdrawal", {"amount": "1" * 31}),
    ],
)
def test_nothing_where_a_member_is_another_than_it_says(kind: str, changed: dict[str, Any]) -> None:
    (found,) = read([payload(kind, ACTS[kind] | changed)])["found"]
    assert found["failed"].startswith("Unreadable: ")


def test_what_it_leaves_open_as_open() -> None:
    """The other wording of what has two: one wallet's signers, no end, nobody's own name for an address."""
    asked = [
        payload("signer.release", {**ORDER, "wallet": "warm"}),
        payload("staff.grant_role", {**STAFF, "role": "sre", "hours": 0}),
        payload("custody.refill", ACTS["custody.refill"]),
        payload("custody.withdrawal", {**ACTS["custody.withdrawal"], "network": "eip155:5", "amount": "0"}),
    ]
    release, grant, refill, withdrawal = read(asked)["found"]
    assert release["headline"] == "Let the signers of the warm wallet sign again"
    assert "First" not in {line["label"] for line in release["lines"]}
    assert [line["value"] for line in grant["lines"] if line["label"] == "For"] == ["good"]
    notes = [
        line["note"] for act in (refill, withdrawal) for line in act["lines"] if line["label"] == "Known as"
    ]
    assert notes == ["", "The customer’s own name for this address."]
    assert withdrawal["headline"] == "Pay 0 USDT"
    assert "warm wallet on an EVM chain, chain 5" in {line["value"] for line in withdrawal["lines"]}
