"""A signer that is asked for nonsense without end …"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernel.money import Amount
from kernel.tally import EVERY_MS, FIRST
from tests.messages import coin, request, withdrawal
from tests.softtoken import Desk
from tests.vault import Message

NONSENSE: Message = {"v": 1, "type": "nonsense"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def lines(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(line) for line in desk.file.read_text().splitlines()]


def test_writes_a_few_lines_a_minute_and_how_many_there_were(desk: Desk) -> None:
    minutes, each = 10, 200
    before = desk.journal.lines
    for _ in range(minutes * each):
        assert desk.signer.answer(NONSENSE, "1001")["code"] == "SIGNER_BAD_REQUEST"
        desk.now += EVERY_MS / 1000 / each
    desk.signer.close()
    found = lines(desk)[before:]
    whole = [line for line in found if line["event"] == "refused"]
    counts = [line["details"]["counts"]["1001"] for line in found if line["event"] == "refusals"]
    assert len(whole) + len(counts) == len(found) <= FIRST + 2 * minutes + 1
    assert {line["details"]["user"] for line in whole} == {"1001"}
    assert len(whole) + sum(int(one["SIGNER_BAD_REQUEST"]) for one in counts) == minutes * each


def test_hides_nobody_elses_refusals_and_nothing_that_it_signed(desk: Desk) -> None:
    for _ in range(FIRST + 5):
        desk.signer.answer(NONSENSE, "1001")
    desk.signer.answer(NONSENSE, "1002")
    asked = request(desk.registry, [withdrawal(expires=desk.in_hours(1))])
    asked["intents"][0]["approvals"] = []
    desk.signer.answer(asked, "1001")
    assert [line["details"]["user"] for line in lines(desk)[-2:]] == ["1002", "1001"]
    before = len(lines(desk))
    intent, mine = withdrawal(expires=desk.in_hours(1)), coin(desk.registry, "hot", 1, 90_000_000)
    for _ in range(FIRST + 5):
        asked = request(desk.registry, [intent], coins=[mine])
        assert desk.signer.answer(asked, "1001")["type"] == "signed"
    assert [line["event"] for line in lines(desk)[before:]] == ["spend"] + ["signed"] * (FIRST + 5)


def test_signs_what_pays_nothing_new_only_so_often_an_hour(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has taken over the worker fills the disk neither with one transaction nor with its versions."""
    monkeypatch.setattr("custody.signer.journal.AGAIN_MAX", 6)
    intent, mine = withdrawal(expires=desk.in_hours(3)), coin(desk.registry, "hot", 1, 90_000_000)
    asked = [request(desk.registry, [intent], coins=[mine], fee=fee) for fee in (3_000, 3_001, 3_002, 3_003)]
    assert [desk.code(one) for one in asked] == ["signed"] * 4  # one that pays, and three versions of it
    assert [desk.code(asked[0]) for _ in range(5)] == ["signed"] * 3 + ["SIGNER_SIGNED_ENOUGH"] * 2
    assert desk.code(request(desk.registry, [intent], coins=[mine], fee=3_004)) == "SIGNER_SIGNED_ENOUGH"
    assert desk.spend() == "signed"
    desk.now += 3_600
    assert desk.code(asked[0]) == "signed"
    crumb = withdrawal(amount=Amount(293, "BTC"), expires=desk.in_hours(1))
    assert desk.spend(crumb) == "SIGNER_WRONG_ASSET"


def test_writes_what_it_counted_when_it_ends(desk: Desk) -> None:
    for _ in range(FIRST + 5):
        desk.signer.answer(NONSENSE, "1001")
    desk.restart()
    assert lines(desk)[-1]["details"]["counts"] == {"1001": {"SIGNER_BAD_REQUEST": "5"}}
    assert desk.health["state"] == "ready"
