"""The funding account: balances, deposits, withdrawals, transfers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from core.ledger import AccountKind
from core.ledger.models import Account
from core.refusals import NotFound
from custody import queries as custody
from custody.actions import assign_address, cancel_withdrawal, request_withdrawal
from engine_bridge import queries
from engine_bridge.actions import start_transfer
from kernel.money import ASSETS, Amount, BadAmount
from kyc import queries as kyc
from kyc.domain.tiers import Feature
from trader_api import funding_rows, limits, recency, rows
from trader_api.authentication import Trader
from trader_api.endpoint import PrivateEndpoint, number, object_of, word
from trader_api.envelope import ok
from trader_api.errors import ApiError, bad
from trader_api.views.orders import whole

PAGE_MAX: Final = 100
ON_CHAIN: Final = "4"
TRANSFER_PATIENCE_S: Final = 3.0
LABEL_MAX: Final = 80


class Currencies(PrivateEndpoint):
    limit = limits.ASSET_READ

    def get(self, request: Request) -> Response:
        """Every asset, its chain, and what withdrawing it costs."""
        wanted = codes(request)
        return ok([funding_rows.currency(code) for code in sorted(ASSETS) if not wanted or code in wanted])


class Balances(PrivateEndpoint):
    limit = limits.ASSET_READ

    def get(self, request: Request) -> Response:
        """What the funding account holds, by asset."""
        wanted = codes(request)
        found = Account.objects.filter(kind=AccountKind.CUSTOMER_FUNDING, owner=self.trader.customer_id)
        return ok(
            [
                funding_rows.balance(row.asset, units=row.units, held=row.held)
                for row in found.order_by("asset")
                if not wanted or row.asset in wanted
            ]
        )


class DepositAddress(PrivateEndpoint):
    limit = limits.ASSET_READ

    def get(self, request: Request) -> Response:
        """Where to send coins; the address is assigned when it is first asked for."""
        code = asset_code(request.query_params)
        if code not in funding_rows.CHAINS:
            raise ApiError("51012", "The token does not exist on a chain here.")
        must_open(self.trader, Feature.DEPOSIT, now=self.now)
        row = custody.deposit_address_of(self.trader.customer_id)
        if row is None or row.wallet.asset != code:
            row = assign_address(
                customer_id=self.trader.customer_id, asset=code, actor=self.trader.actor, now=self.now
            )
        return ok([funding_rows.deposit_address(row.address, code)])


class DepositHistory(PrivateEndpoint):
    limit = limits.ASSET_READ

    def get(self, request: Request) -> Response:
        """The trader's deposits, newest first."""
        params = request.query_params
        after, before = window(params)
        found = custody.deposits_of(
            self.trader.customer_id,
            asset=word(params, "ccy") or None,
            txid=word(params, "txId") or None,
            after=after,
            before=before,
            limit=page(params),
        )
        told = [funding_rows.deposit(row, custody.confirmations_of(row)) for row in found]
        state = word(params, "state")
        return ok([row for row in told if state in ("", row["state"])])


class Withdrawal(PrivateEndpoint):
    limit = limits.WITHDRAWAL
    scope = "withdraw"

    def post(self, request: Request) -> Response:
        """Ask for a withdrawal; people and signers still have to agree to it."""
        fields = object_of(request)
        amount = amount_of(fields)
        if word(fields, "dest", required=True) != ON_CHAIN:
            raise ApiError("58200", "Only withdrawals to an on-chain address (dest 4) are supported.")
        if word(fields, "chain") not in ("", funding_rows.CHAINS.get(amount.asset, "")):
            raise bad("chain")
        row = request_withdrawal(
            customer_id=self.trader.customer_id,
            client_id=word(fields, "clientId", largest=32) or f"api{int(self.now.timestamp() * 1000)}",
            amount=amount,
            destination=word(fields, "toAddr", required=True, largest=120),
            label=_label(fields),
            actor=self.trader.actor,
            now=self.now,
        )
        return ok([funding_rows.withdrawal_asked(row, client_id=word(fields, "clientId"))])


class CancelWithdrawal(PrivateEndpoint):
    limit = limits.WITHDRAWAL
    scope = "withdraw"
    is_stopped: ClassVar[bool] = False

    def post(self, request: Request) -> Response:
        """Take a withdrawal back, before it is approved."""
        wanted = identifier(object_of(request), "wdId", unknown="58215")
        try:
            row = cancel_withdrawal(withdrawal_id=wanted, actor=self.trader.actor, now=self.now)
        except NotFound:
            raise ApiError("58215", "The wdId does not exist.") from None
        return ok([{"wdId": str(row.pk)}])


