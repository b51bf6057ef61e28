"""A signer whose token is pulled out, fails, hangs, lies or comes back as another …

The token is SoftHSM behind a module of ours (devstack/standins/token.c), which does what hardware does.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
import pytest

from custody.signer import session
from devstack.standins import token as standin
from kernel.approval import Verb
from tests import vault as vaults
from tests.messages import order, request, withdrawal
from tests.softtoken import Desk, SoftToken
from tests.vault import BEN, Message, SignerProcess, Vault

IMPATIENT = """
import sys
from custody.signer import session
from custody.signer.__main__ import main
session.HANGS_S, session.ANSWERS_S = 0.1, 2.0
sys.exit(main())
"""
HEALTH: Message = {"v": 1, "type": "health"}


class Bench:
    """One signer on a table, with a hand on its token."""

    def __init__(self, folder: Path) -> None:
        self.vault = Vault.build(folder, hot=2, wallets=["hot"])
        self.module = standin.build(folder, real=vaults.MODULE)
        self.orders = folder / "orders"
        self.signer: SignerProcess | None = None

    def start(self, *program: str) -> None:
        self.order()
        self.signer = self.vault.start(
            "hot-1",
            module=self.module,
            environ={standin.ORDERS: str(self.orders)},
            program=program or ("-m", "custody.signer"),
        ).ready()

    @property
    def running(self) -> SignerProcess:
        assert self.signer is not None
        return self.signer

    def stop(self) -> None:
        if self.signer is not None:
            signer, self.signer = self.signer, None
            signer.stop()

    def order(self, **orders: object) -> None:
        standin.order(self.orders, **orders)

    def fresh(self) -> Message:
        return request(self.vault.registry, [withdrawal()])

    def code(self, message: Message) -> str:
        answer = self.running.ask(message)
        return str(answer.get("code", answer["type"]))

    def health(self) -> tuple[str, str]:
        said = self.running.ask(HEALTH)
        return said["state"], said["why"]

    def used(self) -> int:
        return int(self.running.ask(HEALTH)["used"]["hot"])

    def logins(self) -> int:
        return len(Path(f"{self.orders}.logins").read_bytes())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture
def bench(built: Bench) -> Iterator[Bench]:
    built.start()
    yield built
    built.order()
    built.stop()


def test_refuses_while_it_is_away_and_goes_on_by_itself_when_it_is_back(bench: Bench) -> None:
    before, (first, second, third) = bench.used(), (bench.fresh() for _ in range(3))
    assert bench.code(first) == "signed"
    each = bench.used() - before
    bench.order(away=1)
    assert [bench.code(one) for one in (second, third, second)] == ["SIGNER_TOKEN_FAILED"] * 3
    assert bench.health() == ("SIGNER_TOKEN_FAILED", "WrongToken 0 tokens are named hot-1")
    bench.order(slot=7)  # in another reader, under other handles, and nobody is logged in
    assert [bench.code(one) for one in (second, third, second, first)] == ["signed"] * 4
    assert (bench.health(), bench.used()) == (("ready", ""), before + 3 * each)


def test_is_pulled_out_in_the_middle_of_a_signature_and_counts_it_once(bench: Bench) -> None:
    before, message = bench.used(), bench.fresh()
    bench.order(hang=1)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(bench.code, message)
        while bench.used() == before:  # the spend was written and anchored, and is being signed
            pass
        bench.order(away=1)
        assert asked.result(60) == "SIGNER_TOKEN_FAILED"
    spent = bench.used()
    bench.order()
    assert (bench.code(message), bench.used()) == ("signed", spent)


def test_stops_for_officers_while_it_is_away_and_knows_its_journal_after_a_restart(bench: Bench) -> None:
    message = bench.fresh()
    bench.order(away=1)
    assert [bench.code(one) for one in (message, bench.fresh())] == ["SIGNER_TOKEN_FAILED"] * 2
    for nonce in (b"\x01", b"\x02"):
        freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, nonce=nonce * 32, wallet="hot")
        assert bench.code(freeze) == "SIGNER_TOKEN_FAILED"  # obeyed, and asked for again by who brings it
    assert set(bench.running.ask(HEALTH)["frozen"]) == {"hot"}
    bench.order()
    bench.stop()
    bench.start()
    assert bench.health()[0] == "ready"
    assert (bench.code(freeze), bench.code(message)) == ("SIGNER_ORDER_USED", "SIGNER_FROZEN")
    assert bench.code(order("signer.release", nonce=b"\x03" * 32, wallet="hot")) == "obeyed"
    assert bench.code(message) == "signed"


@pytest.mark.parametrize("code", [0x05, 0x06, 0x30, 0x31], ids=["general", "failed", "device", "memory"])
def test_goes_on_after_errors_of_the_device(bench: Bench, code: int) -> None:
    message = bench.fresh()
    bench.order(sign=code, logout=code)  # and stays logged in behind our back
    assert [bench.code(message), bench.health()[0]] == ["SIGNER_TOKEN_FAILED"] * 2
    bench.order(sign=code, login=code, places=4)
    for _ in range(4):
        assert [bench.code(message), bench.health()[0]] == ["SIGNER_TOKEN_FAILED"] * 2
    bench.order(places=4)  # none was left open by what failed
    assert (bench.code(message), bench.health()) == ("signed", ("ready", ""))


@pytest.mark.parametrize("code", [0x32, 0x82, 0xB3, 0x101], ids=["removed", "object", "session", "login"])
def test_signs_all_that_is_under_way_where_one_of_its_sessions_fails(bench: Bench, code: int) -> None:
    """One thread logs in again, and that once; the others lose what they had of the old login, and go on."""
    asked, before, spent = [bench.fresh() for _ in range(4)], bench.logins(), bench.used()
    bench.order(hang=1)
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = [pool.submit(bench.code, message) for message in asked]
        while bench.used() < spent + len(asked) * 1_000:
            pass
        bench.order(once=code)
        assert [answer.result(60) for answer in answers] == ["signed"] * len(asked)
    assert (bench.logins(), bench.health()) == (before + 1, ("ready", ""))


class StuckToken(SoftToken):
    """It takes an anchor once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_write = threading.Event()
        self.may_write.set()

    def write(self, value: bytes) -> None:
        self._steadily(lambda: self.may_write.wait(60))
        super().write(value)


