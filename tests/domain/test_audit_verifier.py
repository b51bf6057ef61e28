"""The offline verifier …"""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audit import verifier
from core.audit.heads import Seen, Times, Wrong, parse_seen
from core.audit.verdict import Verdict, told, verify
from kernel import canonical, cosignature, encodings, merkle, note

SECRET = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
LOG = note.Verifier("countersign/test/audit", SECRET.public_key().public_bytes_raw())
THIEF = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
SIZES = (1, 4, 9, 10)


def event(number: int) -> bytes:
    return canonical.encode({"v": 1, "id": number, "action": "test.done", "reason": "because"}) + b"\n"


def head(lines: list[bytes], size: int, *, by: Ed25519PrivateKey = SECRET, origin: str = LOG.name) -> str:
    root = merkle.root(merkle.leaf(line[:-1]) for line in lines[:size])
    name = note.Verifier(LOG.name, by.public_key().public_bytes_raw())
    return note.sign(note.Checkpoint(origin, size, root).text(), by=name, signer=by.sign)


def log(count: int = 10) -> list[bytes]:
    return [event(number) for number in range(count)]


LINES = log()
HEADS = [head(LINES, size) for size in SIZES]
LEAVES = b"".join(merkle.leaf(line[:-1]) for line in LINES)


def check(
    lines: list[bytes] | bytes = LINES,
    heads: list[str] | None = None,
    *,
    leaves: bytes | None = None,
    **how: object,
) -> Verdict:
    data = lines if isinstance(lines, bytes) else b"".join(lines)
    texts = "\n".join(HEADS if heads is None else heads)
    kept = None if leaves is None else io.BytesIO(leaves)
    export = io.BytesIO(data)
    return verify(export, checkpoints=io.StringIO(texts), key=LOG, leaves=kept, **how)  # type: ignore[arg-type]


