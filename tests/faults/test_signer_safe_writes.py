"""The signers of a Safe …"""

from __future__ import annotations

from pathlib import Path

import pytest

from custody.signer.refusals import Refused
from kernel import canonical
from kernel.safe import SafeTransaction
from tests.safe_payments import CHAIN_ID, ETHER, TOM, message, on_soft_tokens, payment
from tests.softtoken import Desk, SoftToken, hot_registry
from tests.vault import Message


@pytest.mark.parametrize("fails", ["write", "sign_for_evm"])
def test_have_it_on_disk_and_token_before_a_key_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """Else a signature could be out of which they remember nothing, and another nonce be signed as well."""
    about = on_soft_tokens(window_units_max=str(50 * ETHER))
    limits = {"window_units_max": {}}
    desk = Desk(
        tmp_path, registry=hot_registry(wallets={}, policies={}, safes={"vault": about}, limits=limits)
    )
    intent = payment(expires=desk.in_hours(1))
    safe = desk.registry.safes["vault"]

    def asked(nonce: int) -> Message:
        call = safe.transfer("ETH", ETHER, TOM)
        return message(intent, SafeTransaction(CHAIN_ID, safe.address, *call, nonce, base_gas=intent.mark))

    def broken(*_: object) -> None:
        pin = canonical.decode_object(desk.token.anchor or b"{}")
        at_token.append(pin["n"] == desk.journal.weighty[-1].number)
        raise Refused("SIGNER_TOKEN_FAILED", "on purpose")

    at_token: list[bool] = []
    with monkeypatch.context() as patch:
        patch.setattr(SoftToken, fails, broken)
        assert desk.code(asked(1)) == "SIGNER_TOKEN_FAILED"
    assert at_token == [fails == "sign_for_evm"]
    assert [desk.restart().code(asked(nonce)) for nonce in (2, 1)] == ["SIGNER_REPLAY", "signed_safe"]
