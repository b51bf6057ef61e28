"""Every check between a request and a signature, made from the signer's own facts.

The web tier, its database and its queue may be in an attacker's hands; what they say is only compared. Each
refusal has a stable code; docs/runbooks/signer-refuses.md names them all, with what each means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from custody.signer import approvals
from custody.signer.approvals import Sighting
from custody.signer.refusals import Refused
from custody.signer.requests import FREEZE, RECOVERY, VETO, Order, Signed, Spend
from kernel import policy, script
from kernel.approval import Verb
from kernel.bech32 import BadAddress
from kernel.intent import SWEEP, WITHDRAWAL, Intent
from kernel.lane import Lane
from kernel.pinned import KindPolicy
from kernel.registry import Registry
from kernel.safe import Safe
from kernel.transaction import Output, multisig_vsize
from kernel.wallet import Wallet

ASSET: Final = "BTC"
UNITS_MIN: Final = 294  # no node relays less, so a line for it would be written for nothing
CHANGE_INDEX: Final = 0  # other addresses belong to customers: change there would be credited as a deposit


@dataclass(frozen=True, slots=True)
class Plan:
    """A spend that passed: which of our keys sign which input, and what leaves the wallet."""

    wallet: Wallet | Safe
    account: str  # under which name it is counted
    key_indexes: tuple[int, ...]
    txid: str
    coins: frozenset[str]  # what only one transaction can use: of a Safe, its nonce
    intent: str  # its name
    payment: tuple[str, int]  # destination and units
    slot: str  # destination, units and mark: what the transaction says itself, so all that sign it agree
    fee: int
    sightings: tuple[Sighting, ...] = ()
    lane: Lane | None = None

    @property
    def leaves(self) -> bool:
        """Whether caps count it: what a sweep brings to our own cold wallet has not left."""
        return not self.intent.startswith(f"{SWEEP}/")


def judge(spend: Spend, *, token: str, registry: Registry, now: datetime, lane: Lane | None = None) -> Plan:
    """The plan of a spend that every check let pass; Refused names the first that did not.

    With a lane that lets it through, no officer is asked; all else is checked as always.
    """
    wallet = registry.wallets.get(spend.wallet)
    if wallet is None:
        raise Refused("SIGNER_UNKNOWN_WALLET", f"no wallet {spend.wallet[:40]!r}")
    if token not in wallet.tokens:
        raise Refused("SIGNER_NOT_IN_WALLET", f"{token} holds no key of {wallet.name}")
    intent, sightings = spend.intent, list[Sighting]()
    paid = Output(intent.amount.units, _check_intent(intent, wallet=wallet, registry=registry, now=now))
    if lane is None:
        ours = registry.policies[intent.kind]
        confirmed = ours.wants_confirmation(intent.amount.units)
        sightings = approved(intent, spend.signed, registry=registry, teams=ours.teams, confirmed=confirmed)
    key_indexes = _own_coins(spend, wallet)
    _check_outputs(spend, wallet, paid)
    _check_fee(spend, wallet, registry)
    check_mark(spend.psbt.transaction.locktime, intent)
    return Plan(
        wallet=wallet,
        account=wallet.name,
        key_indexes=key_indexes,
        txid=spend.psbt.transaction.txid,
        coins=frozenset(str(spent.outpoint) for spent in spend.psbt.transaction.inputs),
        intent=intent.name,
        payment=(intent.destination, intent.amount.units),
        slot=f"{intent.destination}/{intent.amount.units}/{intent.mark}",
        fee=spend.psbt.fee,
        sightings=tuple(sightings),
        lane=lane,
    )


def judge_order(
    order: Order,
    *,
    token: str,
    registry: Registry,
    now: datetime,
    asked: bool = True,
    concerned: Collection[str] = (),
) -> list[Sighting]:
    """The sign counts of an order that officers gave to this signer; else Refused.

    To stop something (freeze, veto) any one officer is enough, one for recovery too; all else takes a quorum
    that says release, of what another officer `asked` for, without those `concerned` in what is released (as
    far as others can decide it). A recovery is ordered by the quorum of those
    officers who are there for nothing else.
    """
    if order.deployment != registry.deployment:
        raise Refused("SIGNER_WRONG_DEPLOYMENT", "the order is for another deployment")
    if order.token and order.token != token:
        raise Refused("SIGNER_BAD_ORDER", f"the order is for {order.token[:40]}")
    if order.expires <= now:
        raise Refused("SIGNER_INTENT_EXPIRED", f"the order ended at {order.expires:%Y-%m-%d %H:%M:%S} UTC")
    if order.expires > now + registry.limits.order_life:
        raise Refused("SIGNER_INTENT_TOO_LONG", "no order is good for so long")
    stopping, recovery = order.kind in (FREEZE, VETO), registry.recovery
    officers, askers = registry.officers, frozenset[str]()
    teams: dict[str, int] | None = None
    discounted: Collection[str] = ()
    if stopping:
        officers = {**officers, **(recovery.officers if recovery else {})}
    elif order.kind == RECOVERY:
        if recovery is None:
            raise Refused("SIGNER_UNKNOWN_KIND", "the registry names nobody for a recovery")
        officers, teams = recovery.officers, {"recovery": recovery.quorum}
    else:
        teams = quorum_for(order.kind, registry)
        discounted = registry.discounted(teams, concerned)
        askers = registry.askers if asked else askers
    return approvals.judge(
        order.signed,
        kind=order.kind,
        maker=order.maker,
        teams=teams,
        verb=Verb.APPROVE if stopping else Verb.RELEASE,
        officers=officers,
        registry=registry,
        expires=order.expires,
        life=registry.limits.order_life,
        askers=askers,
        discounted=discounted,
    )


def quorum_for(kind: str, registry: Registry) -> dict[str, int]:
    """Who must agree to such an order: its own policy says so, or else that of withdrawals."""
    return dict((registry.policies.get(kind) or _policy(registry, WITHDRAWAL)).teams)


def check_mark(mark: int, intent: Intent) -> None:
    """Nothing, if the transaction carries its intent's mark: it is signed for this intent and no other."""
    if mark != intent.mark:
        raise Refused("SIGNER_WRONG_MARK", f"it carries {mark}, and {intent.name} has {intent.mark}")


