"""Networks by name: Bitcoin's as they are (`mainnet`, `regtest`), EVM chains by CAIP-2 (`eip155:1`)."""

from __future__ import annotations

import re
from typing import Final

_EVM = re.compile(r"eip155:([1-9][0-9]{0,15})")
_CHAINS: Final = {1: "Ethereum", 11155111: "Sepolia (a test network)"}


def evm(chain_id: int) -> str:
    """An EVM chain's name in intents."""
    return f"eip155:{chain_id}"


def spoken(network: str) -> str:
    """A network for people, as the approver page says it: an EVM chain with its name and its number."""
    found = _EVM.fullmatch(network)
    if found is None:
        return network
    number = int(found[1])
    return f"{_CHAINS.get(number, 'an EVM chain')}, chain {number}"
