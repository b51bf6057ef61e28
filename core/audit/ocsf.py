"""Events in the Open Cybersecurity Schema Framework, for a SIEM that knows no tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final

from core.audit.domain.reading import GONE, UNREADABLE, shown
from kernel import canonical, encodings

VERSION: Final = "1.3.0"
_PRODUCT: Final = "Countersign"
_UNKNOWN: Final = "unknown"
_REMOVED: Final = "audit.removed"
TEXT_MAX: Final = 1000
"""Of what somebody wrote into a member of the schema: a SIEM drops what is longer than its types. `unmapped`
holds all of it."""

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
_CAPTIONS: Final[Mapping[tuple[int, int], str]] = {
    (3001, 1): "Create",
    (3001, 2): "Enable",
    (3001, 5): "Disable",
    (3001, 6): "Delete",
    (3001, 10): "MFA Factor Enable",
    (3001, 11): "MFA Factor Disable",
    (3002, 1): "Logon",
    (3002, 2): "Logoff",
    (3005, 1): "Assign Privileges",
    (3005, 2): "Revoke Privileges",
    (6001, 7): "Export",
    (6005, 1): "Read",
}
"""What the schema calls an activity; one that it has no number for goes by its own name."""
_READ: Final = (_DATASTORE, 1)
_ELSE: Final = (_API, _OTHER)


def line(text: str | None, *, at: datetime | None, index: int, log: str) -> bytes:
    """The object of an event as one line of JSON, whoever wrote what into the event."""
    return json.dumps(of(text, at=at, index=index, log=log), sort_keys=True, allow_nan=False).encode() + b"\n"


def of(text: str | None, *, at: datetime | None, index: int, log: str) -> dict[str, Any]:
    """The OCSF object of an event, with the members that its class asks for (schema.ocsf.io, 1.3.0).

    `unmapped` holds the event whole. What names no time stands at the beginning of all, and what the
    application did not write as it would write it is there as text: a member that stands in it twice, a
    number that no JSON has, or what is too deep to be told hides nothing and breaks no export. None is an
    event that was removed since it was sealed.
    """
    event = shown(text or "") if text is not None and _is_canonical(text) else shown("")
    if text is None:
        event |= {"action": _REMOVED, "reason": GONE}
    is_odd = text is None or event["action"] == UNREADABLE
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
        "activity_name": _CAPTIONS.get((class_uid, activity), _shown(action)),
        "type_uid": class_uid * 100 + activity,
        "severity_id": 5 if is_odd else 3 if failed else 1,
        "status_id": 2 if failed or is_odd else 1,
        "status_detail": _shown(event.get("reason") or "") or None,
        "message": _shown(f"{actor.get('label', '')} {action} {event.get('target', '')}".strip()),
        "actor": _given(
            {"user": _user_of(actor), "session": _given({"uid": _shown(actor.get("subject") or "") or None})}
        ),
        "src_endpoint": _endpoint_of(actor),
        **_members((category, class_uid), event),
        "unmapped": {} if text is None else {"text": text} if is_odd else event,
    }
    return _given(made)


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    """Those that there are: in the schema a member may be missing, and never be null."""
    return {name: value for name, value in members.items() if value not in (None, {})}


def _text(value: object) -> str | None:
    return _shown(value) if isinstance(value, str) else None


def _shown(text: str) -> str:
    """One line that shows, and of a length that a SIEM takes."""
    return encodings.plain(text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}...")


def _is_canonical(text: str) -> bool:
    try:
        canonical.decode_object(text.encode())
    except (canonical.NotCanonical, UnicodeEncodeError):
        return False
    return True


def _members(found: tuple[int, int], event: Mapping[str, Any]) -> dict[str, Any]:
    """What a class asks for beside what all have."""
    target, after = _shown(event.get("target") or _UNKNOWN), event.get("after")
    whom = {"name": target, "uid": target.rpartition("/")[2]}
    if found == _AUTHENTICATION:
        return {"user": _user_of(event["actor"]), "service": {"name": _PRODUCT}}
    if found == _ACCOUNT_CHANGE:
        return {"user": whom}
    if found == _USER_ACCESS:
        role = after.get("role") if isinstance(after, dict) else None
        return {"user": whom, "privileges": [_shown(str(role or event["action"]))]}
    if found == _ENTITY_MANAGEMENT:
        return {
            "entity": _given({"name": target, "data": event.get("before")}),
            "entity_result": _given({"name": target, "data": after}),
        }
    if found == _WEB_RESOURCES:
        return {"web_resources": [{"name": target}]}
    if found == _DATASTORE:
        return {"database": {"name": _PRODUCT, "type_id": 1}, "table": {"name": target}}
    return {"api": {"operation": _shown(event["action"])}}


def _endpoint_of(actor: Mapping[str, Any]) -> dict[str, Any]:
    known = {"ip": _address(actor.get("ip") or ""), "uid": _shown(actor.get("device") or "")}
    return {name: value for name, value in known.items() if value} or {"name": _UNKNOWN}


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _user_of(actor: Mapping[str, Any]) -> dict[str, Any]:
    name, kind = _shown(actor.get("label") or _UNKNOWN), _shown(actor.get("kind") or _UNKNOWN)
    return _given({"uid": _text(actor.get("identity")), "name": name, "type": kind})


def _class_of(action: str) -> tuple[tuple[int, int], int]:
    if action.endswith(("_read", ".read")):
        return _READ
    for beginning, found, activity in _CLASSES:
        if action.startswith(beginning):
            return found, activity
    return _ELSE
