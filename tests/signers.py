"""The hot wallet's signers over the treasury's soft keys, in threads behind real sockets, with a clock that
tests move. Everything but tokens and time is the real thing.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from custody import actions
from custody.domain.wallets import Targets
from custody.signer import server
from kernel import canonical
from kernel.money import Amount
from kernel.registry import Registry
from tests.customers import SITE, section
from tests.officers import Officer, Staff
from tests.softtoken import Desk, SoftToken
from tests.treasury import KEYS, REGISTRY, ROBOT
from tests.vault import Message

HOT: Final = ("hot-1", "hot-2", "hot-3")


class TreasuryToken(SoftToken):
    """A token with the treasury's soft keys."""

    def sign(self, index: int, digest: bytes, *, public_key: bytes) -> bytes:
        return KEYS[self.name][index].sign(digest)

    def sign_all(self, wanted: Sequence[tuple[int, bytes, bytes]]) -> list[bytes]:
        return [self.sign(index, digest, public_key=key) for index, digest, key in wanted]

    def check_key(self, index: int, *, public_key: bytes) -> None:
        assert KEYS[self.name][index].public_key == public_key


@dataclass(frozen=True)
class Remembered:
    """What a signer finds when it is started again: its files, and its token's objects."""

    files: Mapping[str, bytes]
    objects: Sequence[Mapping[Any, Any]]

    @classmethod
    def by(cls, desk: Desk) -> Remembered:
        files = {path.name: path.read_bytes() for path in desk.state.iterdir()}
        return cls(files, [dict(each) for each in desk.token._objects])

    def token(self, name: str, state: Path) -> TreasuryToken:
        """The token, with the files in its signer's folder."""
        state.mkdir(mode=0o700)
        for file, content in self.files.items():
            (state / file).write_bytes(content)
        token = TreasuryToken(name)
        token._objects = [dict(each) for each in self.objects]
        return token


NEW: Final = Remembered({}, ())


@dataclass
class Signers:
    """Three signers by token, and the folder of their sockets."""

    desks: Mapping[str, Desk]
    folder: Path
    asked: list[tuple[str, Message]]
    ended: bool = False

    def serve(self, token: str, listener: socket.socket) -> None:
        """Answer as that token's signer, until the test ends."""

        def answer(message: Message, uid: int) -> Message:
            self.asked.append((token, message))
            return self.desks[token].ask(message)

        def running() -> bool:
            if self.ended:
                raise ConnectionAbortedError  # and wait for nobody who is still connected
            return True

        with listener, suppress(ConnectionAbortedError):
            server.serve(
                listener, answer=answer, allowed={os.getuid()}, log=lambda line: None, running=running
            )

    def at(self, now: datetime) -> None:
        """Set every signer's clock."""
        for desk in self.desks.values():
            desk.now = now.timestamp()

    def pass_time(self, span: timedelta) -> None:
        for desk in self.desks.values():
            desk.now += span.total_seconds()

    @contextmanager
    def down(self, token: str) -> Iterator[None]:
        """Nobody reaches that signer meanwhile."""
        at = self.folder / f"{token}.sock"
        away = at.rename(self.folder / "away")
        try:
            yield
        finally:
            away.rename(at)

    def codes(self, message: Message) -> list[str]:
        return [desk.code(message) for desk in self.desks.values()]

    def used(self) -> dict[str, int]:
        """What each has counted in the lane's window."""
        return {token: int(desk.health["lanes"]["hot"]["used"]) for token, desk in self.desks.items()}


def lane_registry(staff: Staff, **changes: Any) -> Registry:
    """The treasury's registry with the staff's passkeys and a lane; `changes` are of the lane's section."""
    people: list[Officer] = [staff.ana, staff.ben, staff.cy]
    document = {
        **REGISTRY,
        "deployment": settings.DEPLOYMENT,
        "rp_id": settings.APPROVER_RP_ID,
        "origin": settings.APPROVER_ORIGIN,
        "officers": {
            str(person.identity.pk): {
                "name": person.identity.display_name,
                "teams": ["treasury"],
                "public_key": person.passkey.public_key_hex,
            }
            for person in people
        },
        "lanes": {"hot": section(**changes)},
        "customers": SITE,
    }
    return Registry.parse(canonical.encode(document))


@contextmanager
def serving(registry: Registry, *, now: datetime) -> Iterator[Signers]:
    """The registry loaded, and new signers up behind their sockets."""
    actions.load_registry(
        registry=registry, targets=Targets(Amount(0, "BTC"), Amount(0, "BTC")), actor=ROBOT, now=now
    )
    with up(registry, dict.fromkeys(HOT, NEW), now=now) as signers:
        yield signers


@contextmanager
def up(registry: Registry, remembered: Mapping[str, Remembered], *, now: datetime) -> Iterator[Signers]:
    """The signers up behind their sockets, with what they remember."""
    folder = Path(tempfile.mkdtemp(prefix="signers-"))  # a socket's path is short
    asked: list[tuple[str, Message]] = []
    desks = {
        name: Desk(
            folder / name, registry=registry, token=one.token(name, folder / name), now=now.timestamp()
        )
        for name, one in remembered.items()
    }
    signers = Signers(desks, folder, asked)
    threads = []
    for token in desks:
        listener = server.listen(folder / f"{token}.sock")
        threads.append(threading.Thread(target=signers.serve, args=(token, listener), daemon=True))
        threads[-1].start()
    try:
        yield signers
    finally:
        signers.ended = True
        for token in desks:  # each looks up when somebody comes
            with socket.socket(socket.AF_UNIX) as knock:
                knock.connect(str(folder / f"{token}.sock"))
        for thread in threads:
            thread.join()
        for desk in desks.values():
            desk.signer.close()
        shutil.rmtree(folder)
