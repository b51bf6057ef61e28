"""The changes that a draft of a registry can make, each to exactly what it names and to nothing beside it.

A change takes the document and the words that stood on the command line. It refuses what it does not find:
whoever mistypes a name gets a sentence, not a second entry. What the result must be is the kernel's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from custody.signer import brought, written
from custody.signer.written import BadDraft
from kernel import encodings

Document = dict[str, Any]
NONE: Final = "none"
_LIMIT_AMOUNTS: Final = frozenset({"fee_sats_max"})
_LIMIT_TIMES: Final = frozenset({"window_s", "intent_life_s", "registry_delay_s"})
_LIMIT_CAPS: Final = frozenset({"window_units_max", "payment_units_max", "destination_units_max"})
_LANE_AMOUNTS: Final = frozenset({"transaction_units_max", "destination_units_max", "window_units_max"})
_LANE_TIMES: Final = frozenset({"window_s", "cooling_off_s", "attestation_age_s_max"})


class Change(NamedTuple):
    """What it does to a document, the words that it takes, and what it is for."""

    make: Callable[..., None]
    words: tuple[str, ...]
    help: str


# --- Officers -------------------------------------------------------------------------------------------


def add_officer(document: Document, who: str, name: str, teams: str, key: str, paper: str) -> None:
    """Somebody new, with the passkey whose fingerprint they wrote down."""
    officers = document["officers"]
    if who in officers or any(one["name"] == name for one in officers.values()):
        raise BadDraft(
            f"{name} ({who}) stands in the registry already: replace the passkey, or set the teams"
        )
    public_key = _passkey(document, key, paper, officer=who, name=name)
    officers[who] = {"name": name, "teams": written.names(teams), "public_key": public_key}


def remove_officer(document: Document, who: str) -> None:
    """Nothing that they sign counts any more."""
    del document["officers"][_officer(document, who)]


def replace_passkey(document: Document, who: str, key: str, paper: str) -> None:
    """Another passkey in an officer's place."""
    identity = _officer(document, who)
    officer = document["officers"][identity]
    officer["public_key"] = _passkey(document, key, paper, officer=identity, name=officer["name"])


def set_decoder(document: Document, who: str, key: str) -> None:
    """The key of an officer's offline decoder, or none."""
    _set(document["officers"][_officer(document, who)], "decoder_key", None if key == NONE else key)


def set_teams(document: Document, who: str, teams: str) -> None:
    """All the teams that an officer is in."""
    document["officers"][_officer(document, who)]["teams"] = written.names(teams)


# --- Quorums --------------------------------------------------------------------------------------------


def set_quorum(document: Document, kind: str, teams: str) -> None:
    """Who must agree to a kind of act, as `treasury:2,compliance:1`. Its version rises with it."""
    wanted: Document = {}
    for part in written.names(teams):
        team, _, count = part.partition(":")
        if not team or not count.isdecimal() or team in wanted:
            raise BadDraft(f"{part}: write team:count, with commas between, as in treasury:2,compliance:1")
        wanted[team] = int(count)
    policy = document["policies"].setdefault(kind, {})
    _rise(policy, "teams", wanted)


def set_confirmation(document: Document, kind: str, amount: str) -> None:
    """Above how much each approval of a kind is confirmed on an offline decoder; none: never."""
    _rise(_policy(document, kind), "confirm_above", None if amount == NONE else written.units(amount))


def set_source(document: Document, kind: str, wallet: str) -> None:
    """Out of which wallet a kind of payment goes."""
    if wallet not in document["wallets"]:
        raise BadDraft(f"there is no wallet {wallet}")
    _rise(_policy(document, kind), "source", wallet)


def set_destination(document: Document, kind: str, address: str) -> None:
    """The one address of ours (`hot/0`) that a kind of payment may go to; none: anywhere."""
    _rise(_policy(document, kind), "destination", None if address == NONE else address)


def set_rules(document: Document, file: str) -> None:
    """The registry's rules, from a file; none: the quorums alone decide."""
    _set(document, "rules", None if file == NONE else dict(brought.document(Path(file))))


# --- Limits and lanes -----------------------------------------------------------------------------------


