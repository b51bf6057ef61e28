"""Equal payments that officers approved, each on its own, …

No transaction names its intent in its outputs. So whoever carries transactions could tell each signer of
another one of two equal intents. Any two quorums share a signer, but it would remember the other one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.intent import Intent
from kernel.psbt import Psbt
from tests import messages
from tests.messages import request, withdrawal
from tests.softtoken import TOKENS, Desk, SoftToken, hot_registry
from tests.vault import Message

ROUNDS = (("hot-1", "hot-2"), ("hot-2", "hot-3"), ("hot-3", "hot-1"))
"""Each signer twice: once it is told of the one intent, once of the other."""


@pytest.fixture
def desks(tmp_path: Path) -> dict[str, Desk]:
    registry = hot_registry()
    return {name: Desk(tmp_path / name, registry=registry, token=SoftToken(name)) for name in TOKENS}


def signed(desks: dict[str, Desk], asked: dict[str, Message]) -> str:
    """The transaction's id, if two of three sign it; else what the first says that does not."""
    psbt = Psbt.parse_base64(next(iter(asked.values()))["psbt"])
    for name, message in asked.items():
        answer = desks[name].ask(message)
        if answer["type"] != "signed":
            return str(answer["code"])
        psbt = psbt.with_signatures(messages.signatures(answer))
    return psbt.finalised().txid


def test_are_paid_once_each_whichever_intent_each_signer_is_told_of(desks: dict[str, Desk]) -> None:
    expires = desks["hot-1"].in_hours(1)
    one, other = (withdrawal(expires=expires) for _ in range(2))
    for first, second in ROUNDS:
        made = request(desks[first].registry, [one])
        asked = {first: made, second: {**request(desks[second].registry, [other]), "psbt": made["psbt"]}}
        assert signed(desks, asked) == "SIGNER_WRONG_MARK"
    # What was told of the one is held to its first transaction, and the other is paid for itself.
    bound = request(desks["hot-3"].registry, [other])
    assert len(signed(desks, {"hot-3": bound, "hot-1": bound})) == 64


def test_with_one_mark_are_paid_once_in_all(desks: dict[str, Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names withdrawals finds two with one mark: then they are one payment to the signers."""
    monkeypatch.setattr(Intent, "mark", 600_000_000)
    expires = desks["hot-1"].in_hours(1)
    one, other = (withdrawal(expires=expires) for _ in range(2))
    paid = []
    for first, second in ROUNDS:
        made = request(desks[first].registry, [one])
        asked = {first: made, second: {**request(desks[second].registry, [other]), "psbt": made["psbt"]}}
        paid.append(signed(desks, asked))
        for desk in desks.values():
            desk.restart()
    assert [len(found) for found in paid] == [64, len("SIGNER_REPLAY"), len("SIGNER_REPLAY")], paid
    assert paid[1:] == ["SIGNER_REPLAY"] * 2
