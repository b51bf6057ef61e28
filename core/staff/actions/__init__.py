"""What can be done about the staff."""

from core.staff.actions.accounts import declare_account
from core.staff.actions.elevations import end_elevation
from core.staff.actions.proposals import propose_change
from core.staff.actions.revocations import revoke_passkey
from core.staff.actions.suspensions import suspend_person

__all__ = ["declare_account", "end_elevation", "propose_change", "revoke_passkey", "suspend_person"]
