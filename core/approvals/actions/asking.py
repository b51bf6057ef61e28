"""The maker's own signature: that it was they who asked. Signers count nobody's answer without it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import audit
from core.access import rights
from core.action import action
from core.actor import Actor
from core.approvals import kinds, locks, moving
from core.approvals.actions.signatures import AnotherVerb, NotOpen, SignedAlready, stored
from core.approvals.assertions import verified
from core.approvals.domain.requests import State
from core.approvals.events import Event
from core.approvals.models import ApprovalRequest
from core.approvals.signed import Signed
from core.approvals.statements import statement
from core.refusals import NotAllowed
from kernel.approval import Verb


class NotTheMaker(NotAllowed):
    """Only whoever made a request says that they ask for it."""

    code = "approval.not_the_maker"


@action(Event.ASKED)
def submit_ask(*, request_id: UUID, signed: Signed, actor: Actor, now: datetime) -> ApprovalRequest:
    """Take the maker's signature; from now on others can answer. It counts toward no quorum.

    It is worth nothing without an assertion by the maker's own enrolled passkey over the verb ask and exactly
    this kind, deployment, nonce and payload, given on the approver's page.
    """
    row = locks.request(request_id)
    target = moving.target(row)
    officer = rights.officer_behind(actor)
    if officer is None or officer.pk != row.maker_id:
        raise NotTheMaker(
            "Nothing was recorded: somebody else made this request, so you would answer it.", target=target
        )
    if not kinds.named(row.kind).asks or signed.verb is not Verb.ASK:
        raise AnotherVerb("Nothing was recorded: nobody asks for this in that way.", target=target)
    if row.state != State.OPEN:
        raise NotOpen(f"Nothing was recorded: the request is {row.state}.", target=target)
    if row.signatures.filter(officer=officer).exists():
        raise SignedAlready("You have asked for this already.", target=target)
    credential = verified(statement(row, Verb.ASK), officer=officer, signed=signed, target=target)
    signature = stored(row, officer, credential, signed, now)
    audit.record(
        Event.ASKED,
        row,
        actor=actor,
        now=now,
        after={"digest": row.digest, "signature": signature.pk, "state": row.state},
    )
    moving.announce(row, now=now)
    return row
