"""The local sanctions list: one destination per line, with what is known of it."""

from __future__ import annotations

from pathlib import Path


class ListUnreadable(Exception):
    """The list cannot be read, so nothing can be called clear."""


def hits(path: Path, destination: str) -> list[str]:
    """What the list says about a destination; empty where it says nothing. ListUnreadable where there is no
    list.

    A line is an address, then white space and a remark; `#` begins a comment.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ListUnreadable(f"{path}: {error}") from error
    found = []
    for line in lines:
        address, _, remark = line.partition("#")[0].strip().partition(" ")
        if address and address.casefold() == destination.casefold():
            found.append(f"on the sanctions list: {remark.strip() or 'no remark'}")
    return found
