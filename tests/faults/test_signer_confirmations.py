"""Above the limit at which each approval is confirmed on an offline decoder, a signer …"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernel.money import Amount
from tests.messages import withdrawal
from tests.softtoken import Desk, hot_registry
from tests.vault import BEN, CY, DECODERS, DOT, registry_document

LIMIT = 25_000_000
BOTH = {officer: DECODERS[officer] for officer in (BEN, CY)}


def desk_with(tmp_path: Path, **policy: Any) -> Desk:
    policies = registry_document({})["policies"]
    withdrawals = {**policies["custody.withdrawal"], "confirm_above": str(LIMIT), **policy}
    return Desk(tmp_path / "state", registry=hot_registry(policies={"custody.withdrawal": withdrawals}))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_with(tmp_path)


def spend(desk: Desk, units: int = LIMIT + 1, **how: Any) -> str:
    return desk.spend(intent=withdrawal(amount=Amount(units, "BTC"), expires=desk.in_hours(1)), **how)


def test_asks_for_none_up_to_it(desk: Desk) -> None:
    assert spend(desk, LIMIT) == "signed"


def test_signs_what_every_approver_read_twice(desk: Desk) -> None:
    assert spend(desk) == "SIGNER_UNCONFIRMED"
    assert spend(desk, confirmed={BEN: DECODERS[BEN]}) == "SIGNER_UNCONFIRMED"
    assert spend(desk, confirmed=BOTH) == "signed"


def test_takes_no_other_decoders_word(desk: Desk) -> None:
    assert spend(desk, confirmed={BEN: DECODERS[BEN], CY: DECODERS[BEN]}) == "SIGNER_CONFIRMATION_WRONG"
    assert spend(desk, confirmed={BEN: DECODERS[DOT], CY: DECODERS[CY]}) == "SIGNER_CONFIRMATION_WRONG"


def test_finds_out_that_the_page_showed_one_thing_and_signed_another(desk: Desk) -> None:
    """The approver's host is taken over: it draws the payload that officers expect, and signs its own."""
    expected = withdrawal(amount=Amount(LIMIT + 1, "BTC"), expires=desk.in_hours(1)).encoded()
    assert spend(desk, 4 * LIMIT, confirmed=BOTH, seen=expected) == "SIGNER_CONFIRMATION_WRONG"


def test_looks_at_a_confirmation_wherever_one_is_given(desk: Desk) -> None:
    assert spend(desk, LIMIT, confirmed=BOTH) == "signed"
    assert spend(desk, LIMIT, confirmed={CY: DECODERS[DOT]}) == "SIGNER_CONFIRMATION_WRONG"


def test_signs_nothing_that_officers_without_a_decoder_approved(tmp_path: Path) -> None:
    officers = registry_document({})["officers"]
    del officers[CY]["decoder_key"]
    policies = registry_document({})["policies"]
    withdrawals = {**policies["custody.withdrawal"], "confirm_above": str(LIMIT)}
    registry = hot_registry(policies={"custody.withdrawal": withdrawals}, officers=officers)
    assert spend(Desk(tmp_path / "state", registry=registry), confirmed=BOTH) == "SIGNER_UNCONFIRMED"
