"""What the factors app writes into the audit log and announces."""

from __future__ import annotations

from enum import StrEnum

from core import outbox


class Event(StrEnum):
    """The life of an authenticator, a passkey made for the approver host, and each ceremony: challenged, then
    accepted or refused.
    """

    STAFF_FOUNDED = "factors.staff.founded"
    BEGUN = "factors.factor.begun"
    PROPOSED = "factors.factor.proposed"
    ADDED = "factors.factor.added"
    DROPPED = "factors.factor.dropped"
    ENDED = "factors.factor.ended"
    INVITED = "factors.signing.invited"
    REGISTERED = "factors.signing.registered"
    CHALLENGED = "factors.ceremony.challenged"
    ACCEPTED = "factors.ceremony.accepted"
    GLASS_ASKED = "factors.glass.asked"
    GLASS_OPENED = "factors.glass.opened"
    GLASS_ENDED = "factors.glass.ended"
    ALERT_HANDED_OVER = "factors.alert.handed_over"
    REFUSED = "factors.ceremony.refused"


@outbox.message("factors.changed")
class FactorsChanged:
    """Somebody's authenticators are other than before; they are told, so that nobody gains one in silence."""

    identity: str
    factor: str
    what: str


@outbox.message("factors.officer_alerted")
class OfficerAlerted:
    """One officer is told that an emergency was asked for, began or is over. Each active officer gets one."""

    identity: str
    glass: str
    what: str


@outbox.message("factors.glass_alerted")
class GlassAlerted:
    """The same, once, for whoever watches from outside."""

    glass: str
    what: str


@outbox.message("factors.officer_told")
class OfficerTold:
    """One officer is told of something that another app noticed; `notice` names it for good."""

    identity: str
    notice: str
    subject: str
    text: str


@outbox.message("factors.outside_told")
class OutsideTold:
    """The same, once, for whoever watches from outside."""

    notice: str
    subject: str
    text: str
    at: str
