"""What can be done with authenticators."""

from core.factors.actions.ceremonies import Outcome, answer_challenge, issue_challenge
from core.factors.actions.emergencies import ask_glass, end_glass, open_glass
from core.factors.actions.ending import end_factor
from core.factors.actions.founding import found
from core.factors.actions.registering import begin_code, propose_code, propose_passkey
from core.factors.actions.signing import invite_signing, propose_signing

__all__ = [
    "Outcome",
    "answer_challenge",
    "ask_glass",
    "begin_code",
    "end_factor",
    "end_glass",
    "found",
    "invite_signing",
    "issue_challenge",
    "open_glass",
    "propose_code",
    "propose_passkey",
    "propose_signing",
]