def test_is_not_said_to_fail_where_others_log_in_again_and_again() -> None:
    """Each of them ends the sessions of all, so a use of it may fail more often than it is tried again."""
    token, others = StuckToken(), iter([pkcs11.SessionHandleInvalid, pkcs11.KeyHandleInvalid, None])

    def sign() -> str:
        if (failed := next(others)) is None:
            return "signed"
        token._idle = []  # as whoever logs in again leaves it
        raise failed

    assert token._mended(sign) == "signed"


def test_is_waited_for_by_one_message_and_counts_every_stop_that_comes_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An officer's freeze does not stand behind others that wait for what hangs."""
    token = StuckToken()
    desk = Desk(tmp_path / "state", token=token)

    stops = {
        wallet: order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet=wallet)
        for wallet in ("hot", "hot/lane", "*")
    }
    reopening = order("signer.reopen", token="hot-1", standing=desk.health["journal"]["standing"])
    token.may_write.clear()
    monkeypatch.setattr(session, "ANSWERS_S", 0.05)
    assert desk.code(stops["hot"]) == "SIGNER_TOKEN_FAILED"  # obeyed, and asked for again by who brings it
    monkeypatch.setattr(session, "ANSWERS_S", math.nan)  # as long nobody can wait
    assert desk.spend() == "SIGNER_FROZEN"
    assert desk.code({"v": 1, "type": "log_head"}) == "SIGNER_TOKEN_FAILED"
    assert desk.code(reopening) == "SIGNER_TOKEN_FAILED"  # it would have to know what the token remembers
    assert desk.code(stops["hot/lane"]) == "SIGNER_TOKEN_FAILED"
    assert (desk.health["state"], set(desk.health["frozen"])) == ("SIGNER_TOKEN_FAILED", {"hot", "hot/lane"})
    monkeypatch.setattr(session, "ANSWERS_S", 60.0)
    token.may_write.set()
    while desk.health["state"] != "ready":
        pass
    assert [desk.code(stops[wallet]) for wallet in ("hot", "hot/lane")] == ["SIGNER_ORDER_USED"] * 2
    assert desk.code(stops["*"]) == "obeyed"


@pytest.mark.parametrize("where", ["hang", "shut"], ids=["as it signs", "as it opens a session"])
def test_hears_officers_while_it_hangs_and_keeps_in_what_comes_out_later(built: Bench, where: str) -> None:
    built.start("-c", IMPATIENT)
    late, other, before = built.fresh(), built.fresh(), built.used()
    nonces = [where.encode() * 8, where[::-1].encode() * 8]
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, nonce=nonces[0], wallet="hot")
    built.order(**{where: 1})
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(built.code, late)
        while built.health()[0] == "ready":
            pass
        assert built.health() == ("SIGNER_TOKEN_FAILED", "it has not answered for 0 s")
        spent = built.used()
        assert spent > before
        assert (built.code(other), built.used()) == ("SIGNER_TOKEN_FAILED", spent)
        assert built.code(freeze) == "obeyed"
        built.order()
        assert asked.result(60) == "SIGNER_FROZEN"
    assert built.code(order("signer.release", nonce=nonces[1], wallet="hot")) == "obeyed"
    assert [built.code(one) for one in (late, other)] == ["signed"] * 2
    built.stop()


