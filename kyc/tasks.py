"""Where providers and actions meet: ask outside any transaction, then report by an action.

Each function may run again after a crash; a failure is raised, so that the outbox tries again later.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from celery import current_app, shared_task, signature
from django.conf import settings

from core import clock, deployment
from core.actor import system
from kyc import actions, queries
from kyc.adapters import providers
from kyc.adapters.wire import ProviderError, Unavailable, Unknown
from kyc.domain import onfido, sumsub
from kyc.domain.answers import Answer
from kyc.domain.deliveries import Meaning, Notice, from_onfido, from_sumsub
from kyc.models import Provider, ProviderApplicant

log = logging.getLogger(__name__)

T = TypeVar("T")

TOKEN_TTL_S: Final = 1800
TOKEN_MARGIN: Final = timedelta(seconds=60)
READER: Final = system("kyc-reader")
ERASER: Final = system("eraser")


class ErasureWaits(Exception):
    """Something forbids an approved erasure now; the outbox asks again."""


def classify(delivery_id: UUID, *, now: datetime) -> None:
    """Say what a delivery asks for; a check is asked of the provider whose it is."""
    found = queries.delivered(delivery_id, actor=READER, now=now)
    if found is None:
        return
    provider, raw = found
    if provider == Provider.SUMSUB:
        notice = from_sumsub(raw, accepts_sandbox=accepts_sandbox(provider))
    else:
        notice = _with_applicant(from_onfido(raw))
    applicant_id = queries.applicant_named(provider, notice)
    actions.classify_delivery(
        delivery_id=delivery_id, notice=notice, applicant_id=applicant_id, raw=raw, actor=READER, now=now
    )
    if notice.meaning is Meaning.POISON:
        log.error("%s signed a delivery that cannot be used: %s (%s)", provider, notice.why, delivery_id)


def erase(erasure_id: UUID, *, now: datetime) -> None:
    """Carry an approved erasure out. While something is in the way it is asked again, until its approval
    ends; meanwhile nothing is tried, and so nothing refused on record.
    """
    if found := queries.erasure_waits(erasure_id, now=now):
        raise ErasureWaits(f"erasure {erasure_id}: {'; '.join(found)}")
    actions.carry_out_erasure(erasure_id=erasure_id, actor=ERASER, now=now)


def prepare(applicant_id: UUID, level: str, *, now: datetime) -> None:
    """Make sure the provider knows the applicant at the level, and keep a token for its SDK."""
    row = queries.applicant(applicant_id)
    with providers.client(row.provider) as client:
        found = _ask(
            row,
            now,
            lambda: client.ensure_applicant(
                external_user_id=row.external_user_id,
                applicant_id=row.applicant_id,
                level=level,
                name=row.profile.customer.display_name,
            ),
        )
        if found is None:
            return
        actions.note_applicant(
            applicant_id=row.pk, provider_applicant_id=found, level=level, actor=READER, now=now
        )
        token = _ask(
            row,
            now,
            lambda: client.sdk_token(
                external_user_id=row.external_user_id, applicant_id=found, level=level, ttl_s=TOKEN_TTL_S
            ),
        )
    if token is None:
        return
    until = now + timedelta(seconds=TOKEN_TTL_S) - TOKEN_MARGIN
    actions.keep_token(applicant_id=row.pk, level=level, token=token, until=until, actor=READER, now=now)


def request_check(applicant_id: UUID, level: str, *, now: datetime) -> None:
    """Have Onfido check what the customer handed in, then look at how it stands."""
    row = queries.applicant(applicant_id)
    with providers.onfido() as client:
        _ask(row, now, lambda: client.ensure_check(applicant_id=row.applicant_id, level=level))
    actions.want_read(applicant_id=row.pk, why="check requested", actor=READER, now=now)


def synchronise(applicant_id: UUID, *, now: datetime) -> None:
    """Read the provider's answer and apply it, if a read is still owed."""
    row = queries.applicant(applicant_id)
    if row.requested_seq <= row.applied_seq:
        return
    if row.provider == Provider.ONFIDO and not row.applicant_id:
        raise Unavailable("the applicant is not yet known there")
    with providers.client(row.provider) as client:
        document = _ask(
            row,
            now,
            lambda: client.read(external_user_id=row.external_user_id, applicant_id=row.applicant_id),
        )
    if document is None:
        return
    actions.apply_snapshot(
        applicant_id=row.pk,
        seq=row.requested_seq,
        started_at=now,
        answer=answer(row.provider, document),
        body=json.dumps(document, sort_keys=True).encode(),
        accepts_sandbox=accepts_sandbox(row.provider),
        actor=READER,
        now=now,
    )


@shared_task(name="kyc.reconcile", ignore_result=True)
def reconcile() -> None:
    """Every 15 minutes: read whatever a lost webhook may have left behind."""
    now = clock.now()
    for applicant_id in queries.to_reconcile(now=now):
        actions.want_read(applicant_id=applicant_id, why="regular comparison", actor=READER, now=now)


@shared_task(name="kyc.expire", ignore_result=True)
def expire() -> None:
    """Every hour: end approvals whose time is over."""
    now = clock.now()
    for verification_id in queries.to_expire(now=now):
        actions.expire_verification(verification_id=verification_id, actor=READER, now=now)


current_app.add_periodic_task(900.0, signature("kyc.reconcile"), name="kyc.reconcile")
current_app.add_periodic_task(3600.0, signature("kyc.expire"), name="kyc.expire")


def answer(provider: str, document: object) -> Answer:
    """The provider's document in our words."""
    return onfido.read(document) if provider == Provider.ONFIDO else sumsub.read(document)


def accepts_sandbox(provider: str) -> bool:
    """Whether this deployment works against the provider's sandbox; a production deployment never does."""
    is_sandbox = provider == Provider.SUMSUB and settings.SUMSUB_APP_TOKEN.startswith("sbx:")
    return is_sandbox and deployment.is_development()


def _with_applicant(notice: Notice) -> Notice:
    if notice.meaning is not Meaning.READ:
        return notice
    try:
        with providers.onfido() as client:
            found = client.applicant_of_check(check_id=notice.check_id)
    except Unknown:
        return notice
    return Notice(notice.meaning, notice.event, applicant_id=found, check_id=notice.check_id)


def _ask(row: ProviderApplicant, now: datetime, question: Callable[[], T]) -> T | None:
    """The provider's answer. Trouble is kept on the applicant; raised only where asking again soon may help.

    None means that the provider knows no such applicant or refuses us: the regular comparison asks again, and
    a customer's tier stays as it is, since a wrong address or a revoked key must not suspend everybody.
    """
    try:
        return question()
    except ProviderError as error:
        actions.note_trouble(applicant_id=row.pk, trouble=error.code, actor=READER, now=now)
        if isinstance(error, Unavailable):
            raise
        log.error("%s cannot be asked about applicant %s: %s", row.provider, row.pk, error)
        return None
