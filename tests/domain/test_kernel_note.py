"""A signed note …"""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel import cosignature, encodings, note
from kernel.note import BadNote, Checkpoint, NotSigned, Verifier

# The example of Go's golang.org/x/mod/sumdb/note, which the C2SP format was written down from.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
TEXT = GO_NOTE.rpartition("\n\n")[0] + "\n"
SECRET = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
LOG = Verifier("countersign/test/audit", SECRET.public_key().public_bytes_raw())


def test_by_another_implementation_is_opened() -> None:
    key = Verifier.parse(GO_KEY)
    assert str(key) == GO_KEY
    assert note.open_note(GO_NOTE, by=key) == TEXT


def test_is_opened_by_its_own_key_only() -> None:
    signed = note.sign("a\nb\n", by=LOG, signer=SECRET.sign)
    assert note.open_note(signed, by=LOG) == "a\nb\n"
    with pytest.raises(NotSigned):
        note.open_note(signed, by=Verifier.parse(GO_KEY))
    with pytest.raises(NotSigned):
        note.open_note(signed, by=Verifier("another/name", LOG.public_key))


def test_may_carry_signatures_of_others() -> None:
    mine = note.sign(TEXT, by=LOG, signer=SECRET.sign).rpartition("\n\n")[2]
    both = GO_NOTE + mine
    assert note.open_note(both, by=LOG) == note.open_note(both, by=Verifier.parse(GO_KEY)) == TEXT


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good.replace("problem,", "problem."),
        lambda good: good.replace("x08go/", "x08go+"),
        lambda good: good.replace("— ", "- "),
        lambda good: good.replace("\n\n", "\n"),
        lambda good: good[:-1],
        lambda good: good + "\n",
        lambda good: good.replace("you", "y\tu", 1),
        lambda good: good.replace("— PeterNeumann", "—  PeterNeumann"),
        lambda good: good.replace("— PeterNeumann", "— PeterNewmann"),
        lambda good: good[:-1] + " x\n",
        lambda good: good + "— somebody\n",
        lambda good: good + "— else AB\n",
        lambda good: good + good.splitlines(keepends=True)[-1].replace("ZJku", "ZJkv"),
        lambda good: "",
    ],
)
def test_with_anything_changed_is_refused(spoil: object) -> None:
    with pytest.raises(BadNote):
        note.open_note(spoil(GO_NOTE), by=Verifier.parse(GO_KEY))  # type: ignore[operator]


@pytest.mark.parametrize("text", ["no newline", "control \x00\n", "tab\t\n", ""])
def test_is_not_made_of_such_text(text: str) -> None:
    with pytest.raises(BadNote):
        note.sign(text, by=LOG, signer=SECRET.sign)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a+b",
        GO_KEY.replace("c74f", "c74e"),
        GO_KEY.replace("ARpc", "AhpC"),
        "x y+00000000+AQ==",
        GO_KEY[:-4],
        GO_KEY.replace("20a3", "20a4"),
        GO_KEY.replace("ARpc", "Ahpc"),
    ],
)
def test_key_of_another_form_is_refused(key: str) -> None:
    with pytest.raises(BadNote):
        Verifier.parse(key)


@pytest.mark.parametrize(
    ("name", "size"), [("", 32), ("a+b", 32), ("a b", 32), ("a\nb", 32), ("a", 31), ("a", 33)]
)
def test_has_no_key_with_such_a_name_or_of_another_length(name: str, size: int) -> None:
    with pytest.raises(BadNote):
        Verifier(name, b"\x05" * size)


def test_key_with_a_plus_sign_in_its_base64_is_read_back() -> None:
    key = Verifier("a", b"\x01\x02" + b"\xfb\xef\xbe" * 10)
    assert Verifier.parse(str(key)) == key
    assert str(key).count("+") > 2


def test_without_a_text_is_refused_though_its_key_signed_that() -> None:
    line = signed_by_hand("\n").rpartition("\n\n")[2]
    with pytest.raises(BadNote, match="a note is a text"):
        note.open_note(line, by=LOG)


@pytest.mark.parametrize("size", [0, 12, 9_999_999_999_999_999_999])
def test_that_is_a_checkpoint_is_read_back(size: int) -> None:
    head = Checkpoint("countersign/test/audit", size, b"\x07" * 32)
    signed = note.sign(head.text(), by=LOG, signer=SECRET.sign)
    assert Checkpoint.parse(note.open_note(signed, by=LOG)) == head


def test_may_have_empty_lines_in_its_text() -> None:
    assert note.open_note(signed_by_hand("a\n\nb\n"), by=LOG) == "a\n\nb\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n12\n",
        "origin\n012\n" + "A" * 43 + "=\n",
        "origin\n-1\n" + "A" * 43 + "=\n",
        "\n12\n" + "A" * 43 + "=\n",
        "origin\n12\n" + "A" * 43 + "=\nextension\n",
        "origin\n12\n" + "A" * 43 + "=\nextension",
        "origin\n12\n" + "A" * 43 + "=\n\nextension\n",
        "origin\n12\nAAAA\n",
        "origin\n12\n" + "A" * 42 + "B=\n",
        "origin\n12\n" + "A" * 43 + "=",
        "origin\n12\n" + "A" * 44 + "\n",
        "origin\n1\N{ARABIC-INDIC DIGIT TWO}\n" + "A" * 43 + "=\n",
        "origin\n1" + "0" * 19 + "\n" + "A" * 43 + "=\n",
    ],
)
def test_that_is_no_plain_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


def signed_by_hand(text: str) -> str:
    line = encodings.base64_standard(LOG.key_id + SECRET.sign(text.encode()))
    return f"{text}\n\N{EM DASH} {LOG.name} {line}\n"


@pytest.mark.parametrize(
    "text",
    ["a\tb\n", "a\x7f\n", "a\x0b\n", "a\x1f\n", "a" * 1_000_000 + "\n"],
    ids=["tab", "delete", "line", "unit", "long"],
)
def test_is_opened_by_nobody_with_characters_that_move_a_cursor_or_without_an_end(text: str) -> None:
    assert note.open_note(signed_by_hand("a\n"), by=LOG) == "a\n"
    with pytest.raises(BadNote, match="too long, or control characters"):
        note.open_note(signed_by_hand(text), by=LOG)


def test_is_given_out_only_where_what_signed_it_signed_this() -> None:
    with pytest.raises(NotSigned):
        note.sign("a\n", by=LOG, signer=lambda text: SECRET.sign(text + b"b"))
    witness = cosignature.Cosigner("witness", LOG.public_key)
    with pytest.raises(NotSigned):
        cosignature.cosign("a\n", by=witness, signer=lambda text: SECRET.sign(text + b"b"), at=1)
