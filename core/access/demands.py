"""What each permission demands of the device: the one table that answers "from which machine?".

It stands beside the roles table (`roles.py`) and has a line for each of its permissions; a test holds the two
together. Reading takes no posture, except where what is read leaves the house or is somebody's evidence. Nor
does whatever stops: from a broken laptop a person can still freeze, halt, suspend, reject or give up a
withdrawal, dismiss a refill or a sweep, and reject what waits for an approval (`requirement.demanded` is not
asked there).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.access.domain.postures import Check
from core.access.domain.tables import marked

_COLUMNS: Final = (Check.MANAGED, Check.DISK_ENCRYPTION)

# Columns: the exchange manages the device; its disk is encrypted. The first wherever somebody acts for the
# exchange, the second too where money moves or personal data and keys' files would lie on a stolen disk.
_TABLE: Final = """
                               managed  disk
console:home:read                 .       .
access:staff:read                 .       .
access:staff:propose              x       x
access:staff:approve              x       x
access:staff:suspend              .       .
access:elevation:ask              x       .
factors:own:manage                .       .
approvals:request:read            .       .
approvals:request:withdraw        .       .
approvals:policy:read             .       .
approvals:policy:propose          x       .
approvals:policy:approve          x       x
audit:event:read                  .       .
audit:event:export                x       x
freezes:freeze:read               .       .
freezes:freeze:pull               .       .
freezes:freeze:release            x       x
freezes:freeze:approve_release    x       x
health:probe:read                 .       .
kyc:case:read                     .       .
kyc:case:decide                   x       x
kyc:tier:approve                  x       x
kyc:erasure:request               x       x
kyc:erasure:approve               x       x
kyc:evidence:read                 x       x
custody:withdrawal:read           .       .
custody:withdrawal:release        x       x
custody:withdrawal:reject         .       .
custody:withdrawal:approve        x       x
custody:payment:raise             x       x
custody:treasury:read             .       .
custody:refill:propose            x       x
custody:refill:dismiss            .       .
custody:refill:approve            x       x
custody:sweep:propose             x       x
custody:sweep:dismiss             .       .
custody:sweep:approve             x       x
custody:bundle:transfer           x       x
custody:signer:read               .       .
custody:signer:stop               .       .
custody:signer:order              x       x
custody:signer:approve_order      x       x
custody:adjustment:propose        x       x
custody:adjustment:approve        x       x
engine:market:read                .       .
engine:market:halt                .       .
engine:market:approve_release     x       x
engine:market:approve_band        x       x
engine:fees:propose               x       x
engine:fees:approve               x       x
engine:mirrors:rebuild            x       .
engine:journal:verify             x       .
"""


def _parsed(table: str) -> Mapping[str, tuple[Check, ...]]:
    return marked(table, _COLUMNS)


DEMANDS: Final[Mapping[str, tuple[Check, ...]]] = _parsed(_TABLE)
"""The checks by permission. A permission without a line is a programming error: KeyError, never a yes."""
