"""What can be done with customers and their keys."""

from customers.actions.api_keys import create_api_key, note_use, revoke_api_key
from customers.actions.calls import record_refused_call
from customers.actions.passwords import ask_new_password, set_new_password
from customers.actions.signing_up import sign_up
from customers.actions.tiers import set_tier

__all__ = [
    "ask_new_password",
    "create_api_key",
    "note_use",
    "record_refused_call",
    "revoke_api_key",
    "set_new_password",
    "set_tier",
    "sign_up",
]
