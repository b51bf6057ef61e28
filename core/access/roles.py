"""Roles and what each may do: the one table that answers "who can?".

A permission that an app registers and nobody here holds, or the reverse, fails a test. Reading down a column
shows a role; reading along a line shows who shares a power. Being in a column is not yet being in a quorum:
that is what the teams below say.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from core.access.domain.tables import marked


class Role(StrEnum):
    """What an officer is employed to do; then one for programs, and one for those who break the glass."""

    COMPLIANCE_OFFICER = "compliance_officer"
    SENIOR_OFFICER = "senior_officer"
    TREASURY_MAKER = "treasury_maker"
    TREASURY_SIGNER = "treasury_signer"
    SRE = "sre"
    AUDITOR = "auditor"
    SUPPORT = "support"
    COLLECTOR = "collector"
    BREAK_GLASS = "break_glass"

    @property
    def label(self) -> str:
        """The role's name as people write it."""
        odd = {Role.SRE: "SRE", Role.BREAK_GLASS: "break-glass"}
        return odd.get(self, self.value.replace("_", " "))


_COLUMNS: Final = (
    Role.COMPLIANCE_OFFICER,
    Role.SENIOR_OFFICER,
    Role.TREASURY_MAKER,
    Role.TREASURY_SIGNER,
    Role.SRE,
    Role.AUDITOR,
    Role.SUPPORT,
    Role.COLLECTOR,
)

# Columns: compliance officer, senior officer (MLRO), treasury maker, treasury signer, SRE, auditor, support,
# and the collector of metrics, which is a program with a service token.
_TABLE: Final = """
                                 comp  sen  make  sign  sre  aud  sup  col
console:home:read                 x     x    x     x     x    x    x    .
access:staff:read                 x     x    .     x     x    x    .    .
access:staff:propose              x     x    .     .     x    .    .    .
access:staff:approve              x     x    .     x     .    .    .    .
access:staff:suspend              x     x    .     x     x    .    .    .
access:elevation:ask              .     .    .     .     x    .    .    .
factors:own:manage                x     x    x     x     x    x    x    .
approvals:request:read            x     x    x     x     x    x    .    .
approvals:request:withdraw        x     x    x     x     x    .    .    .
approvals:policy:read             x     x    x     x     x    x    .    .
approvals:policy:propose          x     x    .     .     .    .    .    .
approvals:policy:approve          x     x    .     x     .    .    .    .
audit:event:read                  .     x    .     .     x    x    .    .
audit:event:export                .     x    .     .     .    x    .    .
freezes:freeze:read               x     x    x     x     x    x    x    .
freezes:freeze:pull               x     x    x     x     x    .    .    .
freezes:freeze:release            x     x    x     x     x    .    .    .
freezes:freeze:approve_release    x     x    .     x     .    .    .    .
health:probe:read                 x     x    x     x     x    x    x    x
kyc:case:read                     x     x    .     .     .    x    x    .
kyc:case:decide                   x     x    .     .     .    .    .    .
kyc:tier:approve                  x     x    .     x     .    .    .    .
kyc:erasure:request               x     x    .     .     .    .    .    .
kyc:erasure:approve               x     x    .     x     .    .    .    .
kyc:evidence:read                 x     x    .     .     .    .    .    .
custody:withdrawal:read           x     x    x     x     x    x    x    .
custody:withdrawal:release        x     x    x     .     .    .    .    .
custody:withdrawal:reject         x     x    x     .     .    .    .    .
custody:withdrawal:approve        .     x    .     x     .    .    .    .
custody:payment:raise             .     .    x     .     .    .    .    .
custody:treasury:read             x     x    x     x     x    x    .    .
custody:refill:propose            .     .    x     .     .    .    .    .
custody:refill:dismiss            .     .    x     .     .    .    .    .
custody:refill:approve            .     x    .     x     .    .    .    .
custody:sweep:propose             .     .    x     .     .    .    .    .
custody:sweep:dismiss             .     .    x     .     .    .    .    .
custody:sweep:approve             .     x    .     x     .    .    .    .
custody:bundle:transfer           .     .    x     x     .    .    .    .
custody:signer:read               x     x    x     x     x    x    .    .
custody:signer:stop               x     x    x     x     .    .    .    .
custody:signer:order              .     x    x     x     .    .    .    .
custody:signer:approve_order      .     x    .     x     .    .    .    .
custody:adjustment:propose        x     x    x     .     .    .    .    .
custody:adjustment:approve        .     x    .     x     .    .    .    .
engine:market:read                x     x    x     x     x    x    x    .
engine:market:halt                x     x    x     .     x    .    .    .
engine:market:approve_release     .     x    .     x     .    .    .    .
engine:market:approve_band        .     x    .     x     .    .    .    .
engine:fees:propose               x     x    x     .     .    .    .    .
engine:fees:approve               .     x    .     x     .    .    .    .
engine:mirrors:rebuild            .     .    .     .     x    .    .    .
engine:journal:verify             .     .    .     .     x    .    .    .
"""


