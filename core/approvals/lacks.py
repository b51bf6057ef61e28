"""What a request lacks because of what came after its answers: who agreed and counts no longer, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from core.access import rights
from core.access.models import Identity, Kind, OfficerCredential
from core.approvals import interests, kinds
from core.approvals.models import ApprovalRequest, ApprovalSignature
from core.approvals.standing import standings_of
from core.approvals.statements import is_genuine
from kernel.approval import Verb


@dataclass(frozen=True, slots=True)
class Loss:
    """An answer that counts no longer: whose, why in words, and whether that can be undone."""

    officer: str
    why: str
    returns: bool = True

    def __str__(self) -> str:
        return f"{self.officer} ({self.why})"


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing by now: `lost` by the answer's row, the word of whoever `asked`, and seats by team."""

    lost: Mapping[UUID, Loss]
    asked: Loss | None
    missing: Mapping[str, int]

    @property
    def who(self) -> str:
        """Those who count no longer, as a sentence says it."""
        return ", ".join(map(str, self.lost.values()))

    @property
    def seats(self) -> str:
        """What is missing, likewise."""
        return ", ".join(f"{count} of {team}" for team, count in self.missing.items())

    @property
    def returns(self) -> bool:
        """Whether all that was lost can come back: a revoked passkey never agrees to anything again."""
        return all(one.returns for one in (*self.lost.values(), *([self.asked] if self.asked else [])))


def lacks_of(requests: Sequence[ApprovalRequest], now: datetime) -> dict[UUID, Lack]:
    """Of these requests those with an agreeing answer that counts no longer, or whose asking does not.

    It is for telling people; whether a request stands is judged by `standing_of` alone.
    """
    by_id = {request.pk: request for request in requests}
    rows = ApprovalSignature.objects.filter(request__in=by_id).select_related("officer", "credential")
    given = list(rows.order_by("signed_at", "id"))
    teams = rights.teams_of_all({row.officer_id for row in given}, now)
    makers = Identity.objects.in_bulk({request.maker_id for request in requests})
    lost: dict[UUID, dict[UUID, Loss]] = {pk: {} for pk in by_id}
    asked = {pk: _suspended(makers[request.maker_id]) for pk, request in by_id.items()}
    for row in given:
        request = by_id[row.request_id]
        if row.verb == Verb.ASK:
            asked[request.pk] = asked[request.pk] or _unsigned(row, request)
        elif row.verb == request.agreeing and (loss := _loss(row, request, teams[row.officer_id])):
            lost[request.pk][row.pk] = loss
    with_loss = [request for request in requests if lost[request.pk] or asked[request.pk]]
    return {
        pk: Lack(lost[pk], asked[pk], {team: count for team, count in standing.missing.items() if count})
        for pk, standing in standings_of(with_loss, now).items()
    }


def givers(request: ApprovalRequest, missing: Mapping[str, int], *, now: datetime) -> list[str]:
    """Who could still give what is missing of an open request, by name: no console can promise that signers
    know their passkeys.
    """
    kind = kinds.named(request.kind)
    answered = set(request.signatures.values_list("officer", flat=True)) | {request.maker_id}
    keyed = OfficerCredential.objects.filter(revoked_at=None).values("officer")
    rows = Identity.objects.filter(kind=Kind.OFFICER, is_active=True, pk__in=keyed).exclude(pk__in=answered)
    people = {row.pk: row for row in rows}
    seated = rights.teams_of_all(people.keys(), now)
    return sorted(
        one.display_name
        for pk, one in people.items()
        if seated[pk] & missing.keys()
        and rights.allowed(one, kind.permission, now)
        and not interests.in_request(request, one)
        and kind.conflict(request, one) is None
    )


def _loss(row: ApprovalSignature, request: ApprovalRequest, teams: frozenset[str]) -> Loss | None:
    found = _suspended(row.officer) or _unsigned(row, request)
    if found is None and not set(row.teams) & teams & request.teams.keys():
        gone = " or ".join(sorted(set(row.teams) & request.teams.keys()))
        found = Loss(row.officer.display_name, f"not in {gone} any more")
    return found


def _suspended(person: Identity) -> Loss | None:
    return None if person.is_active else Loss(person.display_name, "suspended")


def _unsigned(row: ApprovalSignature, request: ApprovalRequest) -> Loss | None:
    """Whether the passkey's word is none any more, or never was."""
    name = row.officer.display_name
    if row.credential.revoked_at is not None:
        return Loss(name, "the passkey they signed with was revoked", returns=False)
    return None if is_genuine(request, row) else Loss(name, "not their passkey’s signature", returns=False)
