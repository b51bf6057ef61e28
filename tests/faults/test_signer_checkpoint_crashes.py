"""A signer that ends, or whose disk or token fails, while it begins a new file of its journal …"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from custody.signer import disk
from custody.signer.refusals import Refused
from kernel import merkle
from kernel.approval import Verb
from tests import messages
from tests.checkpoints import pieces, shorten, soon
from tests.messages import coin, withdrawal
from tests.softtoken import Desk, SoftToken
from tests.vault import BEN


class Crash(BaseException):
    """The process ends here."""


CALLS = ("open", "write", "fsync", "fdatasync", "dup2", "close")
PATHS = ("hardlink_to", "replace", "unlink", "open")


class Steps:
    """Every call to the system and to the token, by its number; at one of them something happens instead."""

    def __init__(
        self, patch: pytest.MonkeyPatch, *, at: int, after: bool, happens: Callable[[], None]
    ) -> None:
        self.names, self._at, self._after, self._happens = list[str](), at, after, happens
        system = SimpleNamespace(**vars(os))  # the rest of this process goes on with its own
        patch.setattr(disk, "os", system)
        for name in CALLS:
            self._watch(patch, system, name)
        for name in PATHS:
            self._watch(patch, Path, name)
        self._watch(patch, SoftToken, "write")

    def _watch(self, patch: pytest.MonkeyPatch, where: Any, name: str) -> None:
        real = getattr(where, name)

        def call(*args: Any, **how: Any) -> Any:
            self.names.append(name)
            here = len(self.names) == self._at
            if here and not self._after:
                self._happens()
            found = real(*args, **how)
            if here and self._after:
                self._happens()
            return found

        patch.setattr(where, name, call)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)


class Scene:
    """A signer with something to forget and something to lose, just before it begins its third file."""

    def __init__(self, folder: Path) -> None:
        self.desk = desk = Desk(folder / "state")
        self.paid = withdrawal(expires=desk.in_hours(24 * 7))
        self.coins = [coin(desk.registry, "hot", 1, 90_000_000)]
        assert desk.spend(intent=self.paid, coins=self.coins) == "signed"
        shorten(desk)
        freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot/lane")
        assert desk.code(freeze) == "obeyed"
        assert desk.spend() == "signed"
        while not desk.journal.is_long:
            desk.signer.remember("started", {"nonce": "a test"})
        self.log = b"".join(path.read_bytes() for path in pieces(desk))
        self.lines = desk.journal.lines

    def ended(self, name: str) -> Desk:
        """What a kill leaves now: started again."""
        folder = self.desk.state.parent / name
        shutil.copytree(self.desk.state, folder)
        return self.started(folder)

    def started(self, folder: Path) -> Desk:
        token = SoftToken()
        token.anchor = self.desk.token.anchor
        return Desk(folder, token=token, now=self.desk.now)

    def check(self, desk: Desk) -> None:
        """Nothing is lost, and it goes on: to its next file, too."""
        for _ in range(2):
            health = desk.health
            assert (health["state"], health["frozen"]) == ("ready", {"hot/lane": "a test"})
            assert health["used"] == {"hot": str(2 * 25_002_000)}
            assert desk.spend(intent=self.paid) == "SIGNER_REPLAY"
            log = b"".join(path.read_bytes() for path in whole(desk))
            assert log.startswith(self.log)
            lines = log.splitlines()
            assert [json.loads(line)["n"] for line in lines] == [*range(len(lines))]
            tree = desk.journal.tree
            assert tree.root(tree.size) == merkle.root(map(merkle.leaf, lines))
            assert tree.root(self.lines) == merkle.root(map(merkle.leaf, lines[: self.lines]))
            shorten(desk)
            desk.restart()
        assert desk.spend(intent=self.paid, coins=self.coins) == "signed"
        assert len([*desk.state.glob("checkpoint-*")]) == 1
        desk.journal.close()


def whole(desk: Desk) -> list[Path]:
    """The files that lead to its present one, the oldest first; not what an attempt left that ended."""
    found, (first, before) = [desk.file], _head(desk.file)
    while first:
        [path] = desk.state.glob(f"journal-{first}-{before[:16]}.jsonl")
        found.insert(0, path)
        first, before = _head(path)
    return found


def _head(path: Path) -> tuple[int, str]:
    document = json.loads(path.read_bytes().splitlines()[0])
    return document["n"], document["prev"]


def steps(folder: Path) -> list[str]:
    """All there are."""
    scene = Scene(folder)
    with pytest.MonkeyPatch.context() as patch:
        seen = Steps(patch, at=0, after=False, happens=lambda: None)
        assert scene.desk.health
        names = list(seen.names)
    scene.check(scene.ended("whole"))
    return names


def happening(folder: Path, happens: Callable[[], None]) -> Iterator[tuple[str, Scene, Callable[[], None]]]:
    """A scene for each step, before it and after it, and what makes it happen there."""
    names = steps(folder / "all")
    assert {"hardlink_to", "replace", "fsync", "dup2", "write", "unlink"} <= set(names)
    for at, name in enumerate(names, 1):
        for after in (False, True):
            scene = Scene(folder / f"{at}-{after}")

            def act(scene: Scene = scene, at: int = at, after: bool = after) -> None:
                with pytest.MonkeyPatch.context() as patch:
                    Steps(patch, at=at, after=after, happens=happens)
                    assert scene.desk.health

            yield f"{'after' if after else 'before'} step {at}, {name}", scene, act


def test_starts_again_with_nothing_lost_wherever_it_was_killed(tmp_path: Path) -> None:
    def crash() -> None:
        raise Crash

    for step, scene, act in happening(tmp_path, crash):
        with pytest.raises(Crash):
            act()
        scene.check(scene.ended(f"killed {step}"))
        scene.desk.journal.close()


@pytest.mark.parametrize("name", ["journal.new", "checkpoint"])
def test_starts_again_wherever_a_file_was_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What it writes to them comes byte by byte, and it ends behind any of them."""
    scene, real = Scene(tmp_path / "scene"), os.write
    files = dict[int, Path]()

    def write(descriptor: int, data: bytes) -> int:
        files[descriptor] = Path(f"/proc/self/fd/{descriptor}").readlink()
        if files[descriptor].name.startswith(name):
            soon(monkeypatch, 1_000)  # those that are started meanwhile begin none
            for place in [*range(0, len(data), 53), len(data) - 1]:
                real(descriptor, data[: place + 1])
                ended = scene.ended(f"at {place}")
                assert ended.journal.lines == scene.lines
                assert ended.health["state"] == "ready"
                ended.journal.close()
                os.ftruncate(descriptor, 0)
            monkeypatch.setattr(disk, "os", os)
            soon(monkeypatch)
        return real(descriptor, data)

    monkeypatch.setattr(disk, "os", SimpleNamespace(**{**vars(os), "write": write}))
    assert scene.desk.health
    assert any(path.name.startswith(name) for path in files.values())
    scene.check(scene.ended("whole"))


