"""Every check between a request and a signature, made from the signer's own facts.

The web tier, its database and its queue may be in an attacker's hands; what they say is only compared. Each
refusal has a stable code:

The message: SIGNER_BAD_REQUEST, _BAD_INTENT, _BAD_APPROVAL, _BAD_ORDER, _NO_INTENT, _REPEATED_INTENT.
The transaction's own proof: SIGNER_PSBT_*, the codes of `kernel.psbt`: previous transaction missing or
  wrong, an amount that lies, another signature type than ALL, a repeated coin, an unknown field, ...
The wallet: SIGNER_UNKNOWN_WALLET, _NOT_IN_WALLET (this token is none of its keys), _FOREIGN_COIN.
What the intent was approved for: SIGNER_WRONG_DEPLOYMENT, _WRONG_NETWORK, _WRONG_ASSET, _WRONG_SOURCE,
  _WRONG_POLICY, _WRONG_DESTINATION, _UNKNOWN_KIND, _NO_RULE.
Time, by the signer's own clock: SIGNER_INTENT_EXPIRED, _INTENT_TOO_LONG, _INTENT_BEFORE_REOPENING.
Who approved: SIGNER_UNKNOWN_OFFICER, _WRONG_VERB, _MAKER_APPROVES, _OFFICER_TWICE, _NONCES_DIFFER,
  _BELOW_QUORUM, _UNCONFIRMED, _CONFIRMATION_WRONG, and SIGNER_ASSERTION_* for the codes of
  `kernel.webauthn` (challenge, origin, rp_id, ...).
Outputs: SIGNER_OUTPUT_NOT_APPROVED, _INTENT_NOT_PAID, _CHANGE_TWICE.
The fee: SIGNER_FEE_ABOVE_CAP (approved), _FEE_ABOVE_LIMIT, _FEERATE_ABOVE_LIMIT (registry).
Memory, in `counters`: SIGNER_REPLAY, _INTENT_CHANGED, _PAYMENT_ABOVE_LIMIT, _DESTINATION_FULL, _WINDOW_FULL,
  _CLOCK_BACK, _FROZEN, _ORDER_USED, _ORDER_BEFORE_FREEZE, _COUNTER (a passkey's sign count did not grow).
The unattended lane, in `lanes` and `counters`: SIGNER_NO_LANE, _UNKNOWN_BENEFICIARY, _COOLING_OFF,
  _ATTESTATION_OLD, _BOOKS_BROKEN, _LANE_REOPENING. What it learns from: SIGNER_BAD_STATEMENT,
  _UNKNOWN_CUSTOMER, _BENEFICIARY_REMOVED, _LEARNT_ENOUGH, _BAD_ATTESTATION; _CUSTOMER_KEY_CHANGED is no
  refusal but an alert.
Nothing is signed until officers say so, in `journal`: SIGNER_STORE_LOST, _STORE_DAMAGED, _STORE_RESTORED,
  _TOKEN_CHANGED, _REGISTRY_CHANGED; in `watched`, by what witnesses saw: SIGNER_LOG_FORKED. Until witnesses
  have seen the journal since the start, and lately: SIGNER_UNWITNESSED. What they say: _BAD_COSIGNATURE.
The token: SIGNER_KEY_MISSING, _KEY_WEAK, _TOKEN_FAILED, _BAD_SIGNATURE. The start:
  SIGNER_BAD_REGISTRY, _GENESIS_UNSIGNED. The PIN, in `locked`: SIGNER_LOCKED, _PIN_REFUSED, _NOT_OPERATOR.
A user that may not ask gets SIGNER_UNKNOWN_PEER, or is hung up on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from custody.signer.refusals import Refused
from custody.signer.requests import FREEZE, RECOVERY, VETO, Order, Signed, Spend
from kernel import confirmation, policy, quorum, script, webauthn
from kernel.approval import SignedApproval, Statement, Verb
from kernel.bech32 import BadAddress
from kernel.intent import WITHDRAWAL, Intent
from kernel.lane import Lane
from kernel.registry import KindPolicy, Limits, Officer, Registry, Wallet
from kernel.transaction import multisig_vsize

ASSET: Final = "BTC"
RELEASE_LIFE: Final = timedelta(days=1)  # the approver page signs none that is good for longer
CHANGE_INDEX: Final = 0  # other addresses belong to customers: change there would be credited as a deposit


@dataclass(frozen=True, slots=True)
class Plan:
    """A spend that passed: which of our keys sign which input, and what leaves the wallet."""

    wallet: Wallet
    key_indexes: tuple[int, ...]
    txid: str
    coins: frozenset[str]
    payments: Mapping[str, tuple[str, int]]  # reference of the intent -> destination and units
    fee: int
    sightings: tuple[Sighting, ...] = ()
    lane: Lane | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A passkey's sign count in an approval that was given after `since`, and a name of that assertion."""

    officer: str
    count: int
    name: str
    since: datetime


