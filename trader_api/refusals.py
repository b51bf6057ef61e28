"""Which code a client sees for a refusal of ours. The sentence goes with it unchanged."""

from __future__ import annotations

from typing import Final

from core.freezes.domain import scopes
from core.refusals import Refused

CODES: Final[dict[str, str]] = {
    "ledger.insufficient_funds": "58350",
    "transfer.insufficient": "58350",
    "transfer.asset": "51012",
    "transfer.amount": "58114",
    "transfer.client_id": "58404",
    "withdrawal.client_id_used": "58404",
    "withdrawal.tier": "58200",
    "withdrawal.limit": "58201",
    "withdrawal.price_unknown": "50013",
    "withdrawal.held": "50030",
    "withdrawal.amount": "58206",
    "withdrawal.destination": "58222",
    "address.pool_empty": "50013",
    "customer.email": "51000",
    "customer.password": "51000",
    "customer.country": "51000",
    "customer.email_taken": "50071",
    "customer.wrong_password": "50114",
    "customer.link": "50030",
    "customer.code_needed": "50014",
    "customer.no_second_factor": "50030",
    "customer.no_draft": "50030",
    "customer.wrong_code": "50114",
    "api_key.scopes": "51000",
    "api_key.passphrase": "51000",
    "api_key.ip_allowlist": "51000",
    "api_key.too_many": "50030",
    "statement.bad": "51000",
    "statement.no_key": "50030",
    "statement.outdated": "58404",
    "statement.too_many": "50030",
    "kyc.unknown_level": "51000",
    "kyc.country_not_served": "50027",
    "kyc.not_open": "50030",
}
_BY_STATUS: Final = {403: "50030", 404: "51603", 422: "51000", 423: "50007", 503: "50013"}


def code_of(refusal: Refused) -> str:
    """The code; a refusal that nobody listed falls back on what its status says."""
    scope = getattr(refusal, "scope", None)
    if scope is not None:
        return _frozen(str(scope))
    return CODES.get(refusal.code) or _BY_STATUS.get(refusal.status, "50030")


def _frozen(scope: str) -> str:
    if scope == scopes.TRADER_API:
        return "50001"
    if scope.startswith("customer:"):
        return "50007"
    if scope.startswith("market:"):
        return "51022"
    return "58204"
