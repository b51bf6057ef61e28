"""An event as OCSF tells it …"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from enum import EnumMeta
from typing import Any, Final

import pytest

from core.audit import ocsf

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
    row = ocsf.of(json.dumps({"action": action}), at=at, index=7, log=LOG)
    assert (row["class_uid"], row["activity_id"], row["time"]) == (class_uid, activity, 1_795_219_200_500)
    assert action.startswith("something.") or action in _acts()


@pytest.mark.parametrize(("ending", "status"), [("", 1), (".refused", 2), (".failed", 2)])
def test_says_in_ocsf_whether_the_act_was_done(ending: str, status: int) -> None:
    row = ocsf.of(json.dumps({"action": f"custody.refill.requested{ending}"}), at=None, index=0, log=LOG)
    assert row["status_id"] == status


def test_has_an_ocsf_class_for_every_act_of_the_house() -> None:
    assert len(_acts()) >= 120
    classes = {act: ocsf.of(json.dumps({"action": act}), at=None, index=0, log="x") for act in _acts()}
    assert [act for act, row in classes.items() if row["class_uid"] == 6003] == []


@pytest.mark.parametrize("actor", [{}, {"label": "Ana", "identity": "a1", "ip": "192.0.2.7", "device": "d"}])
def test_has_in_ocsf_what_its_class_asks_for(actor: dict[str, str]) -> None:
    for act in {*_acts(), "something.else"}:
        event: dict[str, Any] = {"action": act, "actor": actor, "target": "access.identity/a7"}
        row = ocsf.of(json.dumps(event), at=None, index=0, log=LOG)
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
    row = ocsf.of(json.dumps(event), at=None, index=0, log=LOG)
    assert (row["user"]["uid"], row["privileges"]) == ("a7", ["sre"])
    event = {"action": "access.session.started", "target": "access.session/9", "actor": {"label": "Ana"}}
    assert ocsf.of(json.dumps(event), at=None, index=0, log=LOG)["user"]["name"] == "Ana"


def _acts() -> set[str]:
    rooms = [vars(module).get("Event") for name, module in sys.modules.items() if name.endswith(".events")]
    return {str(act) for room in rooms if isinstance(room, EnumMeta) for act in room}