def script_of(destination: str, network: str) -> bytes:
    """The output script of an address. Limits count per destination, so each has one spelling."""
    try:
        found = script.script_of(destination, network)
        if script.address_of(found, network) != destination:
            raise BadAddress("the address is not in its usual spelling")
    except BadAddress as error:
        raise Refused("SIGNER_WRONG_DESTINATION", str(error)) from None
    return found


def _policy(registry: Registry, kind: str) -> KindPolicy:
    if kind not in registry.policies:
        raise Refused("SIGNER_UNKNOWN_KIND", f"the registry has no policy for {kind}")
    return registry.policies[kind]


def _check_intent(intent: Intent, *, wallet: Wallet, registry: Registry, now: datetime) -> bytes:
    """The output script that the intent pays to."""
    ours, terms = _policy(registry, intent.kind), {"network": registry.network, "source": wallet.name}
    check_terms(intent, registry=registry, assets=(ASSET,), version=ours.version, now=now, **terms)
    if intent.amount.units < UNITS_MIN:
        raise Refused("SIGNER_WRONG_ASSET", f"only amounts from {UNITS_MIN} sats on are signed here")
    if ours.source != wallet.name:
        raise Refused("SIGNER_WRONG_SOURCE", f"{intent.kind} does not spend from {wallet.name}")
    output_script = script_of(intent.destination, registry.network)
    if ours.destination:
        name, index = registry.own_address(ours.destination)
        if intent.destination != registry.wallets[name].address(index):
            raise Refused("SIGNER_WRONG_DESTINATION", f"{intent.kind} pays to {ours.destination} only")
    return output_script