def test_accepts_an_honest_log() -> None:
    verdict = check()
    assert (verdict.events, verdict.checkpoints, verdict.witnessed) == (10, 4, False)
    seen = Seen(9, merkle.root(merkle.leaf(line[:-1]) for line in LINES[:9]))
    assert check(witnesses=[seen]).witnessed
    assert check(witnesses=[Seen(0, merkle.EMPTY_ROOT)]).witnessed == 0, (
        "a witness that forgot vouches for nothing"
    )
    between = Seen(6, merkle.root(merkle.leaf(line[:-1]) for line in LINES[:6]))
    assert check(witnesses=[between]).witnessed == 6


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited": lambda x: [*x[:6], x[6].replace(b"because", b"Because"), *x[7:]],
    "deleted": lambda x: [*x[:6], *x[7:]],
    "swapped": lambda x: [*x[:6], x[7], x[6], *x[8:]],
    "back-dated": lambda x: [*x[:6], event(99), *x[6:]],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_names_the_span_of_the_first_bad_event(change: Callable[[list[bytes]], list[bytes]]) -> None:
    with pytest.raises(Wrong, match="one of the events 4 to 8 was changed, removed, added or moved"):
        check(change(LINES))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_names_the_first_bad_event_itself_where_leaf_hashes_were_kept(
    change: Callable[[list[bytes]], list[bytes]],
) -> None:
    with pytest.raises(Wrong, match="event 6 is not the one that was sealed"):
        check(change(LINES), leaves=LEAVES)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_names_it_from_the_export_alone_also_where_it_is_a_span(
    change: Callable[[list[bytes]], list[bytes]], export: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    events = Path(export[0])
    (events.parent / "leaves.bin").write_bytes(LEAVES)
    events.write_bytes(b"".join(change(LINES)))
    assert verifier.main(export) == 1
    assert capsys.readouterr().out == "FAIL event 6 is not the one that was sealed\n"
    start = merkle.Frontier().extended(merkle.leaf(line[:-1]) for line in LINES[:4])
    with pytest.raises(Wrong, match="event 6 is not the one that was sealed"):
        check(change(LINES)[4:], HEADS[1:], start=start, leaves=LEAVES[4 * 32 :])


def test_names_the_first_that_was_cut_out_of_the_newest_ones() -> None:
    heads = [HEADS[1], HEADS[3]]
    with pytest.raises(Wrong, match="event 5 is not the one that was sealed"):
        check([*LINES[:5], *LINES[6:]], heads, leaves=LEAVES)
    with pytest.raises(Wrong, match=r"event 9 is missing: a checkpoint covers 10 events$"):
        check(LINES[:9], heads, leaves=LEAVES)
    with pytest.raises(Wrong, match=r"event 9 is missing.*; or one from 4 on was removed"):
        check([*LINES[:5], *LINES[6:]], heads)


def test_believes_no_leaf_hashes_that_the_signed_root_does_not_prove() -> None:
    changed = CHANGES["edited"](LINES)
    forged = b"".join(merkle.leaf(line[:-1]) for line in changed)
    with pytest.raises(Wrong, match="one of the events 4 to 8 was changed"):
        check(changed, leaves=forged)
    assert check(leaves=forged).events == 10, "they say nothing against an honest log"


def made(number: int) -> bytes:
    return b'{"action":"test.done","id":%d}\n' % number


class Made(io.BytesIO):
    """Events that nobody holds in memory: each is made as it is read."""

    def __init__(self, count: int, bad: int) -> None:
        super().__init__()
        self.count, self.bad, self.place = count, bad, 0

    def readline(self, size: int | None = -1, /) -> bytes:
        if self.place == self.count:
            return b""
        self.place += 1
        return made(self.place - 1 + self.count * (self.place - 1 == self.bad))

    def tell(self) -> int:
        return self.place

    def seek(self, place: int, whence: int = 0, /) -> int:
        self.place = place
        return place


@pytest.mark.parametrize("bad", [-1, 13_333], ids=["honest", "changed"])
def test_holds_a_small_part_of_an_export_whose_checkpoints_were_left_out(bad: int, tmp_path: Path) -> None:
    count, leaves = 20_000, tmp_path / "leaves.bin"
    hashes = [merkle.leaf(made(number)[:-1]) for number in range(count)]
    leaves.write_bytes(b"".join(hashes))
    only = note.Checkpoint(LOG.name, count, merkle.root(hashes))
    signed, how = note.sign(only.text(), by=LOG, signer=SECRET.sign), {"key": LOG}
    del hashes
    tracemalloc.start()
    try:
        with leaves.open("rb") as kept:
            if bad < 0:
                assert verify(Made(count, bad), checkpoints=io.StringIO(signed), **how).events == count
            else:
                with pytest.raises(Wrong, match=f"^event {bad} is not the one that was sealed$"):
                    verify(Made(count, bad), checkpoints=io.StringIO(signed), leaves=kept, **how)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_holds_one_checkpoint_at_a_time_and_none_that_is_longer_than_any(tmp_path: Path) -> None:
    other = f"\N{EM DASH} other.example/w {encodings.base64_standard(bytes(150_000))}\n"
    path = tmp_path / "checkpoints.txt"
    path.write_text("\n".join(head(LINES, size) + other for size in range(1, 11)), encoding="utf-8")
    with path.open(encoding="utf-8") as checkpoints:
        tracemalloc.start()
        try:
            assert verify(io.BytesIO(b"".join(LINES)), checkpoints=checkpoints, key=LOG).checkpoints == 10
            assert tracemalloc.get_traced_memory()[1] < 5_000_000, "all of them take 8,000,000"
        finally:
            tracemalloc.stop()
    with pytest.raises(Wrong, match="a note is longer than 1000000 characters"):
        check(heads=[*HEADS[:3], "x" * 1_100_000 + HEADS[3]])


def test_refuses_checkpoints_that_become_others_once_their_signatures_were_looked_at() -> None:
    class Changing(io.StringIO):
        def seek(self, place: int, whence: int = 0) -> int:
            self.__init__("\n".join([*HEADS[1:3], head(LINES, 10, by=THIEF)]))  # type: ignore[misc]
            return 0

    with pytest.raises(Wrong, match="the checkpoints changed while they were read"):
        verify(io.BytesIO(b"".join(LINES)), checkpoints=Changing("\n".join(HEADS)), key=LOG)


def test_names_the_only_event_between_two_checkpoints() -> None:
    with pytest.raises(Wrong, match="event 9 is not the one that was sealed"):
        check([*LINES[:9], event(77)])


SPACED = LINES[5].replace(b'"v":1', b'"v": 1')
FORGED = [*LINES[:5], LINES[5].replace(b"because", b"Because"), *LINES[6:8], SPACED, LINES[9]]


def test_names_an_event_that_cannot_be_from_the_log_and_does_not_call_it_the_first() -> None:
    with pytest.raises(Wrong, match=r"^one of the events 4 .*; event 5 looks like it: it is not canonical"):
        check([*LINES[:5], SPACED, *LINES[6:]])
    with pytest.raises(Wrong, match=r"^one of the events 4 .*; event 8 looks like it: it is not canonical"):
        check(FORGED)
    with pytest.raises(Wrong, match=r"^event 5 is not the one that was sealed$"):
        check(b"".join(FORGED)[:-1], leaves=LEAVES)


def test_refuses_a_log_that_was_cut() -> None:
    with pytest.raises(Wrong, match="event 9 is missing"):
        check(LINES[:9])
    for cut in (b"".join(LINES)[:-1], b"".join(LINES)[:-1] + b"x", b"".join(LINES)[:-2]):
        for kept in (None, LEAVES):
            with pytest.raises(Wrong, match="event 9 is not the one that was sealed: its line has no end"):
                check(cut, leaves=kept)


def test_lets_no_event_hide_in_another_spelling() -> None:
    """Whoever reads the file for what somebody did must see each event that is verified."""
    hidden = b"=" + encodings.base64_standard(LINES[6][:-1]).encode() + b"\n"
    with pytest.raises(Wrong, match="event 6 is not the one that was sealed"):
        check([*LINES[:6], hidden, *LINES[7:]], leaves=LEAVES)


def test_refuses_a_tail_that_is_not_sealed() -> None:
    with pytest.raises(Wrong, match="event 10 is the first behind the last checkpoint"):
        check([*LINES, event(10)])


@pytest.mark.parametrize(
    ("heads", "why"),
    [
        ([], "no checkpoint"),
        ([HEADS[0], HEADS[0]], "checkpoint 1: 1 events do not follow 1"),
        (HEADS[::-1], "checkpoint 1: 9 events do not follow 10"),
        ([HEADS[0], HEADS[2], HEADS[1]], "checkpoint 2: 4 events do not follow 9"),
        ([HEADS[0], HEADS[1].replace("\n4\n", "\n5\n")], "checkpoint 1: the signature"),
        ([HEADS[0], "rubbish\n"], "checkpoint 1: "),
        ([head(LINES, 4, by=THIEF)], "checkpoint 0: not signed by"),
        ([head(LINES, 4, origin="another/log")], "checkpoint 0 is of another log"),
    ],
)
def test_refuses_checkpoints_that_do_not_hold(heads: list[str], why: str) -> None:
    with pytest.raises(Wrong, match=why):
        check(heads=heads)


def test_takes_a_witnesss_word_for_where_an_export_begins() -> None:
    """Whoever makes the export may leave out the checkpoint in front of it."""
    start = merkle.Frontier().extended(merkle.leaf(line[:-1]) for line in LINES[:4])
    seen, more = Seen(4, start.root()), Seen(9, merkle.root(merkle.leaf(line[:-1]) for line in LINES[:9]))
    verdict = check(LINES[4:], HEADS[2:], start=start, witnesses=[more, seen])
    assert (verdict.first, verdict.events, verdict.witnessed) == (4, 10, 9)
    for witnesses in ([], [more], [Seen(4, more.root)]):
        with pytest.raises(Wrong, match="the tree in front of the export is not the one"):
            check(LINES[4:], HEADS[2:], start=start, witnesses=witnesses)
    with pytest.raises(Wrong, match="the checkpoint at 1 events lies in front of the export's start, 4"):
        check(LINES[4:], HEADS, start=start)


def test_says_of_what_lies_in_front_when_the_last_witness_had_seen_it() -> None:
    verdict = Verdict(10, 4, merkle.EMPTY_ROOT, 0, first=4, before=(("one", 60), ("two", 120), ("three", 0)))
    assert "(4 to 9; those in front were seen by 1970-01-01T00:02:00Z)" in told(verdict)


@pytest.mark.parametrize(
    ("cosigned", "witnessed", "would_pass"), [((), 0, True), ((("one", 60),), 0, False), ((), 10, False)]
)
def test_says_that_a_log_signed_anew_would_pass_where_nobody_vouches(
    cosigned: Times, witnessed: int, would_pass: bool
) -> None:
    verdict = Verdict(10, 4, merkle.EMPTY_ROOT, witnessed, cosigned=cosigned)
    assert ("and one that was signed anew" in told(verdict)) is would_pass


@pytest.mark.parametrize("text", ["", "10", "x cm9vdA==", "-1 cm9vdA==", "1 cm9vdA== a b", "1 cm9vdA= a"])
def test_reads_no_witnesss_memory_of_another_form(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- whatever is wrong with it, the verifier cannot read it
        parse_seen(text, by="a witness")


def test_tells_a_rolled_back_log_only_with_a_witness() -> None:
    older = LINES[:9]
    assert check(older, HEADS[:3]).events == 9
    with pytest.raises(Wrong, match="shorter than witnessed: 9 events, the witness saw 10"):
        check(older, HEADS[:3], witnesses=[Seen(10, merkle.root(merkle.leaf(line[:-1]) for line in LINES))])


def test_tells_a_log_rewritten_with_its_stolen_key_only_with_a_witness() -> None:
    rewritten = [*LINES[:3], event(66), *LINES[4:]]
    heads = [head(rewritten, size) for size in SIZES]
    assert check(rewritten, heads).events == 10
    witness = Seen(9, merkle.root(merkle.leaf(line[:-1]) for line in LINES[:9]))
    with pytest.raises(Wrong, match=r"rewritten, .* the witness saw another root at 9 events"):
        check(rewritten, heads, witnesses=[witness])


@pytest.mark.parametrize(("size", "reaches"), [(0, 0), (4, 0), (9, 9)])
def test_counts_no_witness_that_remembers_nothing_of_the_export(size: int, reaches: int) -> None:
    start = merkle.Frontier().extended([merkle.leaf(line[:-1]) for line in LINES[:4]])
    seen = Seen(size, merkle.root(merkle.leaf(line[:-1]) for line in LINES[:size]))
    assert check(LINES[4:], HEADS[1:], start=start, witnesses=[seen]).witnessed == reaches


@pytest.mark.parametrize("size", [4, 6], ids=["at a checkpoint", "between two"])
def test_says_which_witness_lies_and_blames_no_event_for_it(size: int) -> None:
    liar = Seen(size, b"\1" * 32, by="second.txt")
    for leaves in (None, LEAVES):
        with pytest.raises(Wrong, match=f"or the witness lies: second.txt saw another root at {size} events"):
            check(witnesses=[liar], leaves=leaves)
    with pytest.raises(Wrong, match="event 5 is not the one that was sealed"):
        check(FORGED, witnesses=[Seen(6, b"\1" * 32)], leaves=LEAVES)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_detects_one_flipped_bit_anywhere(data: st.DataObject) -> None:
    raw = bytearray(b"".join(LINES))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Wrong):
        check(bytes(raw))


@pytest.fixture
def export(tmp_path: Path) -> list[str]:
    (tmp_path / "events.jsonl").write_bytes(b"".join(LINES))
    (tmp_path / "checkpoints.txt").write_text("\n".join(HEADS), encoding="utf-8")
    (tmp_path / "log.key").write_text(f"{LOG}\n", encoding="utf-8")
    (tmp_path / "leaves").write_bytes(LEAVES)
    root = encodings.base64_standard(merkle.root(merkle.leaf(line[:-1]) for line in LINES))
    (tmp_path / "witness").write_text(f"10 {root}\n", encoding="utf-8")
    names = [("--checkpoints", "checkpoints.txt"), ("--key", "log.key"), ("--witness", "witness")]
    return [
        str(tmp_path / "events.jsonl"),
        *(part for flag, name in names for part in (flag, str(tmp_path / name))),
    ]


def test_says_so_by_its_exit_code(
    export: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verifier.main(export) == 0
    assert capsys.readouterr().out.startswith("OK 10 events under 4 checkpoints, root ")
    events = Path(export[0])
    events.write_bytes(events.read_bytes().replace(b"because", b"beCause", 1))
    assert verifier.main(export) == 1
    assert capsys.readouterr().out.startswith("FAIL event 0 is not the one that was sealed")
    events.unlink()
    assert verifier.main(export) == 2
    (tmp_path / "log.key").write_text("rubbish", encoding="utf-8")
    assert verifier.main(export) == 2


def test_says_when_other_logs_were_seen_and_passes_over_none_of_them(
    export: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever makes the export can choose an old head of a signer's log: it holds, and shows its age."""
    by = cosignature.Cosigner("witness.example/1", THIEF.public_key().public_bytes_raw())
    text = note.open_note(HEADS[-1], by=LOG)
    now, then = (cosignature.cosign(text, by=by, signer=THIEF.sign, at=at) for at in (1_790_000_000, 1))
    for name, line in (("checkpoints.txt", now), ("logs", then)):
        heads = HEADS if name == "checkpoints.txt" else HEADS[-1:]
        (tmp_path / name).write_text("\n".join(heads) + f"{line}\n", encoding="utf-8")
    (tmp_path / "witness.key").write_text(f"{by}\n", encoding="utf-8")
    others = ["--logs", str(tmp_path / "logs"), "--log-keys", str(tmp_path / "log.key")]
    asked = [*export, "--witness-key", str(tmp_path / "witness.key")]
    assert verifier.main([*asked, *others]) == 0
    assert capsys.readouterr().out.endswith("; cosigned by witness.example/1 at 1970-01-01T00:00:01Z\n")
    for alone in (others[:2], others[2:]):
        with pytest.raises(SystemExit):
            verifier.main([*asked, *alone])


def test_tells_a_wrong_line_of_a_witness_from_none_and_minds_no_strangers(
    export: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by, stranger = (
        cosignature.Cosigner(name, THIEF.public_key().public_bytes_raw()) for name in ("witness", "stranger")
    )
    text, before = note.open_note(HEADS[-1], by=LOG), note.open_note(HEADS[-2], by=LOG)
    right, wrong = (cosignature.cosign(one, by=by, signer=THIEF.sign, at=1) for one in (text, before))
    strange = cosignature.cosign(before, by=stranger, signer=THIEF.sign, at=1)
    (tmp_path / "witness.key").write_text(f"{by}\n", encoding="utf-8")
    said = {}
    for lines in ((right, strange), (wrong, right), (strange,)):
        text = "\n".join(HEADS) + "".join(f"{line}\n" for line in lines)
        (tmp_path / "checkpoints.txt").write_text(text, encoding="utf-8")
        code = verifier.main([*export, "--witness-key", str(tmp_path / "witness.key")])
        said[lines] = (code, capsys.readouterr().out.partition("events: ")[2].strip())
    assert [code for code, _ in said.values()] == [0, 1, 1]
    assert said[wrong, right][1] == "the cosignature of witness is wrong"
    assert said[strange,][1] == "not cosigned by witness"


def test_warns_where_no_witness_was_given(export: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert verifier.main(export[:-2]) == 0
    assert "a log that was cut back would pass, and one that was signed anew" in capsys.readouterr().out
