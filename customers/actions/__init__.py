"""What can be done with customers and their keys."""

from customers.actions.api_keys import create_api_key, note_use, revoke_api_key
from customers.actions.authenticators import (
    begin_authenticator,
    confirm_authenticator,
    end_lost_authenticator,
    remove_authenticator,
    report_lost_authenticator,
)
from customers.actions.calls import record_refused_call
from customers.actions.closing import close_account
from customers.actions.codes import check_code
from customers.actions.holds import begin_hold_anew
from customers.actions.passwords import ask_new_password, set_new_password
from customers.actions.signing_up import sign_up
from customers.actions.tiers import set_tier

__all__ = [
    "ask_new_password",
    "begin_authenticator",
    "begin_hold_anew",
    "check_code",
    "close_account",
    "confirm_authenticator",
    "create_api_key",
    "end_lost_authenticator",
    "note_use",
    "record_refused_call",
    "remove_authenticator",
    "report_lost_authenticator",
    "revoke_api_key",
    "set_new_password",
    "set_tier",
    "sign_up",
]
