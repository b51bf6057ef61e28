"""Output scripts: our own P2WSH multisig, and the address <-> script of every standard kind, per network."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Final

from kernel import base58, bech32, secp256k1
from kernel.bech32 import BadAddress

KEYS_MAX: Final = 15  # OP_CHECKMULTISIG with small-number opcodes

_OP_1: Final = 0x51
_OP_CHECKMULTISIG: Final = 0xAE
_PREFIX: Final = {"mainnet": "bc", "testnet": "tb", "signet": "tb", "regtest": "bcrt"}
_BASE58_VERSIONS: Final = {"mainnet": (0x00, 0x05)}
_BASE58_VERSIONS_ELSEWHERE: Final = (0x6F, 0xC4)


class BadScript(ValueError):
    """No multisig of this shape exists."""


class UnknownNetwork(ValueError):
    """The name is no Bitcoin network."""


def sorted_multisig(threshold: int, keys: Sequence[bytes]) -> bytes:
    """The witness script of `sortedmulti(threshold, keys)`: compressed keys in the order of BIP 67."""
    return _sorted_multisig(threshold, tuple(keys))


@functools.lru_cache(maxsize=4096)
def _sorted_multisig(threshold: int, keys: tuple[bytes, ...]) -> bytes:
    if not 1 <= threshold <= len(keys) <= KEYS_MAX:
        raise BadScript(f"{threshold} of {len(keys)}")
    if len(set(keys)) != len(keys):
        raise BadScript("a key is repeated")
    for key in keys:
        secp256k1.public(key)
    pushes = b"".join(bytes([len(key)]) + key for key in sorted(keys))
    return bytes([_OP_1 - 1 + threshold]) + pushes + bytes([_OP_1 - 1 + len(keys), _OP_CHECKMULTISIG])


@functools.lru_cache(maxsize=4096)
def read_multisig(witness_script: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Threshold and keys of a script that `sorted_multisig` could have made; BadScript for any other."""
    if len(witness_script) < 3:
        raise BadScript("too short")
    threshold = witness_script[0] - _OP_1 + 1
    body = witness_script[1:-2]
    if len(body) % 34:
        raise BadScript("no multisig of compressed keys")
    keys = tuple(body[start + 1 : start + 34] for start in range(0, len(body), 34))
    if sorted_multisig(threshold, keys) != witness_script:
        raise BadScript("not in the one form of sortedmulti")
    return threshold, keys


def p2wsh(witness_script: bytes) -> bytes:
    """The output script that pays to a witness script."""
    return b"\x00\x20" + hashlib.sha256(witness_script).digest()


def address_of(output_script: bytes, network: str) -> str:
    """The address of a standard output script; BadAddress where it has none."""
    size = len(output_script)
    if (
        4 <= size <= 42
        and output_script[1] == size - 2
        and output_script[0] in (0, *range(_OP_1, _OP_1 + 16))
    ):
        version = output_script[0] - _OP_1 + 1 if output_script[0] else 0
        return bech32.encode(_prefix(network), version, output_script[2:])
    key_hash, script_hash = _versions(network)
    if size == 25 and output_script[:3] == b"\x76\xa9\x14" and output_script[23:] == b"\x88\xac":
        return base58.encode(bytes([key_hash]) + output_script[3:23])
    if size == 23 and output_script[:2] == b"\xa9\x14" and output_script[22:] == b"\x87":
        return base58.encode(bytes([script_hash]) + output_script[2:22])
    raise BadAddress("the script has no address")


def script_of(address: str, network: str) -> bytes:
    """The output script of an address of this network; BadAddress for another network's or a mistyped one."""
    prefix = _prefix(network)
    if address.lower().startswith(prefix + "1"):
        version, program = bech32.decode(prefix, address)
        return bytes([_OP_1 - 1 + version if version else 0, len(program)]) + program
    key_hash, script_hash = _versions(network)
    payload = base58.decode(address)
    if len(payload) == 21 and payload[0] == key_hash:
        return b"\x76\xa9\x14" + payload[1:] + b"\x88\xac"
    if len(payload) == 21 and payload[0] == script_hash:
        return b"\xa9\x14" + payload[1:] + b"\x87"
    raise BadAddress(f"not an address of {network}")


def _prefix(network: str) -> str:
    try:
        return _PREFIX[network]
    except KeyError:
        raise UnknownNetwork(network) from None


def _versions(network: str) -> tuple[int, int]:
    return _BASE58_VERSIONS.get(network, _BASE58_VERSIONS_ELSEWHERE)