def set_limit(document: Document, name: str, value: str) -> None:
    """One limit, by its name in the file; a wallet's as `window_units_max/hot`. none: no such limit."""
    part, _, wallet = name.partition("/")
    limits = document["limits"]
    if part in _LIMIT_CAPS and wallet:
        _set(limits.setdefault(part, {}), wallet, None if value == NONE else written.units(value), name)
        if not limits[part]:
            del limits[part]
    elif name in _LIMIT_TIMES:
        _set(limits, name, None if value == NONE else written.seconds(value))
    elif name in _LIMIT_AMOUNTS:
        _set(limits, name, written.units(value))
    elif name == "feerate_sats_vb_max":
        _set(limits, name, written.rate(value))
    else:
        known = sorted(
            _LIMIT_TIMES | _LIMIT_AMOUNTS | {f"{one}/WALLET" for one in _LIMIT_CAPS} | {"feerate_sats_vb_max"}
        )
        raise BadDraft(f"there is no limit {name}; there are {', '.join(known)}")


def set_lane(document: Document, name: str, value: str) -> None:
    """One limit of a wallet's lane, as `hot/window_units_max`. All of them together begin a new lane."""
    wallet, _, part = name.partition("/")
    if part not in _LANE_AMOUNTS | _LANE_TIMES:
        known = ", ".join(sorted(_LANE_AMOUNTS | _LANE_TIMES))
        raise BadDraft(f"there is no {name} in a lane: write WALLET/NAME; there are {known}")
    lane = document.setdefault("lanes", {}).setdefault(wallet, {"reconcilers": {}})
    _set(lane, part, written.units(value) if part in _LANE_AMOUNTS else written.seconds(value), name)


def set_reconciler(document: Document, name: str, key: str) -> None:
    """The key of one of a lane's reconcilers, as `hot/books`; none takes it away."""
    wallet, _, reconciler = name.partition("/")
    if not reconciler:
        raise BadDraft(f"{name}: write WALLET/NAME, as in hot/books")
    lane = document.setdefault("lanes", {}).setdefault(wallet, {"reconcilers": {}})
    _set(lane["reconcilers"], reconciler, None if key == NONE else key)


def remove_lane(document: Document, wallet: str) -> None:
    """Nothing leaves the wallet without officers any more."""
    if wallet not in document.get("lanes", {}):
        raise BadDraft(f"{wallet} has no lane")
    del document["lanes"][wallet]
    if not document["lanes"]:
        del document["lanes"]


# --- Wallets --------------------------------------------------------------------------------------------


def add_wallet(document: Document, name: str, threshold: str, records: str) -> None:
    """A new wallet of the tokens whose records these are (files, with commas between), in this order."""
    if name in document["wallets"]:
        raise BadDraft(f"there is a wallet {name} already: extend it, or choose another name")
    if not threshold.isdecimal():
        raise BadDraft(f"{threshold}: how many of the tokens must sign, as a number")
    keys = _token_keys(records)
    document["wallets"][name] = {
        "m": int(threshold),
        "tokens": list(keys),
        "keys": brought.rows(list(keys), keys),
    }


def extend_wallet(document: Document, name: str, records: str) -> None:
    """More addresses for a wallet, of its own tokens; those that are there stay as they are."""
    wallet = _wallet(document, name)
    keys = _token_keys(records)
    if sorted(keys) != sorted(wallet["tokens"]):
        raise BadDraft(f"{name} is of {', '.join(wallet['tokens'])}; the records are of {', '.join(keys)}")
    rows = brought.rows(wallet["tokens"], keys)
    if rows[: len(wallet["keys"])] != wallet["keys"] or len(rows) == len(wallet["keys"]):
        raise BadDraft(f"{name}: the records do not begin with the keys that are there, and go on")
    wallet["keys"] = rows


def retire_wallet(document: Document, name: str) -> None:
    """A wallet with its limits and its lane. Signers spend nothing from it any more: empty it first."""
    wallet = _wallet(document, name)
    for kind, policy in document["policies"].items():
        if name in (policy.get("source"), policy.get("destination", "").partition("/")[0]):
            raise BadDraft(f"{kind} pays out of or into {name}: give it another wallet in the same draft")
    del document["wallets"][name]
    for part in _LIMIT_CAPS & document["limits"].keys():
        document["limits"][part].pop(name, None)
    if name in document.get("lanes", {}):
        remove_lane(document, name)
    left = {token for one in document["wallets"].values() for token in one["tokens"]}
    if "witnesses" in document:
        watched = document["witnesses"]
        watched["tokens"] = [one for one in watched["tokens"] if one in left or one not in wallet["tokens"]]


