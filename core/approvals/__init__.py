"""One mechanism for every act that needs more than one person."""

from typing import TYPE_CHECKING

from core.lazy import front

if TYPE_CHECKING:
    from core.approvals.kinds import Kind, register
    from core.approvals.opening import check_standing, consume, open, take_back, waive  # noqa: A004 - approvals.open(...)
    from core.approvals.queries import signatures
    from core.approvals.signed import Signed

__all__ = [
    "Kind",
    "Signed",
    "check_standing",
    "consume",
    "open",
    "register",
    "signatures",
    "take_back",
    "waive",
]

__getattr__ = front(
    __name__,
    {
        "Kind": "kinds",
        "register": "kinds",
        "open": "opening",
        "waive": "opening",
        "consume": "opening",
        "check_standing": "opening",
        "take_back": "opening",
        "signatures": "queries",
        "Signed": "signed",
    },
)