def judge(spend: Spend, *, token: str, registry: Registry, now: datetime, lane: Lane | None = None) -> Plan:
    """The plan of a spend that every check let pass; Refused names the first that did not.

    With a lane that lets it through, no officer is asked; all else is checked as always.
    """
    wallet = registry.wallets.get(spend.wallet)
    if wallet is None:
        raise Refused("SIGNER_UNKNOWN_WALLET", f"no wallet {spend.wallet[:40]!r}")
    if token not in wallet.tokens:
        raise Refused("SIGNER_NOT_IN_WALLET", f"{token} holds no key of {wallet.name}")
    references = [reference(intent) for intent, _ in spend.intents]
    if len(set(references)) != len(references):
        raise Refused("SIGNER_REPEATED_INTENT", "one intent stands in the request twice")
    sightings: list[Sighting] = []
    for intent, signed in spend.intents:
        _check_intent(intent, wallet=wallet, registry=registry, now=now)
        if lane is None:
            sightings += _check_approvals(
                signed,
                kind=intent.kind,
                maker=str(intent.maker),
                teams=_teams(intent, registry),
                verb=Verb.APPROVE,
                officers=registry.officers,
                registry=registry,
                expires=intent.expires,
                life=intent_life(registry.limits),
                confirmed=registry.policies[intent.kind].wants_confirmation(intent.amount.units),
            )
    key_indexes = _own_coins(spend, wallet)
    _check_outputs(spend, wallet, registry.network)
    _check_fee(spend, wallet, registry)
    transaction = spend.psbt.transaction
    return Plan(
        wallet=wallet,
        key_indexes=key_indexes,
        txid=transaction.txid,
        coins=frozenset(str(spent.outpoint) for spent in transaction.inputs),
        payments={reference(one): (one.destination, one.amount.units) for one, _ in spend.intents},
        fee=spend.psbt.fee,
        sightings=tuple(sightings),
        lane=lane,
    )


def judge_order(order: Order, *, token: str, registry: Registry, now: datetime) -> list[Sighting]:
    """The sign counts of an order that officers gave to this signer; else Refused.

    To stop something (freeze, veto) any one officer is enough, one for recovery too; all else takes a quorum
    that says release. A recovery is ordered by the quorum of those officers who are there for nothing else.
    """
    if order.deployment != registry.deployment:
        raise Refused("SIGNER_WRONG_DEPLOYMENT", "the order is for another deployment")
    if order.token and order.token != token:
        raise Refused("SIGNER_BAD_ORDER", f"the order is for {order.token[:40]}")
    if order.expires <= now:
        raise Refused("SIGNER_INTENT_EXPIRED", f"the order ended at {order.expires:%Y-%m-%d %H:%M:%S} UTC")
    if order.expires > now + order_life(registry.limits):
        raise Refused("SIGNER_INTENT_TOO_LONG", "no order is good for so long")
    stopping, recovery = order.kind in (FREEZE, VETO), registry.recovery
    officers, teams = registry.officers, dict[str, int]()
    if stopping:
        officers = {**officers, **(recovery.officers if recovery else {})}
    elif order.kind == RECOVERY:
        if recovery is None:
            raise Refused("SIGNER_UNKNOWN_KIND", "the registry names nobody for a recovery")
        officers, teams = recovery.officers, {"recovery": recovery.quorum}
    else:
        teams = dict((registry.policies.get(order.kind) or _policy(registry, WITHDRAWAL)).teams)
    return _check_approvals(
        order.signed,
        kind=order.kind,
        maker=order.maker,
        teams=teams,
        verb=Verb.APPROVE if stopping else Verb.RELEASE,
        officers=officers,
        registry=registry,
        expires=order.expires,
        life=order_life(registry.limits),
    )


def intent_life(limits: Limits) -> timedelta:
    """How long before its end a payment can be signed at all."""
    return timedelta(seconds=limits.intent_life_s)


