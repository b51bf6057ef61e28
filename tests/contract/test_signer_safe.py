"""The signers of a Safe, on a real EVM with the real contract, …"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.signer.airgap import bundle
from custody.signer.words import describe, differences
from devstack.standins import token as standin
from kernel import canonical, evm
from kernel.approval import Verb
from kernel.intent import REFILL
from kernel.money import Amount
from kernel.registry import Registry
from kernel.safe import SafeTransaction
from tests import vault as vaults
from tests.faults.test_signer_token_loss import HEALTH, IMPATIENT
from tests.messages import in_hours, order, request, withdrawal
from tests.safe_payments import (
    ETHER,
    EVE,
    NONCES,
    TOKENS,
    TOM,
    asked,
    dollars,
    guarded,
    message,
    payment,
    signature,
    used,
)
from tests.safes import CHAIN_ID, Chain, Reverted
from tests.softkeys import SoftKey
from tests.softtoken import hot_registry
from tests.vault import BEN, CY, MODULE, SignerProcess, Vault


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain()


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory, chain: Chain) -> Vault:
    return guarded(tmp_path_factory.mktemp("vault"), chain)


@pytest.fixture(scope="module")
def signers(vault: Vault) -> Iterator[dict[str, SignerProcess]]:
    running = {token: vault.start(token) for token in TOKENS[:3]}
    for signer in running.values():
        signer.ready()
    yield running
    for signer in running.values():
        signer.stop()


@settings(max_examples=20)
@given(st.binary(min_size=20, max_size=20).map(evm.address), st.integers(0, 2**96), st.binary(max_size=100))
def test_hash_what_the_contract_hashes(to: str, number: int, data: bytes) -> None:
    chain = Chain()
    safe = chain.safe([evm.address_of(SoftKey(one).public_key) for one in range(11, 16)], 3, wei=0)
    plain = SafeTransaction(CHAIN_ID, safe, to, number, data, number % 2**53)
    gas: dict[str, Any] = {
        "safe_tx_gas": number,
        "base_gas": 2,
        "gas_price": 3,
        "gas_token": EVE,
        "refund_receiver": to,
    }
    for one in (plain, replace(plain, operation=1, **gas)):
        assert one.digest() == chain.digest(one)


def test_move_ether_three_of_five_and_only_once(
    vault: Vault, signers: dict[str, SignerProcess], chain: Chain
) -> None:
    transaction, request = asked(vault, payment(), nonce=0)
    signed = sorted(signature(signers[token].ask(request), transaction) for token in TOKENS[:3])
    given = [each for _, each in signed]
    with pytest.raises(Reverted, match="GS020"):
        chain.execute(transaction, given[:2])
    assert (chain.wei(TOM), chain.nonce(transaction.safe)) == (0, 0)
    chain.execute(transaction, given)
    assert (chain.wei(TOM), chain.nonce(transaction.safe)) == (ETHER, 1)
    with pytest.raises(Reverted, match="GS026"):
        chain.execute(transaction, given)
    assert chain.wei(TOM) == ETHER


def test_move_an_erc20_three_of_five(vault: Vault, signers: dict[str, SignerProcess], chain: Chain) -> None:
    transaction, request = asked(vault, dollars(4_000_000_000), nonce=1)
    assert len(transaction.data) == 68
    signed = sorted(signature(signers[token].ask(request), transaction) for token in TOKENS[:3])
    chain.execute(transaction, [each for _, each in signed])
    assert chain.units(transaction.to, TOM) == 4_000_000_000
    assert used(signers["eth-1"], "vault/USDT") == 4_000_000_000


TAMPERED: Final[list[tuple[str, dict[str, Any]]]] = [
    ("SIGNER_SAFE_TRANSFER", {"to": EVE}),
    ("SIGNER_SAFE_TRANSFER", {"value": str(ETHER + 1)}),
    ("SIGNER_SAFE_TRANSFER", {"data": "0x00"}),
    ("SIGNER_SAFE_OPERATION", {"operation": 1}),
    ("SIGNER_SAFE_REFUND", {"safeTxGas": "1"}),
    ("SIGNER_WRONG_MARK", {"baseGas": "1"}),
    ("SIGNER_SAFE_REFUND", {"gasPrice": "1"}),
    ("SIGNER_SAFE_REFUND", {"gasToken": EVE}),
    ("SIGNER_SAFE_REFUND", {"refundReceiver": EVE}),
    ("SIGNER_WRONG_NETWORK", {"chainId": 1}),
    ("SIGNER_SAFE_CONTRACT", {"verifyingContract": EVE}),
    ("SIGNER_SAFE_MALFORMED", {"to": TOM.lower()}),
    ("SIGNER_SAFE_MALFORMED", {"nonce": "1000"}),
    ("SIGNER_SAFE_MALFORMED", {"v": 27}),
]


@pytest.mark.parametrize(("code", "changes"), TAMPERED, ids=[f"{next(iter(one))}" for _, one in TAMPERED])
def test_refuse_a_transaction_that_was_tampered_with(
    vault: Vault, signers: dict[str, SignerProcess], code: str, changes: dict[str, Any]
) -> None:
    _, request = asked(vault, payment(), next(NONCES))
    request["transaction"] |= changes
    answer = signers["eth-1"].ask(request)
    assert (answer["type"], answer.get("code")) == ("refused", code), answer


@pytest.mark.parametrize("change", ["to", "value", "data", "longer", "another amount", "another destination"])
def test_refuse_an_erc20_call_that_is_not_the_approved_one(
    vault: Vault, signers: dict[str, SignerProcess], change: str
) -> None:
    intent = dollars(1_000_000)
    transaction, _ = asked(vault, intent, next(NONCES))
    changes: dict[str, dict[str, Any]] = {
        "to": {"to": EVE},
        "value": {"value": 1},
        "data": {"data": bytes.fromhex("095ea7b3") + transaction.data[4:]},  # approve(address,uint256)
        "longer": {"data": transaction.data + b"\x00"},
        "another amount": {"data": evm.transfer_call(TOM, 1_000_001)},
        "another destination": {"data": evm.transfer_call(EVE, 1_000_000)},
    }
    answer = signers["eth-1"].ask(message(intent, replace(transaction, **changes[change])))
    assert answer.get("code") == "SIGNER_SAFE_TRANSFER", answer


OTHERWISE: Final[list[tuple[str, dict[str, Any]]]] = [
    ("SIGNER_WRONG_NETWORK", {"network": "eip155:1"}),
    ("SIGNER_WRONG_NETWORK", {"network": vaults.NETWORK}),
    ("SIGNER_WRONG_DEPLOYMENT", {"deployment": "elsewhere"}),
    ("SIGNER_WRONG_ASSET", {"amount": Amount(1, "BTC"), "fee_cap": Amount(0, "BTC")}),
    ("SIGNER_WRONG_ASSET", {"amount": Amount(0, "ETH")}),
    ("SIGNER_WRONG_SOURCE", {"source": "hot"}),
    ("SIGNER_WRONG_POLICY", {"policy": 2}),
    ("SIGNER_WRONG_DESTINATION", {"destination": TOM.lower()}),
    ("SIGNER_WRONG_DESTINATION", {"destination": evm.ZERO_ADDRESS}),
    ("SIGNER_INTENT_EXPIRED", {"expires": in_hours(-1)}),
    ("SIGNER_INTENT_TOO_LONG", {"expires": in_hours(24 * 8)}),
    ("SIGNER_UNKNOWN_KIND", {"kind": REFILL, "customer": None}),
    ("SIGNER_PAYMENT_ABOVE_LIMIT", {"amount": Amount(20 * ETHER + 1, "ETH")}),
    ("SIGNER_UNCONFIRMED", {"amount": Amount(5_000_000_001, "USDT"), "fee_cap": Amount(0, "USDT")}),
]


@pytest.mark.parametrize(
    ("code", "changes"), OTHERWISE, ids=[f"{code} {', '.join(one)}" for code, one in OTHERWISE]
)
def test_refuse_an_intent_that_was_approved_for_something_else(
    vault: Vault, signers: dict[str, SignerProcess], code: str, changes: dict[str, Any]
) -> None:
    """The transaction pays the ether of an honest one: the intent is judged before it is compared."""
    intent = payment(**changes)
    transaction, _ = asked(vault, payment(), next(NONCES))
    if code == "SIGNER_PAYMENT_ABOVE_LIMIT":
        transaction = replace(transaction, value=20 * ETHER + 1, base_gas=intent.mark)
    answer = signers["eth-1"].ask(message(intent, transaction))
    assert (answer["type"], answer.get("code")) == ("refused", code), answer


def test_refuse_what_is_asked_by_another_road(vault: Vault, signers: dict[str, SignerProcess]) -> None:
    """A Safe has no lane, is no wallet of coins, and pays one approved intent at a time."""
    transaction, honest = asked(vault, payment(), next(NONCES))
    payload, signer = honest["intents"][0]["payload"], signers["eth-1"]
    coins = request(hot_registry(), [withdrawal()])
    for code, changed in {
        "SIGNER_SAFE_NO_LANE": {**honest, "type": "sign_unattended", "intents": [payload]},
        "SIGNER_BELOW_QUORUM": {**honest, "intents": [{"payload": payload, "approvals": []}]},
        "SIGNER_NO_INTENT": {**honest, "intents": honest["intents"] * 2},
        "SIGNER_UNKNOWN_WALLET": {**honest, "wallet": "hot"},
        "SIGNER_BAD_REQUEST": {**honest, "digest": transaction.digest().hex()},
    }.items():
        assert signer.ask(changed).get("code") == code
    assert signer.ask(message(payment(), transaction, officers=[BEN])).get("code") == "SIGNER_BELOW_QUORUM"
    assert signer.ask({**coins, "wallet": "vault"})["code"] == "SIGNER_UNKNOWN_WALLET"
    unattended = {**coins, "type": "sign_unattended", "wallet": "vault"}
    unattended["intents"] = [one["payload"] for one in coins["intents"]]
    assert signer.ask(unattended)["code"] == "SIGNER_SAFE_NO_LANE"


def test_hold_an_intent_to_its_nonce_and_never_count_it_twice(
    vault: Vault, signers: dict[str, SignerProcess]
) -> None:
    signer, intent, nonce = signers["eth-2"], payment(), next(NONCES)
    before = used(signer)
    for _ in range(2):
        assert signer.ask(asked(vault, intent, nonce)[1])["type"] == "signed_safe"
        assert used(signer) == before + ETHER
    refused = signer.ask(asked(vault, intent, next(NONCES))[1])
    assert (refused["code"], used(signer)) == ("SIGNER_REPLAY", before + ETHER)
    # Under its number officers cannot have more, or another asset, signed at that nonce either.
    dearer = replace(intent, amount=Amount(ETHER + 1, "ETH"))
    assert signer.ask(asked(vault, dearer, nonce)[1])["code"] == "SIGNER_INTENT_CHANGED"
    other = replace(dollars(ETHER), reference=intent.reference, amount=Amount(5_000_000, "USDT"))
    assert signer.ask(asked(vault, other, nonce)[1])["code"] == "SIGNER_INTENT_CHANGED"
    # Of two intents at one nonce the chain pays at most one. Which one, no signer knows: both count.
    other = payment()
    assert signer.ask(asked(vault, other, nonce)[1])["type"] == "signed_safe"
    assert used(signer) == before + 2 * ETHER
    assert signer.ask(asked(vault, other, next(NONCES))[1])["code"] == "SIGNER_REPLAY"


def test_sign_nothing_that_a_suspended_officer_approved(
    vault: Vault, signers: dict[str, SignerProcess]
) -> None:
    signer, name = signers["eth-2"], f"officer:{BEN}"
    stop = order("signer.freeze", verb=Verb.APPROVE, officers=[CY], maker=CY, wallet=name)
    assert signer.ask(stop)["type"] == "obeyed"
    _, approved = asked(vault, payment(), next(NONCES))
    assert signer.ask(approved).get("code") == "SIGNER_OFFICER_SUSPENDED"
    assert signer.ask(order("signer.release", wallet=name))["type"] == "obeyed"
    assert signer.ask(approved)["type"] == "signed_safe"


def test_keep_to_their_share_of_the_window_and_of_a_destination(
    vault: Vault, signers: dict[str, SignerProcess]
) -> None:
    """Three fifths of 50 ether for all, of 45 for one destination: so much more than one payment each."""
    signer = signers["eth-3"]
    left = 27 * ETHER - used(signer)
    for units in (20 * ETHER, left - 20 * ETHER):
        some = payment(amount=Amount(units, "ETH"))
        assert signer.ask(asked(vault, some, next(NONCES))[1])["type"] == "signed_safe"
    assert used(signer) == 27 * ETHER
    one = payment(amount=Amount(1, "ETH"))
    assert signer.ask(asked(vault, one, next(NONCES))[1])["code"] == "SIGNER_DESTINATION_FULL"
    more = payment(amount=Amount(3 * ETHER + 1, "ETH"), destination=EVE)
    assert signer.ask(asked(vault, more, next(NONCES))[1])["code"] == "SIGNER_WINDOW_FULL"
    assert signer.ask(asked(vault, dollars(1_000_000), next(NONCES))[1])["type"] == "signed_safe"


def test_remember_the_nonce_after_a_restart_and_sign_nothing_from_a_restored_store(vault: Vault) -> None:
    token = "eth-4"
    state, intent, nonce = vault.folder / token / "state", payment(), next(NONCES)
    signer = vault.start(token).ready()
    signer.stop()
    vaults.copy_tree(state, vault.folder / "yesterday")
    signer = vault.start(token).ready()
    assert signer.ask(asked(vault, intent, nonce)[1])["type"] == "signed_safe"
    signer.stop()
    signer = vault.start(token).ready()
    assert signer.ask(asked(vault, intent, next(NONCES))[1])["code"] == "SIGNER_REPLAY"
    assert signer.ask(asked(vault, intent, nonce)[1])["type"] == "signed_safe"
    assert used(signer) == ETHER
    frozen = order("signer.freeze", verb=Verb.APPROVE, officers=[BEN], maker=BEN, wallet="vault")
    assert signer.ask(frozen)["type"] == "obeyed"
    assert signer.ask(asked(vault, intent, nonce)[1])["code"] == "SIGNER_FROZEN"
    signer.stop()
    vaults.copy_tree(vault.folder / "yesterday", state)
    signer = vault.start(token).ready()
    assert signer.ask(asked(vault, intent, next(NONCES))[1])["code"] == "SIGNER_STORE_RESTORED"
    signer.stop()


def test_sign_across_the_air_gap_what_they_show(vault: Vault, tmp_path: Path) -> None:
    transaction, request = asked(vault, dollars(1_500_000), next(NONCES))
    (tmp_path / "in.json").write_bytes(bundle(request))
    arguments = ["--registry", str(vault.registry_file), "--in", str(tmp_path / "in.json")]
    shown = vaults.run(vault.folder / "eth-5", "custody.signer.airgap", "show", *arguments).stdout
    assert f"Transaction of the Safe vault on an EVM chain, chain {CHAIN_ID}" in shown
    assert f"0x{transaction.digest().hex()}" in shown
    assert f"pays 1.5 USDT to Tom's own wallet\n       {TOM}" in shown
    arguments += ["--token", "eth-5", "--state", str(tmp_path / "state"), "--module", MODULE]
    done = vaults.run(
        vault.folder / "eth-5", "custody.signer.airgap", "sign", *arguments, "--out", str(tmp_path / "out")
    )
    assert done.returncode == 0, done.stderr
    owner, _ = signature(canonical.decode_object((tmp_path / "out").read_bytes()[:-1]), transaction)
    assert evm.address(owner) == evm.address_of(vault.keys["eth-5"][0])


def test_are_shown_with_the_addresses_of_their_owners(vault: Vault) -> None:
    said = "\n".join(describe(vault.registry))
    assert all(f"owner {evm.address_of(vault.keys[token][0])} is {token}" in said for token in TOKENS)
    assert vault.document["safes"]["vault"]["address"] in said
    assert "at most 50 ETH per window" in said
    more = json.loads(canonical.encode(vault.document))
    more["safes"]["vault"]["assets"]["ETH"]["window_units_max"] = str(51 * ETHER)
    (line,) = list(differences(vault.registry, Registry.parse(canonical.encode(more))))[1:]
    assert line.endswith("(50 ETH -> 51 ETH)")


def test_keep_no_officer_waiting_for_a_token_that_hangs_over_it(vault: Vault, tmp_path: Path) -> None:
    orders, intent, nonce = tmp_path / "orders", payment(), next(NONCES)
    standin.order(orders)
    forget = ["--token", "eth-5", "--forget", "--module", MODULE]
    assert vaults.run(vault.folder / "eth-5", "custody.signer.provision", *forget).returncode == 0
    module, environ = standin.build(tmp_path, real=MODULE), {standin.ORDERS: str(orders)}
    impatient: dict[str, Any] = {"program": ("-c", IMPATIENT), "module": module, "environ": environ}
    signer = vault.start("eth-5", state=tmp_path / "state", **impatient).ready()
    standin.order(orders, hang=1)
    assert signer.ask(asked(vault, intent, nonce)[1])["code"] == "SIGNER_TOKEN_FAILED"
    assert signer.ask(HEALTH)["state"] == "SIGNER_TOKEN_FAILED"
    frozen = order("signer.freeze", verb=Verb.APPROVE, officers=[BEN], maker=BEN, wallet="vault")
    assert signer.ask(frozen)["type"] == "obeyed"
    assert signer.ask(asked(vault, intent, nonce)[1])["code"] == "SIGNER_FROZEN"
    standin.order(orders)
    while signer.ask(HEALTH)["state"] != "ready":
        pass
    signer.stop()
