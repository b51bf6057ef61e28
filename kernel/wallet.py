"""A multisig wallet as the registry pins it: its keys, its addresses, and what each signer lets through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kernel import lane, script


@dataclass(frozen=True, slots=True)
class Wallet:
    """A multisig wallet: `threshold` of `tokens`; address i is made of key i of each token."""

    name: str
    network: str
    threshold: int
    tokens: tuple[str, ...]
    keys: tuple[tuple[bytes, ...], ...]
    indexes: Mapping[bytes, int] = field(init=False, repr=False, compare=False)  # output script -> address

    def __post_init__(self) -> None:
        found = {self.output_script(index): index for index in range(len(self.keys))}
        object.__setattr__(self, "indexes", found)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Under which names what leaves it is counted."""
        return (self.name,)

    def witness_script(self, index: int) -> bytes:
        """The script of address `index`."""
        return script.sorted_multisig(self.threshold, self.keys[index])

    def output_script(self, index: int) -> bytes:
        """What an output to address `index` holds."""
        return script.p2wsh(self.witness_script(index))

    def address(self, index: int) -> str:
        """Address `index` as text."""
        return script.address_of(self.output_script(index), self.network)

    def key_of(self, token: str, index: int) -> bytes:
        """The compressed public key that this token holds for address `index`."""
        return self.keys[index][self.tokens.index(token)]

    def share(self, limit: int) -> int:
        """What one of the wallet's signers lets through of a limit for all of them."""
        return lane.share(limit, threshold=self.threshold, tokens=len(self.tokens))
