"""The changes of a draft that are about people: officers, and those who are there for a recovery.

A passkey comes as 130 hex digits or as the file that the approver's page saved (`@FILE`), and in either case
with the fingerprint that its owner wrote down from that page.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from custody.signer import brought, written
from custody.signer.written import NONE, BadDraft, Document, put
from kernel import encodings


def add_officer(
    document: Document, who: str, name: str, teams: str, key: str, paper: str, *, now: datetime
) -> None:
    """Somebody new, with the passkey whose fingerprint they wrote down."""
    public_key = _new(document, who, name, key, paper, now=now)
    document["officers"][who] = {"name": name, "teams": written.names(teams), "public_key": public_key}


def add_recovery_officer(
    document: Document, who: str, name: str, key: str, paper: str, *, now: datetime
) -> None:
    """Somebody who is there for a recovery and for nothing else."""
    public_key = _new(document, who, name, key, paper, now=now)
    _recovery(document)["officers"][who] = {"name": name, "public_key": public_key}


def set_recovery(document: Document, name: str, value: str) -> None:
    """How many of them must agree (`quorum 2`), or how long everybody can object (`delay_s 3d`)."""
    if name == "delay_s":
        put(_recovery(document), name, written.seconds(value))
    elif name == "quorum" and value.isdecimal():
        put(_recovery(document), name, int(value))
    else:
        raise BadDraft(f"{name} {value}: write quorum and a number, or delay_s and a time")


def remove_officer(document: Document, who: str) -> None:
    """Nothing that they sign counts any more."""
    seats, identity = _seat(document, who)
    del seats[identity]


def replace_passkey(document: Document, who: str, key: str, paper: str, *, now: datetime) -> None:
    """Another passkey in the place of an officer, or of somebody who is there for a recovery."""
    seats, identity = _seat(document, who)
    name = seats[identity]["name"]
    seats[identity]["public_key"] = _passkey(document, key, paper, officer=identity, name=name, now=now)


def set_decoder(document: Document, who: str, key: str) -> None:
    """The key of an officer's offline decoder, or none."""
    put(_officer(document, who), "decoder_key", None if key == NONE else key)


def set_teams(document: Document, who: str, teams: str) -> None:
    """All the teams that an officer is in."""
    put(_officer(document, who), "teams", written.names(teams))


def _recovery(document: Document) -> Document:
    found: Document = document.setdefault("recovery", {"officers": {}})
    return found


def _officer(document: Document, who: str) -> Document:
    """One who is in teams; nobody who is there for a recovery is in any."""
    seats, identity = _seat(document, who)
    if seats is not document["officers"]:
        raise BadDraft(f"{who} is there for a recovery, and has neither teams nor a decoder")
    found: Document = seats[identity]
    return found


def _seat(document: Document, who: str) -> tuple[Document, str]:
    """Where the one person stands who is meant, by id or by whole name."""
    everybody = [(seats, one) for seats in _everywhere(document) for one in seats]
    found = [(seats, one) for seats, one in everybody if who in (one, seats[one]["name"])]
    if len(found) != 1:
        names = ", ".join(sorted(seats[one]["name"] for seats, one in everybody))
        raise BadDraft(f"{who} is no one officer of this registry; there are {names}")
    return found[0]


def _everywhere(document: Document) -> list[Document]:
    return [document["officers"], document.get("recovery", {}).get("officers", {})]


def _new(document: Document, who: str, name: str, key: str, paper: str, *, now: datetime) -> str:
    """The key of somebody who stands nowhere yet, under this id or name."""
    if any(
        who == one or part["name"] == name for seats in _everywhere(document) for one, part in seats.items()
    ):
        raise BadDraft(f"{name} ({who}) stands in the registry already: replace the passkey or the teams")
    return _passkey(document, key, paper, officer=who, name=name, now=now)


def _passkey(document: Document, key: str, paper: str, *, officer: str, name: str, now: datetime) -> str:
    if key.startswith("@"):
        site = brought.Site(document["deployment"], document["origin"], document["rp_id"])
        saved = brought.document(Path(key[1:]))
        made = brought.passkey(saved, paper=paper, site=site, officer=officer, name=name, now=now)
        return made.public_key.hex()
    brought.check_paper(encodings.from_hex(key), paper=paper, name=name)
    return key
