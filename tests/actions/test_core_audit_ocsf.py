"""An event as OCSF tells it …"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from enum import EnumMeta
from typing import Any, Final

import pytest

from core.audit import ocsf
from kernel import canonical

LOG: Final = "countersign/test/audit"
ASKED_FOR: Final[dict[int, tuple[set[str], ...]]] = {
    3001: ({"user"},),
    3002: ({"user"}, {"service", "dst_endpoint"}),
    3004: ({"entity"},),
    3005: ({"user"}, {"privileges"}),
    6001: ({"web_resources"},),
    6003: ({"api"}, {"actor"}, {"src_endpoint"}),
    6005: ({"actor"}, {"src_endpoint"}, {"database", "databucket", "table"}),
}
"""What schema.ocsf.io 1.3.0 asks for in each class: one of each set."""


def text(event: dict[str, Any]) -> str:
    return canonical.encode(event).decode()


@pytest.mark.parametrize(
    ("action", "class_uid", "activity"),
    [
        ("audit.exported", 6001, 7),
        ("access.door.refused", 3002, 1),
        ("access.session.started", 3002, 1),
        ("access.session.all_ended", 3002, 2),
        ("staff.role.granted", 3005, 1),
        ("staff.role.ended", 3005, 2),
        ("staff.person.suspended", 3001, 5),
        ("staff.passkey.revoked", 3001, 11),
        ("customers.customer.signed_up", 3001, 1),
        ("custody.withdrawal.approved", 3004, 99),
        ("engine.market.released", 3004, 99),
        ("approvals.request.read", 6005, 1),
        ("audit.personal_read", 6005, 1),
        ("something.else", 6003, 99),
    ],
)
def test_has_the_ocsf_class_of_the_act(action: str, class_uid: int, activity: int) -> None:
    at = datetime(2026, 11, 21, 0, 0, 0, 500_000, tzinfo=UTC)
    row = ocsf.of(text({"action": action}), at=at, index=7, log=LOG)
    assert (row["class_uid"], row["activity_id"], row["time"]) == (class_uid, activity, 1_795_219_200_500)
    assert action.startswith("something.") or action in _acts()


@pytest.mark.parametrize(("ending", "status"), [("", 1), (".refused", 2), (".failed", 2)])
def test_says_in_ocsf_whether_the_act_was_done(ending: str, status: int) -> None:
    row = ocsf.of(text({"action": f"custody.refill.requested{ending}"}), at=None, index=0, log=LOG)
    assert row["status_id"] == status


def test_has_an_ocsf_class_for_every_act_of_the_house() -> None:
    assert len(_acts()) >= 120
    classes = {act: ocsf.of(text({"action": act}), at=None, index=0, log="x") for act in _acts()}
    assert [act for act, row in classes.items() if row["class_uid"] == 6003] == []


@pytest.mark.parametrize("actor", [{}, {"label": "Ana", "identity": "a1", "ip": "192.0.2.7", "device": "d"}])
def test_has_in_ocsf_what_its_class_asks_for(actor: dict[str, str]) -> None:
    for act in {*_acts(), "something.else"}:
        event: dict[str, Any] = {"action": act, "actor": actor, "target": "access.identity/a7"}
        row = ocsf.of(text(event), at=None, index=0, log=LOG)
        for names in ASKED_FOR[row["class_uid"]]:
            assert any(row.get(name) for name in names), (act, names)
        assert any(row["src_endpoint"].values())
        del row["unmapped"]
        assert "null" not in json.dumps(row), "no type of the schema takes it"
        assert row["actor"]["user"]["name"]
        alien = {"user", "privileges", "entity", "web_resources", "api", "database"} & row.keys()
        assert alien <= set().union(*ASKED_FOR[row["class_uid"]]), act


def test_names_in_ocsf_who_was_given_what() -> None:
    event = {"action": "staff.role.granted", "target": "access.identity/a7", "after": {"role": "sre"}}
    row = ocsf.of(text(event), at=None, index=0, log=LOG)
    assert (row["user"]["uid"], row["privileges"]) == ("a7", ["sre"])
    event = {"action": "access.session.started", "target": "access.session/9", "actor": {"label": "Ana"}}
    assert ocsf.of(text(event), at=None, index=0, log=LOG)["user"]["name"] == "Ana"


ODD = {
    "a name twice": '{"action":"staff.role.granted","action":"audit.read"}',
    "no number of JSON": '{"action":"audit.read","after":{"sum":NaN}}',
    "a number beyond all": '{"action":"audit.read","after":{"sum":1e999}}',
    "half a character": '{"action":"audit.read","reason":"\\ud800"}',
    "as deep as it can be read": '{"action":"audit.read","after":' + "[" * 850 + "]" * 850 + "}",
    "blanks": '{"action": "audit.read"}',
    "a line more": '{"action":"audit.read"}\n{"action":"audit.read"}',
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_is_in_ocsf_one_line_and_conspicuous_where_it_was_written_past_the_application(odd: str) -> None:
    """Whoever has a role of the application's writes any text, and would have the export break off there."""
    told = ocsf.line(odd, at=None, index=3, log=LOG)
    assert told.count(b"\n") == 1

    def refused(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    row = json.loads(told, parse_constant=refused)
    assert (row["activity_name"], row["severity_id"], row["status_id"]) == ("audit.unreadable", 5, 2)
    assert row["unmapped"] == {"text": odd}, "whole, as it was sealed"


def test_is_in_ocsf_where_it_was_removed_since_its_seal() -> None:
    row = ocsf.of(None, at=None, index=3, log=LOG)
    assert (row["activity_name"], row["severity_id"], row["metadata"]["sequence"]) == ("audit.removed", 5, 3)
    assert row["status_detail"] == "removed since it was sealed"


def test_gives_ocsf_no_member_that_makes_a_siem_drop_it_or_show_two_lines() -> None:
    long = "Zo\u00eb \u682a\n2026-01-01 root logged on\u202e" * 300
    actor = dict.fromkeys(("label", "identity", "kind", "subject", "device", "ip"), long)
    for action in ("custody.withdrawal.approved", "staff.role.granted", "something.else", "audit.read"):
        event = {"action": action, "actor": actor, "target": long, "reason": long, "id": long, "act": long}
        row = ocsf.of(text(event | {"after": {"role": long}}), at=None, index=0, log=LOG)
        assert row.pop("unmapped")["reason"] == long, "nothing is lost"
        row.get("entity_result", {}).pop("data", None)
        told = json.dumps(row, ensure_ascii=False)
        assert "\\n" not in told
        assert "\u202e" not in told
        assert "Zo\u00eb \u682a" in told
        assert len(told) < 16 * ocsf.TEXT_MAX
        assert "ip" not in row["src_endpoint"], "no address"


def test_calls_in_ocsf_an_activity_as_the_schema_does() -> None:
    rows = [ocsf.of(text({"action": act}), at=None, index=0, log="x") for act in _acts()]
    named = {(row["class_uid"], row["activity_id"]): row["activity_name"] for row in rows}
    assert {key for key in named if key[1] != 99} <= ocsf._CAPTIONS.keys()
    assert named[3002, 2] == "Logoff"


def _acts() -> set[str]:
    rooms = [vars(module).get("Event") for name, module in sys.modules.items() if name.endswith(".events")]
    return {str(act) for room in rooms if isinstance(room, EnumMeta) for act in room}