# What the two who break the glass may do for half an hour, whoever they are: see, stop, freeze, suspend.
# Nothing that lets money move, no approval, and not the audit log.
BREAK_GLASS: Final = frozenset(
    {
        "console:home:read",
        "access:staff:read",
        "access:staff:suspend",
        "approvals:request:read",
        "freezes:freeze:read",
        "freezes:freeze:pull",
        "health:probe:read",
        "custody:withdrawal:read",
        "custody:treasury:read",
        "custody:signer:read",
        "custody:signer:stop",
        "engine:market:read",
        "engine:market:halt",
        "factors:own:manage",
    }
)


def _parsed(table: str) -> Mapping[str, frozenset[Role]]:
    return {permission: frozenset(roles) for permission, roles in marked(table, _COLUMNS).items()}


HOLDERS: Final[Mapping[str, frozenset[Role]]] = {
    permission: holders | {Role.BREAK_GLASS} if permission in BREAK_GLASS else holders
    for permission, holders in _parsed(_TABLE).items()
}

# Teams are what policies ask quorums of. A person in two teams still counts once.
TEAMS: Final[Mapping[str, frozenset[Role]]] = {
    "compliance": frozenset({Role.COMPLIANCE_OFFICER, Role.SENIOR_OFFICER}),
    "treasury": frozenset({Role.TREASURY_SIGNER}),
    "officers": frozenset({Role.COMPLIANCE_OFFICER, Role.SENIOR_OFFICER, Role.TREASURY_SIGNER}),
}

# Nobody grants above their own role: the maker of a grant must hold one of the roles on the right.
GRANTED_BY: Final[Mapping[Role, frozenset[Role]]] = {
    Role.SENIOR_OFFICER: frozenset({Role.SENIOR_OFFICER}),
    Role.COMPLIANCE_OFFICER: frozenset({Role.COMPLIANCE_OFFICER, Role.SENIOR_OFFICER}),
    Role.TREASURY_SIGNER: frozenset({Role.SENIOR_OFFICER}),
    Role.TREASURY_MAKER: frozenset({Role.COMPLIANCE_OFFICER, Role.SENIOR_OFFICER}),
    Role.SRE: frozenset({Role.SRE, Role.SENIOR_OFFICER}),
    Role.AUDITOR: frozenset({Role.COMPLIANCE_OFFICER, Role.SENIOR_OFFICER}),
    Role.SUPPORT: frozenset({Role.COMPLIANCE_OFFICER, Role.SENIOR_OFFICER}),
    Role.COLLECTOR: frozenset({Role.SRE, Role.SENIOR_OFFICER}),
    Role.BREAK_GLASS: frozenset(),
}


def permissions_of(roles: frozenset[Role]) -> frozenset[str]:
    """Everything that a holder of these roles may do."""
    return frozenset(permission for permission, holders in HOLDERS.items() if holders & roles)
