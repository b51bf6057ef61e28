"""Rows of the funding account: custody's words in OKX's."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from custody.domain.deposits import State as DepositState
from custody.domain.withdrawals import TERMS
from custody.domain.withdrawals import State as WithdrawalState
from custody.models import Deposit, Withdrawal
from engine_bridge.models import Transfer
from kernel.money import Amount, asset
from trader_api.rows import FUNDING, TRADING, Row, ms

CHAINS: Final = {"BTC": "BTC-Bitcoin"}
"""Assets that have a chain here. The others live in the ledger only."""

DEPOSIT_STATES: Final = {
    DepositState.SEEN: "0",
    DepositState.CREDITED: "2",
    DepositState.IN_SUSPENSE: "8",
    DepositState.ORPHANED: "0",
    DepositState.MISSING: "12",
}
"""0 waits for confirmations, 2 succeeded, 8 is held back, 12 is under review."""

WITHDRAWAL_STATES: Final = {
    WithdrawalState.REQUESTED: "0",
    WithdrawalState.ON_HOLD: "4",
    WithdrawalState.OFFERED: "7",
    WithdrawalState.SCREENED: "0",
    WithdrawalState.APPROVED: "7",
    WithdrawalState.BUILT: "7",
    WithdrawalState.SIGNING: "7",
    WithdrawalState.REFUSED: "4",
    WithdrawalState.SIGNED: "1",
    WithdrawalState.BROADCAST: "1",
    WithdrawalState.CONFIRMED: "1",
    WithdrawalState.CONFLICTED: "4",
    WithdrawalState.SETTLED: "2",
    WithdrawalState.REJECTED: "-1",
    WithdrawalState.CANCELLED: "-2",
    WithdrawalState.EXPIRED: "-1",
    WithdrawalState.FAILED: "-1",
}
"""0 waits, 4 waits for people, 7 is approved, 1 is on its way, 2 was sent, below zero nothing left."""


def currency(code: str) -> Row:
    terms = TERMS.get(code)
    return {
        "ccy": code,
        "chain": CHAINS.get(code, f"{code}-Internal"),
        "name": asset(code).name,
        "logoLink": "",
        "canDep": code in CHAINS,
        "canWd": terms is not None,
        "canInternal": False,
        "mainNet": True,
        "fee": str(terms.fee) if terms else "",
        "minFee": str(terms.fee) if terms else "",
        "maxFee": str(terms.fee) if terms else "",
        "minDep": str(Amount(1, code)),
        "minWd": str(terms.minimum) if terms else "",
        "maxWd": "",
        "wdTickSz": str(asset(code).decimals),
        "needTag": False,
    }


def balance(code: str, *, units: int, held: int) -> Row:
    return {
        "ccy": code,
        "bal": str(Amount(units, code)),
        "frozenBal": str(Amount(held, code)),
        "availBal": str(Amount(units - held, code)),
    }


def deposit_address(address: str, code: str) -> Row:
    return {
        "addr": address,
        "ccy": code,
        "chain": CHAINS[code],
        "to": FUNDING,
        "selected": True,
        "tag": "",
        "memo": "",
        "pmtId": "",
        "ctAddr": "",
    }


def deposit(row: Deposit, confirmations: int) -> Row:
    return {
        "depId": str(row.pk),
        "ccy": row.asset,
        "chain": CHAINS.get(row.asset, ""),
        "amt": str(row.amount),
        "from": "",
        "to": row.address.address,
        "txId": row.txid,
        "state": DEPOSIT_STATES[DepositState(row.state)],
        "actualDepBlkConfirm": str(confirmations),
        "ts": ms(row.seen_at),
    }


def withdrawal(row: Withdrawal, waits_because: str = "") -> Row:
    payment = getattr(row, "payment", None)
    return {
        "wdId": str(row.pk),
        "ccy": row.asset,
        "chain": CHAINS.get(row.asset, ""),
        "amt": str(row.amount),
        "fee": str(row.fee),
        "feeCcy": row.asset,
        "from": "",
        "to": row.destination,
        "txId": payment.txid if payment is not None and payment.sent_at else "",
        "state": WITHDRAWAL_STATES[WithdrawalState(row.state)],
        "clientId": row.client_id,
        "tag": "",
        "waitsBecause": waits_because,
        "ts": ms(row.requested_at),
    }


def waiting(row: Withdrawal, *, held: datetime | None, is_above_tier: bool) -> Row:
    """The same of one that can still be stopped, with what its customer can know and do about it. Freezes are
    told to whoever asks for something new.
    """
    if held is not None:
        because = f"nothing is withdrawn before {held:%Y-%m-%d %H:%M} UTC"
        return withdrawal(
            row, f"This account got a new password by mail, or another second factor: {because}."
        )
    if is_above_tier:
        return withdrawal(
            row,
            "Your tier was lowered since you asked, and does not allow this any more: verify your identity "
            "again, or cancel it while it can be cancelled.",
        )
    return withdrawal(row)


def withdrawal_asked(row: Withdrawal, *, client_id: str) -> Row:
    return {
        "wdId": str(row.pk),
        "ccy": row.asset,
        "amt": str(row.amount),
        "chain": CHAINS.get(row.asset, ""),
        "clientId": client_id,
    }


def transfer_started(row: Transfer) -> Row:
    source, target = (FUNDING, TRADING) if row.into_venue else (TRADING, FUNDING)
    return {
        "transId": str(row.pk),
        "ccy": row.asset,
        "amt": str(Amount(row.units, row.asset)),
        "from": source,
        "to": target,
        "clientId": row.client_id,
    }
