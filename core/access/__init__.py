"""Who may enter, as whom, and what each person may do."""

from typing import TYPE_CHECKING

from core.lazy import front

if TYPE_CHECKING:
    from core.access.permissions import register
    from core.access.requirement import requires
    from core.access.rights import allowed, powers, teams_of

__all__ = ["allowed", "powers", "register", "requires", "teams_of"]

__getattr__ = front(
    __name__,
    {
        "allowed": "rights",
        "powers": "rights",
        "teams_of": "rights",
        "register": "permissions",
        "requires": "requirement",
    },
)
