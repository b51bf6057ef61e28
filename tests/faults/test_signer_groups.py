"""Spends whose lines are settled together …

Several are decided while the token is being told of an earlier one: one sync and one anchor for all of them,
before a key is used for any (ADR 0045).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
from pathlib import Path

import pytest

from custody.signer import starting
from custody.signer.refusals import Refused
from kernel import gathering
from kernel.approval import Verb
from kernel.entry import AHEAD_MAX, SPEND
from kernel.intent import Intent
from kernel.safe import SafeTransaction
from kernel.seats import AT_ONCE
from tests import messages
from tests.faults.test_signer_turns import ONE
from tests.groups import COUNTED, HeldToken, codes, group, written
from tests.messages import coin
from tests.safe_payments import CHAIN_ID, ETHER, message, on_soft_tokens, payment
from tests.softtoken import Desk, hot_registry
from tests.vault import BEN, CY, Message


def test_cost_one_anchor_and_none_is_signed_before_the_token_knows_of_it(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        before = signer.held.anchors
        asked = signer.some()
        assert signer.held.signed == 0
        signer.let()
        assert codes(asked) == ["signed"] * AT_ONCE
        assert signer.held.anchors - before == 2  # the first by itself, then all others
        lines = [json.loads(line) for line in signer.desk.file.read_bytes().splitlines()]
        spends = {line["details"]["txid"]: line["n"] for line in lines if line["event"] == "spend"}
        assert len(spends) == len(signer.held.knew) == AT_ONCE
        assert min(signer.held.knew.values()) == min(spends.values())
        assert sorted(signer.held.knew.values())[1:] == [max(spends.values())] * (AT_ONCE - 1)


def test_gather_while_the_token_signs_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that can do one thing at a time signs, and is then told of all of them at once."""
    monkeypatch.setattr(gathering, "WAIT_S", 60.0)
    with group(tmp_path) as signer:
        signer.let()
        first = signer.at_work(signer.spend())
        before, asked = signer.held.anchors, [signer.follower(signer.spend()) for _ in range(AT_ONCE - 1)]
        assert (signer.held.anchors, signer.held.signed) == (before, 0)
        signer.held.may_sign.set()
        assert codes([first, *asked]) == ["signed"] * AT_ONCE
        assert signer.held.anchors - before == 1


def test_gather_and_no_freeze_waits_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "WAIT_S", 60.0)
    with group(tmp_path) as signer:
        signer.let()
        first = signer.at_work(signer.spend())
        asked = [signer.follower(signer.spend()) for _ in range(2)]
        freeze = messages.order("signer.freeze", wallet="hot", verb=Verb.APPROVE, officers=[BEN])
        assert signer.code(freeze) == "obeyed"
        assert signer.held.signed == 0
        signer.held.may_sign.set()
        assert codes([first, *asked]) == ["SIGNER_FROZEN"] * 3