def order_life(limits: Limits) -> timedelta:
    """The same of an officers' order: a day at least, or no release could ever be obeyed."""
    return max(intent_life(limits), RELEASE_LIFE)


def reference(intent: Intent) -> str:
    """The name under which an intent is remembered: the same however often it is approved again."""
    return f"{intent.kind}/{intent.reference}"


def _policy(registry: Registry, kind: str) -> KindPolicy:
    try:
        return registry.policies[kind]
    except KeyError:
        raise Refused("SIGNER_UNKNOWN_KIND", f"the registry has no policy for {kind}") from None


def _check_intent(intent: Intent, *, wallet: Wallet, registry: Registry, now: datetime) -> None:
    ours = _policy(registry, intent.kind)
    if intent.deployment != registry.deployment:
        raise Refused("SIGNER_WRONG_DEPLOYMENT", "the intent is for another deployment")
    if intent.network != registry.network:
        raise Refused("SIGNER_WRONG_NETWORK", f"the intent is for {intent.network[:20]}")
    if intent.amount.asset != ASSET or intent.amount.units < 1:
        raise Refused("SIGNER_WRONG_ASSET", f"only positive amounts of {ASSET} are signed here")
    if intent.source != wallet.name or ours.source != wallet.name:
        raise Refused("SIGNER_WRONG_SOURCE", f"{intent.kind} does not spend from {wallet.name}")
    if intent.policy != ours.version:
        raise Refused("SIGNER_WRONG_POLICY", f"approved under policy {intent.policy}, not {ours.version}")
    if intent.expires <= now:
        raise Refused("SIGNER_INTENT_EXPIRED", f"it ended at {intent.expires:%Y-%m-%d %H:%M:%S} UTC")
    life = intent_life(registry.limits)
    if intent.expires > now + life:
        raise Refused("SIGNER_INTENT_TOO_LONG", f"no intent is good for more than {life}")
    try:
        output_script = script.script_of(intent.destination, registry.network)
        plain = script.address_of(output_script, registry.network)
    except BadAddress as error:
        raise Refused("SIGNER_WRONG_DESTINATION", str(error)) from None
    if plain != intent.destination:
        # Limits count per destination, so each has one spelling.
        raise Refused("SIGNER_WRONG_DESTINATION", "the address is not in its usual spelling")
    if ours.destination:
        name, index = registry.own_address(ours.destination)
        if intent.destination != registry.wallets[name].address(index):
            raise Refused("SIGNER_WRONG_DESTINATION", f"{intent.kind} pays to {ours.destination} only")


def _teams(intent: Intent, registry: Registry) -> Mapping[str, int]:
    """Who must approve: by the registry's rules on facts that this signer reads itself, or by the kind."""
    if registry.rules is None:
        return registry.policies[intent.kind].teams
    facts: Mapping[str, policy.Fact] = {
        "kind": intent.kind,
        "asset": intent.amount.asset,
        "amount": intent.amount.units,
        "source": intent.source,
        "destination": intent.destination,
    }
    try:
        return registry.rules.rule_for(facts).teams
    except LookupError as error:
        raise Refused("SIGNER_NO_RULE", str(error)) from None


def _check_approvals(
    signed: Signed,
    *,
    kind: str,
    maker: str,
    teams: Mapping[str, int],
    verb: Verb,
    officers: Mapping[str, Officer],
    registry: Registry,
    expires: datetime,
    life: timedelta,
    confirmed: bool = False,
) -> list[Sighting]:
    approvals = signed.approvals
    since = expires - life
    sightings: list[Sighting] = []
    if len({approval.nonce for approval in approvals}) > 1:
        raise Refused("SIGNER_NONCES_DIFFER", "approvals of one request share its nonce")
    given: list[quorum.Given] = []
    for approval in approvals:
        officer = officers.get(approval.officer)
        if officer is None:
            raise Refused("SIGNER_UNKNOWN_OFFICER", f"{approval.officer[:40]} is not pinned here")
        if approval.verb is not verb:
            raise Refused("SIGNER_WRONG_VERB", f"{officer.name} said {approval.verb}, not {verb}")
        if teams and officer.id == maker:
            raise Refused("SIGNER_MAKER_APPROVES", f"{officer.name} is the maker")
        if any(other.officer == officer.id for other in given):
            raise Refused("SIGNER_OFFICER_TWICE", f"{officer.name} stands in the list twice")
        try:
            statement = Statement.about(
                signed.payload, verb=verb, kind=kind, deployment=registry.deployment, nonce=approval.nonce
            )
            count = webauthn.verify(
                approval.assertion,
                public_key=officer.public_key,
                challenge=statement.challenge(),
                origin=registry.origin,
                rp_id=registry.rp_id,
            )
            if confirmed or approval.confirmation:
                _check_confirmation(approval, statement, officer)
        except webauthn.BadAssertion as error:
            code = "SIGNER_" + error.code.upper().replace(".", "_")
            raise Refused(code, f"{officer.name}: {error}") from None
        except ValueError as error:
            raise Refused("SIGNER_BAD_APPROVAL", str(error)) from None
        given.append(quorum.Given(officer.id, officer.teams, approval.verb))
        sightings.append(Sighting(officer.id, count, approval.assertion.name, since))
    _check_quorum(teams, given, maker=maker, verb=verb)
    return sightings


