"""Registry files for people: what a version says, what the next one changes, and who ordered it.

    python -m custody.signer.registry show FILE
    python -m custody.signer.registry diff OLD NEW
    python -m custody.signer.registry draft FILE --follows DIGEST --out NEXT CHANGE...
    python -m custody.signer.registry verify FIRST [ORDER NEXT]... [--genesis ORDER]

`draft` writes the next version: nothing but the changes that are named (`drafts`), or no file at all.

`verify` walks a chain of versions, each with the order that brought it, and names the first that does not
hold; with --genesis, the first version must have been ordered by every officer in it. It asks nobody: files
are enough. Which version a signer believes is decided in `succession`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from custody.signer import drafts, succession
from custody.signer.refusals import Refused
from custody.signer.requests import Order
from custody.signer.words import describe, differences
from custody.signer.written import BadDraft
from kernel.registry import Registry

_BRIEF: Final = timedelta(seconds=1)


def verify(chain: Sequence[Registry], orders: Sequence[Order], *, genesis: Order | None) -> Iterator[str]:
    """One line per version whose order holds; Refused at the first that does not.

    Orders are judged at a moment when they were good: an old chain is checked long after its orders expired.
    """
    first = chain[0]
    if genesis is not None:
        succession.check_genesis(first, order=genesis, token=genesis.token, now=genesis.expires - _BRIEF)
        yield f"version {first.version} {first.digest.hex()}: ordered by every officer in it"
    else:
        yield f"version {first.version} {first.digest.hex()}: taken as given"
    for old, new, order in zip(chain, chain[1:], orders, strict=False):
        succession.check_successor(new, old=old, order=order, token=order.token, now=order.expires - _BRIEF)
        yield f"version {new.version} {new.digest.hex()}: {order.kind} by officers of version {old.version}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="signer registry", description="Show and compare registry files.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("show", help="in plain words").add_argument("file", type=Path)
    diff = verbs.add_parser("diff", help="what changed")
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)
    words = "the next version, with the changes that are named"
    drafts.add_arguments(verbs.add_parser("draft", help=words, allow_abbrev=False))
    check = verbs.add_parser("verify", help="whether each version was ordered by the one before")
    check.add_argument("first", type=Path)
    check.add_argument("rest", type=Path, nargs="*", metavar="ORDER NEXT")
    check.add_argument("--genesis", type=Path, help="the order of the first version")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "show":
            lines = list(describe(succession.read(options.file)))
        elif options.verb == "diff":
            lines = list(differences(succession.read(options.old), succession.read(options.new)))
        elif options.verb == "draft":
            lines = list(drafts.run(options, datetime.now(UTC)))
        else:
            if len(options.rest) % 2:
                parser.error("each further version comes behind its order")
            chain = [succession.read(path) for path in (options.first, *options.rest[1::2])]
            orders = [succession.read_order(path) for path in options.rest[::2]]
            genesis = succession.read_order(options.genesis) if options.genesis else None
            for line in verify(chain, orders, genesis=genesis):
                print(line, flush=True)
            return 0
    except (Refused, BadDraft, OSError) as error:
        before = {"verify": "DOES NOT HOLD ", "draft": "NOT DRAFTED "}.get(options.verb, "")
        print(f"{before}{error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
