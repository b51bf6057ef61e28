"""Orders to stop: pulled by one person at once, released by three."""

from typing import TYPE_CHECKING

from core.lazy import front

if TYPE_CHECKING:
    from core.freezes.checking import Frozen, among, check, meanwhile, throughout
    from core.freezes.pulling import pull

__all__ = ["Frozen", "among", "check", "meanwhile", "pull", "throughout"]

__getattr__ = front(
    __name__,
    {
        "Frozen": "checking",
        "among": "checking",
        "check": "checking",
        "meanwhile": "checking",
        "pull": "pulling",
        "throughout": "checking",
    },
)
