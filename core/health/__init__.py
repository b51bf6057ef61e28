"""Which part works: probes that the parts register, run when somebody looks."""

from typing import TYPE_CHECKING

from core.lazy import front

if TYPE_CHECKING:
    from core.health.probes import Reading, Status, register

__all__ = ["Reading", "Status", "register"]

__getattr__ = front(__name__, dict.fromkeys(__all__, "probes"))
