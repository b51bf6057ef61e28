"""What the markets ask for."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    SEE_MARKETS = "engine:market:read"
    HALT_MARKETS = "engine:market:halt"
    REBUILD_MIRRORS = "engine:mirrors:rebuild"
    VERIFY_JOURNAL = "engine:journal:verify"
    APPROVE_MARKET_RELEASES = "engine:market:approve_release"
    APPROVE_BANDS = "engine:market:approve_band"
    PROPOSE_FEES = "engine:fees:propose"
    APPROVE_FEES = "engine:fees:approve"
