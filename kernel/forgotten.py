"""What is left of what was forgotten: enough to refuse it when it comes back, and nothing to count with.

Of a name eight bytes of its SHA-256 stay for good. So one that was there is always known, whatever comes with
it and whatever a clock says; one in 2**64 / n that never was there is taken for one of the n that were.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from kernel import canonical, members

_BYTES = 8


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The names in order, the largest number that was counted under each of other names, and up to when."""

    names: array[int] = field(default_factory=lambda: array("Q"))
    largest: Mapping[str, int] = field(default_factory=dict)
    until_ms: int = 0

    def __contains__(self, name: str) -> bool:
        """Whether it is one of the names."""
        place = bisect_left(self.names, wanted := _short(name))
        return place < len(self.names) and self.names[place] == wanted

    def more(self, names: Iterable[str], counts: Iterable[tuple[str, int]], *, until_ms: int) -> Forgotten:
        """With these as well."""
        largest = dict(self.largest)
        for name, count in counts:
            largest[name] = max(count, largest.get(name, 0))
        found = array("Q", sorted([*self.names, *map(_short, names)]))
        return Forgotten(found, largest, max(until_ms, self.until_ms))

    def as_json(self) -> dict[str, canonical.Value]:
        """As `read` takes it."""
        names = _in_network_order(self.names).tobytes().hex()
        return {"names": names, "largest": dict(self.largest), "until_ms": self.until_ms}

    @classmethod
    def read(cls, value: canonical.Value) -> Self:
        """The same again; BadMember or ValueError where it is none."""
        part = members.an_object(value)
        largest = members.an_object(part["largest"])
        names = array("Q", bytes.fromhex(members.text(part, "names")) if part["names"] else b"")
        counts = {name: members.whole(largest, name) for name in largest}
        return cls(_in_network_order(names), counts, members.whole(part, "until_ms"))


def _in_network_order(names: array[int]) -> array[int]:
    """From the order of bytes that this machine has to the one of the network, or back."""
    turned = names[:]
    if sys.byteorder == "little":
        turned.byteswap()
    return turned


def _short(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:_BYTES], "big")
