"""A signer that is asked for several spends at once, for tests: its token takes an anchor when it is let."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from custody.signer.refusals import Refused
from kernel.entry import SPEND
from kernel.seats import AT_ONCE
from tests.faults.test_signer_turns import FEE, SMALL, Busy
from tests.messages import coin
from tests.softtoken import Desk, SoftToken, hot_registry
from tests.vault import Message

COUNTED: Final = SMALL + FEE
WAIT_S: Final = 10
"""For what comes at once, or never."""


class HeldToken(SoftToken):
    """It takes an anchor, and signs, once it is let, and keeps count; it does not take `fails` more."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_write = threading.Semaphore(0), threading.Event()
        self.may_write.set()
        self.at_work, self.may_sign = threading.Semaphore(0), threading.Event()
        self.may_sign.set()
        self.fails = self.anchors = 0
        self.knew: dict[bytes, int] = {}  # digest -> the newest line it knew of when it signed that

    def write(self, value: bytes) -> None:
        self.begun.release()
        assert self.may_write.wait(WAIT_S)
        if self.fails:
            self.fails -= 1
            raise Refused("SIGNER_TOKEN_FAILED", "lost on purpose")
        self.anchors += 1
        super().write(value)

    def sign_all(self, wanted: Sequence[tuple[int, bytes, bytes]]) -> list[bytes]:
        self.at_work.release()
        assert self.may_sign.wait(WAIT_S)
        return super().sign_all(wanted)

    def sign(self, index: int, digest: bytes, *, public_key: bytes) -> bytes:
        assert self.anchor is not None
        self.knew[digest] = json.loads(self.anchor)["n"]
        return super().sign(index, digest, public_key=public_key)


class Group(Busy):
    """A desk whose token is being told of one spend while others are decided."""

    def __init__(self, desk: Desk, pool: ThreadPoolExecutor) -> None:
        super().__init__(desk, pool)
        self.held.may_write.clear()
        while self.held.begun.acquire(blocking=False):
            pass  # what it was told of at the start

    @property
    def held(self) -> HeldToken:
        assert isinstance(self.desk.token, HeldToken)
        return self.desk.token

    def leader(self, message: Message) -> Future[Message]:
        """Decided, and the token is being told of it."""
        answer = self.ask(message)
        assert self.held.begun.acquire(timeout=WAIT_S)
        return answer

    def at_work(self, message: Message) -> Future[Message]:
        """The token is told of it, and signs once it is let."""
        self.held.may_sign.clear()
        answer = self.ask(message)
        assert self.held.at_work.acquire(timeout=WAIT_S)
        return answer

    def follower(self, message: Message) -> Future[Message]:
        """Decided, and waiting for what comes after that."""
        lines = self.desk.journal.lines
        answer = self.ask(message)
        until = time.monotonic() + WAIT_S
        while self.desk.journal.lines == lines:
            assert time.monotonic() < until, "nothing was written"
            time.sleep(0.001)
        return answer

    def some(self, count: int = AT_ONCE) -> list[Future[Message]]:
        return [self.leader(self.spend()), *(self.follower(self.spend()) for _ in range(count - 1))]

    def let(self) -> None:
        """It may be told of what it was not, and of all that comes."""
        self.held.may_write.set()

    def killed(self, name: str, *, lost: int = 0) -> Desk:
        """What a kill leaves now, or a power failure that takes the last lines: started again."""
        folder = self.desk.state.parent / name
        shutil.copytree(self.desk.state, folder)
        file = folder / "journal.jsonl"
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[: len(lines) - lost]))
        token = SoftToken()
        token.anchor = self.held.anchor
        return Desk(folder, registry=self.desk.registry, token=token)


def codes(answers: list[Future[Message]]) -> list[str]:
    found = [answer.result(WAIT_S) for answer in answers]
    return [str(answer.get("code", answer["type"])) for answer in found]


@contextlib.contextmanager
def group(folder: Path, *, token: HeldToken | None = None, **registry: object) -> Iterator[Group]:
    desk = Desk(folder / "state", registry=hot_registry(**registry), token=token or HeldToken())
    with ThreadPoolExecutor(3 * AT_ONCE) as pool:
        found = Group(desk, pool)
        try:
            yield found
        finally:
            found.let()
            found.held.may_sign.set()


def written(desk: Desk, event: str) -> None:
    """A line of the signer's own."""
    if event == SPEND:
        txid = coin(desk.registry, "hot", 1, 90_000_000)[0].txid
        details: Message = {"wallet": "cold", "txid": txid, "units": "1", "paid": {}, "coins": []}
        details |= {"intents": {}, "unattended": False}
    else:
        details = {"wallet": "cold", "reason": "a test", "maker": "Ana", "digest": ""}
    desk.signer.remember(event, details)
