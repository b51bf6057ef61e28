"""A wallet on an EVM chain: a Safe 1.4.1, a contract that does what m of its n owners signed (EIP-712).

What owners sign is the hash of a whole transaction of the Safe (`SafeTransaction`). Here it is computed from
the transaction's members, never taken from anybody. A nonce is good once: of all that was signed for one, the
contract does at most one thing. So a slot (chain, contract and nonce) is to a Safe what a coin is to Bitcoin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from kernel import canonical, encodings, evm, lane, members, money, networks, policy, secp256k1
from kernel.bech32 import BadAddress
from kernel.keccak import keccak256
from kernel.pinned import Limits

CALL: Final = 0
OWNERS_MAX: Final = 20

_DOMAIN: Final = keccak256(b"EIP712Domain(uint256 chainId,address verifyingContract)")
_TRANSACTION: Final = keccak256(
    b"SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,"
    b"uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
)
_DATA = re.compile(r"0x[0-9a-f]*")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_NOT_HERE: Final = frozenset({"BTC"})  # coins of another chain: what stands for them here is another asset


class BadSafeTransaction(ValueError):
    """The members are not exactly those of one transaction of a Safe."""


@dataclass(frozen=True, slots=True)
class SafeTransaction:
    """All that the owners' signatures commit to. Amounts are in the smallest unit, gas prices in wei."""

    chain_id: int
    safe: str
    to: str
    value: int
    data: bytes
    nonce: int
    operation: int = CALL
    safe_tx_gas: int = 0
    base_gas: int = 0
    gas_price: int = 0
    gas_token: str = evm.ZERO_ADDRESS
    refund_receiver: str = evm.ZERO_ADDRESS

    @classmethod
    def parse(cls, value: canonical.Value) -> Self:
        """From the members by their names in EIP-712, each in its one spelling; BadSafeTransaction."""
        try:
            part = members.an_object(value)
            members.exact(part, set(_NAMES))
            texts = {name: members.text(part, name) for name in _ADDRESSES}
            for text in texts.values():
                evm.raw_address(text)
            data = members.text(part, "data")
            if not _DATA.fullmatch(data):
                raise BadSafeTransaction("data is 0x and lower-case hex")
            return cls(
                chain_id=members.positive(part, "chainId"),
                safe=texts["verifyingContract"],
                to=texts["to"],
                value=members.units(part, "value"),
                data=encodings.from_hex(data[2:]),
                nonce=members.whole(part, "nonce"),
                operation=members.whole(part, "operation"),
                safe_tx_gas=members.units(part, "safeTxGas"),
                base_gas=members.units(part, "baseGas"),
                gas_price=members.units(part, "gasPrice"),
                gas_token=texts["gasToken"],
                refund_receiver=texts["refundReceiver"],
            )
        except (members.BadMember, BadAddress, encodings.BadEncoding) as error:
            raise BadSafeTransaction(str(error)) from None

    def as_json(self) -> dict[str, canonical.Value]:
        """The members as `parse` reads them."""
        return {
            "chainId": self.chain_id,
            "verifyingContract": self.safe,
            "to": self.to,
            "value": str(self.value),
            "data": f"0x{self.data.hex()}",
            "operation": self.operation,
            "safeTxGas": str(self.safe_tx_gas),
            "baseGas": str(self.base_gas),
            "gasPrice": str(self.gas_price),
            "gasToken": self.gas_token,
            "refundReceiver": self.refund_receiver,
            "nonce": self.nonce,
        }

    @property
    def refunds(self) -> bool:
        """Whether the Safe would pay somebody for gas: more than what was approved would leave it.

        Without a price of gas the contract does nothing with `base_gas`, so that carries the intent's mark.
        """
        gas = (self.safe_tx_gas, self.gas_price)
        return any(gas) or {self.gas_token, self.refund_receiver} != {evm.ZERO_ADDRESS}

    def digest(self) -> bytes:
        """What the owners sign, as the contract's `getTransactionHash` gives it."""
        domain = keccak256(_DOMAIN + evm.word(self.chain_id) + evm.address_word(self.safe))
        numbers = (self.operation, self.safe_tx_gas, self.base_gas, self.gas_price)
        body = keccak256(
            _TRANSACTION
            + evm.address_word(self.to)
            + evm.word(self.value)
            + keccak256(self.data)
            + b"".join(evm.word(number) for number in numbers)
            + evm.address_word(self.gas_token)
            + evm.address_word(self.refund_receiver)
            + evm.word(self.nonce)
        )
        return keccak256(b"\x19\x01" + domain + body)


_ADDRESSES: Final = ("verifyingContract", "to", "gasToken", "refundReceiver")
_NAMES: Final = (
    *_ADDRESSES,
    *("chainId", "value", "data", "operation", "safeTxGas", "baseGas", "gasPrice", "nonce"),
)