class WithdrawalHistory(PrivateEndpoint):
    limit = limits.ASSET_READ

    def get(self, request: Request) -> Response:
        """The trader's withdrawals, newest first."""
        params = request.query_params
        after, before = window(params)
        found = custody.withdrawals_of(
            self.trader.customer_id,
            asset=word(params, "ccy") or None,
            client_id=word(params, "clientId") or None,
            after=after,
            before=before,
            limit=page(params),
        )
        wanted, state = word(params, "wdId"), word(params, "state")
        held = custody.held_until(self.trader.customer_id, now=self.now)
        told = [
            funding_rows.withdrawal(row)
            if not custody.is_stoppable(row)
            else funding_rows.waiting(row, held=held, is_above_tier=custody.is_above_tier(row))
            for row in found
        ]
        return ok([r for r in told if wanted in ("", r["wdId"]) and state in ("", r["state"])])


class Transfer(PrivateEndpoint):
    limit = limits.TRANSFER
    scope = "trade"

    def post(self, request: Request) -> Response:
        """Move between funding and trading. Answers when it is done, or with its id while it is under way."""
        fields = object_of(request)
        amount = amount_of(fields)
        if word(fields, "type") not in ("", "0"):
            raise ApiError("51010", "Only transfers within one account (type 0) are supported.")
        ends = (word(fields, "from", required=True), word(fields, "to", required=True))
        if ends[0] == ends[1]:
            raise ApiError("58123", "The from and to accounts are the same.")
        if set(ends) != {rows.FUNDING, rows.TRADING}:
            raise ApiError("51000", "Parameter from or to error: 6 is funding, 18 is trading.")
        into_venue = ends[0] == rows.FUNDING
        if into_venue:
            must_open(self.trader, Feature.TRADE, now=self.now)
        recency.current(self.trader)
        row = start_transfer(
            customer_id=self.trader.customer_id,
            amount=amount,
            into_venue=into_venue,
            client_id=word(fields, "clientId", largest=32),
            actor=self.trader.actor,
            now=self.now,
        )
        outcome = queries.wait_for_transfer(row.pk, timeout_s=TRANSFER_PATIENCE_S)
        if outcome.state == "refused":
            raise ApiError(
                "58350", "Insufficient balance: the venue refused the transfer, nothing was moved."
            )
        return ok([funding_rows.transfer_started(outcome)])


class TransferState(PrivateEndpoint):
    limit = limits.TRANSFER_STATE

    def get(self, request: Request) -> Response:
        """How a transfer stands."""
        transfer_id = identifier(request.query_params, "transId", unknown="58129")
        found = queries.transfer(queries.account_of(self.trader.customer_id), transfer_id)
        if found is None:
            raise ApiError("58129", "The transfer does not exist.")
        return ok([rows.transfer(found)])


def codes(request: Request) -> set[str]:
    """The comma list of assets in the query; empty means all."""
    return {code for code in word(request.query_params, "ccy").split(",") if code}


def asset_code(fields: Mapping[str, Any]) -> str:
    """A required, registered asset; 51012."""
    code = word(fields, "ccy", required=True)
    if code not in ASSETS:
        raise ApiError("51012", "The token does not exist.")
    return code


def amount_of(fields: Mapping[str, Any]) -> Amount:
    """A required amount above zero, no finer than its asset."""
    code = asset_code(fields)
    try:
        amount = Amount.parse(word(fields, "amt", required=True, largest=40), code)
    except BadAmount:
        raise bad("amt") from None
    if amount.units == 0:
        raise bad("amt")
    return amount


def identifier(fields: Mapping[str, Any], name: str, *, unknown: str) -> UUID:
    """An id that we gave out; what is none of ours is unknown, not malformed."""
    try:
        return UUID(word(fields, name, required=True))
    except ValueError:
        raise ApiError(unknown, f"The {name} does not exist.") from None


def must_open(trader: Trader, feature: Feature, *, now: datetime) -> None:
    """50027 where the trader's tier, as it is at this moment, does not open this."""
    tier = kyc.effective_tier(trader.customer_id, now=now)
    if not tier.opens(feature):
        raise ApiError(
            "50027",
            f"Tier {tier.rank} ({tier.name}) does not open {feature.value}s here. "
            "Verify your identity first.",
        )


def page(params: Mapping[str, Any]) -> int:
    """How many rows the client wants."""
    return max(1, number(params, "limit", default=PAGE_MAX, largest=PAGE_MAX))


def window(params: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """OKX's before and after run against intuition: `before` asks for newer rows, `after` for older ones."""
    newer, older = whole(params, "before"), whole(params, "after")
    return (
        rows.moment(newer) if newer is not None else None,
        rows.moment(older) if older is not None else None,
    )


def _label(fields: Mapping[str, Any]) -> str:
    """A name for the destination: the receiver's, where the client gave one."""
    info = fields.get("rcvrInfo")
    given = info if isinstance(info, dict) else {}
    names = (word(given, "rcvrFirstName"), word(given, "rcvrLastName"))
    return " ".join(" ".join(names).split())[:LABEL_MAX] or "unnamed destination"
