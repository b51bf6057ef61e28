"""Who may enter, as whom, and what each person may do."""

from typing import TYPE_CHECKING

from core.lazy import front

if TYPE_CHECKING:
    from core.access.permissions import register
    from core.access.powers import allowed, powers, teams_of
    from core.access.requirement import requires

__all__ = ["allowed", "powers", "register", "requires", "teams_of"]

__getattr__ = front(
    __name__,
    {
        "allowed": "powers",
        "powers": "powers",
        "teams_of": "powers",
        "register": "permissions",
        "requires": "requirement",
    },
)
