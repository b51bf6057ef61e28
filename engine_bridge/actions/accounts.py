"""Opening a customer's account at the venue."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine_bridge.models import EngineAccount


def open_account(*, customer_id: UUID, now: datetime) -> EngineAccount:
    """The customer's engine account, given its number when first asked for. It grants nothing by itself."""
    row, _ = EngineAccount.objects.get_or_create(identity_id=customer_id, defaults={"created_at": now})
    return row