def test_gather_for_a_moment_and_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the payment is that the token signs, or if it hangs."""
    monkeypatch.setattr(gathering, "WAIT_S", 0.01)
    with group(tmp_path) as signer:
        signer.let()
        first, before = signer.at_work(signer.spend()), signer.held.anchors
        second = signer.at_work(signer.spend())
        assert signer.held.anchors - before == 1
        signer.held.may_sign.set()
        assert codes([first, second]) == ["signed"] * 2


def test_gather_only_while_every_place_is_taken_of_those_that_an_operator_says_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "WAIT_S", 60.0)
    file, token, parser = tmp_path / "registry.json", HeldToken(), argparse.ArgumentParser()
    monkeypatch.setattr(starting, "Token", lambda **login: token)
    starting.add_arguments(parser)
    how = ["--token", token.name, "--registry", str(file), "--state", str(tmp_path / "state"), "--module", ""]
    options = parser.parse_args([*how, "--token-places", "2"])
    monkeypatch.setattr(Desk, "_start", lambda desk: starting.start(options, "its PIN"))
    file.write_bytes(hot_registry().encoded)
    with group(tmp_path, token=token) as signer:
        signer.let()
        first, second = signer.at_work(signer.spend()), signer.at_work(signer.spend())
        before, third = token.anchors, signer.follower(signer.spend())
        assert not token.at_work.acquire(timeout=0.1)
        assert token.anchors == before
        token.may_sign.set()
        assert codes([first, second, third]) == ["signed"] * 3


def test_wait_for_the_line_of_one_that_was_asked_for_before(tmp_path: Path) -> None:
    """It pays nothing new and writes no line, so it must not slip past the line that counts it."""
    with group(tmp_path) as signer:
        message = signer.spend()
        first, again = signer.leader(message), signer.ask(message)
        with pytest.raises(TimeoutError):
            again.result(0.3)
        assert not signer.held.knew
        signer.let()
        assert codes([first, again]) == ["signed"] * 2
        line = next(entry.number for entry in signer.desk.journal.weighty if entry.event == "spend")
        assert set(signer.held.knew.values()) == {line}


def test_are_counted_wherever_the_signer_is_killed(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        known: list[tuple[Intent, Message]] = []

        def check(name: str) -> None:
            again = signer.killed(name)
            assert again.health["state"] == "ready"
            assert again.health["used"] == {"hot": str(len(known) * COUNTED)}
            for intent, message in known:
                assert again.spend(intent) == "SIGNER_REPLAY"
                assert again.code(message) == "signed"
            assert again.restart().health["state"] == "ready"
            again.signer.close()

        asked = []
        for number in range(AT_ONCE):
            intent, mine = signer.intent(), coin(signer.desk.registry, "hot", 1, 90_000_000)
            known.append((intent, signer.spend(intent, coins=[mine])))
            asked.append((signer.follower if number else signer.leader)(known[-1][1]))
            check(f"written-{number}")
        real = signer.held.sign_all
        told = iter(range(AT_ONCE))

        def sign_all(wanted: list[tuple[int, bytes, bytes]]) -> list[bytes]:
            check(f"told-{next(told)}")
            return real(wanted)

        signer.held.sign_all = sign_all  # type: ignore[method-assign,assignment]
        signer.let()
        assert codes(asked) == ["signed"] * AT_ONCE
        check("signed")


def test_may_lose_their_lines_to_a_power_failure_and_only_while_none_is_signed(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        asked = signer.some()
        for lost in range(AT_ONCE + 1):
            again = signer.killed(f"lost-{lost}", lost=lost)
            assert again.health["state"] == "ready"
            assert again.health["used"] == {"hot": str((AT_ONCE - lost) * COUNTED)}
            again.signer.close()
        assert signer.held.signed == 0
        signer.let()
        assert codes(asked) == ["signed"] * AT_ONCE
        again = signer.killed("too-late", lost=AT_ONCE + 1)  # theirs, `signed`, and one of those before
        assert again.health["state"] == "SIGNER_STORE_RESTORED"
        again.signer.close()


def test_are_each_refused_where_the_token_cannot_be_told_and_stay_counted(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        known = [(signer.intent(), coin(signer.desk.registry, "hot", 1, 90_000_000)) for _ in range(3)]
        sent = [signer.spend(intent, coins=[mine]) for intent, mine in known]
        asked = [signer.leader(sent[0]), *map(signer.follower, sent[1:])]
        signer.held.fails = len(asked)
        signer.let()
        assert codes(asked) == ["SIGNER_TOKEN_FAILED"] * len(asked)
        assert signer.held.signed == 0
        assert signer.desk.health["used"] == {"hot": str(len(asked) * COUNTED)}
        again = signer.killed("token-failed")
        assert again.health["used"] == {"hot": str(len(asked) * COUNTED)}
        again.signer.close()
        assert [signer.code(signer.spend(intent)) for intent, _ in known] == ["SIGNER_REPLAY"] * len(asked)
        assert [signer.code(message) for message in sent] == ["signed"] * len(asked)


def test_are_signed_where_the_token_failed_only_the_one_before_them(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        asked = signer.some(3)
        signer.held.fails = 1
        signer.let()
        assert codes(asked) == ["SIGNER_TOKEN_FAILED", "signed", "signed"]
        assert signer.desk.restart().health["used"] == {"hot": str(3 * COUNTED)}


def test_of_a_safe_are_settled_before_it_is_signed(tmp_path: Path) -> None:
    within = {"window_units_max": 5, "payment_units_max": 2, "destination_units_max": 5}
    safe = on_soft_tokens(**{limit: str(ethers * ETHER) for limit, ethers in within.items()})
    registry = hot_registry(wallets={}, limits={"window_units_max": {}}, safes={"vault": safe})
    token, pinned = HeldToken(), registry.safes["vault"]
    desk, intent = Desk(tmp_path / "state", registry=registry, token=token), payment()
    call = pinned.transfer(intent.amount.asset, intent.amount.units, intent.destination)
    asked = message(intent, SafeTransaction(CHAIN_ID, pinned.address, *call, 1, base_gas=intent.mark))
    token.fails = 1
    assert (desk.code(asked), token.signed) == ("SIGNER_TOKEN_FAILED", 0)
    assert desk.code(asked) == "signed_safe"
    assert list(token.knew.values()) == [desk.journal.weighty[-1].number]


def test_run_no_further_ahead_of_a_token_that_fails_than_is_said(tmp_path: Path) -> None:
    token = HeldToken()
    desk = Desk(tmp_path / "state", token=token)
    token.fails = 1_000
    for number in range(AHEAD_MAX + 2):
        assert desk.spend() == "SIGNER_TOKEN_FAILED"
        events = [json.loads(line)["event"] for line in desk.file.read_bytes().splitlines()]
        assert events.count("spend") == min(number + 1, AHEAD_MAX)
    freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    assert desk.code(freeze) == "SIGNER_TOKEN_FAILED"  # and yet it is written
    token.fails = 0
    assert desk.restart().health["frozen"] == {"hot": "a test"}
    assert desk.health["used"] == {"hot": str(AHEAD_MAX * COUNTED)}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([SPEND] * AHEAD_MAX, "ready"),
        ([SPEND] * (AHEAD_MAX + 1), "SIGNER_STORE_RESTORED"),
        ([*[SPEND] * AHEAD_MAX, "released", "frozen", "vetoed", "frozen"], "ready"),
        (["released", "frozen"], "ready"),
        (["frozen"] * 9, "ready"),
        ([SPEND, "released", "released"], "SIGNER_STORE_RESTORED"),
        (["frozen", "released"], "SIGNER_STORE_RESTORED"),
        (["frozen", SPEND], "SIGNER_STORE_RESTORED"),
        ([SPEND, "frozen", SPEND], "SIGNER_STORE_RESTORED"),
    ],
)  # fmt: skip
def test_are_alone_in_being_ahead_of_the_token_but_for_one_line_behind_them_and_stops(
    tmp_path: Path, after: list[str], expected: str
) -> None:
    """However the lines were made: here by the signer itself, and the token put back."""
    desk = Desk(tmp_path / "state")
    anchor = desk.token.anchor
    for event in after:
        written(desk, event)
    desk.journal.settle()
    desk.token.anchor = anchor
    assert desk.restart().health["state"] == expected


@pytest.mark.parametrize("spends", [0, 1, AHEAD_MAX - 1, AHEAD_MAX])
def test_never_get_further_ahead_of_a_lost_token_than_the_next_start_takes(
    tmp_path: Path, spends: int
) -> None:
    for number, events in enumerate(itertools.product([SPEND, "frozen", "released"], repeat=3)):
        token = HeldToken()
        desk = Desk(tmp_path / str(number), token=token)
        token.fails = 1_000
        stands = ["genesis"]
        for event in [*[SPEND] * spends, *events]:
            before = desk.journal.lines
            with contextlib.suppress(Refused):
                written(desk, event)
            stands += [event] * (desk.journal.lines - before)
            assert event != "frozen" or desk.journal.lines > before  # what stops is written in any case
        token.fails = 0
        assert desk.restart().health["state"] == "ready"
        assert [entry.event for entry in desk.journal.weighty] == stands
        assert json.loads(token.anchor or b"")["n"] == desk.journal.lines - 1
        desk.journal.close()


def test_hold_one_back_that_is_refused_and_no_other(tmp_path: Path) -> None:
    with group(tmp_path) as signer:
        first = signer.leader(signer.spend())
        assert signer.code(signer.spend(officers=[BEN])) == "SIGNER_BELOW_QUORUM"
        second = signer.follower(signer.spend())
        signer.let()
        assert codes([first, second]) == ["signed"] * 2
        assert signer.events.count("spend") == 2


def test_count_against_each_other_before_they_are_settled(tmp_path: Path) -> None:
    with group(tmp_path, **ONE) as signer:
        first = signer.leader(signer.spend())
        assert signer.code(signer.spend()) == "SIGNER_WINDOW_FULL"
        signer.let()
        assert codes([first]) == ["signed"]


@pytest.mark.parametrize(
    ("subject", "code"), [("hot", "SIGNER_FROZEN"), (f"officer:{BEN}", "SIGNER_OFFICER_SUSPENDED")]
)
def test_stay_in_once_a_freeze_is_obeyed_that_was_settled_with_them(
    tmp_path: Path, subject: str, code: str
) -> None:
    with group(tmp_path) as signer:
        asked, before = signer.some(3), signer.held.anchors
        freeze = messages.order("signer.freeze", wallet=subject, verb=Verb.APPROVE, officers=[CY])
        obeyed = signer.follower(freeze)
        signer.let()
        assert codes([obeyed, *asked]) == ["obeyed", *[code] * 3]
        assert signer.held.anchors - before == 2
        assert signer.desk.restart().health["used"] == {"hot": str(3 * COUNTED)}
