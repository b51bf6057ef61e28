"""Keccak-256 as Ethereum uses it: the sponge of SHA-3 with the padding from before it became a standard.

hashlib's `sha3_256` pads otherwise, so it gives other digests. The permutation is Keccak-f[1600] of FIPS 202;
with that standard's padding it must agree with hashlib, which a test holds it to.
"""

from __future__ import annotations

from typing import Final

RATE_BYTES: Final = 136
DIGEST_BYTES: Final = 32
KECCAK_PADDING: Final = 0x01
"""The first byte behind the message; FIPS 202 has 0x06 there."""

_MASK: Final = 2**64 - 1


def _constants() -> tuple[tuple[int, ...], tuple[tuple[int, int, int], ...]]:
    """The rounds' constants (FIPS 202, 3.2.5), and the path of rho and pi: from lane, to lane, rotation."""
    rounds, register = [], 1
    for _ in range(24):
        constant = 0
        for exponent in range(7):
            if register & 1:
                constant |= 1 << (1 << exponent) - 1
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        rounds.append(constant)
    path, x, y = [(0, 0, 0)], 1, 0
    for step in range(24):
        path.append((x + 5 * y, y + 5 * ((2 * x + 3 * y) % 5), (step + 1) * (step + 2) // 2 % 64))
        x, y = y, (2 * x + 3 * y) % 5
    return tuple(rounds), tuple(path)


_ROUNDS, _PATH = _constants()


def keccak256(data: bytes, *, padding: int = KECCAK_PADDING) -> bytes:
    """The 32 bytes of Keccak-256. Fit for a handful of short messages: a permutation takes 0.3 ms here."""
    padded = bytearray(data) + bytes(RATE_BYTES - len(data) % RATE_BYTES)
    padded[len(data)] ^= padding
    padded[-1] ^= 0x80
    state = [0] * 25
    for start in range(0, len(padded), RATE_BYTES):
        for lane in range(RATE_BYTES // 8):
            state[lane] ^= int.from_bytes(padded[start + 8 * lane : start + 8 * lane + 8], "little")
        state = _permuted(state)
    return b"".join(lane.to_bytes(8, "little") for lane in state[: DIGEST_BYTES // 8])


def _permuted(state: list[int]) -> list[int]:
    """Keccak-f[1600]; lane (x, y) stands at x + 5 y."""
    for constant in _ROUNDS:
        columns = [state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20] for x in range(5)]
        mixed = [columns[x - 1] ^ _rotated(columns[(x + 1) % 5], 1) for x in range(5)]
        moved = [0] * 25
        for source, target, by in _PATH:
            moved[target] = _rotated(state[source] ^ mixed[source % 5], by)
        state = [
            moved[at] ^ (~moved[at - at % 5 + (at + 1) % 5] & moved[at - at % 5 + (at + 2) % 5] & _MASK)
            for at in range(25)
        ]
        state[0] ^= constant
    return state


def _rotated(lane: int, by: int) -> int:
    return (lane << by | lane >> 64 - by) & _MASK
