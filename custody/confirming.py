"""Which payments take a second look on each approver's offline decoder, by the signers' registry."""

from __future__ import annotations

from core.access.models import Identity
from core.approvals.models import ApprovalRequest
from custody.models import DecoderKey, PaymentPolicy
from kernel.intent import Intent


def decoder_key(request: ApprovalRequest, officer: Identity) -> bytes | None:
    """The key of the decoder that must confirm this officer's approval of a payment; None where none must.

    b"" where one must and the registry names none. Signers decide the same from their own file.
    """
    if not is_needed(request):
        return None
    found = DecoderKey.objects.filter(officer=officer.pk).values_list("public_key", flat=True).first()
    return bytes.fromhex(found or "")


def is_needed(request: ApprovalRequest) -> bool:
    """Whether the request pays more than may be approved by passkeys alone."""
    limit = PaymentPolicy.objects.filter(kind=request.kind).values_list("confirm_above", flat=True).first()
    return limit is not None and Intent.parse(bytes(request.payload)).amount.units > limit
