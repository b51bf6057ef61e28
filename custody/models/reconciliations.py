"""How chain and books compared when the reconciler last looked."""

from __future__ import annotations

from django.db import models

from core.fields import UnitsField
from custody.domain.reconciliations import BLIND
from custody.models.wallets import Wallet
from kernel.money import Amount


class Reconciliation(models.Model):
    """The last comparison of one wallet: a mirror of what the reconciler said, which signs it for signers.

    `breaks` says in sentences what is not sound in the books beyond the wallet itself. `told` is each
    signer's answer to the last attestation: token to code, empty where it took it.
    """

    wallet = models.OneToOneField(Wallet, models.PROTECT, primary_key=True, related_name="reconciliation")
    height = models.PositiveIntegerField()
    on_chain_units = UnitsField()
    in_books_units = UnitsField()
    looked_at = models.DateTimeField()
    attested_at = models.DateTimeField(null=True, blank=True)
    breaks = models.JSONField(default=list)
    told = models.JSONField(default=dict)

    class Meta:
        db_table = "custody_reconciliation"

    def __str__(self) -> str:
        return f"reconciliation of {self.wallet_id} at {self.height}"

    @property
    def agrees(self) -> bool:
        """Whether chain and books said the same, and the books were sound as a whole."""
        return bool(self.holds_what_books_say and not self.breaks)

    @property
    def holds_what_books_say(self) -> bool:
        """Whether the wallet's own coins are those of the books."""
        return bool(self.on_chain_units == self.in_books_units)

    @property
    def is_blind(self) -> bool:
        """Whether it says no more than that nobody could look: what the books are by now, nobody knows."""
        blind = bool(self.breaks) and all(one.startswith(BLIND) for one in self.breaks)
        return blind and self.holds_what_books_say

    @property
    def on_chain(self) -> Amount:
        """What the wallet's addresses held."""
        return Amount(self.on_chain_units, self.wallet.asset)

    @property
    def in_books(self) -> Amount:
        """What they should have held."""
        return Amount(self.in_books_units, self.wallet.asset)
