"""Payments from a Safe: its vault of five tokens, and what an honest web tier asks of its signers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from kernel import canonical, encodings, evm
from kernel.intent import Intent
from kernel.money import Amount
from kernel.safe import SafeTransaction
from tests import vault as vaults
from tests.messages import approvals, withdrawal
from tests.safes import CHAIN_ID, Chain
from tests.softtoken import TOKENS as SOFT_TOKENS
from tests.softtoken import keys_of
from tests.vault import Message, SignerProcess, Vault

TOKENS: Final = tuple(f"eth-{number}" for number in range(1, 6))
ETHER: Final = 10**18
NETWORK: Final = f"eip155:{CHAIN_ID}"
TOM: Final = evm.address(b"\x7a" * 20)
EVE: Final = evm.address(b"\xee" * 20)
NONCES: Final = iter(range(1_000, 2_000))
"""Numbers that no transaction of this Safe reaches: for what only signers are asked."""


def guarded(folder: Path, chain: Chain) -> Vault:
    """Five tokens, the Safe of their addresses with ether and dollars in it, and the registry of both."""
    found = Vault.build(folder, wallets=[])
    for token in TOKENS:
        found.keys[token] = vaults.make_token(found.folder / token, token, count=1)
    owners = {token: found.keys[token][0] for token in TOKENS}
    address = chain.safe([evm.address_of(key) for key in owners.values()], 3, wei=100 * ETHER)
    dollars = {"decimals": 6, "contract": chain.erc20(address, 9_000_000_000), "confirm_above": "5000000000"}
    found.document["safes"] = {
        "vault": {
            "chain_id": CHAIN_ID,
            "address": address,
            "m": 3,
            "owners": {token: key.hex() for token, key in owners.items()},
            "teams": {"treasury": 2},
            "assets": {
                "ETH": {
                    "decimals": 18,
                    "window_units_max": str(50 * ETHER),
                    "payment_units_max": str(20 * ETHER),
                    "destination_units_max": str(45 * ETHER),
                },
                "USDT": {**dollars, "window_units_max": "20000000000"},
            },
        }
    }
    found.registry_file.write_bytes(canonical.encode(found.document) + b"\n")
    return found


def on_soft_tokens(**limits: Any) -> Message:
    """The registry's section about a Safe of three soft tokens; no contract stands behind it."""
    return {
        "chain_id": CHAIN_ID,
        "address": evm.address(b"\x5a" * 20),
        "m": 2,
        "owners": {token: keys_of(token)[0].public_key.hex() for token in SOFT_TOKENS},
        "teams": {"treasury": 2},
        "assets": {"ETH": {"decimals": 18, **limits}},
    }


def payment(**changes: Any) -> Intent:
    """A withdrawal of one ether to Tom that Ana made; the Safe pays no gas, so there is no fee to cap."""
    ether = {"amount": Amount(ETHER, "ETH"), "fee_cap": Amount(0, "ETH"), "destination": TOM}
    return withdrawal(**{"network": NETWORK, "source": "vault", **ether, **changes})


def dollars(units: int) -> Intent:
    return payment(amount=Amount(units, "USDT"), fee_cap=Amount(0, "USDT"))


def asked(vault: Vault, intent: Intent, nonce: int, **how: Any) -> tuple[SafeTransaction, Message]:
    """The transaction and the request that an honest web tier would make."""
    safe = vault.registry.safes["vault"]
    call = safe.transfer(intent.amount.asset, intent.amount.units, intent.destination)
    transaction = SafeTransaction(CHAIN_ID, safe.address, *call, nonce, base_gas=intent.mark)
    return transaction, message(intent, transaction, **how)


def message(intent: Intent, transaction: SafeTransaction, **how: Any) -> Message:
    payload = intent.encoded()
    approved = {
        "payload": encodings.base64url(payload),
        "approvals": approvals(payload, kind=intent.kind, **how),
    }
    said = {"wallet": "vault", "transaction": transaction.as_json(), "intents": [approved]}
    return {"v": 1, "type": "sign_safe", **said}


def signature(answer: Message, transaction: SafeTransaction) -> tuple[bytes, bytes]:
    """The owner and the signature of an answer: Safes want them in the order of the owners."""
    assert (answer["type"], answer.get("hash")) == ("signed_safe", f"0x{transaction.digest().hex()}"), answer
    return evm.raw_address(answer["owner"]), bytes.fromhex(answer["signature"][2:])


def used(signer: SignerProcess, account: str = "vault/ETH") -> int:
    return int(signer.ask({"v": 1, "type": "health"})["used"][account])
