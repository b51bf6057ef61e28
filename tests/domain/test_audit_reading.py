"""What an event can be found by …"""

from __future__ import annotations

from uuid import UUID

from core.audit.domain.reading import found_by
from kernel import canonical

ACT = UUID(int=7)


def event(after: dict[str, canonical.Value]) -> str:
    members: dict[str, canonical.Value] = {
        "at": "2026-11-28T09:00:00Z",
        "action": "kyc.person.read",
        "act": str(ACT),
        "actor": {"label": "Ana"},
        "after": after,
    }
    return canonical.encode(members).decode()


def test_names_a_person_only_where_their_data_was_read() -> None:
    read = event({"fields": ["dob"], "person": "customers.customer/tom"})
    assert found_by(read, act=None).person == "customers.customer/tom"
    assert found_by(read, act=ACT).person == ""  # it changed something: no read
    assert found_by(event({"person": "access.identity/ben"}), act=None).person == ""
