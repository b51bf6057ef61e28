"""Customers' signed statements: taken once they hold, and what each signer said to them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from core import audit, freezes, outbox
from core.action import action
from core.actor import Actor
from core.freezes.domain import scopes
from core.refusals import NotAllowed, Refused
from custody import locks, queries
from custody.domain import beneficiaries, statements
from custody.domain.journals import Known
from custody.events import Event, StatementTaken
from custody.models import Address, Beneficiary, CustomerStatement, Lane, StatementAnswer
from customers.models import Customer
from customers.queries import check_confirmed
from kernel import customer as said_by
from kernel import script
from kernel.bech32 import BadAddress
from kernel.canonical import digest
from kernel.customer import BadCustomerStatement, BeneficiaryStatement, KeyStatement

NAMED_MAX: Final = 500
"""Statements that one event names: each signer's whole memory may be gone at once."""


class BadStatement(Refused):
    """The statement is not one, not about this deployment, or not signed by the customer's key."""

    code = "statement.bad"
    status = 422


class NoKey(Refused):
    """No key of this customer is known, so nothing can be signed with it."""

    code = "statement.no_key"


class Outdated(Refused):
    """The customer has said something newer about this destination."""

    code = "statement.outdated"


class TooManyStatements(Refused):
    """The customer has said as much as anybody may in a day."""

    code = "statement.too_many"


