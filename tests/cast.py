"""The fixture cast, the same in every test: who they are is who they are in fixtures/staff.

Ana makes, Ben and Cy check, Dot audits, Eve has no access, Sam keeps it running, Tom and Tia trade.
"""

from __future__ import annotations

from datetime import UTC, datetime

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
"""Three in the morning, when somebody is on call."""
