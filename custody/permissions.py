"""What the custody desk asks for. Customers' own rights come with their API keys' scopes."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """Reading, making, checking and stopping are four powers; being in a quorum is a matter of teams."""

    SEE_WITHDRAWALS = "custody:withdrawal:read"
    RELEASE_WITHDRAWAL = "custody:withdrawal:release"
    REJECT_WITHDRAWAL = "custody:withdrawal:reject"
    APPROVE_WITHDRAWAL = "custody:withdrawal:approve"
    RAISE_FEE = "custody:payment:raise"
    SEE_TREASURY = "custody:treasury:read"
    PROPOSE_REFILL = "custody:refill:propose"
    DISMISS_REFILL = "custody:refill:dismiss"
    APPROVE_REFILL = "custody:refill:approve"
    PROPOSE_SWEEP = "custody:sweep:propose"
    DISMISS_SWEEP = "custody:sweep:dismiss"
    APPROVE_SWEEP = "custody:sweep:approve"
    TRANSFER_BUNDLE = "custody:bundle:transfer"
    SEE_SIGNERS = "custody:signer:read"
    STOP_SIGNERS = "custody:signer:stop"
    ORDER_SIGNERS = "custody:signer:order"
    APPROVE_ORDER = "custody:signer:approve_order"
    PROPOSE_ADJUSTMENT = "custody:adjustment:propose"
    APPROVE_ADJUSTMENT = "custody:adjustment:approve"
