"""Events in the Open Cybersecurity Schema Framework, for a SIEM that knows no tree."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from core.audit.domain.reading import UNREADABLE, shown

VERSION: Final = "1.3.0"
_PRODUCT: Final = "Countersign"
_UNKNOWN: Final = "unknown"

_ACCOUNT_CHANGE: Final = (3, 3001)
_AUTHENTICATION: Final = (3, 3002)
_ENTITY_MANAGEMENT: Final = (3, 3004)
_USER_ACCESS: Final = (3, 3005)
_WEB_RESOURCES: Final = (6, 6001)
_API: Final = (6, 6003)
_DATASTORE: Final = (6, 6005)

_OTHER: Final = 99
# The first beginning that fits decides. Activities: log on 1, log off 2; of an account create 1, enable 2,
# disable 5, delete 6, a factor on 10, a factor off 11; of privileges assign 1, revoke 2; export 7.
_CLASSES: Final[tuple[tuple[str, tuple[int, int], int], ...]] = (
    ("audit.exported", _WEB_RESOURCES, 7),
    ("access.door.", _AUTHENTICATION, 1),
    ("access.view.", _AUTHENTICATION, 1),
    ("access.session.started", _AUTHENTICATION, 1),
    ("access.session.moved", _AUTHENTICATION, _OTHER),
    ("access.session.", _AUTHENTICATION, 2),
    ("access.", _USER_ACCESS, _OTHER),
    ("factors.ceremony.", _AUTHENTICATION, 1),
    ("factors.factor.added", _ACCOUNT_CHANGE, 10),
    ("factors.factor.ended", _ACCOUNT_CHANGE, 11),
    ("factors.glass.opened", _USER_ACCESS, 1),
    ("factors.glass.ended", _USER_ACCESS, 2),
    ("factors.", _ACCOUNT_CHANGE, _OTHER),
    ("staff.person.joined", _ACCOUNT_CHANGE, 1),
    ("staff.person.restored", _ACCOUNT_CHANGE, 2),
    ("staff.person.suspended", _ACCOUNT_CHANGE, 5),
    ("staff.person.left", _ACCOUNT_CHANGE, 6),
    ("staff.person.", _ACCOUNT_CHANGE, _OTHER),
    ("staff.passkey.added", _ACCOUNT_CHANGE, 10),
    ("staff.passkey.revoked", _ACCOUNT_CHANGE, 11),
    ("staff.role.granted", _USER_ACCESS, 1),
    ("staff.role.ended", _USER_ACCESS, 2),
    ("staff.elevation.ended", _USER_ACCESS, 2),
    ("staff.", _USER_ACCESS, _OTHER),
    ("customers.customer.signed_up", _ACCOUNT_CHANGE, 1),
    ("customers.call.", _AUTHENTICATION, 1),
    ("customers.", _ACCOUNT_CHANGE, _OTHER),
    *(
        (f"{app}.", _ENTITY_MANAGEMENT, _OTHER)
        for app in ("approvals", "freezes", "kyc", "custody", "engine")
    ),
    ("audit.", _DATASTORE, _OTHER),
)
_READ: Final = (_DATASTORE, 1)
_ELSE: Final = (_API, _OTHER)


def of(text: str, *, at: datetime | None, index: int, log: str) -> dict[str, Any]:
    """The OCSF object of an event, with the members that its class asks for (schema.ocsf.io, 1.3.0).

    `unmapped` holds the event whole. What names no time stands at the beginning of all, and what the
    application did not write as it would write it is there as text.
    """
    event = shown(text)
    action, actor = event["action"], event["actor"]
    (category, class_uid), activity = _class_of(action)
    failed = action.endswith((".refused", ".failed"))
    metadata = {
        "version": VERSION,
        "profiles": ["host"],
        "uid": _text(event.get("id")),
        "log_name": log,
        "sequence": index,
        "correlation_uid": _text(event.get("act")),
        "product": {"name": _PRODUCT, "vendor_name": _PRODUCT},
    }
    made = {
        "metadata": _given(metadata),
        "time": int(at.timestamp() * 1000) if at else 0,
        "category_uid": category,
        "class_uid": class_uid,
        "activity_id": activity,
        "activity_name": action,
        "type_uid": class_uid * 100 + activity,
        "severity_id": 3 if failed else 1,
        "status_id": 2 if failed else 1,
        "status_detail": event.get("reason") or None,
        "message": f"{actor.get('label', '')} {action} {event.get('target', '')}".strip(),
        "actor": _given({"user": _user_of(actor), "session": _given({"uid": actor.get("subject") or None})}),
        "src_endpoint": _endpoint_of(actor),
        **_members((category, class_uid), event),
        "unmapped": {"text": text} if action == UNREADABLE else event,
    }
    return _given(made)


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    """Those that there are: in the schema a member may be missing, and never be null."""
    return {name: value for name, value in members.items() if value not in (None, {})}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _members(found: tuple[int, int], event: Mapping[str, Any]) -> dict[str, Any]:
    """What a class asks for beside what all have."""
    target, after = event.get("target") or _UNKNOWN, event.get("after")
    whom = {"name": target, "uid": target.rpartition("/")[2]}
    if found == _AUTHENTICATION:
        return {"user": _user_of(event["actor"]), "service": {"name": _PRODUCT}}
    if found == _ACCOUNT_CHANGE:
        return {"user": whom}
    if found == _USER_ACCESS:
        role = after.get("role") if isinstance(after, dict) else None
        return {"user": whom, "privileges": [str(role or event["action"])]}
    if found == _ENTITY_MANAGEMENT:
        return {
            "entity": _given({"name": target, "data": event.get("before")}),
            "entity_result": _given({"name": target, "data": after}),
        }
    if found == _WEB_RESOURCES:
        return {"web_resources": [{"name": target}]}
    if found == _DATASTORE:
        return {"database": {"name": _PRODUCT, "type_id": 1}, "table": {"name": target}}
    return {"api": {"operation": event["action"]}}


def _endpoint_of(actor: Mapping[str, Any]) -> dict[str, Any]:
    known = {"ip": actor.get("ip"), "uid": actor.get("device")}
    return {name: value for name, value in known.items() if value} or {"name": _UNKNOWN}


def _user_of(actor: Mapping[str, Any]) -> dict[str, Any]:
    found = {"uid": actor.get("identity"), "name": actor.get("label") or _UNKNOWN, "type": actor.get("kind")}
    return _given(found)


def _class_of(action: str) -> tuple[tuple[int, int], int]:
    if action.endswith(("_read", ".read")):
        return _READ
    for beginning, found, activity in _CLASSES:
        if action.startswith(beginning):
            return found, activity
    return _ELSE
