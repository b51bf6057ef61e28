"""Events in the Open Cybersecurity Schema Framework, for a SIEM that knows no tree."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from core.audit.domain.reading import UNREADABLE, shown

VERSION: Final = "1.3.0"

_ACCOUNT_CHANGE: Final = (3, 3001)
_AUTHENTICATION: Final = (3, 3002)
_ENTITY_MANAGEMENT: Final = (3, 3004)
_USER_ACCESS: Final = (3, 3005)
_WEB_RESOURCES: Final = (6, 6001)
_API: Final = (6, 6003)
_DATASTORE: Final = (6, 6005)

_OTHER: Final = 99
_CLASSES: Final[tuple[tuple[str, tuple[int, int], int], ...]] = (
    ("audit.exported", _WEB_RESOURCES, 7),  # Export
    ("access.door", _AUTHENTICATION, 1),  # Logon
    ("access.view", _AUTHENTICATION, 1),
    ("access.", _USER_ACCESS, _OTHER),
    ("factors.ceremony", _AUTHENTICATION, 1),
    ("factors.", _ACCOUNT_CHANGE, _OTHER),
    ("staff.", _USER_ACCESS, 1),  # Assign Privileges
    ("approvals.", _ENTITY_MANAGEMENT, _OTHER),
    ("freezes.", _ENTITY_MANAGEMENT, _OTHER),
    ("customers.", _ACCOUNT_CHANGE, _OTHER),
    ("kyc.", _ENTITY_MANAGEMENT, _OTHER),
    ("custody.", _ENTITY_MANAGEMENT, _OTHER),
    ("market.", _ENTITY_MANAGEMENT, _OTHER),
)
_READ: Final = (_DATASTORE, 1)
_ELSE: Final = (_API, _OTHER)


def of(text: str, *, at: datetime | None, index: int, log: str) -> dict[str, Any]:
    """The OCSF object of an event; `unmapped` holds it whole. What names no time stands at the beginning of
    all, and what the application did not write as it would write it is there as text.
    """
    event = shown(text)
    action, actor = event["action"], event["actor"]
    (category, class_uid), activity = _class_of(action)
    refused = action.endswith(".refused")
    return {
        "metadata": {
            "version": VERSION,
            "uid": event.get("id"),
            "log_name": log,
            "sequence": index,
            "correlation_uid": event.get("act"),
            "product": {"name": "Countersign", "vendor_name": "Countersign"},
        },
        "time": int(at.timestamp() * 1000) if at else 0,
        "category_uid": category,
        "class_uid": class_uid,
        "activity_id": activity,
        "activity_name": action,
        "type_uid": class_uid * 100 + activity,
        "severity_id": 3 if refused else 1,
        "status_id": 2 if refused else 1,
        "status_detail": event.get("reason") or None,
        "message": f"{actor.get('label', '')} {action} {event.get('target', '')}".strip(),
        "actor": {
            "user": {"uid": actor.get("identity"), "name": actor.get("label"), "type": actor.get("kind")},
            "session": {"uid": actor.get("subject") or None},
        },
        "src_endpoint": {"ip": actor.get("ip") or None, "uid": actor.get("device") or None},
        "entity": {"name": event.get("target"), "data": event.get("before")},
        "entity_result": {"name": event.get("target"), "data": event.get("after")},
        "unmapped": {"text": text} if action == UNREADABLE else event,
    }


def _class_of(action: str) -> tuple[tuple[int, int], int]:
    if action.endswith(("_read", ".read", ".seen", "_opened")) and not action.startswith("approvals."):
        return _READ
    for beginning, found, activity in _CLASSES:
        if action.startswith(beginning):
            return found, activity
    return _ELSE
