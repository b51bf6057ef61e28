"""What the edge says of a device …"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access.demands import DEMANDS, _parsed
from core.access.domain.postures import (
    AnotherPerson,
    BadAnswer,
    Check,
    Meaning,
    Verdict,
    is_member,
    read,
    verdict,
)
from core.access.domain.tokens import User
from core.access.roles import BREAK_GLASS, HOLDERS
from tests.cast import NOW

WHO = User("7335d417-61da-459d-899c-0a01c76a2f94", "ana@countersign.example", NOW, NOW)
MAC, WINDOWS, DISK = "rule-mac", "rule-windows", "rule-disk"
MEANING = Meaning(
    rules={Check.MANAGED: frozenset({MAC, WINDOWS}), Check.DISK_ENCRYPTION: frozenset({DISK})},
    groups=frozenset(),
    lasts=timedelta(hours=1),
)


def finding(success: Any = True, *, ago: timedelta = timedelta(0), **more: Any) -> dict[str, Any]:
    at = (NOW - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": "x", "rule_name": "x", "type": "x", "success": success, "timestamp": at, "error": ""} | more


def answer(**changes: Any) -> bytes:
    said = {
        "email": "Ana@countersign.example",
        "user_uuid": WHO.subject,
        "common_name": "",
        "service_token_id": "",
        "device_id": "laptop-7",
        "groups": ["staff", {"id": "g1", "name": "officers", "email": "officers@countersign.example"}, 7],
        "devicePosture": {MAC: finding(), DISK: finding()},
    } | changes
    return json.dumps(said).encode()


def managed(**findings: Any) -> Verdict:
    said = {{"mac": MAC, "windows": WINDOWS}[name]: each for name, each in findings.items()}
    posture = read(answer(devicePosture=said), who=WHO)
    return verdict(Check.MANAGED, posture, meaning=MEANING, now=NOW)


def test_names_device_and_groups_and_what_each_rule_found() -> None:
    posture = read(answer(), who=WHO)
    assert posture.device == "laptop-7"
    assert posture.groups == {"staff", "g1", "officers", "officers@countersign.example"}
    assert posture.findings[MAC].passed
    assert posture.findings[MAC].at == NOW


@pytest.mark.parametrize(
    "body",
    [
        answer(user_uuid="another"),
        answer(user_uuid=None),
        answer(email="eve@countersign.example"),
        answer(email=None),
        answer(common_name="88bf.access"),
        answer(service_token_id="88bf"),
        b"{}",
    ],
)
def test_is_nothing_when_it_is_about_somebody_else(body: bytes) -> None:
    with pytest.raises(AnotherPerson):
        read(body, who=WHO)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_is_nothing_when_it_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(body, who=WHO)


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ({"mac": finding()}, Verdict.PASSED),
        ({"mac": finding(False)}, Verdict.FAILED),
        ({"mac": finding(False), "windows": finding()}, Verdict.PASSED),
        ({"mac": finding(ago=timedelta(minutes=59)), "windows": finding(False)}, Verdict.PASSED),
        ({"mac": finding(ago=timedelta(hours=1))}, Verdict.STALE),
        ({"mac": finding(ago=timedelta(hours=1)), "windows": finding(False)}, Verdict.FAILED),
        ({"mac": finding(ago=-timedelta(minutes=5))}, Verdict.PASSED),
        ({"mac": finding(ago=-timedelta(minutes=6))}, Verdict.STALE),
        ({"mac": finding(timestamp=None)}, Verdict.STALE),
        ({"mac": finding(timestamp="yesterday")}, Verdict.STALE),
        ({"mac": finding(timestamp="2026-11-21T03:00:00")}, Verdict.STALE),
        ({"mac": finding(timestamp="2026-11-21T03:00:00.123456789Z")}, Verdict.PASSED),
        ({"mac": finding("true")}, Verdict.FAILED),
        ({"mac": finding(1)}, Verdict.FAILED),
        ({"mac": finding(error="no client")}, Verdict.FAILED),
        ({"mac": True}, Verdict.UNKNOWN),
        ({}, Verdict.UNKNOWN),
    ],
)
def test_passes_by_one_fresh_rule_of_the_check_and_by_nothing_less(
    findings: dict[str, Any], said: Verdict
) -> None:
    assert managed(**findings) is said


def test_is_unknown_where_the_edge_says_nothing_or_no_rule_has_a_meaning() -> None:
    assert verdict(Check.MANAGED, None, meaning=MEANING, now=NOW) is Verdict.UNKNOWN
    nothing = Meaning(rules=dict.fromkeys(Check, frozenset()), groups=frozenset(), lasts=MEANING.lasts)
    posture = read(answer(), who=WHO)
    assert verdict(Check.MANAGED, posture, meaning=nothing, now=NOW) is Verdict.UNKNOWN


@pytest.mark.parametrize("posture", [True, [finding()], "x", None])
def test_of_another_shape_is_unknown(posture: Any) -> None:
    read_so = read(answer(devicePosture=posture), who=WHO)
    assert verdict(Check.MANAGED, read_so, meaning=MEANING, now=NOW) is Verdict.UNKNOWN


@pytest.mark.parametrize("device", [None, 7, "x" * 121, "laptop\n7", "läptop", ["x"]])
def test_puts_only_a_short_plain_name_of_the_device_into_the_log(device: Any) -> None:
    assert read(answer(device_id=device), who=WHO).device == ""


def test_counts_groups_only_where_the_deployment_asks_for_some() -> None:
    posture = read(answer(), who=WHO)
    asked = Meaning(MEANING.rules, frozenset({"officers", "board"}), MEANING.lasts)
    assert is_member(None, meaning=MEANING)
    assert is_member(posture, meaning=asked)
    assert not is_member(None, meaning=asked)
    assert not is_member(read(answer(groups=["guests"]), who=WHO), meaning=asked)
    assert not is_member(read(answer(groups="officers"), who=WHO), meaning=asked)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["device_id", "groups", "devicePosture", "iat"]), json_values))
def test_passes_nothing_by_rubbish(changes: dict[str, Any]) -> None:
    posture = read(answer(**{"devicePosture": {}, **changes}), who=WHO)
    assert verdict(Check.MANAGED, posture, meaning=MEANING, now=NOW) is not Verdict.PASSED


def test_is_demanded_by_a_line_for_each_permission_of_the_roles_table() -> None:
    assert list(DEMANDS) == list(HOLDERS)


def test_is_demanded_wherever_somebody_approves_and_nowhere_where_somebody_stops() -> None:
    both = (Check.MANAGED, Check.DISK_ENCRYPTION)
    assert {DEMANDS[each] for each in DEMANDS if ":approve" in each} == {both}
    stops = {
        "access:staff:suspend",
        "freezes:freeze:pull",
        "custody:signer:stop",
        "custody:withdrawal:reject",
        "custody:refill:dismiss",
        "custody:sweep:dismiss",
        "engine:market:halt",
    }
    assert {DEMANDS[each] for each in stops | BREAK_GLASS} == {()}
    open_to_all = {each for each, checks in DEMANDS.items() if not checks}
    assert {each for each in open_to_all if not each.endswith(":read")} == stops | {
        "factors:own:manage",
        "approvals:request:withdraw",
    }


def test_is_demanded_by_a_straight_table() -> None:
    with pytest.raises(ValueError, match="crooked"):
        _parsed("managed disk\na:b:c x\n")
    with pytest.raises(ValueError, match="twice"):
        _parsed("managed disk\na:b:c x x\na:b:c . .\n")
