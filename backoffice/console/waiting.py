"""What waits for somebody: the lists of the home screen, and their lengths for the navigation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import access
from core.access.models import Identity
from core.approvals import queries as approvals
from core.approvals.models import ApprovalRequest
from custody import queries as custody
from custody.domain.refills import State as RefillState
from custody.domain.sweeps import State as SweepState
from custody.models import Refill, Sweep, Withdrawal
from custody.permissions import Permission as Custody
from kyc import queries as kyc
from kyc.domain.cases import State as CaseState
from kyc.models import Case
from kyc.permissions import Permission as Kyc


@dataclass(frozen=True, slots=True)
class Waiting:
    """What this person's own hands are wanted for, longest waiting first in each list."""

    approvals: Sequence[ApprovalRequest]
    withdrawals: Sequence[Withdrawal]
    cared: Sequence[Withdrawal]
    refills: Sequence[Refill]
    sweeps: Sequence[Sweep]
    cases: Sequence[Case]

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all waits."""
        return not any((self.approvals, self.withdrawals, self.cared, self.refills, self.sweeps, self.cases))


def of(identity: Identity | None, *, now: datetime, at_most: int = 20) -> Waiting:
    """The lists; each holds what the person may act on, and nothing else."""
    powers = access.powers(identity, now)
    cared: Any = custody.needs_care(identity=identity, now=now)[:at_most]
    return Waiting(
        approvals=approvals.needs_me(identity, now=now)[:at_most],
        withdrawals=list(custody.needs_release(identity=identity, now=now)[:at_most]),
        cared=list(cared) if Custody.REJECT_WITHDRAWAL in powers else [],
        refills=list(_refills(identity, now)[:at_most]),
        sweeps=list(_sweeps(identity, now)[:at_most]),
        cases=list(_cases(identity, now)[:at_most]) if Kyc.DECIDE_CASES in powers else [],
    )


def counts(identity: Identity | None, *, now: datetime) -> Mapping[str, int]:
    """How many of each, by the name that the navigation uses."""
    powers = access.powers(identity, now)
    return {
        "approvals": len(approvals.needs_me(identity, now=now)),
        "withdrawals": custody.needs_release(identity=identity, now=now).count(),
        "treasury": _refills(identity, now).count() + _sweeps(identity, now).count(),
        "cases": _cases(identity, now).count() if Kyc.DECIDE_CASES in powers else 0,
    }


def _refills(identity: Identity | None, now: datetime) -> Any:
    """Proposals for those who adopt them, bundles for those who carry them."""
    powers = access.powers(identity, now)
    states: list[RefillState] = []
    if Custody.PROPOSE_REFILL in powers:
        states.append(RefillState.PROPOSED)
    if Custody.TRANSFER_BUNDLE in powers:
        states += [RefillState.BUILT, RefillState.EXPORTED]
    rows = custody.refills_for(identity=identity, now=now, states=states)
    return rows if states else rows.none()


def _sweeps(identity: Identity | None, now: datetime) -> Any:
    """Proposals for those who adopt them, and what signers refused, which the same people ask again."""
    rows = custody.sweeps_for(identity=identity, now=now, states=[SweepState.PROPOSED, SweepState.REFUSED])
    return rows if Custody.PROPOSE_SWEEP in access.powers(identity, now) else rows.none()


def _cases(identity: Identity | None, now: datetime) -> Any:
    return kyc.queue(identity=identity, now=now).exclude(state=CaseState.PROPOSED)
