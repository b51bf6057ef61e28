"""Reading a signer's journal …"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from custody.domain.journals import FIRST, BadJournal, Read
from kernel import canonical
from kernel.customer import BENEFICIARY, CUSTOMER_KEY, REMOVAL

DAY_S = 86_400
ORDER = {"order": "aa", "maker": "m", "reason": "because"}


def lines(*events: tuple[str, dict[str, Any]]) -> list[str]:
    """A journal of these events, chained as the signer chains it."""
    found, last = [], FIRST
    for number, (event, details) in enumerate(events):
        line: dict[str, Any] = {
            "n": number,
            "prev": last,
            "at": 1_000 * number,
            "event": event,
            "details": details,
        }
        found.append(canonical.encode(line).decode())
        last = hashlib.sha256(found[-1].encode()).hexdigest()
    return found


def read(*events: tuple[str, dict[str, Any]]) -> Read:
    found = Read()
    for line in lines(*events):
        found.take(line)
    return found


def announced(digest: str, *, recovery: bool = False) -> tuple[str, dict[str, Any]]:
    details = {"version": "2", "digest": digest, "delay_s": str(DAY_S), "recovery": recovery, **ORDER}
    return "announced", details


def test_tells_what_was_announced_and_vetoed_until_a_registry_is_taken_up() -> None:
    found = read(("started", {}), announced("d1", recovery=True), ("vetoed", {"digest": "d1", **ORDER}))
    assert found.announced["d1"] == {
        "version": 2,
        "from": "1970-01-02T00:00:01+00:00",
        "is_recovery": True,
        "maker": "m",
        "reason": "because",
        "at": "1970-01-01T00:00:01+00:00",
    }
    assert found.vetoed["d1"]["at"] == "1970-01-01T00:00:02+00:00"
    found = read(announced("d1"), ("registry", {"version": "2", "digest": "d2"}))
    assert found.announced == {}


def test_knows_of_no_registry_on_its_way_once_a_veto_of_it_may_be_lost() -> None:
    kept, lost = ({"digest": "d", "branch": "", "new_log": is_new} for is_new in (False, True))
    assert set(read(announced("d1"), ("reopened", kept)).announced) == {"d1"}
    assert read(announced("d1"), ("reopened", lost)).announced == {}


def test_tells_what_is_known_of_customers_and_forgets_it_with_their_key() -> None:
    key = ("customer_key", {"customer": "c", "public_key": "k1", "algorithm": "ed25519", "replaces": ""})
    named = ("beneficiary", {"customer": "c", "destination": "home"})
    gone = ("beneficiary_removed", {"customer": "c", "destination": "home", "time": "t"})
    other = ("customer_key", {**key[1], "customer": "d"})
    assert read(key, named, gone, other).known == {
        ("c", CUSTOMER_KEY, "k1"),
        ("c", BENEFICIARY, "home"),
        ("c", REMOVAL, "home"),
        ("d", CUSTOMER_KEY, "k1"),
    }
    again = ("customer_key", {**key[1], "public_key": "k2"})
    assert read(key, named, again).known == {("c", CUSTOMER_KEY, "k2")}


def test_tells_what_the_lane_signed_until_it_is_final_or_given_up() -> None:
    spend = {"txid": "t1", "wallet": "hot", "coins": ["a:0", "b:1"], "units": "7", "unattended": True}
    other = {**spend, "txid": "t2", "coins": ["c:0"]}
    events = [("spend", spend), ("spend", other), ("spend", {**spend, "txid": "t3", "unattended": False})]
    found = read(*events)
    assert found.outstanding["t1"] == {
        "wallet": "hot",
        "coins": ["a:0", "b:1"],
        "units": "7",
        "at": "1970-01-01T00:00:00+00:00",
    }
    assert set(found.outstanding) == {"t1", "t2"}
    assert set(read(*events, ("final", {"spent": {"b:1": "t9"}})).outstanding) == {"t2"}
    reopened = ("reopened", {"digest": "d", "branch": "", "new_log": False})
    assert read(*events, reopened).outstanding == {}


def test_stops_where_the_lines_are_not_those_that_follow() -> None:
    one, two, three = lines(("a", {}), ("b", {}), ("c", {}))
    other = lines(("a", {}), ("x", {}), ("c", {}))[2]
    for wrong in (one, three, other, "{}", "no line", two.replace('"b"', "7e")):
        found = Read()
        found.take(one)
        if wrong is other:
            found.take(two)
        with pytest.raises(BadJournal):
            found.take(wrong)
    assert (found.lines, found.announced, found.known) == (1, {}, set())