@dataclass(frozen=True, slots=True)
class SafeAsset:
    """What a Safe may pay: the chain's own coin, or the ERC-20 of a contract; caps are in its units."""

    code: str
    contract: str
    window_units_max: int
    payment_units_max: int | None
    destination_units_max: int | None
    confirm_above: int | None

    @classmethod
    def read(cls, code: str, value: canonical.Value) -> Self:
        """From the registry's section, strictly; BadMember names the first fault."""
        part = members.an_object(value)
        caps = ("payment_units_max", "destination_units_max", "confirm_above")
        members.exact(part, {"decimals", "window_units_max"}, ("contract", *caps))
        contract = members.text(part, "contract") if "contract" in part else ""
        if (code == evm.NATIVE) is bool(contract) or code in _NOT_HERE or code not in money.ASSETS:
            raise members.BadMember(f"{code[:20]}: {evm.NATIVE} has no contract, every other asset has one")
        if part["decimals"] != money.asset(code).decimals or type(part["decimals"]) is not int:
            raise members.BadMember(f"{code} has {money.asset(code).decimals} decimals wherever it is shown")
        if contract:
            evm.raw_address(contract)
        found = {name: members.units(part, name) if name in part else None for name in caps}
        return cls(code, contract, members.units(part, "window_units_max"), **found)


@dataclass(frozen=True, slots=True)
class Safe:
    """One contract as the registry pins it: `threshold` of its `owners` sign, each a token's first key."""

    name: str
    chain_id: int
    address: str
    threshold: int
    owners: Mapping[str, bytes]  # token -> compressed public key
    teams: Mapping[str, int]
    assets: Mapping[str, SafeAsset]
    policy: int = 1
    keys: tuple[tuple[bytes, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", (tuple(self.owners.values()),))

    @classmethod
    def read(cls, name: str, value: canonical.Value) -> Self:
        """From the registry's section, strictly; BadMember, BadPolicy or BadKey names the first fault."""
        part = members.an_object(value)
        members.exact(part, {"chain_id", "address", "m", "owners", "teams", "assets"}, ("policy",))
        owners, assets = members.an_object(part["owners"]), members.an_object(part["assets"])
        try:
            safe = cls(
                name=name,
                chain_id=members.positive(part, "chain_id"),
                address=members.text(part, "address"),
                threshold=members.positive(part, "m"),
                owners={token: encodings.from_hex(members.text(owners, token)) for token in owners},
                teams=policy.teams(part["teams"]),
                assets={code: SafeAsset.read(code, section) for code, section in assets.items()},
                policy=members.positive(part, "policy") if "policy" in part else 1,
            )
            evm.raw_address(safe.address)
        except BadAddress as error:
            raise members.BadMember(f"{name[:40]}: {error}") from None
        for key in safe.owners.values():
            secp256k1.public(key)
        if not _NAME.fullmatch(name) or not assets:
            raise members.BadMember("a Safe has a name of small letters, digits and hyphens, and an asset")
        if not safe.threshold <= len(owners) <= OWNERS_MAX or 2 * safe.threshold <= len(owners):
            # As for every wallet: any two quorums share a signer, who remembers the nonce of what it signed.
            raise members.BadMember(f"{name}: the threshold is no majority of its owners")
        if len({safe.address, evm.ZERO_ADDRESS, *safe.contracts}) != len(safe.contracts) + 2:
            raise members.BadMember(f"{name}: two assets share a contract, or one is the Safe or nothing")
        return safe

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens that hold an owner's key."""
        return tuple(self.owners)

    @property
    def network(self) -> str:
        """The chain's name in intents."""
        return networks.evm(self.chain_id)

    @property
    def contracts(self) -> tuple[str, ...]:
        """The contracts of its ERC-20 assets."""
        return tuple(one.contract for one in self.assets.values() if one.contract)

    def key_of(self, token: str, index: int) -> bytes:
        """The compressed public key that this token holds; there is one."""
        return self.keys[index][self.tokens.index(token)]

    def share(self, limit: int) -> int:
        """What one of the Safe's signers lets through of a limit for all of them."""
        return lane.share(limit, threshold=self.threshold, tokens=len(self.owners))

    @property
    def accounts(self) -> tuple[str, ...]:
        """Under which names what leaves it is counted."""
        return tuple(self.account(asset) for asset in self.assets)

    def account(self, asset: str) -> str:
        """The name of one asset's count: units of two assets are never added up."""
        return f"{self.name}/{asset}"

    def caps(self, limits: Limits, asset: str) -> Limits:
        """The registry's limits with this asset's caps in them."""
        found, name = self.assets[asset], self.account(asset)
        payment, destination = found.payment_units_max, found.destination_units_max
        return replace(
            limits,
            window_units_max={name: found.window_units_max},
            payment_units_max={} if payment is None else {name: payment},
            destination_units_max={} if destination is None else {name: destination},
        )

    def slot(self, nonce: int) -> str:
        """What only one transaction can ever use."""
        return f"{self.network}:{self.address}#{nonce}"

    def transfer(self, asset: str, units: int, destination: str) -> tuple[str, int, bytes]:
        """The one call (to, value, data) that pays so much of this asset to an address."""
        contract = self.assets[asset].contract
        if not contract:
            return destination, units, b""
        return contract, 0, evm.transfer_call(destination, units)