def test_starts_again_where_the_power_failed_before_the_folder_was_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has the names of before: then nobody was told of the new file, and nothing stands in it."""
    scene = Scene(tmp_path)
    before = {path.name: path.read_bytes() for path in scene.desk.state.iterdir()}
    anchors = list[bytes | None]()
    real = disk.File.sync_folder

    def sync_folder(self: disk.File) -> None:
        anchors.append(scene.desk.token.anchor)
        real(self)

    with monkeypatch.context() as patch:
        patch.setattr(disk.File, "sync_folder", sync_folder)
        assert scene.desk.health
    assert len(anchors) == 2
    for number, anchor in enumerate(anchors):
        folder = tmp_path / f"power-{number}"
        folder.mkdir()
        for name, data in before.items():
            (folder / name).write_bytes(data)
        scene.desk.token.anchor = anchor
        scene.check(scene.started(folder))


def test_has_its_light_lines_on_the_disk_before_their_file_is_left(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    names = list[str]()
    with pytest.MonkeyPatch.context() as patch:
        scene.desk.journal.append("signed", {"txid": "", "wallet": "", "again": False}, at_ms=0)
        names = Steps(patch, at=0, after=False, happens=lambda: None).names
        assert scene.desk.health
    assert "fdatasync" in names[: names.index("hardlink_to")]
    # Nor is a name given, a file left or the token told before what it rests on is on the disk.
    assert [name for name in names if name not in ("open", "close")] == [
        *("write", "fsync", "fdatasync"),  # the state's draft, and the lines of the file that is left
        *("write", "fsync", "replace", "hardlink_to", "fsync"),  # the state, and both files' names
        *("write", "fsync", "replace", "dup2", "fsync"),  # the new file, and its name
        *("write", "unlink"),  # the token is told, and the state before removed
    ]


def test_goes_on_in_the_old_file_or_the_new_one_where_the_disk_failed(tmp_path: Path) -> None:
    def fails() -> None:
        raise OSError(errno.EIO, "on purpose")

    for step, scene, act in happening(tmp_path, fails):
        act()
        desk = scene.desk
        if desk.journal.fault is not None:  # the folder's names: nobody knows which file the disk has
            assert any(name in step for name in ("replace", "dup2", "close", "open", "fsync")), step
            assert desk.spend() == "SIGNER_STORE_DAMAGED"
        else:
            assert desk.code(messages.request(desk.registry, [scene.paid])) == "SIGNER_REPLAY", step
        scene.check(scene.ended(f"failed {step}"))
        desk.journal.close()


def test_goes_on_where_the_token_could_not_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)

    def lost(*args: Any) -> None:
        raise Refused("SIGNER_TOKEN_FAILED", "lost on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(SoftToken, "write", lost)
        assert scene.desk.health
        # The line stands ahead of the token, and nothing but what stops something comes behind it.
        assert scene.desk.spend() == "SIGNER_TOKEN_FAILED"
        freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
        assert scene.desk.code(freeze) == "SIGNER_TOKEN_FAILED"
    ended = scene.ended("ended")
    assert ended.health["frozen"].keys() == {"hot/lane", "hot"}
    assert scene.desk.spend() == ended.spend() == "SIGNER_FROZEN"


def test_begins_no_file_where_there_is_no_room_for_what_it_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path)
    begun = scene.desk.file.stat().st_ino
    with monkeypatch.context() as patch:
        free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
        patch.setattr(disk, "ROOM_BYTES_MIN", free - 100)
        assert scene.desk.health
        assert scene.desk.file.stat().st_ino == begun
    scene.check(scene.desk)


def test_asks_again_only_after_more_lines_where_it_could_begin_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch, 20)
    desk, tried = Desk(tmp_path / "state"), list[int]()

    def prepare(self: disk.File, *args: Any, **how: Any) -> None:
        tried.append(desk.journal.lines)
        raise OSError(errno.ENOSPC, "on purpose")

    monkeypatch.setattr(disk.File, "prepare", prepare)
    for _ in range(24):
        desk.signer.remember("started", {"nonce": "a test"})
        assert desk.health
    assert tried == [20, 22, 24]
