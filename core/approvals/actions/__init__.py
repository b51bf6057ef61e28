"""What can be done with a request for approval."""

from core.approvals.actions.asking import submit_ask
from core.approvals.actions.signatures import expire_request, submit_signature, withdraw_request

__all__ = ["expire_request", "submit_ask", "submit_signature", "withdraw_request"]
