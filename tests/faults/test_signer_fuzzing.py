"""A signer under attack by chance …

Whatever is done to an honest request, either it is refused or what is signed is exactly what was approved.
"""

from __future__ import annotations

import copy
import os
import random
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custody.signer.refusals import Refused
from kernel import encodings, script
from kernel.psbt import Psbt
from tests import messages
from tests import vault as vaults
from tests.messages import coin, request, withdrawal
from tests.softtoken import Desk, hot_registry
from tests.vault import Message

ENDLESS = {"window_units_max": {"hot": "1" + "0" * 17}}


def honest(desk: Desk, chance: random.Random) -> Message:
    """One to three withdrawals over one to three coins."""
    intents = [withdrawal(expires=desk.in_hours(1)) for _ in range(chance.randint(1, 3))]
    coins = [coin(desk.registry, "hot", chance.randrange(4), 90_000_000) for _ in range(chance.randint(1, 3))]
    return request(desk.registry, intents, coins=coins, fee=chance.randint(300, 3_000))


def flip_transaction(message: Message, chance: random.Random) -> None:
    raw = bytearray(encodings.from_base64_standard(message["psbt"]))
    for _ in range(chance.randint(1, 3)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    message["psbt"] = encodings.base64_standard(bytes(raw))


def flip_payload(message: Message, chance: random.Random) -> None:
    part = chance.choice(message["intents"])
    raw = bytearray(encodings.from_base64url(part["payload"]))
    raw[chance.randrange(len(raw))] = chance.choice(b'0123456789abcdef"{},:')
    part["payload"] = encodings.base64url(bytes(raw))


def flip_assertion(message: Message, chance: random.Random) -> None:
    approval = chance.choice(chance.choice(message["intents"])["approvals"])
    name = chance.choice(["authenticator_data", "client_data", "signature"])
    raw = bytearray(encodings.from_base64url(approval[name]))
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    approval[name] = encodings.base64url(bytes(raw))


def shuffle_approvals(message: Message, chance: random.Random) -> None:
    everything = [approval for part in message["intents"] for approval in part["approvals"]]
    for part in message["intents"]:
        part["approvals"] = [copy.deepcopy(chance.choice(everything)) for _ in range(chance.randint(0, 3))]


def drop_something(message: Message, chance: random.Random) -> None:
    target: Any = message
    while isinstance(target, (dict, list)) and target:
        key = chance.choice(list(target)) if isinstance(target, dict) else chance.randrange(len(target))
        if not isinstance(target[key], (dict, list)) or chance.random() < 0.3:
            del target[key]
            return
        target = target[key]


def swap_members(message: Message, chance: random.Random) -> None:
    part = chance.choice(message["intents"])
    approval = chance.choice(part["approvals"])
    name = chance.choice(sorted(approval))
    approval[name] = chance.choice(
        [
            "",
            "approve",
            "reject",
            "release",
            vaults.ANA,
            vaults.BEN,
            "00" * 32,
            7,
            None,
            [],
            "\u202e",
            "A" * 5_000,
        ]
    )


ATTACKS: list[Callable[[Message, random.Random], None]] = [
    flip_transaction,
    flip_payload,
    flip_assertion,
    shuffle_approvals,
    drop_something,
    swap_members,
]


def is_what_was_approved(
    desk: Desk, message: Message, answer: Message, intents: list[tuple[bytes, int]]
) -> bool:
    """Whether a signed transaction pays exactly the honest request's intents and nobody else."""
    psbt = Psbt.parse_base64(message["psbt"]).with_signatures(messages.signatures(answer))
    own = desk.registry.wallets["hot"].output_script(0)
    left = list(intents)
    for output in psbt.transaction.outputs:
        if (output.script, output.sats) in left:
            left.remove((output.script, output.sats))
        elif output.script != own:
            return False
    return not left and 0 <= psbt.fee <= 5_000 * len(intents)


def attack(folder: Path, seed: int, rounds: int) -> dict[str, int]:
    """How often each answer came."""
    chance = random.Random(seed)
    desk = Desk(folder, registry=hot_registry(limits=ENDLESS))
    seen: dict[str, int] = {}
    for _ in range(rounds):
        message = honest(desk, chance)
        wanted = [
            (script.script_of(str(payload["destination"]), vaults.NETWORK), int(str(payload["amount"])))
            for payload in map(messages.payload_of, message["intents"])
        ]
        spoiled = copy.deepcopy(message)
        for strike in chance.choices(ATTACKS, k=chance.randint(1, 2)):
            try:
                strike(spoiled, chance)
            except (KeyError, IndexError, TypeError, ValueError):
                continue  # an earlier strike took away what this one would change
        answer = desk.ask(spoiled)
        code = str(answer.get("code", answer["type"]))
        seen[code] = seen.get(code, 0) + 1
        if code == "signed":
            assert is_what_was_approved(desk, spoiled, answer, wanted), (seed, spoiled)
        else:
            assert code.startswith("SIGNER_"), answer
    return seen


def test_never_signs_what_nobody_approved(tmp_path: Path) -> None:
    seen = attack(tmp_path, seed=20261121, rounds=250)
    assert len(seen) >= 12, seen


@pytest.mark.soak
def test_never_signs_what_nobody_approved_for_long(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or secrets.randbits(32))
    print(f"seed {seed}")
    attack(tmp_path, seed=seed, rounds=20_000)


def test_takes_no_message_of_any_shape_for_more_than_a_bad_request(tmp_path: Path) -> None:
    desk, chance = Desk(tmp_path), random.Random(7)
    pieces: list[Any] = [None, True, 7, "", "sign", "x" * 50, [], {}, [[]], {"v": 1}, -1]
    for _ in range(300):
        names = chance.sample(
            ["v", "type", "wallet", "psbt", "intents", "payload", "approvals", "digest"], k=4
        )
        message = {name: chance.choice(pieces) for name in names} | {"v": 1}
        message["type"] = chance.choice(["sign", "order", "digest", None])
        try:
            answer = desk.ask(message)
        except Refused:  # pragma: no cover - an answer, never an exception
            pytest.fail("a refusal escaped")
        assert answer["type"] == "refused"
    assert desk.token.signed == 0
