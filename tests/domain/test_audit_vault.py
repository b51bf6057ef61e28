"""The vault …"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from core.vault import __main__ as program
from core.vault import boxes
from core.vault.boxes import NotOurs
from core.vault.desk import DELIVERIES, OPENINGS_PER_PERSON, PLACES_MAX, Vault
from core.vault.log import Log, LogDamaged
from core.vault.quota import WINDOW_S
from kernel import canonical, encodings, merkle, note
from kernel.members import an_object
from kernel.tally import FIRST
from tests.disks import files_no_longer_than

KEY = X25519PrivateKey.from_private_bytes(b"\x05" * 32)
SIGNER = Ed25519PrivateKey.from_private_bytes(b"\x06" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()


class Desk:
    """A vault with a clock that tests move."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.now, self.alarms = 1_790_000_000.0, list[str]()
        self.folder, self.limits = folder, {"per_actor": 2, "per_caller": 9, "deliveries": 3} | limits
        self.people: dict[str, tuple[bytes, bytes]] = {}
        self.start()

    def start(self) -> None:
        self.log = Log(self.folder / "openings.jsonl", origin="countersign/test/vault", key=SIGNER)
        self.vault = Vault(
            key=KEY,
            log=self.log,
            clock=lambda: self.now,
            alarm=self.alarms.append,
            workers=[8],
            **self.limits,
        )

    def ask(self, person: str, *, actor: str = "officer/ana", uid: int = 7, **changes: Any) -> str:
        if person not in self.people:
            self.people[person] = boxes.new_person(person, PUBLIC)
        public, wrapped = self.people[person]
        sealed = boxes.seal_twice(b"words", person=public, vault=PUBLIC, bound_to=f"{person}|note/1")
        message = {
            "v": 1,
            "type": "open",
            "subject": person,
            "actor": actor,
            "purpose": "kyc.person.read",
            "event": "e1",
            "wrapped": encodings.base64url(wrapped),
            "items": [{"place": "note/1", "sealed": encodings.base64url(sealed)}],
        } | changes
        answer = self.vault.answer(message, uid)
        if answer["type"] == "opened":
            assert answer["texts"] == [encodings.base64url(b"words")]
        return str(answer.get("code", answer["type"]))

    @property
    def codes(self) -> list[str]:
        return [str(canonical.decode_object(line[:-1])["code"]) for line in self.log.lines]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_opens_and_has_written_it_down_before(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.ask("tom") == "opened"
    assert desk.codes == [""]

    def full(_: object) -> int:
        raise OSError("no space left on device")

    monkeypatch.setattr(desk.log, "add", full)
    with pytest.raises(OSError, match="no space"):
        desk.ask("tom")


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": ""},
        {"actor": 7},
        {"purpose": "x" * 301},
        {"event": None},
        {"items": []},
        {"items": [{"place": "note/1", "sealed": "x" * 500}] * 501},
        {"items": ["note"]},
        {"wrapped": "!"},
    ],
)
def test_wants_to_know_who_whom_and_why(desk: Desk, changes: dict[str, Any]) -> None:
    assert desk.ask("tom", **changes) == "VAULT_BAD_QUESTION"
    assert desk.codes == []


@pytest.mark.parametrize("version", [0, 2, True, "1", None])
def test_answers_its_own_version_only(desk: Desk, version: Any) -> None:
    assert desk.ask("tom", v=version) == "VAULT_UNKNOWN_QUESTION"
    for kind in ("standing", "log_head"):
        assert desk.vault.answer({"v": version, "type": kind}, 7)["code"] == "VAULT_UNKNOWN_QUESTION"
    assert desk.codes == []


