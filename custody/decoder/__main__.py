"""Read a request again and confirm it, on a machine without a network.

    python -m custody.decoder key --out FILE                  make this officer's key; print its public half
    python -m custody.decoder show [--image PICTURE]          say what a request asks for
    python -m custody.decoder confirm --key FILE [--image PICTURE]

Without --image the request is one line of standard input, which is what a scanner types. `confirm` asks for
the first characters of the digest on the approver page before it signs, and gives the confirmation as text
and as a QR code, for a scanner at the other machine.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from custody.decoder import keys
from custody.decoder.requests import Request, Unreadable, text_in
from kernel import confirmation, encodings, networks

COMPARE_CHARACTERS: Final = 8
LINE_CHARACTERS: Final = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program; 0 if it was done, 1 if not."""
    parser = argparse.ArgumentParser(prog="custody.decoder", description="Confirm a request, offline.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("key", help="make a key").add_argument("--out", type=Path, required=True)
    show = verbs.add_parser("show", help="say what a request asks for")
    confirm = verbs.add_parser("confirm", help="say it, and confirm it")
    confirm.add_argument("--key", type=Path, required=True)
    for verb in (show, confirm):
        verb.add_argument("--image", type=Path, help="a photograph of the QR code")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "key":
            print(keys.make(options.out, _asked("Passphrase for the new key: ", secret=True)).hex())
            return 0
        request = Request.parse(text_in(options.image) if options.image else _asked("Scan the code: "))
        print("\n".join(describe(request)), flush=True)
        return 0 if options.verb == "show" else _confirm(request, options.key)
    except (Unreadable, keys.NoKey, FileExistsError) as error:
        print(f"NOT CONFIRMED {error}", file=sys.stderr)
        return 1


def describe(request: Request) -> Iterator[str]:
    """What the payload says, in lines to compare with what the officer means to approve."""
    intent = request.intent
    network = encodings.plain(networks.spoken(intent.network))
    yield f"{encodings.plain(intent.kind)} in {encodings.plain(intent.deployment)}, on {network}"
    yield f"  pays      {intent.amount} {intent.amount.asset}"
    yield f"  to        {_grouped(encodings.plain(intent.destination), 4)}"
    yield from _lines("known as", encodings.plain(intent.destination_label))
    yield f"  out of    {encodings.plain(intent.source)}, fee at most {intent.fee_cap} {intent.fee_cap.asset}"
    yield f"  until     {intent.expires:%Y-%m-%d %H:%M:%S} UTC"
    yield f"  number    {intent.reference}, made by {intent.maker}, policy {intent.policy}"
    yield f"  digest    {_grouped(request.statement.digest.hex(), 8)}"


def _confirm(request: Request, path: Path) -> int:
    digest = request.statement.digest.hex()
    typed = _asked(f"Type the first {COMPARE_CHARACTERS} characters of the digest on the approver page: ")
    if typed.strip().lower() != digest[:COMPARE_CHARACTERS]:
        print("NOT CONFIRMED the page shows another digest: do not sign there either", file=sys.stderr)
        return 1
    key = keys.load(path, _asked("Passphrase: ", secret=True))
    text = encodings.base64url(key.sign(confirmation.message(request.statement)))
    _draw(text)
    print(f"CONFIRMED {text}")
    return 0


def _draw(text: str) -> None:
    """The confirmation as a QR code, where somebody looks at a terminal."""
    if sys.stdout.isatty():
        import segno

        segno.make(text, error="m").terminal(compact=True)


def _asked(question: str, *, secret: bool = False) -> str:
    """One line: from the keyboard or a scanner that types; not echoed where it is secret."""
    if sys.stdin.isatty():
        return getpass.getpass(question) if secret else input(question)
    line = sys.stdin.readline()
    if not line:
        raise Unreadable("the input ended")
    return line.rstrip("\n")


def _lines(name: str, text: str) -> Iterator[str]:
    """What somebody else wrote, broken here and not by the terminal: none of its lines looks like ours."""
    for start in range(0, len(text), LINE_CHARACTERS):
        yield f"  {'' if start else name:<8}{'|' if start else ' '} {text[start : start + LINE_CHARACTERS]}"


def _grouped(text: str, length: int) -> str:
    return " ".join(text[start : start + length] for start in range(0, len(text), length))


if __name__ == "__main__":
    sys.exit(main())
