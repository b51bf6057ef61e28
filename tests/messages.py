"""What signers are asked in tests: intents, approvals by passkeys, coins, whole requests, and orders."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel import canonical, confirmation, encodings, script
from kernel.approval import Statement, Verb
from kernel.intent import REFILL, SWEEP, WITHDRAWAL, Intent, time_text
from kernel.money import Amount
from kernel.psbt import Psbt
from kernel.registry import Registry
from kernel.transaction import Input, Outpoint, Output, Transaction
from tests.vault import ANA, BEN, CY, DEPLOYMENT, KEYS, NETWORK, ORIGIN, RP_ID, Message

ASKED = (REFILL, SWEEP, "signer.registry", "signer.release", "signer.reopen")
"""Kinds whose maker signs that they ask."""

DESTINATION = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


def in_hours(hours: float) -> datetime:
    """A moment from now by the real clock, in whole seconds: what signers go by."""
    moment = datetime.fromtimestamp(int(time.time()), UTC)
    return moment + timedelta(seconds=int(hours * 3600))


def withdrawal(**changes: Any) -> Intent:
    """A withdrawal of 0.25 BTC that Ana made."""
    plain = Intent(
        kind=WITHDRAWAL,
        deployment=DEPLOYMENT,
        network=NETWORK,
        amount=Amount(25_000_000, "BTC"),
        destination=DESTINATION,
        destination_label="Tom's own wallet",
        fee_cap=Amount(5_000, "BTC"),
        source="hot",
        reference=uuid4(),
        maker=UUID(ANA),
        policy=1,
        expires=in_hours(1),
        customer=uuid4(),
    )
    return replace(plain, **changes)


def refill(registry: Registry, **changes: Any) -> Intent:
    """A refill of 1 BTC into the hot wallet."""
    target = registry.wallets["hot"].address(0)
    plain = withdrawal(
        kind=REFILL, source="cold", destination=target, destination_label="hot wallet", customer=None
    )
    return replace(plain, **{"amount": Amount(100_000_000, "BTC"), **changes})


def sweep(registry: Registry, **changes: Any) -> Intent:
    """A sweep of 1 BTC back into the cold wallet."""
    target = registry.wallets["cold"].address(0)
    plain = withdrawal(kind=SWEEP, destination=target, destination_label="cold wallet", customer=None)
    return replace(plain, **{"amount": Amount(100_000_000, "BTC"), **changes})


def approvals(
    payload: bytes,
    *,
    kind: str,
    officers: Sequence[str] = (BEN, CY),
    verb: Verb = Verb.APPROVE,
    nonce: bytes = b"\x07" * 32,
    deployment: str = DEPLOYMENT,
    origin: str = ORIGIN,
    rp_id: str = RP_ID,
    confirmed: Mapping[str, Ed25519PrivateKey] | None = None,
    seen: bytes | None = None,
    asked: str | None = "",
) -> list[Message]:
    """What these officers' passkeys say about the payload, and those decoders about what they were shown.

    Before them its maker asks, who has a passkey here, where makers do; whoever `asked` instead, if anybody
    is named, and nobody where that is None.
    """
    statement = Statement(verb, kind, deployment, nonce, canonical.digest(payload))
    shown = replace(statement, digest=canonical.digest(seen)) if seen else statement
    found = []
    maker = ""
    if kind in ASKED and asked is not None:
        maker = asked or str(canonical.decode_object(payload)["maker"])
    if maker in KEYS:
        given = KEYS[maker].approve(
            replace(statement, verb=Verb.ASK), officer=maker, origin=origin, rp_id=rp_id
        )
        found.append(dict(given.as_json()))
    for officer in officers:
        given = KEYS[officer].approve(statement, officer=officer, origin=origin, rp_id=rp_id)
        if confirmed and officer in confirmed:
            given = replace(given, confirmation=confirmed[officer].sign(confirmation.message(shown)))
        found.append(dict(given.as_json()))
    return found


def coin(registry: Registry, wallet: str, index: int, sats: int) -> tuple[Outpoint, Transaction, bytes]:
    """A coin of ours, with the transaction that made it."""
    source = registry.wallets[wallet]
    made = Transaction(
        (Input(Outpoint(uuid4().hex * 2, 0)),),
        (Output(1_000, b"\x00\x14" + b"\x05" * 20), Output(sats, source.output_script(index))),
    )
    return Outpoint(made.txid, 1), made, source.witness_script(index)


def request(
    registry: Registry,
    intents: Sequence[Intent],
    *,
    coins: Sequence[tuple[Outpoint, Transaction, bytes]] | None = None,
    fee: int = 2_000,
    psbt: Psbt | None = None,
    **how: Any,
) -> Message:
    """A sign request that an honest web tier would make, with change to the wallet's first address."""
    wallet = intents[0].source
    psbt = psbt or _honest(registry, intents, coins or [coin(registry, wallet, 1, 150_000_000)], fee)
    payloads = [(intent, intent.encoded()) for intent in intents]
    return {
        "v": 1,
        "type": "sign",
        "wallet": wallet,
        "psbt": psbt.base64(),
        "intents": [
            {
                "payload": encodings.base64url(payload),
                "approvals": approvals(payload, kind=intent.kind, **how),
            }
            for intent, payload in payloads
        ],
    }


def _honest(
    registry: Registry,
    intents: Sequence[Intent],
    coins: Sequence[tuple[Outpoint, Transaction, bytes]],
    fee: int,
) -> Psbt:
    outputs = [Output(one.amount.units, script.script_of(one.destination, NETWORK)) for one in intents]
    change = sum(made.outputs[spent.index].sats for spent, made, _ in coins) - fee
    change -= sum(output.sats for output in outputs)
    if change > 0:
        outputs.append(Output(change, registry.wallets[intents[0].source].output_script(0)))
    return Psbt.build(coins, outputs, locktime=intents[0].mark)


def order(
    kind: str,
    *,
    maker: str = ANA,
    verb: Verb = Verb.RELEASE,
    officers: Sequence[str] = (BEN, CY),
    nonce: bytes = b"\x07" * 32,
    asked: str | None = "",
    **members: Any,
) -> Message:
    """An officers' order to a signer; a release is good for a day, as the console drafts it."""
    payload = canonical.encode(
        {
            "v": 2 if kind in ("signer.registry", "signer.recovery", "signer.reopen") else 1,
            "kind": kind,
            "deployment": DEPLOYMENT,
            "maker": maker,
            "reason": "a test",
            "expires": time_text(in_hours(24 if kind == "signer.release" else 1)),
            **({"suspended": []} if kind == "signer.reopen" else {}),
            **members,
        }
    )
    given = approvals(payload, kind=kind, verb=verb, officers=officers, nonce=nonce, asked=asked)
    return {"v": 1, "type": "order", "payload": encodings.base64url(payload), "approvals": given}


def payload_of(intent: Message) -> Message:
    """The members of a request's intent."""
    return canonical.decode_object(encodings.from_base64url(intent["payload"]))


def signatures(answer: Message) -> list[tuple[int, bytes, bytes]]:
    """An answer's signatures in the form that a PSBT takes."""
    assert answer["type"] == "signed", answer
    return [
        (item["input"], bytes.fromhex(item["public_key"]), bytes.fromhex(item["signature"]))
        for item in answer["signatures"]
    ]
