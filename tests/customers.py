"""Customers' own keys and a reconciler, for tests of the unattended lane."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fixtures.authenticator import Authenticator
from kernel import canonical, customer, encodings, lane
from kernel.intent import Intent, time_text
from kernel.money import Amount
from tests import messages
from tests import vault as vaults
from tests.vault import Message

TOM = "01900000-0000-7000-8000-00000000c001"
SITE = {"rp_id": "trade.localhost", "origin": "http://trade.localhost:8000"}
HOUR = 3_600
DAY = 24 * HOUR
SECTION = {
    "transaction_units_max": "3000000",
    "destination_units_max": "6000000",
    "window_units_max": "15000000",
    "window_s": DAY,
    "cooling_off_s": DAY,
    "attestation_age_s_max": HOUR,
}


class Customer:
    """A customer with an Ed25519 key, or with a passkey."""

    def __init__(self, name: str = TOM, *, seed: int = 7, passkey: bool = False) -> None:
        self.name = name
        self._passkey = Authenticator(f"{seed:064x}") if passkey else None
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.algorithm = customer.WEBAUTHN if passkey else customer.ED25519

    @property
    def public_key_hex(self) -> str:
        if self._passkey is not None:
            return self._passkey.public_key_hex
        return self._key.public_key().public_bytes_raw().hex()

    def key(self, **changes: Any) -> Message:
        """`learn`: this key is mine."""
        return self.says(
            {
                "v": 1,
                "kind": customer.CUSTOMER_KEY,
                "deployment": vaults.DEPLOYMENT,
                "customer": self.name,
                "algorithm": self.algorithm,
                "public_key": self.public_key_hex,
                "time": time_text(messages.in_hours(0)),
                **changes,
            }
        )

    def beneficiary(self, destination: str = messages.DESTINATION, **changes: Any) -> Message:
        """`learn`: this destination is mine."""
        return self.says(
            {
                "v": 1,
                "kind": customer.BENEFICIARY,
                "deployment": vaults.DEPLOYMENT,
                "network": vaults.NETWORK,
                "asset": "BTC",
                "customer": self.name,
                "destination": destination,
                "time": time_text(messages.in_hours(0)),
                **changes,
            }
        )

    def removal(self, destination: str = messages.DESTINATION, **changes: Any) -> Message:
        """`learn`: this destination is mine no more."""
        return self.beneficiary(destination, kind=customer.REMOVAL, **changes)

    def says(self, document: Message) -> Message:
        payload = canonical.encode(document)
        return {
            "v": 1,
            "type": "learn",
            "payload": encodings.base64url(payload),
            "proof": self._proof(payload),
        }

    def _proof(self, payload: bytes) -> Message:
        if self._passkey is None:
            return {"signature": encodings.base64url(self._key.sign(customer.DOMAIN_TAG + payload))}
        challenge = hashlib.sha256(customer.DOMAIN_TAG + payload).digest()
        signed = self._passkey.assertion(challenge, origin=SITE["origin"], rp_id=SITE["rp_id"])
        names = ("authenticator_data", "client_data", "signature")
        return {name: encodings.base64url(getattr(signed, name)) for name in names}


class Reconciler:
    """Signs what it saw."""

    def __init__(self, seed: int = 90) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public_key_hex = self._key.public_key().public_bytes_raw().hex()

    def attests(self, at: datetime, **changes: Any) -> Message:
        document = {
            "v": 3,
            "kind": lane.ATTESTATION,
            "deployment": vaults.DEPLOYMENT,
            "network": vaults.NETWORK,
            "wallet": "hot",
            "height": 800_000,
            "on_chain": "900000000",
            "in_books": "900000000",
            "breaks": 0,
            "spent": {},
            "time": time_text(at),
            **changes,
        }
        payload = canonical.encode(document)
        return {
            "v": 1,
            "type": "attest",
            "payload": encodings.base64url(payload),
            "signature": encodings.base64url(self._key.sign(lane.DOMAIN_TAG + payload)),
        }


def section(**changes: Any) -> Message:
    """A lane of the registry: 0.03 BTC a transaction, 0.06 a destination, 0.15 a day."""
    return {**SECTION, "reconcilers": {"books": Reconciler().public_key_hex}, **changes}


def unattended(request: Message) -> Message:
    """A sign request without its approvals, for the lane."""
    intents = [item["payload"] for item in request["intents"]]
    return {**request, "type": "sign_unattended", "intents": intents}


def payout(**changes: Any) -> Intent:
    """0.01 BTC to Tom."""
    plain = {"amount": Amount(1_000_000, "BTC"), "customer": UUID(TOM)}
    return messages.withdrawal(**{**plain, **changes})
