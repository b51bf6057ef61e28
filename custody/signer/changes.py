"""The changes that a draft of a registry can make, each to exactly what it names and to nothing beside it.

A change takes the document and the words that stood on the command line. It refuses what it does not find:
whoever mistypes a name gets a sentence, not a second entry. What the result must be is the kernel's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from custody.signer import brought, people, written
from custody.signer.written import NONE, BadDraft, Document, put

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
    is_dated: bool = False  # it reads certificates, which run out: `make` is told the time as well


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
    put(document, "rules", None if file == NONE else dict(brought.document(Path(file))))


# --- Limits and lanes -----------------------------------------------------------------------------------


def set_limit(document: Document, name: str, value: str) -> None:
    """One limit, by its name in the file; a wallet's as `window_units_max/hot`. none: no such limit."""
    part, _, wallet = name.partition("/")
    limits = document["limits"]
    if part in _LIMIT_CAPS and wallet:
        put(limits.setdefault(part, {}), wallet, None if value == NONE else written.units(value), name)
        if not limits[part]:
            del limits[part]
    elif name in _LIMIT_TIMES:
        put(limits, name, None if value == NONE else written.seconds(value))
    elif name in _LIMIT_AMOUNTS:
        put(limits, name, written.units(value))
    elif name == "feerate_sats_vb_max":
        put(limits, name, written.rate(value))
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
    put(lane, part, written.units(value) if part in _LANE_AMOUNTS else written.seconds(value), name)


def set_reconciler(document: Document, name: str, key: str) -> None:
    """The key of one of a lane's reconcilers, as `hot/books`; none takes it away."""
    wallet, _, reconciler = name.partition("/")
    if not reconciler:
        raise BadDraft(f"{name}: write WALLET/NAME, as in hot/books")
    lane = document.setdefault("lanes", {}).setdefault(wallet, {"reconcilers": {}})
    put(lane["reconcilers"], reconciler, None if key == NONE else key)


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
    left |= {token for one in document.get("safes", {}).values() for token in one["owners"]}
    if "witnesses" in document:
        watched = document["witnesses"]
        watched["tokens"] = [one for one in watched["tokens"] if one in left or one not in wallet["tokens"]]


def set_safe(document: Document, name: str, file: str, records: str) -> None:
    """A Safe by its section in a file, where its owners are a list of tokens, and those tokens' records."""
    section, old = brought.safe(brought.document(Path(file)), _token_keys(records)), document.get("safes", {})
    if name in old:  # what was approved under the older terms is approved again, or not paid
        section["policy"] = old[name].get("policy", 1) + 1
    document["safes"] = {**old, name: section}


def retire_safe(document: Document, name: str) -> None:
    """A Safe with its limits. Signers pay nothing out of it any more: empty it first."""
    if name not in document.get("safes", {}):
        raise BadDraft(f"there is no Safe {name}")
    del document["safes"][name]
    if not document["safes"]:
        del document["safes"]


# --- Witnesses ------------------------------------------------------------------------------------------


def add_witness(document: Document, key: str) -> None:
    """Another witness, by its verifier key."""
    _witnesses(document)["keys"] += [key]


def remove_witness(document: Document, name: str) -> None:
    """A witness that nobody waits for any more."""
    keys = _witnesses(document)["keys"]
    left = [key for key in keys if key.partition("+")[0] != name]
    if len(left) == len(keys):
        raise BadDraft(
            f"there is no witness {name}; there are {', '.join(k.partition('+')[0] for k in keys)}"
        )
    _witnesses(document)["keys"] = left


def set_witnesses(document: Document, name: str, value: str) -> None:
    """How many must have seen a signer's log (`quorum 2`), or how lately (`age_s_max 15m`)."""
    if name == "age_s_max":
        put(_witnesses(document), name, written.seconds(value))
    elif name == "quorum" and value.isdecimal():
        put(_witnesses(document), name, int(value))
    else:
        raise BadDraft(f"{name} {value}: write quorum and a number, or age_s_max and a time")


def set_witnessed(document: Document, tokens: str) -> None:
    """All the tokens whose signers spend only what witnesses have seen."""
    put(_witnesses(document), "tokens", written.names(tokens))


CHANGES: Final[Mapping[str, Change]] = {
    "add-officer": Change(
        people.add_officer,
        ("ID", "NAME", "TEAMS", "KEY", "FINGERPRINT"),
        "KEY: 130 hex digits, or @FILE as the approver's page saved it; FINGERPRINT: from their paper",
        is_dated=True,
    ),
    "remove-officer": Change(people.remove_officer, ("OFFICER",), "by id or whole name"),
    "replace-passkey": Change(
        people.replace_passkey,
        ("OFFICER", "KEY", "FINGERPRINT"),
        "another passkey in their place",
        is_dated=True,
    ),
    "set-decoder": Change(people.set_decoder, ("OFFICER", "KEY"), "64 hex digits, or none"),
    "set-teams": Change(people.set_teams, ("OFFICER", "TEAMS"), "all their teams, with commas between"),
    "add-recovery-officer": Change(
        people.add_recovery_officer,
        ("ID", "NAME", "KEY", "FINGERPRINT"),
        "who brings officers back",
        is_dated=True,
    ),
    "set-recovery": Change(people.set_recovery, ("NAME", "VALUE"), "quorum 2, or delay_s 3d"),
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
    "set-safe": Change(set_safe, ("NAME", "FILE", "RECORDS"), "FILE: its section, owners a list of tokens"),
    "retire-safe": Change(retire_safe, ("NAME",), "with its limits"),
    "add-witness": Change(add_witness, ("KEY",), "its verifier key, name+hash+base64"),
    "remove-witness": Change(remove_witness, ("NAME",), "by its name"),
    "set-witnesses": Change(set_witnesses, ("NAME", "VALUE"), "quorum 2, or age_s_max 15m"),
    "set-witnessed": Change(set_witnessed, ("TOKENS",), "all that wait for witnesses, with commas between"),
    "retire-wallet": Change(retire_wallet, ("NAME",), "with its limits and its lane"),
}


def _witnesses(document: Document) -> Document:
    """The section, or the beginning of one: the kernel says what is missing from it."""
    found: Document = document.setdefault("witnesses", {"keys": []})
    return found


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
    put(policy, member, value)


def _token_keys(records: str) -> dict[str, list[str]]:
    return brought.token_keys([brought.document(Path(file)) for file in written.names(records)])
