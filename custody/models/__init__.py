"""Custody's tables, a file per noun."""

from custody.models.adjustments import Adjustment
from custody.models.chain import Block, Deposit, Price
from custody.models.lanes import Lane
from custody.models.orders import OrderAnswer, SignerHealth, SignerOrder
from custody.models.payments import Owner, Payment, TokenRefusal, TokenSignature, UtxoLock
from custody.models.policies import Asker, DecoderKey, PaymentPolicy
from custody.models.reconciliations import Reconciliation
from custody.models.refills import Refill
from custody.models.statements import CustomerStatement, StatementAnswer
from custody.models.sweeps import Sweep
from custody.models.versions import PaymentVersion, VersionRefusal, VersionSignature
from custody.models.wallets import Address, Utxo, Wallet
from custody.models.withdrawals import Beneficiary, Withdrawal

__all__ = [
    "Address",
    "Adjustment",
    "Asker",
    "Beneficiary",
    "Block",
    "CustomerStatement",
    "DecoderKey",
    "Deposit",
    "Lane",
    "OrderAnswer",
    "Owner",
    "Payment",
    "PaymentPolicy",
    "PaymentVersion",
    "Price",
    "Reconciliation",
    "Refill",
    "SignerHealth",
    "SignerOrder",
    "StatementAnswer",
    "Sweep",
    "TokenRefusal",
    "TokenSignature",
    "Utxo",
    "UtxoLock",
    "VersionRefusal",
    "VersionSignature",
    "Wallet",
    "Withdrawal",
]
