"""What is done with the log itself."""

from core.audit.actions.exports import export_log

__all__ = ["export_log"]
