"""What can be done with authenticators."""

from core.factors.actions.ceremonies import Outcome, answer_challenge, issue_challenge
from core.factors.actions.ending import end_factor
from core.factors.actions.founding import found
from core.factors.actions.registering import begin_code, propose_code, propose_passkey

__all__ = [
    "Outcome",
    "answer_challenge",
    "begin_code",
    "end_factor",
    "found",
    "issue_challenge",
    "propose_code",
    "propose_passkey",
]
