"""What can be done about the staff."""

from core.staff.actions.proposals import propose_change
from core.staff.actions.suspensions import suspend_person

__all__ = ["propose_change", "suspend_person"]