def _check_confirmation(approval: SignedApproval, statement: Statement, officer: Officer) -> None:
    """The officer's decoder must have signed the same statement as the passkey."""
    if not approval.confirmation or not officer.decoder_key:
        raise Refused("SIGNER_UNCONFIRMED", f"{officer.name} did not confirm it on an offline decoder")
    try:
        confirmation.verify(approval.confirmation, statement=statement, key=officer.decoder_key)
    except confirmation.BadConfirmation as error:
        raise Refused("SIGNER_CONFIRMATION_WRONG", f"{officer.name}: {error}") from None


def _check_quorum(teams: Mapping[str, int], given: Sequence[quorum.Given], *, maker: str, verb: Verb) -> None:
    if not given:
        raise Refused("SIGNER_BELOW_QUORUM", "nobody approved")
    if not teams:
        return
    standing = quorum.judge(teams, given, maker=maker, agreeing=verb)
    if not standing.approved:
        missing = ", ".join(f"{count} of {team}" for team, count in standing.missing.items() if count)
        raise Refused("SIGNER_BELOW_QUORUM", f"still missing: {missing}")


def _own_coins(spend: Spend, wallet: Wallet) -> tuple[int, ...]:
    """For each input, which address of the wallet it is."""
    own = {wallet.output_script(index): index for index in range(len(wallet.keys))}
    found: list[int] = []
    for place in range(len(spend.psbt.spends)):
        index = own.get(spend.psbt.coin(place).script)
        if index is None:
            raise Refused("SIGNER_FOREIGN_COIN", f"input {place} is no address of {wallet.name}")
        found.append(index)
    return tuple(found)


def _check_outputs(spend: Spend, wallet: Wallet, network: str) -> None:
    """Outputs are exactly one per intent, plus at most one of change to the wallet's own first address."""
    unpaid = Counter(
        (script.script_of(intent.destination, network), intent.amount.units) for intent, _ in spend.intents
    )
    change_script, change = wallet.output_script(CHANGE_INDEX), 0
    for place, output in enumerate(spend.psbt.transaction.outputs):
        if unpaid[output.script, output.sats] > 0:
            unpaid[output.script, output.sats] -= 1
        elif output.script == change_script:
            change += 1
        else:
            raise Refused("SIGNER_OUTPUT_NOT_APPROVED", f"output {place} pays {output.sats} sats elsewhere")
    if change > 1:
        raise Refused("SIGNER_CHANGE_TWICE", "at most one output is change")
    if any(unpaid.values()):
        raise Refused("SIGNER_INTENT_NOT_PAID", "an intent has no output of its exact amount")


def _check_fee(spend: Spend, wallet: Wallet, registry: Registry) -> None:
    fee, limits = spend.psbt.fee, registry.limits
    cap = sum(intent.fee_cap.units for intent, _ in spend.intents)
    if fee > cap:
        raise Refused("SIGNER_FEE_ABOVE_CAP", f"{fee} sats of fee, {cap} were approved")
    if fee > limits.fee_sats_max:
        raise Refused("SIGNER_FEE_ABOVE_LIMIT", f"{fee} sats of fee, the limit is {limits.fee_sats_max}")
    transaction = spend.psbt.transaction
    vsize = multisig_vsize(
        len(transaction.inputs),
        transaction.outputs,
        threshold=wallet.threshold,
        keys=len(wallet.tokens),
    )
    if fee > limits.feerate_sats_vb_max * vsize:
        raise Refused("SIGNER_FEERATE_ABOVE_LIMIT", f"{fee} sats for {vsize} vB")
