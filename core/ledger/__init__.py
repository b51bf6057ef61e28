"""Double entry: accounts, journal entries that sum to zero per asset, and holds."""

from typing import TYPE_CHECKING

from core.lazy import front

if TYPE_CHECKING:
    from core.ledger.accounts import account, balance
    from core.ledger.entries import Leg, post
    from core.ledger.holds import hold, post_hold, void_hold
    from core.ledger.kinds import AccountKind

__all__ = ["AccountKind", "Leg", "account", "balance", "hold", "post", "post_hold", "void_hold"]

__getattr__ = front(
    __name__,
    {
        "AccountKind": "kinds",
        "account": "accounts",
        "balance": "accounts",
        "Leg": "entries",
        "post": "entries",
        "hold": "holds",
        "void_hold": "holds",
        "post_hold": "holds",
    },
)