def set_witnessed(document: Document, tokens: str) -> None:
    """All the tokens whose signers spend only what witnesses have seen."""
    if "witnesses" not in document:
        raise BadDraft("the registry names no witnesses")
    _set(document["witnesses"], "tokens", written.names(tokens))


CHANGES: Final[Mapping[str, Change]] = {
    "add-officer": Change(
        add_officer,
        ("ID", "NAME", "TEAMS", "KEY", "FINGERPRINT"),
        "KEY: 130 hex digits, or @FILE as the approver's page saved it; FINGERPRINT: from their paper",
    ),
    "remove-officer": Change(remove_officer, ("OFFICER",), "by id or whole name"),
    "replace-passkey": Change(
        replace_passkey, ("OFFICER", "KEY", "FINGERPRINT"), "another passkey in their place"
    ),
    "set-decoder": Change(set_decoder, ("OFFICER", "KEY"), "64 hex digits, or none"),
    "set-teams": Change(set_teams, ("OFFICER", "TEAMS"), "all their teams, with commas between"),
    "set-quorum": Change(set_quorum, ("KIND", "TEAMS"), "as in custody.withdrawal treasury:2,compliance:1"),
    "set-confirmation": Change(set_confirmation, ("KIND", "AMOUNT"), "above it a decoder confirms, or none"),
    "set-source": Change(set_source, ("KIND", "WALLET"), "the wallet that a kind of payment leaves"),
    "set-destination": Change(set_destination, ("KIND", "WALLET/INDEX"), "where alone it may go, or none"),
    "set-rules": Change(set_rules, ("FILE",), "the rules, or none"),
    "set-limit": Change(set_limit, ("NAME", "VALUE"), "as in registry_delay_s 2d, window_units_max/hot 5BTC"),
    "set-lane": Change(set_lane, ("WALLET/NAME", "VALUE"), "as in hot/window_units_max 0.06BTC"),
    "set-reconciler": Change(set_reconciler, ("WALLET/NAME", "KEY"), "64 hex digits, or none"),
    "remove-lane": Change(remove_lane, ("WALLET",), "no payment without officers any more"),
    "add-wallet": Change(add_wallet, ("NAME", "M", "RECORDS"), "RECORDS: files of provision, commas between"),
    "extend-wallet": Change(extend_wallet, ("NAME", "RECORDS"), "more addresses from the same tokens"),
    "set-witnessed": Change(set_witnessed, ("TOKENS",), "all that wait for witnesses, with commas between"),
    "retire-wallet": Change(retire_wallet, ("NAME",), "with its limits and its lane"),
}


def _officer(document: Document, who: str) -> str:
    """The id of the one officer who is meant, by id or by whole name."""
    found = [one for one, part in document["officers"].items() if who in (one, part["name"])]
    if len(found) != 1:
        names = ", ".join(sorted(part["name"] for part in document["officers"].values()))
        raise BadDraft(f"{who} is no one officer of this registry; there are {names}")
    return str(found[0])


def _passkey(document: Document, key: str, paper: str, *, officer: str, name: str) -> str:
    if key.startswith("@"):
        site = brought.Site(document["deployment"], document["origin"], document["rp_id"])
        saved = brought.document(Path(key[1:]))
        made = brought.passkey(
            saved, paper=paper, site=site, officer=officer, name=name, now=datetime.now(UTC)
        )
        return made.public_key.hex()
    brought.check_paper(encodings.from_hex(key), paper=paper, name=name)
    return key


def _wallet(document: Document, name: str) -> Document:
    if name not in document["wallets"]:
        raise BadDraft(f"there is no wallet {name}; there are {', '.join(document['wallets'])}")
    found: Document = document["wallets"][name]
    return found


def _policy(document: Document, kind: str) -> Document:
    if kind not in document["policies"]:
        raise BadDraft(f"there is no policy for {kind}; there are {', '.join(document['policies'])}")
    found: Document = document["policies"][kind]
    return found


def _rise(policy: Document, member: str, value: object) -> None:
    """What was approved under the policy's older version is approved again, or not paid."""
    if policy:
        policy["version"] = policy.get("version", 1) + 1
    _set(policy, member, value)


def _set(section: Document, member: str, value: object, name: str = "") -> None:
    """That member and no other; None takes it away."""
    if section.get(member) == value:
        raise BadDraft(f"{name or member} is {'not there' if value is None else value} already")
    if value is None:
        del section[member]
    else:
        section[member] = value


def _token_keys(records: str) -> dict[str, list[str]]:
    return brought.token_keys([brought.document(Path(file)) for file in written.names(records)])
