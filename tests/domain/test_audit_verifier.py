"""The offline verifier …"""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audit import verifier
from core.audit.heads import Seen, Wrong
from core.audit.verdict import verify
from kernel import encodings, merkle, note
from tests.exports import FORGED, HEADS, LEAVES, LINES, LOG, SECRET, SPACED, THIEF, check, event, head, laid


@pytest.fixture
def export(tmp_path: Path) -> list[str]:
    return laid(tmp_path)


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


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_detects_one_flipped_bit_anywhere(data: st.DataObject) -> None:
    raw = bytearray(b"".join(LINES))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Wrong):
        check(bytes(raw))


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