def check_terms(
    intent: Intent,
    *,
    registry: Registry,
    network: str,
    assets: Collection[str],
    source: str,
    version: int,
    now: datetime,
) -> None:
    """Nothing, if the intent is for this deployment, network, wallet and policy, and for this moment."""
    if intent.deployment != registry.deployment:
        raise Refused("SIGNER_WRONG_DEPLOYMENT", "the intent is for another deployment")
    if intent.network != network:
        raise Refused("SIGNER_WRONG_NETWORK", f"the intent is for {intent.network[:20]}")
    if intent.amount.asset not in assets or intent.amount.units < 1:
        raise Refused("SIGNER_WRONG_ASSET", f"only positive amounts of {', '.join(assets)} are signed here")
    if intent.source != source:
        raise Refused("SIGNER_WRONG_SOURCE", f"the intent does not spend from {source}")
    if intent.policy != version:
        raise Refused("SIGNER_WRONG_POLICY", f"approved under policy {intent.policy}, not {version}")
    if intent.expires <= now:
        raise Refused("SIGNER_INTENT_EXPIRED", f"it ended at {intent.expires:%Y-%m-%d %H:%M:%S} UTC")
    life = registry.limits.intent_life
    if intent.expires > now + life:
        raise Refused("SIGNER_INTENT_TOO_LONG", f"no intent is good for more than {life}")


def approved(
    intent: Intent, signed: Signed, *, registry: Registry, teams: Mapping[str, int], confirmed: bool
) -> list[Sighting]:
    """The sign counts of an intent's approvals; Refused where they are not those of its quorum.

    `teams` must approve where the registry has no rules. A withdrawal is its customer's, all else
    is an officer's.
    """
    return approvals.judge(
        signed,
        kind=intent.kind,
        maker=str(intent.maker),
        teams=teams if registry.rules is None else _ruled(intent, registry.rules),
        verb=Verb.APPROVE,
        officers=registry.officers,
        registry=registry,
        expires=intent.expires,
        life=registry.limits.intent_life,
        confirmed=confirmed,
        askers=() if intent.kind == WITHDRAWAL else registry.askers,
    )


def _ruled(intent: Intent, rules: policy.Policy) -> Mapping[str, int]:
    """Who must approve, by the registry's rules on facts that this signer reads itself."""
    facts: Mapping[str, policy.Fact] = {
        "kind": intent.kind,
        "asset": intent.amount.asset,
        "amount": intent.amount.units,
        "source": intent.source,
        "destination": intent.destination,
    }
    try:
        return rules.rule_for(facts).teams
    except LookupError as error:
        raise Refused("SIGNER_NO_RULE", str(error)) from None


def _own_coins(spend: Spend, wallet: Wallet) -> tuple[int, ...]:
    """For each input, which address of the wallet it is."""
    found: list[int] = []
    for place in range(len(spend.psbt.spends)):
        index = wallet.indexes.get(spend.psbt.coin(place).script)
        if index is None:
            raise Refused("SIGNER_FOREIGN_COIN", f"input {place} is no address of {wallet.name}")
        found.append(index)
    return tuple(found)


def _check_outputs(spend: Spend, wallet: Wallet, paid: Output) -> None:
    """Outputs are exactly the intent's, plus at most one of change to the wallet's own first address."""
    change_script, change, unpaid = wallet.output_script(CHANGE_INDEX), 0, True
    for place, output in enumerate(spend.psbt.transaction.outputs):
        if unpaid and output == paid:
            unpaid = False
        elif output.script == change_script:
            change += 1
        else:
            raise Refused("SIGNER_OUTPUT_NOT_APPROVED", f"output {place} pays {output.sats} sats elsewhere")
    if change > 1:
        raise Refused("SIGNER_CHANGE_TWICE", "at most one output is change")
    if unpaid:
        raise Refused("SIGNER_INTENT_NOT_PAID", "the intent has no output of its exact amount")


def _check_fee(spend: Spend, wallet: Wallet, registry: Registry) -> None:
    fee, limits, cap = spend.psbt.fee, registry.limits, spend.intent.fee_cap.units
    if fee > cap:
        raise Refused("SIGNER_FEE_ABOVE_CAP", f"{fee} sats of fee, {cap} were approved")
    if fee > limits.fee_sats_max:
        raise Refused("SIGNER_FEE_ABOVE_LIMIT", f"{fee} sats of fee, the limit is {limits.fee_sats_max}")
    inputs, outputs = spend.psbt.transaction.inputs, spend.psbt.transaction.outputs
    vsize = multisig_vsize(len(inputs), outputs, threshold=wallet.threshold, keys=len(wallet.tokens))
    if fee > limits.feerate_sats_vb_max * vsize:
        raise Refused("SIGNER_FEERATE_ABOVE_LIMIT", f"{fee} sats for {vsize} vB")