def test_alarms_in_one_line_whatever_somebody_calls_themselves(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("tom", "tia", "ted"):
        desk.ask(name, actor="officer/ana\nvault ready\r\x1b[2K\N{RIGHT-TO-LEFT OVERRIDE}")
    program._log(f"ALARM {desk.alarms[0]}")
    said = capsys.readouterr().out
    assert said.startswith("vault ALARM quota: officer/ana?vault ready??[2K? through user 7")
    assert said.count("\n") == 1
    assert said.removesuffix("\n").isprintable()


def test_opens_nothing_of_another_person_or_place(desk: Desk) -> None:
    desk.ask("tia")
    theirs = {"wrapped": encodings.base64url(desk.people["tia"][1])}
    assert desk.ask("tom", **theirs) == "VAULT_NOT_OURS"  # tia's key under tom's name
    sealed = boxes.seal_twice(b"words", person=desk.people["tia"][0], vault=PUBLIC, bound_to="tia|note/1")
    moved = [{"place": "note/2", "sealed": encodings.base64url(sealed)}]
    assert desk.ask("tia", items=moved) == "VAULT_NOT_OURS"
    assert desk.codes == ["", "VAULT_NOT_OURS", "VAULT_NOT_OURS"]
    with pytest.raises(NotOurs):
        boxes.open_person(b"", KEY, subject="tom")


def test_lets_one_reader_see_so_many_people_an_hour(desk: Desk) -> None:
    assert [desk.ask(name) for name in ("tom", "tia", "tom", "ted")] == ["opened"] * 3 + ["VAULT_QUOTA"]
    assert desk.ask("ted", actor="officer/ben") == "opened"
    assert desk.alarms == ["quota: officer/ana through user 7 asked for one person too many, or too often"]
    desk.now += WINDOW_S
    assert desk.ask("ted") == "opened"


def test_lets_one_process_see_so_many_whatever_names_it_gives(desk: Desk) -> None:
    found = [desk.ask(f"person-{number}", actor=f"officer/{number}") for number in range(11)]
    assert found == ["opened"] * 9 + ["VAULT_QUOTA"] * 2
    assert desk.ask("person-10", uid=8) == "opened"


def test_opens_deliveries_to_workers_alone_and_so_many_an_hour(desk: Desk) -> None:
    names = [f"{DELIVERIES}{number}" for number in range(4)]
    assert desk.ask(names[0], uid=7) == "VAULT_NOT_FOR_YOU"
    assert [desk.ask(name, uid=8) for name in names] == ["opened"] * 3 + ["VAULT_QUOTA"]
    assert desk.ask("tom", uid=8) == "opened", "people have a limit of their own"
    assert [alarm.partition(":")[0] for alarm in desk.alarms] == ["wall", "quota"]


def test_says_how_many_alarms_there_were_within_the_hour_also_after_a_restart(desk: Desk) -> None:
    def alarms() -> object:
        return desk.vault.answer({"v": 1, "type": "standing"}, 7)["alarms"]

    for name in ("tom", "tia", "ted", "ted"):
        desk.ask(name)
    assert alarms() == 2
    desk.log.close()
    desk.start()
    assert alarms() == 2
    desk.now += WINDOW_S
    assert alarms() == 0
    assert len(desk.codes) == 4, "asking how it stands is no line in the log"


def test_counts_on_after_a_restart(desk: Desk) -> None:
    assert [desk.ask(name) for name in ("tom", "tia")] == ["opened", "opened"]
    with pytest.raises(LogDamaged):
        desk.start()
    desk.log.close()
    desk.start()
    assert desk.ask("ted") == "VAULT_QUOTA"


def test_shows_witnesses_a_log_that_only_grows(desk: Desk) -> None:
    desk.ask("tom")
    first = note.Checkpoint.parse(note.open_note(desk.log.head(), by=desk.log.verifier))
    for _ in range(4):
        desk.ask("tom")
    last = note.Checkpoint.parse(note.open_note(desk.log.head(), by=desk.log.verifier))
    proof = desk.vault.answer({"v": 1, "type": "log_proof", "old": 1, "size": 5}, 7)["hashes"]
    assert isinstance(proof, list)
    merkle.verify_consistency(
        [bytes.fromhex(str(step)) for step in proof],
        size=first.size,
        root=first.root,
        new_size=last.size,
        new_root=last.root,
    )
    lines = desk.vault.answer({"v": 1, "type": "log_entries", "start": 0, "end": 9}, 7)["lines"]
    assert isinstance(lines, list)
    assert merkle.root(merkle.leaf(str(line).encode()) for line in lines) == last.root
    assert desk.vault.answer({"v": 1, "type": "log_proof", "old": 4, "size": 9}, 7)["type"] == "refused"


def test_forgets_a_line_that_was_never_finished(desk: Desk) -> None:
    desk.ask("tom")
    desk.log.close()
    with (desk.folder / "openings.jsonl").open("ab") as file:
        file.write(b'{"half')
    desk.start()
    desk.ask("tom")
    assert desk.codes == ["", ""]


def test_writes_a_few_lines_a_minute_for_nonsense_without_end_and_counts_the_rest(desk: Desk) -> None:
    """Otherwise a web process that was taken over fills the vault's disk, and nobody opens anything."""
    moved = [{"place": "note/2", "sealed": "AAAA"}]
    for number in range(600):
        assert desk.ask("tom", items=moved * 90) == "VAULT_NOT_OURS"
        desk.now += 0.5
        if number == 300:
            assert desk.ask("tia") == "opened"
    desk.vault.close()
    found = [canonical.decode_object(line[:-1]) for line in desk.log.lines]
    counts = [an_object(an_object(line["counted"])["7"]) for line in found if "counted" in line]
    whole = [line for line in found if line.get("code") == "VAULT_NOT_OURS"]
    assert len(found) == len(counts) + len(whole) + 1 <= FIRST + 2 * 5 + 2
    assert len(whole) + sum(int(str(one["VAULT_NOT_OURS"])) for one in counts) == 600
    assert all(line["places"] == ["note/2"] * PLACES_MAX for line in whole)


def test_counts_alarms_that_have_no_line_of_their_own_also_after_a_restart(desk: Desk) -> None:
    for _ in range(FIRST + 7):
        assert desk.ask(f"{DELIVERIES}1") == "VAULT_NOT_FOR_YOU"
    assert len(desk.alarms) == FIRST
    desk.vault.close()
    desk.start()
    assert desk.vault.answer({"v": 1, "type": "standing"}, 7)["alarms"] == FIRST + 7


def test_opens_the_same_person_only_so_often_for_one_process(desk: Desk) -> None:
    """Each opening is a line, and none of them is counted away."""
    most = OPENINGS_PER_PERSON * (desk.limits["per_caller"] + desk.limits["deliveries"])
    assert [desk.ask("tom") for _ in range(most)] == ["opened"] * most
    assert desk.ask("tom") == "VAULT_QUOTA"
    assert desk.ask("tom", uid=8) == "opened"
    desk.now += WINDOW_S
    assert desk.ask("tom") == "opened"
    assert desk.codes.count("") == most + 2


def test_opens_nothing_and_says_so_while_its_disk_is_full(desk: Desk) -> None:
    assert desk.ask("tom") == "opened"
    with files_no_longer_than((desk.folder / "openings.jsonl").stat().st_size + 20):
        with pytest.raises(OSError, match="written whole"):
            desk.ask("tom")
        assert desk.ask(f"{DELIVERIES}1") == "VAULT_NOT_FOR_YOU"
    assert desk.vault.answer({"v": 1, "type": "standing"}, 7)["stuck"] is True
    assert desk.ask("tom") == "opened"
    assert desk.vault.answer({"v": 1, "type": "standing"}, 7)["stuck"] is False
    desk.vault.close()
    assert "counted" in canonical.decode_object(desk.log.lines[-1][:-1])


def test_does_not_start_over_a_line_that_is_none(desk: Desk) -> None:
    desk.ask("tom")
    desk.log.close()
    file = desk.folder / "openings.jsonl"
    file.write_bytes(b"rubbish\n" + file.read_bytes())
    with pytest.raises(LogDamaged, match="line 1"):
        desk.start()