@action(Event.STATEMENT_TAKEN)
def take_statement(
    *,
    customer_id: UUID,
    payload: bytes,
    proof: Mapping[str, Any],
    label: str,
    confirmed: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> CustomerStatement:
    """A statement that the customer's key signed, stored whole; a worker brings it to every signer.

    The same bytes again change nothing. A key or a destination needs that a code of the customer's second
    factor came with it (`confirmed`), so whoever has an API key alone names neither. A removal ends the lane
    for its destination with this very action; everything else begins a cooling-off, in each signer by its
    own clock.
    """
    with _named(f"customers.customer/{customer_id}"):
        if actor.kind != "customer" or actor.identity != customer_id:
            raise NotAllowed("Only the customer says this of themselves.")
        locks.customer_withdrawals(customer_id)
        known = CustomerStatement.objects.filter(customer_id=customer_id, payload=payload).first()
        if known is not None:
            return known
        customer = Customer.objects.select_related("identity").get(pk=customer_id)
        if not customer.identity.is_active:
            raise NotAllowed("Nothing was taken: this account is suspended.")
        said = _verified(payload, proof, customer_id, now=now)
        if isinstance(said, KeyStatement):
            kind, subject = said_by.CUSTOMER_KEY, said.key.public_key.hex()
        else:
            kind = said_by.REMOVAL if said.removed else said_by.BENEFICIARY
            subject = said.destination
            _check_order(customer_id, said)
        if kind != said_by.REMOVAL:
            freezes.check(scopes.TRADER_API, scopes.customer(customer_id))
            queries.check_held(customer_id, now=now, undone="Nothing was taken")
            check_confirmed(customer_id, confirmed, undone="Nothing was taken", is_required=True)
            _check_count(customer_id, now=now)
        if kind == said_by.BENEFICIARY:
            _enter_in_address_book(customer, subject, label, now=now)
    row = CustomerStatement.objects.create(
        customer=customer,
        kind=kind,
        subject=subject,
        payload=payload,
        proof=dict(proof),
        said_at=said.time,
        received_at=now,
    )
    audit.record(
        Event.STATEMENT_TAKEN,
        row,
        actor=actor,
        now=now,
        after={"kind": kind, "subject": subject, "digest": digest(payload), "customer": customer_id},
    )
    outbox.publish(StatementTaken(statement=row.pk), now=now)
    return row


@action(Event.STATEMENT_ANSWERED)
def report_learnt(
    *,
    statement_id: UUID,
    token: str,
    code: str,
    detail: str,
    alert: str,
    actor: Actor,
    now: datetime,
) -> StatementAnswer:
    """What a signer said to a statement; an empty code means that it has learnt it, for good.

    Where that was noted under a clock that was ahead, it is noted anew, as of now: the lane's cooling-off
    would last until that moment, and begins here instead.
    """
    row = queries.statement(statement_id)
    answer, made = StatementAnswer.objects.select_for_update(no_key=True).get_or_create(
        statement=row,
        token=token,
        defaults={"code": code[:64], "detail": detail[:400], "alert": alert[:64], "answered_at": now},
    )
    before = None if made else answer.code
    if not made:
        if not before:
            if answer.answered_at <= now + statements.CLOCKS_APART_MAX:
                return answer
            code, detail, alert = "", "", answer.alert
        if before == statements.FORGOTTEN and code:
            code, detail = before, f"{code} {detail}"  # it is brought until the signer knows it again
        answer.code, answer.detail, answer.alert = code[:64], detail[:400], alert[:64]
        answer.answered_at = now
        answer.save(update_fields=["code", "detail", "alert", "answered_at"])
    audit.record(
        Event.STATEMENT_ANSWERED,
        row,
        actor=actor,
        now=now,
        before=None if before is None else {"code": before},
        after={"token": token, "code": code, "alert": alert, "customer": row.customer_id},
        reason=detail,
    )
    return answer


@action(Event.STATEMENTS_FORGOTTEN)
def report_forgotten(*, token: str, customer_id: UUID, destination: str, actor: Actor, now: datetime) -> int:
    """That a signer does not know this customer, or the destination unless it is empty; returns how many
    statements it is taught again.

    Where it had learnt them, it was reopened with a lost memory, and everything that it knew is brought
    once more: its cooling-off begins anew, there and in our reckoning. What customers have replaced since is
    not. Where it never learnt them, or the customer removed the destination, nothing changes.
    """
    key = queries.key_statement(customer_id)
    about = queries.newest_about(customer_id, destination) if destination else key
    if key is None or about is None or about.kind == said_by.REMOVAL:
        return 0
    learnt = _learnt(token)
    if learnt.filter(statement__in={key.pk, about.pk}).count() < len({key.pk, about.pk}):
        return 0
    why = f"asked about {destination or 'its key'} of this customer, it says that it never learnt of it"
    about_it = {"customer": customer_id, "destination": destination}
    return _forget(token, learnt, about=about_it, reason=why, actor=actor, now=now)


@action(Event.STATEMENTS_FORGOTTEN)
def report_memory(*, token: str, known: Collection[Known], actor: Actor, now: datetime) -> int:
    """What a signer's journal, read from its first line, says that it knows; returns how many statements it
    is taught again, because it had learnt them once.
    """
    rows = _current(_learnt(token)).values_list(
        "pk", "statement__customer", "statement__kind", "statement__subject"
    )
    gone = [pk for pk, customer, kind, subject in rows if (str(customer), kind, subject) not in known]
    if not gone:
        return 0
    why = "its journal, read from the first line, does not hold what it had learnt"
    return _forget(token, _learnt(token).filter(pk__in=gone), about={}, reason=why, actor=actor, now=now)


def _learnt(token: str) -> QuerySet[StatementAnswer]:
    return StatementAnswer.objects.filter(token=token, code="")


def _current(answers: QuerySet[StatementAnswer]) -> QuerySet[StatementAnswer]:
    """Without what was said under a key that the customer has replaced since."""
    newer = CustomerStatement.objects.filter(
        customer=OuterRef("statement__customer"),
        kind=said_by.CUSTOMER_KEY,
        received_at__gt=OuterRef("statement__received_at"),
    )
    return answers.exclude(Exists(newer))


def _forget(
    token: str,
    answers: QuerySet[StatementAnswer],
    *,
    about: Mapping[str, Any],
    reason: str,
    actor: Actor,
    now: datetime,
) -> int:
    """The event names what is taught again as far as it has room, and how much there is."""
    rows = _current(answers)
    named = list(rows.order_by("statement").values_list("statement", flat=True)[:NAMED_MAX])
    count = rows.update(code=statements.FORGOTTEN, detail="", answered_at=now)
    audit.record(
        Event.STATEMENTS_FORGOTTEN,
        f"custody.signer/{token}",
        actor=actor,
        now=now,
        before={"code": "", "statements": named},
        after={"token": token, "code": statements.FORGOTTEN, "statements": count, **about},
        reason=reason,
    )
    return count


@contextmanager
def _named(target: str) -> Iterator[None]:
    """Whatever is refused in it is on record under this name."""
    try:
        yield
    except Refused as refusal:
        refusal.target = refusal.target or target
        raise


def _verified(
    payload: bytes, proof: Mapping[str, Any], customer_id: UUID, *, now: datetime
) -> KeyStatement | BeneficiaryStatement:
    lane = Lane.objects.first()
    site = None if lane is None else lane.site
    try:
        said = said_by.parse(payload)
        statements.check_time(said.time, now=now)
        if (said.deployment, said.customer) != (settings.DEPLOYMENT, customer_id):
            raise BadStatement(
                f"Nothing was taken: a statement to us names the deployment {settings.DEPLOYMENT} and the "
                f"customer {customer_id}."
            )
        key = said.key if isinstance(said, KeyStatement) else _key_of(customer_id)
        key.check(payload, dict(proof), site=site)
    except (BadCustomerStatement, statements.OutOfTime) as error:
        raise BadStatement(f"Nothing was taken: {error}.") from error
    if isinstance(said, BeneficiaryStatement):
        _check_destination(said)
    return said


def _key_of(customer_id: UUID) -> said_by.Key:
    row = queries.key_statement(customer_id)
    if row is None:
        raise NoKey("Nothing was taken: first say which key is yours (a custody.customer_key statement).")
    return queries.key_in(row)


def _check_destination(said: BeneficiaryStatement) -> None:
    if said.network != settings.NETWORK or said.asset != "BTC":
        raise BadStatement(f"Nothing was taken: destinations are of BTC on {settings.NETWORK}.")
    try:
        output = script.script_of(said.destination, settings.NETWORK)
    except BadAddress as error:
        raise BadStatement(f"Nothing was taken: this is no address on {settings.NETWORK}.") from error
    if script.address_of(output, settings.NETWORK) != said.destination:
        raise BadStatement("Nothing was taken: the address is not in its usual spelling.")
    if Address.objects.filter(script=output.hex()).exists():
        raise BadStatement("Nothing was taken: this address is one of ours.")


def _check_order(customer_id: UUID, said: BeneficiaryStatement) -> None:
    """Words about one destination come in the order in which they were signed, and say something new."""
    before = queries.newest_about(customer_id, said.destination)
    if said.removed and (before is None or before.kind == said_by.REMOVAL):
        raise Outdated("Nothing was changed: this destination is none that you have named.")
    if not said.removed and before is not None and before.kind == said_by.BENEFICIARY:
        raise Outdated("Nothing was changed: you have named this destination before, and its age counts.")
    if before is not None and said.time <= before.said_at:
        raise Outdated("Nothing was changed: you have signed something newer about this destination.")


def _check_count(customer_id: UUID, *, now: datetime) -> None:
    recent = CustomerStatement.objects.filter(
        customer_id=customer_id, received_at__gt=now - statements.GOOD_FOR
    ).exclude(kind=said_by.REMOVAL)
    if recent.count() >= statements.PER_DAY_MAX:
        raise TooManyStatements(
            f"Nothing was taken: {statements.PER_DAY_MAX} keys and destinations a day are the most. "
            "Go on tomorrow."
        )


def _enter_in_address_book(customer: Customer, destination: str, label: str, *, now: datetime) -> None:
    try:
        name = beneficiaries.label(label)
    except beneficiaries.BadLabel as error:
        raise BadStatement(f"Nothing was taken: {error}.") from error
    Beneficiary.objects.get_or_create(
        customer=customer,
        asset="BTC",
        address=destination,
        defaults={"label": name, "added_at": now},
    )