@pytest.mark.parametrize("first", ["a spend's anchor", "a stop's own anchor", "the head of its log"])
def test_hears_officers_whatever_it_is_that_hangs_and_signs_nothing_after(built: Bench, first: str) -> None:
    """Whoever meets it is answered in time, what stops something is written down, and health tells of it."""
    built.start("-c", IMPATIENT)
    nonces = iter([bytes([sum(map(ord, first)) % 200 + number]) * 32 for number in range(8, 12)])
    late, other = built.fresh(), built.fresh()
    stop = {"officers": [BEN], "verb": Verb.APPROVE, "wallet": "hot"}
    freeze, again = (order("signer.freeze", nonce=next(nonces), **stop) for _ in range(2))
    built.order(**({"stuck": 1} if "anchor" in first else {"hang": 1}))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(built.code, late) if first.startswith("a spend") else None
        if first.startswith("the head"):
            assert built.code({"v": 1, "type": "log_head"}) == "SIGNER_TOKEN_FAILED"
        if first.startswith("a stop"):
            assert built.code(again) == "SIGNER_TOKEN_FAILED"
        while built.health()[0] == "ready":
            pass
        assert built.code({"v": 1, "type": "unlock", "pin": vaults.PIN}) == "SIGNER_TOKEN_FAILED"
        assert built.code(freeze) == "SIGNER_TOKEN_FAILED"  # obeyed, and asked for again by who brings it
        said = built.running.ask(HEALTH)
        assert (said["state"], set(said["frozen"])) == ("SIGNER_TOKEN_FAILED", {"hot"})
        assert built.code(other) == "SIGNER_FROZEN"
        built.order()
        assert asked is None or asked.result(60) == "SIGNER_FROZEN"
    while built.health()[0] != "ready":
        pass
    assert built.code(freeze) == "SIGNER_ORDER_USED"
    assert built.code(order("signer.release", nonce=next(nonces), wallet="hot")) == "obeyed"
    assert [built.code(one) for one in (late, other)] == ["signed"] * 2
    built.stop()


def test_lets_no_wrong_signature_out(bench: Bench) -> None:
    message, head = bench.fresh(), {"v": 1, "type": "log_head"}
    assert bench.code(head) == "log_head"
    bench.order(wrong=1)
    assert [bench.code(message), bench.code(head)] == ["SIGNER_BAD_SIGNATURE"] * 2
    bench.order()
    assert [bench.code(message), bench.code(head)] == ["signed", "log_head"]


def test_takes_no_other_token_for_its_own(bench: Bench) -> None:
    message = bench.fresh()
    vaults.initialise(bench.vault.folder / "hot-1", "hot-1b", count=2)
    bench.stop()
    bench.start()
    for other in ({"serial": "2a"}, {"instead": "hot-1b"}):
        bench.order(away=1)
        assert bench.code(message) == "SIGNER_TOKEN_FAILED"
        before = bench.logins()
        bench.order(**other)
        for _ in range(2):
            assert bench.code(message) == "SIGNER_TOKEN_FAILED"
            assert "is another token than before" in bench.health()[1]
        # Not even the PIN is shown to one that says itself that it is another.
        assert (bench.logins() == before) is ("serial" in other)
    bench.order()
    assert (bench.code(message), bench.health()[0]) == ("signed", "ready")


def test_tries_a_pin_that_was_changed_meanwhile_once_until_somebody_types_another(bench: Bench) -> None:
    message = bench.fresh()
    bench.order(away=1)
    assert bench.code(message) == "SIGNER_TOKEN_FAILED"
    before = bench.logins()
    bench.order(login=0xA0)  # CKR_PIN_INCORRECT
    for _ in range(4):
        assert [bench.code(message), bench.health()[0]] == ["SIGNER_TOKEN_FAILED"] * 2
    assert bench.logins() == before + 1
    bench.order()
    assert bench.health() == (
        "SIGNER_TOKEN_FAILED",
        "the PIN was refused; an operator must enter the right one",
    )
    assert bench.code({"v": 1, "type": "unlock", "pin": vaults.PIN}) == "unlocked"
    assert (bench.code(message), bench.health()[0]) == ("signed", "ready")
