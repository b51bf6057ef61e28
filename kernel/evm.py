"""EVM chains: addresses in their one spelling (EIP-55), and the call that moves an ERC-20."""

from __future__ import annotations

import re
from typing import Final

from kernel import secp256k1
from kernel.bech32 import BadAddress
from kernel.keccak import keccak256

NATIVE: Final = "ETH"
NATIVE_DECIMALS: Final = 18
ZERO_ADDRESS: Final = "0x" + "0" * 40
WORD_BYTES: Final = 32

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_TRANSFER: Final = keccak256(b"transfer(address,uint256)")[:4]


def address(raw: bytes) -> str:
    """The text of an address of 20 bytes, its letters' case being the checksum of EIP-55."""
    if len(raw) != 20:
        raise BadAddress("an address is 20 bytes")
    digits = raw.hex()
    checks = keccak256(digits.encode()).hex()
    pairs = zip(digits, checks[:40], strict=True)
    return "0x" + "".join(digit.upper() if check >= "8" else digit for digit, check in pairs)


def raw_address(text: str) -> bytes:
    """The 20 bytes of an address; BadAddress where it has another spelling than `address` gives.

    Limits count per destination, so each has one spelling; a wrong letter or a wrong case is a wrong address.
    """
    if not _ADDRESS.fullmatch(text):
        raise BadAddress("an address is 0x and 40 hex digits")
    raw = bytes.fromhex(text[2:])
    if address(raw) != text:
        raise BadAddress("the letters' case is not the address's checksum (EIP-55)")
    return raw


def address_of(key: bytes) -> str:
    """The address of a compressed public key."""
    return address(keccak256(secp256k1.uncompressed(key)[1:])[-20:])


def word(number: int) -> bytes:
    """A number as the 32 bytes of an EVM word."""
    return number.to_bytes(WORD_BYTES, "big")


def address_word(text: str) -> bytes:
    """An address as the 32 bytes of an EVM word."""
    return raw_address(text).rjust(WORD_BYTES, b"\x00")


def transfer_call(destination: str, units: int) -> bytes:
    """The 68 bytes that make an ERC-20 contract move so many units to an address."""
    return _TRANSFER + address_word(destination) + word(units)
