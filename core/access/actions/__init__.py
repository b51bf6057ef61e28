"""What can be done with identities, roles and passkeys."""

from core.access.actions.founding import found_staff

__all__ = ["found_staff"]
