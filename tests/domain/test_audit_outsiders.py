"""An outsider who has an export and the public keys, before the offline verifier, ..."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.audit import verifier
from core.audit.heads import Wrong
from kernel import cosignature, encodings, merkle, note
from tests.exports import HEADS, LEAVES, LINES, LOG, SECRET, SIZES, THIEF, check, event

NAMED = "event 6 is not the one that was sealed"
SPAN = "one of the events 4 to 8 was changed, removed, added or moved"
Lines = list[bytes]


def leaves_of(lines: Lines) -> bytes:
    return b"".join(merkle.leaf(line[:-1]) for line in lines)


def with_sixth(*lines: bytes) -> Lines:
    return [*LINES[:6], *lines, *LINES[7:]]


def told_twice(text: bytes) -> bytes:
    return text.replace(b'"v":1', b'"v":1,"v":1')


def spelled(text: bytes) -> bytes:
    return text.replace(b"because", b"becaus\\u0065")


def reordered(text: bytes) -> bytes:
    return text.replace(b'"v":1}', b'"v":1,"a":1}')


CHANGES: dict[str, Lines] = {
    "swapped": [*LINES[:6], LINES[7], LINES[6], *LINES[8:]],
    "doubled": [*LINES[:6], LINES[5], *LINES[6:]],
    "empty line": with_sixth(b"\n", LINES[6]),
    "an end of a line more": with_sixth(LINES[6][:-1] + b"\r\n"),
    "escaped": with_sixth(spelled(LINES[6])),
    "a name twice": with_sixth(told_twice(LINES[6])),
    "a name out of order": with_sixth(reordered(LINES[6])),
    "a blank around it": with_sixth(b" " + LINES[6]),
    "a mark in front of it": with_sixth(b"\xef\xbb\xbf" + LINES[6]),
    "a number with a point": with_sixth(LINES[6].replace(b'"v":1', b'"v":1.0')),
    "half a character": with_sixth(LINES[6].replace(b"because", b"\xed\xa0\x80")),
    "a long way of writing": with_sixth(LINES[6].replace(b"because", b"\xc1\xa2ecause")),
    "a filler": with_sixth(LINES[6].replace(b"because", "be\u200bcause".encode())),
    "a letter that looks alike": with_sixth(LINES[6].replace(b"because", "b\u0435cause".encode())),
    "very long": with_sixth(LINES[6].replace(b"because", b"because" * 400_000)),
    "very deep": with_sixth(b"[" * 200_000 + b"\n"),
}


@pytest.mark.parametrize("lines", CHANGES.values(), ids=CHANGES.keys())
def test_has_the_first_event_named_that_they_changed(lines: Lines) -> None:
    with pytest.raises(Wrong, match=f"^{NAMED}"):
        check(lines, leaves=LEAVES)
    with pytest.raises(Wrong, match=f"^{SPAN}"):
        check(lines)


@pytest.mark.parametrize("lines", CHANGES.values(), ids=CHANGES.keys())
def test_gets_no_change_accepted_by_changing_the_leaf_hashes_with_it(lines: Lines) -> None:
    """They fit the changed events, and no root: so they are no evidence, and nobody else is named."""
    with pytest.raises(Wrong, match=f"^{SPAN}"):
        check(lines, leaves=leaves_of(lines))


def test_passes_no_composed_letter_for_its_parts() -> None:
    texts = [event(number)[:-1].replace(b"because", "caf\u00e9".encode()) + b"\n" for number in range(4)]
    root = merkle.root(merkle.leaf(line[:-1]) for line in texts)
    signed = note.sign(note.Checkpoint(LOG.name, 4, root).text(), by=LOG, signer=SECRET.sign)
    apart = unicodedata.normalize("NFD", texts[2].decode()).encode()
    assert check(texts, [signed]).events == 4
    with pytest.raises(Wrong, match=r"^event 2 is not the one that was sealed$"):
        check([*texts[:2], apart, texts[3]], [signed], leaves=leaves_of(texts))


TEXT = b'two\nlines, as "somebody" wrote them past us'
QUOTED = b"=" + encodings.base64_standard(TEXT).encode() + b"\n"


@pytest.mark.parametrize(
    "line",
    [
        QUOTED[:-2] + b"\n",
        QUOTED[:-1] + b"=\n",
        QUOTED[:-1] + b"\r\n",
        b"=" + QUOTED,
        QUOTED[:9] + b" " + QUOTED[9:],
        QUOTED[:-3] + bytes([QUOTED[-3] + 1]) + QUOTED[-2:],
        TEXT + b"\n",
    ],
)
def test_writes_a_quoted_text_in_no_second_way(line: bytes) -> None:
    texts = [*(one[:-1] for one in LINES[:6]), TEXT, *(one[:-1] for one in LINES[7:])]
    hashes = [merkle.leaf(text) for text in texts]
    heads = [
        note.sign(
            note.Checkpoint(LOG.name, size, merkle.root(hashes[:size])).text(), by=LOG, signer=SECRET.sign
        )
        for size in SIZES
    ]
    assert check(with_sixth(QUOTED), heads, leaves=b"".join(hashes)).events == 10
    with pytest.raises(Wrong, match=f"^{NAMED}"):
        check(with_sixth(line), heads, leaves=b"".join(hashes))


def test_begins_in_the_middle_only_where_the_log_was_sealed_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Wrong, match="event 0 is not the one that was sealed"):
        check(LINES[4:], leaves=LEAVES[4 * 32 :])
    start = merkle.Frontier().extended(merkle.leaf(line[:-1]) for line in LINES[:6])
    with pytest.raises(Wrong, match="the tree in front of the export is not the one of the checkpoint at 6"):
        check(LINES[6:], HEADS[2:], start=start, leaves=LEAVES[6 * 32 :])
    assert verifier.main(written(tmp_path, LINES[4:], HEADS[1:], start=start_of(LINES[:4]))) == 0
    assert capsys.readouterr().out.startswith("OK 6 events (4 to 9) under 3 checkpoints")


def test_has_no_honest_event_blamed_for_a_start_of_other_bytes_with_the_same_root(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hashes = [merkle.leaf(line[:-1]) for line in LINES]
    heads = [
        note.sign(
            note.Checkpoint(LOG.name, size, merkle.root(hashes[:size])).text(), by=LOG, signer=SECRET.sign
        )
        for size in (3, 10)
    ]
    pair, third = merkle.Frontier().extended(hashes[:3]).nodes
    for nodes, verdict in (((pair, third), 0), ((pair[:31], pair[31:] + third), 2)):
        start = "\n".join(["3", *map(encodings.base64_standard, nodes)]) + "\n"
        assert verifier.main(written(tmp_path, LINES[3:], heads, start=start)) == verdict
    assert "UNREADABLE a root of the start file has 32 bytes" in capsys.readouterr().err


def test_shows_nothing_and_passes_for_no_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verifier.main(written(tmp_path, [], HEADS[3:], start=start_of(LINES))) == 1
    empty = note.sign(note.Checkpoint(LOG.name, 0, merkle.EMPTY_ROOT).text(), by=LOG, signer=SECRET.sign)
    assert verifier.main(written(tmp_path, [], [empty])) == 1
    assert capsys.readouterr().out.count("FAIL there is no event: the export ends where it begins") == 2


def other_log(name: str, secret: Ed25519PrivateKey) -> Callable[[int], str]:
    by = note.Verifier(name, secret.public_key().public_bytes_raw())

    def head(size: int) -> str:
        root = merkle.root(merkle.leaf(line[:-1]) for line in LINES[:size])
        return note.sign(note.Checkpoint(name, size, root).text(), by=by, signer=secret.sign)

    return head


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (other_log(LOG.name, THIEF), "not signed by"),
        (other_log("countersign/other/audit", SECRET), "not signed by"),
        (other_log("countersign/other/audit", THIEF), "not signed by"),
    ],
    ids=["another key by that name", "another log of that key", "another log"],
)
def test_passes_no_other_logs_checkpoint_for_this_ones(made: Callable[[int], str], why: str) -> None:
    for place, size in enumerate(SIZES):
        heads = [*HEADS[:place], made(size), *HEADS[place + 1 :]]
        with pytest.raises(Wrong, match=f"^checkpoint {place}: {why}"):
            check(heads=heads)


def test_passes_no_namesake_for_a_witness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine, true = (
        cosignature.Cosigner("witness.example/1", key.public_key().public_bytes_raw())
        for key in (THIEF, SECRET)
    )
    text = note.open_note(HEADS[-1], by=LOG)
    forged = cosignature.cosign(text, by=mine, signer=THIEF.sign, at=2)
    real = cosignature.cosign(text, by=true, signer=SECRET.sign, at=1)
    (tmp_path / "witness.key").write_text(f"{true}\n", encoding="utf-8")
    for lines, verdict in (((forged,), 1), ((forged, real), 0), ((real, forged), 0)):
        heads = [*HEADS[:-1], HEADS[-1] + "".join(f"{line}\n" for line in lines)]
        asked = [*written(tmp_path, LINES, heads), "--witness-key", str(tmp_path / "witness.key")]
        assert verifier.main(asked) == verdict
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("not cosigned by witness.example/1")
    assert all("cosigned by witness.example/1 at 1970-01-01T00:00:01Z" in line for line in said[1:])


def start_of(lines: Lines) -> str:
    tree = merkle.Frontier().extended(merkle.leaf(line[:-1]) for line in lines)
    return "\n".join([str(tree.size), *map(encodings.base64_standard, tree.nodes)]) + "\n"


def written(folder: Path, lines: Lines, heads: list[str], *, start: str = "") -> list[str]:
    """The verifier's arguments for these files."""
    (folder / "events.jsonl").write_bytes(b"".join(lines))
    (folder / "checkpoints.txt").write_text("\n".join(heads), encoding="utf-8")
    (folder / "log.key").write_text(f"{LOG}\n", encoding="utf-8")
    asked = [str(folder / "events.jsonl"), "--checkpoints", str(folder / "checkpoints.txt")]
    asked += ["--key", str(folder / "log.key")]
    if start:
        (folder / "start.txt").write_text(start, encoding="utf-8")
        asked += ["--start", str(folder / "start.txt")]
    return asked
