"""The api door. No path ends in a slash, and what is no endpoint answers in the same envelope."""

from __future__ import annotations

from django.urls import path, re_path

from trader_api import envelope
from trader_api.views import (
    account,
    funding,
    keys,
    orders,
    own,
    passwords,
    public,
    second_factors,
    statements,
    unknown,
)

V5 = "api/v5"
OWN = "api/countersign/v1"

urlpatterns = [
    path(f"{V5}/public/time", public.Time.as_view()),
    path(f"{V5}/public/instruments", public.Instruments.as_view()),
    path(f"{V5}/system/status", public.Status.as_view()),
    path(f"{V5}/market/ticker", public.Ticker.as_view()),
    path(f"{V5}/market/tickers", public.Tickers.as_view()),
    path(f"{V5}/market/books", public.Books.as_view()),
    path(f"{V5}/market/trades", public.Trades.as_view()),
    path(f"{V5}/account/balance", account.Balance.as_view()),
    path(f"{V5}/account/config", account.Config.as_view()),
    path(f"{V5}/account/positions", account.Positions.as_view()),
    path(f"{V5}/account/trade-fee", account.TradeFee.as_view()),
    path(f"{V5}/trade/order", orders.Order.as_view()),
    path(f"{V5}/trade/batch-orders", orders.BatchOrders.as_view()),
    path(f"{V5}/trade/cancel-order", orders.CancelOrder.as_view()),
    path(f"{V5}/trade/cancel-batch-orders", orders.CancelBatchOrders.as_view()),
    path(f"{V5}/trade/orders-pending", orders.OrdersPending.as_view()),
    path(f"{V5}/trade/orders-history", orders.OrdersHistory.as_view()),
    path(f"{V5}/trade/fills", orders.Fills.as_view()),
    path(f"{V5}/trade/fills-history", orders.FillsHistory.as_view()),
    path(f"{V5}/asset/currencies", funding.Currencies.as_view()),
    path(f"{V5}/asset/balances", funding.Balances.as_view()),
    path(f"{V5}/asset/deposit-address", funding.DepositAddress.as_view()),
    path(f"{V5}/asset/deposit-history", funding.DepositHistory.as_view()),
    path(f"{V5}/asset/withdrawal", funding.Withdrawal.as_view()),
    path(f"{V5}/asset/cancel-withdrawal", funding.CancelWithdrawal.as_view()),
    path(f"{V5}/asset/withdrawal-history", funding.WithdrawalHistory.as_view()),
    path(f"{V5}/asset/transfer", funding.Transfer.as_view()),
    path(f"{V5}/asset/transfer-state", funding.TransferState.as_view()),
    path(f"{OWN}/signup", own.SignUp.as_view()),
    path(f"{OWN}/api-keys", keys.ApiKeys.as_view()),
    path(f"{OWN}/api-keys/list", keys.ListedApiKeys.as_view()),
    path(f"{OWN}/api-keys/revoke", keys.RevokedApiKey.as_view()),
    path(f"{OWN}/password/forgotten", passwords.ForgottenPassword.as_view()),
    path(f"{OWN}/password/new", passwords.NewPassword.as_view()),
    path(f"{OWN}/second-factor", second_factors.SecondFactor.as_view()),
    path(f"{OWN}/second-factor/confirm", second_factors.ConfirmedSecondFactor.as_view()),
    path(f"{OWN}/second-factor/remove", second_factors.RemovedSecondFactor.as_view()),
    path(f"{OWN}/second-factor/lost", second_factors.LostSecondFactor.as_view()),
    path(f"{OWN}/kyc", own.Kyc.as_view()),
    path(f"{OWN}/statements", statements.Statements.as_view()),
    re_path(r"^.*$", unknown.Unknown.as_view()),
]

handler400 = envelope.handler400
handler403 = envelope.handler403
handler404 = envelope.handler404
handler500 = envelope.handler500
