"""An EVM chain for tests, in this process (revm), with Safe 1.4.1 and an ERC-20 as they were published."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import pyrevm

from kernel import evm
from kernel.keccak import keccak256
from kernel.safe import SafeTransaction
from tests.vectors import load

CHAIN_ID: Final = 31_337
RELAYER: Final = evm.address(b"\x52" * 20)
"""Whoever pays the gas; nobody trusts them."""
CODE: Final = load("safe")


class Reverted(Exception):
    """The chain did nothing; the contract's reason."""


class Chain:
    """One chain; every call that is not a view changes it."""

    def __init__(self) -> None:
        config = pyrevm.CfgEnv(chain_id=CHAIN_ID)
        self._evm = pyrevm.EVM(env=pyrevm.Env(cfg=config), spec_id="SHANGHAI")
        self._evm.set_balance(RELAYER, 10**24)
        self._singleton = self._deploy(CODE["safe"])

    def safe(self, owners: Sequence[str], threshold: int, *, wei: int) -> str:
        """A new Safe of these owners that holds so much; its address."""
        found = self._deploy(CODE["proxy"], evm.address_word(self._singleton))
        self._send(
            found,
            "setup(address[],uint256,address,bytes,address,address,uint256,address)",
            *(_FIRST, evm.word(threshold), _NOBODY, _SECOND, _NOBODY, _NOBODY, evm.word(0), _NOBODY),
            tails=[b"".join(map(evm.address_word, owners)), b""],
            counts=[len(owners), 0],
        )
        self._evm.set_balance(found, wei)
        return found

    def erc20(self, holder: str, units: int) -> str:
        """A new token contract, all of whose units one address has."""
        words: list[bytes | int] = [_FIRST, _SECOND, evm.word(units), evm.address_word(holder)]
        return self._deploy(CODE["erc20"], _encoded(words, [b"Tether USD", b"USDT"], [10, 4]))

    def execute(self, transaction: SafeTransaction, signatures: Sequence[bytes]) -> None:
        """Let the Safe do what its owners signed, in the order that it asks for; Reverted with its code."""
        numbers = (transaction.safe_tx_gas, transaction.base_gas, transaction.gas_price)
        done = self._send(
            transaction.safe,
            "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
            *(evm.address_word(transaction.to), evm.word(transaction.value), _FIRST),
            *(evm.word(transaction.operation), *map(evm.word, numbers)),
            *(evm.address_word(transaction.gas_token), evm.address_word(transaction.refund_receiver)),
            _SECOND,
            tails=[transaction.data, b"".join(signatures)],
        )
        assert int.from_bytes(done, "big") == 1

    def digest(self, transaction: SafeTransaction) -> bytes:
        """What the contract says that owners sign."""
        return self._send(
            transaction.safe,
            "getTransactionHash(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,uint256)",
            *(evm.address_word(transaction.to), evm.word(transaction.value), _FIRST),
            *(evm.word(transaction.operation), evm.word(transaction.safe_tx_gas)),
            *(evm.word(transaction.base_gas), evm.word(transaction.gas_price)),
            *(evm.address_word(transaction.gas_token), evm.address_word(transaction.refund_receiver)),
            evm.word(transaction.nonce),
            tails=[transaction.data],
        )

    def nonce(self, safe: str) -> int:
        """The nonce that the Safe takes next."""
        return int.from_bytes(self._send(safe, "nonce()"), "big")

    def wei(self, address: str) -> int:
        """What an address has of the chain's own coin."""
        return self._evm.get_balance(address)

    def units(self, contract: str, address: str) -> int:
        """What an address has of an ERC-20."""
        return int.from_bytes(self._send(contract, "balanceOf(address)", evm.address_word(address)), "big")

    def _deploy(self, code: str, arguments: bytes = b"") -> str:
        made = self._evm.deploy(RELAYER, bytes.fromhex(code) + arguments)
        return evm.address(bytes.fromhex(made[2:]))

    def _send(
        self,
        to: str,
        call: str,
        *words: bytes | int,
        tails: Sequence[bytes] = (),
        counts: Sequence[int] = (),
    ) -> bytes:
        data = keccak256(call.encode())[:4] + _encoded(words, tails, counts)
        try:
            return bytes(self._evm.message_call(RELAYER, to, calldata=data))
        except RuntimeError as error:
            said = re.search(r"output: 0x([0-9a-f]*)", str(error))
            raise Reverted(bytes.fromhex(said[1])[68:].rstrip(b"\x00").decode() if said else "") from None


_NOBODY: Final = evm.address_word(evm.ZERO_ADDRESS)


_FIRST, _SECOND = 0, 1


def _encoded(words: Sequence[bytes | int], tails: Sequence[bytes], counts: Sequence[int] = ()) -> bytes:
    """ABI: the head's words, where a number stands for the place of the tail of that number; then each tail
    behind its length (in bytes, unless counted otherwise)."""
    places, body = [], b""
    for place, tail in enumerate(tails):
        places.append(len(words) * evm.WORD_BYTES + len(body))
        length = counts[place] if counts else len(tail)
        body += evm.word(length) + tail + bytes(-len(tail) % evm.WORD_BYTES)
    return b"".join(evm.word(places[each]) if isinstance(each, int) else each for each in words) + body
