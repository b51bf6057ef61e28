"""The offline verifier, about witnesses, …"""

from __future__ import annotations

from pathlib import Path

import pytest

from core.audit import verifier
from core.audit.heads import Seen, Times, Wrong, parse_seen
from core.audit.verdict import Verdict, told
from kernel import cosignature, merkle, note
from tests.exports import FORGED, HEADS, LEAVES, LINES, LOG, SIZES, THIEF, check, event, head, laid


@pytest.fixture
def export(tmp_path: Path) -> list[str]:
    return laid(tmp_path)


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
