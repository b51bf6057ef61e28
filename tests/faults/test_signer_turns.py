"""A signer that is asked several things at once …

It decides about one message after another, and while its token signs it goes on deciding.
"""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kernel.approval import Verb
from kernel.intent import Intent, time_text
from kernel.seats import AT_ONCE, Seats
from tests import customers, messages
from tests.messages import coin, request, withdrawal
from tests.softtoken import Desk, SoftToken, hot_registry
from tests.vault import BEN, CY, Message
from tests.watchers import WATCHERS, Watcher, cosigned, section

SMALL, FEE = 25_000_000, 2_000
ONE = {"limits": {"window_units_max": {"hot": str((SMALL + FEE) * 3 // 2)}}}
"""Two of three sign, so this signer's share is one payment."""


class SlowToken(SoftToken):
    """It signs once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_sign = threading.Semaphore(0), threading.Event()

    def sign_all(self, wanted: Sequence[tuple[int, bytes, bytes]]) -> list[bytes]:
        self.begun.release()
        assert self.may_sign.wait(60)
        return super().sign_all(wanted)


class Busy:
    """A desk with a slow token, asked from several threads, each waiting for its turn as at the socket."""

    def __init__(self, desk: Desk, pool: ThreadPoolExecutor) -> None:
        self.desk, self._pool = desk, pool
        self._peers = Seats[int](threading.RLock(), threading.Condition)
        self.desk.signer.aside = self._peers.aside
        self._names = itertools.count()

    def ask(self, message: Message) -> Future[Message]:
        return self._pool.submit(self._ask, next(self._names), message)

    def code(self, message: Message) -> str:
        answer = self.ask(message).result(60)
        return str(answer.get("code", answer["type"]))

    def signing(self, message: Message) -> Future[Message]:
        """Asked, decided, and at the token."""
        answer = self.ask(message)
        assert self.token.begun.acquire(timeout=60)
        return answer

    def spend(self, intent: Intent | None = None, **how: object) -> Message:
        return request(self.desk.registry, [intent or self.intent()], fee=FEE, **how)  # type: ignore[arg-type]

    def intent(self) -> Intent:
        return withdrawal(expires=self.desk.in_hours(1))

    @property
    def token(self) -> SlowToken:
        assert isinstance(self.desk.token, SlowToken)
        return self.desk.token

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.desk.file.read_bytes().splitlines()]

    def _ask(self, peer: int, message: Message) -> Message:
        self._peers.enter(peer, 1)
        try:
            with self._peers.turn(peer):
                return self.desk.ask(message)
        finally:
            self._peers.leave(peer)


@contextmanager
def busy(folder: Path, **registry: object) -> Iterator[Busy]:
    desk = Desk(folder / "state", registry=hot_registry(**registry), token=SlowToken())
    with ThreadPoolExecutor(3 * AT_ONCE) as pool:
        found = Busy(desk, pool)
        try:
            yield found
        finally:
            found.token.may_sign.set()


def test_lets_one_of_two_through_where_a_limit_has_room_for_one(tmp_path: Path) -> None:
    with busy(tmp_path, **ONE) as signer:
        first = signer.signing(signer.spend())
        assert signer.code(signer.spend()) == "SIGNER_WINDOW_FULL"
        signer.token.may_sign.set()
        assert first.result(60)["type"] == "signed"
        assert signer.events.count("spend") == signer.events.count("signed") == 1


def test_counts_an_intent_once_however_often_it_is_asked_for_at_once(tmp_path: Path) -> None:
    with busy(tmp_path, **ONE) as signer:
        intent, mine = signer.intent(), coin(signer.desk.registry, "hot", 1, 90_000_000)
        message = signer.spend(intent, coins=[mine])
        asked = [signer.signing(message) for _ in range(AT_ONCE)]
        assert signer.code(signer.spend(intent)) == "SIGNER_REPLAY"  # over other coins
        signer.token.may_sign.set()
        answers = [answer.result(60) for answer in asked]
        assert all(answer == answers[0] and answer["type"] == "signed" for answer in answers)
        assert signer.events.count("spend") == 1
        assert signer.desk.health["used"] == {"hot": str(SMALL + FEE)}


def test_has_counted_what_its_token_signs_wherever_it_is_killed(tmp_path: Path) -> None:
    with busy(tmp_path) as signer:
        known = []
        for number in range(1, AT_ONCE + 1):
            intent, mine = signer.intent(), coin(signer.desk.registry, "hot", 1, 90_000_000)
            message = signer.spend(intent, coins=[mine])
            signer.signing(message)
            known.append((intent, message))
            # What a kill leaves now: the folder, and what the token keeps.
            shutil.copytree(tmp_path / "state", tmp_path / f"killed-{number}")
            token = SoftToken()
            token.anchor = signer.token.anchor
            again = Desk(tmp_path / f"killed-{number}", registry=signer.desk.registry, token=token)
            assert again.health["state"] == "ready"
            assert again.health["used"] == {"hot": str(number * (SMALL + FEE))}
            for earlier, as_before in known:
                assert again.spend(earlier) == "SIGNER_REPLAY"
                assert again.code(as_before) == "signed"
            again.signer.close()


@pytest.mark.parametrize("subject", ["hot", "*", f"officer:{CY}"])
def test_lets_no_signature_out_once_it_has_obeyed_a_freeze(tmp_path: Path, subject: str) -> None:
    code = "SIGNER_OFFICER_SUSPENDED" if subject.startswith("officer:") else "SIGNER_FROZEN"
    with busy(tmp_path) as signer:
        asked = [signer.signing(signer.spend()) for _ in range(AT_ONCE)]
        freeze = messages.order("signer.freeze", wallet=subject, verb=Verb.APPROVE, officers=[BEN])
        assert signer.code(freeze) == "obeyed"
        signer.token.may_sign.set()
        assert {answer.result(60)["code"] for answer in asked} == {code}
        assert signer.events.count("spend") == AT_ONCE  # counted all the same
        assert "signed" not in signer.events
        assert signer.code(signer.spend()) == code


def frozen(desk: Desk) -> Message:
    how = {"expires": time_text(desk.in_hours(1)), "officers": [BEN], "verb": Verb.APPROVE}
    return messages.order("signer.freeze", wallet="hot/lane", **how)


def broken(desk: Desk) -> Message:
    return customers.Reconciler().attests(desk.in_hours(1 / 60), breaks=1)


def taken_back(desk: Desk) -> Message:
    return customers.Customer().removal(time=time_text(desk.in_hours(0)))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (frozen, "SIGNER_FROZEN"),
        (broken, "SIGNER_BOOKS_BROKEN"),
        (taken_back, "SIGNER_UNKNOWN_BENEFICIARY"),
    ],
)
def test_lets_none_of_the_lanes_out_once_it_has_heard_what_shuts_the_lane_alone(
    tmp_path: Path, said: Callable[[Desk], Message], code: str
) -> None:
    with busy(tmp_path, lanes={"hot": customers.section()}, customers=customers.SITE) as signer:
        tom, desk = customers.Customer(), signer.desk
        assert [signer.code(message) for message in (tom.key(), tom.beneficiary())] == ["learnt"] * 2
        desk.now += 2 * customers.DAY
        assert signer.code(customers.Reconciler().attests(desk.in_hours(0))) == "attested"
        paid = request(desk.registry, [customers.payout(expires=desk.in_hours(1))], fee=FEE)
        unattended, approved = signer.signing(customers.unattended(paid)), signer.signing(signer.spend())
        assert signer.code(said(desk)) in ("obeyed", "attested", "learnt")
        signer.token.may_sign.set()
        assert (unattended.result(60)["code"], approved.result(60)["type"]) == (code, "signed")


def test_lets_no_signature_out_once_it_was_shown_that_its_journal_was_put_back(tmp_path: Path) -> None:
    with busy(tmp_path, witnesses=section()) as signer:
        signer.code(cosigned(signer.desk, *map(Watcher, WATCHERS), at=signer.desk.now))
        asked = signer.signing(signer.spend())
        # Another journal of the same token, which witnesses saw.
        other = Desk(tmp_path / "other", registry=signer.desk.registry)
        seen = cosigned(other, *map(Watcher, WATCHERS), at=other.now)
        assert signer.code(seen) == "SIGNER_LOG_FORKED"
        signer.token.may_sign.set()
        assert asked.result(60)["code"] == "SIGNER_LOG_FORKED"
        assert "signed" not in signer.events


def test_lets_no_signature_out_that_was_asked_for_before_officers_reopened_it(tmp_path: Path) -> None:
    """The new memory may not know that this was counted."""
    with busy(tmp_path) as signer:
        asked = signer.signing(signer.spend())
        standing = signer.desk.health["journal"]["standing"]
        assert signer.code(messages.order("signer.reopen", token="hot-1", standing=standing)) == "obeyed"
        signer.token.may_sign.set()
        assert asked.result(60)["code"] == "SIGNER_INTENT_BEFORE_REOPENING"
        assert "signed" not in signer.events


def test_decides_no_further_ahead_of_its_token_than_is_said(tmp_path: Path) -> None:
    with busy(tmp_path) as signer:
        asked = [signer.signing(signer.spend()) for _ in range(AT_ONCE)]
        asked += [signer.ask(signer.spend()) for _ in range(3)]
        assert not signer.token.begun.acquire(timeout=0.2)
        signer.token.may_sign.set()
        assert all(answer.result(60)["type"] == "signed" for answer in asked)


def test_writes_down_why_a_token_failed_whoever_was_answered_meanwhile(tmp_path: Path) -> None:
    with busy(tmp_path) as signer:
        first = signer.signing(signer.spend())
        signer.token.broken = True
        assert signer.code(signer.spend(approved := signer.intent(), officers=[BEN])) == "SIGNER_BELOW_QUORUM"
        signer.token.may_sign.set()
        assert first.result(60)["code"] == "SIGNER_TOKEN_FAILED"
        signer.token.broken = False
        assert signer.code(signer.spend(approved)) == "signed"
        assert signer.events[1:] == ["spend", "refused", "refused", "spend", "signed"]
        assert signer.desk.restart().health["used"] == {"hot": str(2 * (SMALL + FEE))}
