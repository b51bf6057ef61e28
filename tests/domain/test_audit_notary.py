"""The notary …"""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core.audit.growing import Growth
from core.audit.notary import memory
from core.audit.notary.memory import NoMemory, Notary
from kernel import merkle, note
from tests.notaries import soft_notary

ORIGIN = "countersign/test/audit"
KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
LEAVES = [merkle.leaf(b"event %d" % number) for number in range(40)]
FORGED = [merkle.leaf(b"forged %d" % number) for number in range(40)]


def question(old: int, size: int, leaves: list[bytes] = LEAVES) -> dict[str, object]:
    proof = merkle.consistency_proof(leaves[:size], old) if 0 < old <= size else []
    root = merkle.root(leaves[:size]).hex()
    return {"v": 1, "type": "sign", "size": size, "root": root, "proof": [step.hex() for step in proof]}


@pytest.fixture
def one(tmp_path: Path) -> Notary:
    return soft_notary(tmp_path, origin=ORIGIN, key=KEY)


def said(one: Notary, asked: dict[str, object]) -> str:
    answer = one.answer(asked)  # type: ignore[arg-type]
    return str(answer.get("code", answer["type"]))


def test_signs_a_log_that_only_grows_and_the_same_head_again(one: Notary) -> None:
    for old, size in ((0, 3), (3, 3), (3, 17), (17, 40)):
        answer = one.answer(question(old, size))  # type: ignore[arg-type]
        head = note.Checkpoint.parse(note.open_note(str(answer["note"]), by=one.log))
        assert (head.origin, head.size, head.root) == (ORIGIN, size, merkle.root(LEAVES[:size]))
    assert one.answer({"v": 1, "type": "head"})["size"] == 40


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (question(9, 9), "NOTARY_LOG_CUT_BACK"),
        (question(17, 17, FORGED), "NOTARY_LOG_REWRITTEN"),
        (question(17, 30, FORGED), "NOTARY_LOG_REWRITTEN"),
        (question(17, 30) | {"proof": []}, "NOTARY_LOG_REWRITTEN"),
        (question(17, 30) | {"proof": ["00"] * 64}, "NOTARY_BAD_QUESTION"),
        (question(17, 30) | {"size": "30"}, "NOTARY_BAD_QUESTION"),
        (question(17, 30) | {"root": "xx"}, "NOTARY_BAD_QUESTION"),
        ({"v": 1, "type": "sign"}, "NOTARY_BAD_QUESTION"),
        ({"v": 1, "type": "export"}, "NOTARY_UNKNOWN_QUESTION"),
        (question(17, 30) | {"v": 2}, "NOTARY_UNKNOWN_QUESTION"),
        (question(17, 30) | {"v": True}, "NOTARY_UNKNOWN_QUESTION"),
    ],
)
def test_refuses_and_stays_where_it_is(one: Notary, asked: dict[str, object], code: str) -> None:
    assert said(one, question(0, 17)) == "signed"
    assert said(one, asked) == code
    assert said(one, question(17, 30)) == "signed"


def test_remembers_after_a_restart_and_does_not_start_without_its_memory(one: Notary, tmp_path: Path) -> None:
    assert said(one, question(0, 17)) == "signed"
    with pytest.raises(NoMemory, match="another notary"):
        soft_notary(tmp_path, origin=ORIGIN, key=KEY)
    one.close()
    again = soft_notary(tmp_path, origin=ORIGIN, key=KEY)
    assert said(again, question(17, 20, FORGED)) == "NOTARY_LOG_REWRITTEN"
    again.close()
    (tmp_path / "notary" / "head").unlink()
    with pytest.raises(NoMemory, match="forgot"):
        Notary(log=one.log, signer=KEY.sign, state=tmp_path / "notary")


def test_has_it_on_disk_before_it_answers(one: Notary, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(memory, "replace", full)
    with pytest.raises(OSError, match="no space"):
        said(one, question(0, 17))
    assert one.size == 0


@given(st.integers(0, 70), st.integers(1, 70), st.data())
def test_is_shown_by_the_sealer_that_leaves_in_memory_continue_it(
    written: int, added: int, data: st.DataObject
) -> None:
    leaves = [merkle.leaf(b"%d" % number) for number in range(written + added)]
    growth = Growth(merkle.Frontier().extended(leaves[:written]), leaves[written:])
    old = data.draw(st.integers(written, written + added))
    assert growth.proof(old) == (merkle.consistency_proof(leaves, old) if old else [])
