"""Whether somebody has an account of their own in an act. Triggers ask the same, of everybody."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from core.access.models import Identity, OwnAccount
from core.approvals.models import ApprovalRequest
from kernel import canonical


def in_request(request: ApprovalRequest, person: Identity) -> bool:
    """Whether the payload is about an account of this person's own."""
    return in_payload(canonical.decode_object(bytes(request.payload)), person)


def in_payload(members: Mapping[str, canonical.Value], person: Identity) -> bool:
    """The same, before there is a request. A freeze's release names the customer in the freeze's scope."""
    _, _, scoped = str(members.get("scope", "")).partition("customer:")
    try:
        customer = UUID(str(members.get("customer", scoped)))
    except ValueError:
        return False
    return OwnAccount.objects.filter(officer=person, customer_id=customer).exists()
