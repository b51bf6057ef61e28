"""Every check between a request to sign for a Safe and the signature, made from the signer's own facts.

The request brings the Safe's whole transaction and the one intent behind it. All that the owners' signatures
would commit to is either pinned here or follows from the intent, but for the nonce: that is the coin that the
transaction uses up, and the memory holds an intent to the nonce at which it was signed first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from custody.signer import checks, requests
from custody.signer.checks import Plan
from custody.signer.refusals import Refused
from custody.signer.requests import Signed
from kernel import canonical, evm
from kernel.bech32 import BadAddress
from kernel.intent import WITHDRAWAL, Intent
from kernel.registry import Registry
from kernel.safe import CALL, BadSafeTransaction, Safe, SafeTransaction


@dataclass(frozen=True, slots=True)
class SafeSpend:
    """A whole transaction of a Safe, and the intent that justifies it."""

    wallet: str
    transaction: SafeTransaction
    intent: Intent
    signed: Signed


def spend(message: Mapping[str, canonical.Value]) -> SafeSpend:
    """Read a request to sign for a Safe; Refused names the first fault."""
    requests.exact(message, {"v", "type", "wallet", "transaction", "intents"})
    wallet, items = message["wallet"], message["intents"]
    if not isinstance(wallet, str) or not isinstance(items, list):
        raise Refused("SIGNER_BAD_REQUEST", "wallet is text, intents is a list")
    if len(items) != 1:
        raise Refused("SIGNER_NO_INTENT", "a Safe's transaction has exactly one intent")
    try:
        transaction = SafeTransaction.parse(message["transaction"])
    except BadSafeTransaction as error:
        raise Refused("SIGNER_SAFE_MALFORMED", str(error)) from None
    return SafeSpend(wallet, transaction, *requests.approved(items[0]))


def judge(spend: SafeSpend, *, token: str, registry: Registry, now: datetime) -> tuple[Safe, Plan]:
    """The Safe, and the plan of a spend that every check let pass; Refused names the first that did not."""
    safe, intent = registry.safes.get(spend.wallet), spend.intent
    if safe is None:
        raise Refused("SIGNER_UNKNOWN_WALLET", f"no Safe {spend.wallet[:40]!r}")
    if token not in safe.owners:
        raise Refused("SIGNER_NOT_IN_WALLET", f"{token} holds no owner's key of {safe.name}")
    if intent.kind != WITHDRAWAL:
        raise Refused("SIGNER_UNKNOWN_KIND", f"a Safe pays withdrawals, and no {intent.kind}")
    where = {"network": safe.network, "source": safe.name}
    checks.check_terms(intent, registry=registry, assets=safe.assets, version=safe.policy, now=now, **where)
    _check_destination(intent, safe)
    asset = safe.assets[intent.amount.asset]
    confirmed = asset.confirm_above is not None and intent.amount.units > asset.confirm_above
    signed, teams = spend.signed, safe.teams
    sightings = checks.approved(intent, signed, registry=registry, teams=teams, confirmed=confirmed)
    _check_transaction(spend.transaction, intent, safe)
    checks.check_mark(spend.transaction.base_gas, intent)
    plan = Plan(
        wallet=safe,
        account=safe.account(asset.code),
        key_indexes=(0,),
        txid=f"0x{spend.transaction.digest().hex()} {intent.name}",
        coins=frozenset({safe.slot(spend.transaction.nonce)}),
        intent=intent.name,
        payment=(f"{asset.code}:{intent.destination}", intent.amount.units),
        slot=f"{asset.code}:{intent.destination}/{intent.amount.units}/{intent.mark}",
        fee=0,  # whoever sends it pays the gas, and is given nothing back
        sightings=tuple(sightings),
    )
    return safe, plan


def _check_destination(intent: Intent, safe: Safe) -> None:
    """An address in its one spelling, and none from which the assets would not come back."""
    try:
        evm.raw_address(intent.destination)
    except BadAddress as error:
        raise Refused("SIGNER_WRONG_DESTINATION", str(error)) from None
    if intent.destination in (evm.ZERO_ADDRESS, safe.address, *safe.contracts):
        raise Refused("SIGNER_WRONG_DESTINATION", "nobody, the Safe itself, or an asset's own contract")


def _check_transaction(transaction: SafeTransaction, intent: Intent, safe: Safe) -> None:
    """The one call that pays what was approved, of this contract on this chain, and nothing beside it."""
    if transaction.chain_id != safe.chain_id:
        raise Refused("SIGNER_WRONG_NETWORK", f"the transaction is for chain {transaction.chain_id}")
    if transaction.safe != safe.address:
        raise Refused("SIGNER_SAFE_CONTRACT", f"the transaction is one of {transaction.safe}")
    if transaction.operation != CALL:
        raise Refused("SIGNER_SAFE_OPERATION", "another contract's code would run as the Safe")
    if transaction.refunds:
        raise Refused("SIGNER_SAFE_REFUND", "the Safe would pay somebody for gas")
    to, value, data = safe.transfer(intent.amount.asset, intent.amount.units, intent.destination)
    if (transaction.to, transaction.value, transaction.data) != (to, value, data):
        raise Refused("SIGNER_SAFE_TRANSFER", "it is not exactly the transfer that was approved")
