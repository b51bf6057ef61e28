"""What a registry pins beside its wallets: officers, policies, limits, witnesses, and who may recover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from kernel.cosignature import Cosigner

INTENT_LIFE_S: Final = 7 * 86_400
MAKERS: Final = "makers"
"""The team of those who may ask for what a quorum then decides; where nobody is in it, every officer may."""
RELEASE_LIFE: Final = timedelta(days=1)
"""The approver page signs no release of signers that is good for longer (custody/approver/page/acts.js)."""


@dataclass(frozen=True, slots=True)
class Officer:
    """A person whose passkey is pinned: `public_key` is an uncompressed P-256 point.

    `decoder_key` is the Ed25519 key of their offline decoder, for what is above a policy's `confirm_above`.
    """

    id: str
    name: str
    teams: frozenset[str]
    public_key: bytes
    decoder_key: bytes = b""


@dataclass(frozen=True, slots=True)
class KindPolicy:
    """Who must approve a kind of act, and where money may go (`destination`: hot/0; empty: anywhere).

    More units than `confirm_above` are approved only with each officer's second signature, by their decoder.
    """

    teams: Mapping[str, int]
    version: int = 1
    source: str = ""
    destination: str = ""
    confirm_above: int | None = None

    def wants_confirmation(self, units: int) -> bool:
        """Whether each approval of so much must be confirmed on an offline decoder."""
        return self.confirm_above is not None and units > self.confirm_above


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps that a signer keeps by itself; mappings are per wallet, and a wallet not named has no such cap.

    A payment counts alone, a destination what it got within the window, a window all that left the wallet.
    """

    fee_sats_max: int
    feerate_sats_vb_max: int
    window_s: int
    window_units_max: Mapping[str, int]
    payment_units_max: Mapping[str, int] = field(default_factory=dict)
    destination_units_max: Mapping[str, int] = field(default_factory=dict)
    intent_life_s: int = INTENT_LIFE_S
    registry_delay_s: int = 0

    @property
    def intent_life(self) -> timedelta:
        """How long before its end a payment can be signed at all."""
        return timedelta(seconds=self.intent_life_s)

    @property
    def order_life(self) -> timedelta:
        """The same of an officers' order: a day at least, or no release could ever be obeyed."""
        return max(self.intent_life, RELEASE_LIFE)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who must have seen a signer's log, and how recently, before it spends; for these tokens only."""

    keys: tuple[Cosigner, ...]
    quorum: int
    age_s_max: int
    tokens: frozenset[str]


@dataclass(frozen=True, slots=True)
class Recovery:
    """Who may order new officers when no quorum of the old ones is left, and after how long a delay."""

    officers: Mapping[str, Officer]
    quorum: int
    delay_s: int
