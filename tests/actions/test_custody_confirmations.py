"""An approval of much money …"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.approvals import assertions, queries
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.approvals.signed import Signed
from core.approvals.statements import statement
from custody.models import DecoderKey, PaymentPolicy
from kernel import confirmation
from kernel.approval import SignedApproval, Verb
from tests.officers import Officer
from tests.stockroom import Lend
from tests.treasury import Treasury

pytestmark = pytest.mark.django_db

SATS = 6_000_000
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2)]


def confirming(now: datetime) -> Treasury:
    """The registry asks for a confirmation of more than 0.059 BTC, and names Ben's and Cy's decoders."""
    treasury = Treasury.open(now)
    treasury.deposit(4 * SATS)
    PaymentPolicy.objects.filter(kind="custody.withdrawal").update(confirm_above=SATS - 1)
    for officer, key in zip((treasury.staff.ben, treasury.staff.cy), KEYS, strict=True):
        public = key.public_key().public_bytes_raw().hex()
        DecoderKey.objects.update_or_create(
            officer=officer.identity.pk, defaults={"public_key": public, "registry_version": 1}
        )
    return treasury


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(confirming, now)


def asked(treasury: Treasury, sats: int = SATS) -> ApprovalRequest:
    request = treasury.screened(sats=sats).request
    assert request is not None
    return request


def give(treasury: Treasury, request: ApprovalRequest, officer: Officer, signed: Signed) -> str:
    return submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=treasury.now).state


def confirmed(officer: Officer, request: ApprovalRequest, key: Ed25519PrivateKey, verb: str) -> Signed:
    said = statement(request, Verb(verb))
    return replace(officer.answer(request, verb), confirmation=key.sign(confirmation.message(said)))


def test_is_taken_with_each_officers_confirmation_only(treasury: Treasury) -> None:
    request, staff = asked(treasury), treasury.staff
    with pytest.raises(assertions.Unconfirmed):
        give(treasury, request, staff.ben, staff.ben.answer(request))
    with pytest.raises(assertions.BadConfirmation):
        give(treasury, request, staff.ben, confirmed(staff.ben, request, KEYS[1], "approve"))
    shown = confirmed(staff.ben, asked(treasury, SATS + 1), KEYS[0], "approve")
    mixed = replace(staff.ben.answer(request), confirmation=shown.confirmation)
    with pytest.raises(assertions.BadConfirmation):
        give(treasury, request, staff.ben, mixed)
    assert not request.signatures.exists()
    assert give(treasury, request, staff.ben, confirmed(staff.ben, request, KEYS[0], "approve")) == "open"
    assert give(treasury, request, staff.cy, confirmed(staff.cy, request, KEYS[1], "approve")) == "approved"
    travelling = [SignedApproval.from_json(one) for one in queries.signatures(request)]
    assert all(len(one.confirmation) == confirmation.SIGNATURE_BYTES for one in travelling)


def test_is_not_taken_from_an_officer_without_a_decoder(treasury: Treasury) -> None:
    DecoderKey.objects.filter(officer=treasury.staff.ben.identity.pk).delete()
    request, ben = asked(treasury), treasury.staff.ben
    with pytest.raises(assertions.Unconfirmed, match="names none of yours"):
        give(treasury, request, ben, confirmed(ben, request, KEYS[0], "approve"))


def test_is_rejected_without_one(treasury: Treasury) -> None:
    request, ben = asked(treasury), treasury.staff.ben
    assert give(treasury, request, ben, ben.answer(request, "reject", "too much")) == "rejected"


def test_up_to_the_limit_needs_none(treasury: Treasury) -> None:
    request, ben = asked(treasury, SATS - 1), treasury.staff.ben
    assert give(treasury, request, ben, ben.answer(request)) == "open"
