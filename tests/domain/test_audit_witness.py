"""The witness …"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core.audit import witness
from core.audit.heads import Seen, Wrong, verify_heads
from core.audit.verdict import Verdict, verify
from core.audit.witness import NoMemory, Witness
from core.trusted import starting
from kernel import canonical, cosignature, encodings, merkle, note

SECRET = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
THIEF = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
LOG = note.Verifier("countersign/test/audit", SECRET.public_key().public_bytes_raw())
LINES = [canonical.encode({"v": 1, "n": number}) for number in range(40)]
LEAVES = [merkle.leaf(line) for line in LINES]
FORGED = [merkle.leaf(line + b" ") for line in LINES]


def head(
    size: int, *, leaves: list[bytes] = LEAVES, by: Ed25519PrivateKey = SECRET, origin: str = LOG.name
) -> str:
    name = note.Verifier(origin, by.public_key().public_bytes_raw())
    text = note.Checkpoint(origin, size, merkle.root(leaves[:size])).text()
    return note.sign(text, by=name, signer=by.sign)


def request(old: int, size: int, *, leaves: list[bytes] = LEAVES, signed: str = "") -> bytes:
    proof = merkle.consistency_proof(leaves[:size], old) if 0 < old <= size else []
    lines = [f"old {old}", *(encodings.base64_standard(step) for step in proof)]
    return ("\n".join(lines) + "\n\n" + (signed or head(size, leaves=leaves))).encode()


@pytest.fixture
def one(tmp_path: Path) -> Witness:
    return Witness(name="witness.example/1", logs=[LOG], state=tmp_path / "state")


def test_cosigns_a_log_that_only_grows(one: Witness) -> None:
    for old, size in ((0, 3), (3, 3), (3, 17), (17, 40)):
        answer = one.add(request(old, size), at=1_790_000_000)
        assert answer.status == 200, answer
        text = note.open_note(head(size) + answer.body, by=LOG)
        assert cosignature.check(text, answer.body.splitlines(), by=one.cosigner) == 1_790_000_000
    assert one.seen() == f"40 {encodings.base64_standard(merkle.root(LEAVES))} {LOG.name}\n"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (request(9, 17), 409, "17"),
        (request(0, 17), 409, "17"),
        (request(17, 17, leaves=FORGED), 409, "17"),
        (request(17, 30, leaves=FORGED), 422, "other roots"),
        (request(17, 30).replace(b"old 17\n", b"old 17\nAAAA\n"), 422, "length"),
        (request(17, 9), 400, "larger"),
        (request(17, 30, signed=head(30, by=THIEF)), 403, "not signed"),
        (request(17, 30, signed=head(30, origin="another/log")), 404, "another log"),
        (request(17, 30)[:-20], 400, ""),
        (b"", 400, "old N"),
        (b"old -1\n\n" + head(30).encode(), 400, "old N"),
        (b"old 17\n" + b"AAAA\n" * 64 + b"\n" + head(30).encode(), 400, "old N"),
        (b"\xff" * 90, 400, ""),
        (b"new 17\n\n" + head(30).encode(), 400, "old N"),
        (b"old " + b"0" * 18 + b"17\n\n" + head(30).encode(), 400, "old N"),
    ],
    ids=[
        "behind",
        "from nothing",
        "equal size, other root",
        "rewritten and re-signed",
        "spoiled proof",
        "rolled back",
        "stranger's key",
        "other log",
        "cut off",
        "empty",
        "negative",
        "endless proof",
        "rubbish",
        "another word",
        "endless size",
    ],
)
def test_refuses_and_stays_where_it_is(one: Witness, body: bytes, status: int, said: str) -> None:
    assert one.add(request(0, 17), at=1).status == 200
    seen = one.seen()
    answer = one.add(body, at=2)
    assert answer.status == status, answer
    assert said in answer.body
    assert one.seen() == seen


def test_remembers_after_a_restart_and_does_not_start_without_its_memory(
    one: Witness, tmp_path: Path
) -> None:
    one.add(request(0, 17), at=1)
    with pytest.raises(
        NoMemory, match="another witness holds"
    ):  # it would vouch for another history beside it
        Witness(name="witness.example/1", logs=[LOG], state=tmp_path / "state")
    one.close()
    again = Witness(name="witness.example/1", logs=[LOG], state=tmp_path / "state")
    assert (again.seen(), again.cosigner) == (one.seen(), one.cosigner)
    assert again.add(request(0, 9), at=2).status == 409
    again.close()
    witness.seen_path(tmp_path / "state", LOG.name).unlink()
    with pytest.raises(NoMemory):
        Witness(name="witness.example/1", logs=[LOG], state=tmp_path / "state")


@pytest.mark.parametrize("gone", ["watched", "seen", "both", "key"])
def test_does_not_start_where_part_of_its_state_is_gone_or_another_kind_of_key_is_there(
    gone: str, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    Witness(name="witness.example/1", logs=[LOG], state=state).close()
    if gone == "key":
        (state / "key.pem").unlink()
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        (state / "key.pem").write_bytes(pem)
    if gone in ("watched", "both"):
        (state / "watched").unlink()
    if gone in ("seen", "both"):
        shutil.rmtree(state / "seen")
    with pytest.raises(NoMemory):
        Witness(name="witness.example/1", logs=[LOG], state=state)


@pytest.mark.parametrize("at", range(5))
def test_starts_again_wherever_its_first_start_ended(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, real = list[Path](), starting.replace

    def replace(path: Path, data: bytes, *, mode: int) -> None:
        if len(done) == at:
            raise OSError("it ends here")
        done.append(path)
        real(path, data, mode=mode)

    how: dict[str, Any] = {"name": "witness.example/1", "logs": [LOG], "state": tmp_path / "state"}
    with monkeypatch.context() as patch:
        patch.setattr(starting, "replace", replace)
        with pytest.raises(OSError, match="it ends here"):
            Witness(**how)
    one = Witness(**how)
    assert one.size(LOG.name) == 0
    assert (tmp_path / "state/key.pem").stat().st_mode & 0o777 == 0o400
    assert one.add(request(0, 17), at=1).status == 200
    # Nor is what it saw written over where the list of its logs alone is not whole.
    one.close()
    (tmp_path / "state/watched").write_text("")
    assert Witness(**how).size(LOG.name) == 17


@pytest.mark.parametrize("text", ["", "17", "x AAAA", "17 AAAA more", "-1 AAAA"])
def test_takes_nothing_else_for_its_memory(text: str) -> None:
    with pytest.raises(ValueError, match="what a witness saw"):
        witness.parse_seen(text)


def test_takes_up_a_log_that_it_was_not_given_before_and_forgets_none(tmp_path: Path) -> None:
    other = note.Verifier("countersign/test/other", LOG.public_key)
    for logs in ([LOG], [LOG, other], [other], [LOG, other]):
        one = Witness(name="witness.example/1", logs=logs, state=tmp_path / "state")
        if one.seen().startswith("0 ") and logs == [LOG]:
            assert one.add(request(0, 17), at=1).status == 200
        assert [line.split()[0] for line in one.seen().splitlines()] == [
            "17" if log is LOG else "0" for log in logs
        ]
        one.close()


def test_takes_no_two_keys_for_one_log(tmp_path: Path) -> None:
    """One memory under two keys would let whoever has the older key go on."""
    other = note.Verifier(LOG.name, b"\1" * 32)
    with pytest.raises(ValueError, match="two keys for one log"):
        Witness(name="witness.example/2", logs=[LOG, other], state=tmp_path / "two")
    Witness(name="witness.example/2", logs=[LOG], state=tmp_path / "two").close()


def test_has_it_on_disk_before_it_answers(one: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(starting, "replace", full)
    with pytest.raises(OSError, match="no space"):
        one.add(request(0, 17), at=1)
    assert one.size(LOG.name) == 0


def verdict(one: Witness, *, leaves: list[bytes], lines: list[bytes], signed: str) -> Verdict:
    return verify(
        io.BytesIO(b"".join(line + b"\n" for line in lines)),
        checkpoints=io.StringIO(signed),
        key=LOG,
        witnesses=[Seen(*witness.parse_seen(one.seen().rpartition(" ")[0]))],
        cosigners=[one.cosigner],
    )


def test_lets_the_verifier_tell_rollback_and_a_history_signed_anew(one: Witness) -> None:
    first = one.add(request(0, 17), at=1).body
    last = one.add(request(17, 40), at=2).body
    honest = verdict(one, leaves=LEAVES, lines=LINES, signed=head(40) + last)
    assert honest.cosigned == (("witness.example/1", 2),)
    with pytest.raises(Wrong, match="shorter than witnessed: 17 events, the witness saw 40"):
        verdict(one, leaves=LEAVES, lines=LINES[:17], signed=head(17) + first)
    forged = [line + b" " for line in LINES]
    with pytest.raises(Wrong, match=r"not cosigned by witness\.example/1"):
        verdict(one, leaves=FORGED, lines=forged, signed=head(40, leaves=FORGED))
    with pytest.raises(Wrong, match=r"the cosignature of witness\.example/1 is wrong"):
        verdict(one, leaves=FORGED, lines=forged, signed=head(40, leaves=FORGED) + last)
    with pytest.raises(Wrong, match="not cosigned by"):
        verdict(one, leaves=LEAVES, lines=LINES, signed=head(40))


def test_vouches_for_the_heads_of_other_logs_too(one: Witness) -> None:
    line = one.add(request(0, 17), at=1).body
    signed = head(17)
    found = verify_heads(f"{signed}{line}\n", keys=[LOG], cosigners=[one.cosigner])
    assert [(item.size, times) for item, times in found] == [(17, (("witness.example/1", 1),))]
    with pytest.raises(Wrong, match="not cosigned by"):
        verify_heads(signed, keys=[LOG], cosigners=[one.cosigner])
    stranger = note.Verifier("countersign/test/signer", LOG.public_key)
    with pytest.raises(Wrong, match="countersign/test/signer has no cosigned head"):
        verify_heads(signed, keys=[LOG, stranger], cosigners=[])
    with pytest.raises(Wrong, match="not signed by"):
        verify_heads(head(17, by=THIEF), keys=[LOG], cosigners=[])


def test_keeps_each_of_several_logs_apart(tmp_path: Path) -> None:
    other = note.Verifier("countersign/test/other", THIEF.public_key().public_bytes_raw())
    state = tmp_path / "state"
    one = Witness(name="witness.example/1", logs=[LOG, other], state=state)
    assert one.add(request(0, 17), at=1).status == 200
    crossed = head(9, leaves=FORGED, origin=other.name)  # the first log's key under the other's name
    assert one.add(request(0, 9, leaves=FORGED, signed=crossed), at=2).status == 403
    honest = head(9, leaves=FORGED, by=THIEF, origin=other.name)
    assert one.add(request(0, 9, leaves=FORGED, signed=honest), at=3).status == 200
    assert (one.size(LOG.name), one.size(other.name)) == (17, 9)
    third = note.Verifier("countersign/test/third", LOG.public_key)
    one.close()
    one = Witness(name="w", logs=[LOG, other, third], state=state)
    assert one.size(third.name) == 0
    one.close()
    witness.seen_path(state, other.name).unlink()
    with pytest.raises(NoMemory):
        Witness(name="w", logs=[other], state=state)
    assert Witness(name="w", logs=[LOG], state=state).size(LOG.name) == 17
