"""Reads of officers' orders to the signers, and of the signers themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max, Min, Q, QuerySet

from core import approvals
from core.access import rights
from core.access.models import Identity
from core.approvals.domain.requests import State as RequestState
from core.refusals import NotFound
from custody.domain import orders
from custody.domain.orders import EVERYTHING, OFFICER, Kind, State
from custody.domain.recoveries import Terms
from custody.models import PaymentPolicy, SignerHealth, SignerOrder, Wallet
from custody.permissions import Permission
from custody.queries.treasury import policy
from kernel import canonical, encodings, intent


def orders_for(*, identity: Identity | None, now: datetime) -> QuerySet[SignerOrder]:
    """Orders, newest first, for an officer who may see the signers; none for everybody else. Slice it."""
    rows = SignerOrder.objects.select_related("maker", "request").prefetch_related("answers")
    if not rights.allowed(identity, Permission.SEE_SIGNERS, now):
        return rows.none()
    return rows.order_by("-made_at", "-id")


def order_for(order_id: UUID, *, identity: Identity | None, now: datetime) -> SignerOrder:
    """One order, likewise; NotFound for everybody else."""
    row = orders_for(identity=identity, now=now).filter(pk=order_id).first()
    if row is None:
        raise NotFound("There is no such order.", target=f"custody.signerorder/{order_id}")
    return row


def vetoes_for(order: SignerOrder, *, identity: Identity | None, now: datetime) -> QuerySet[SignerOrder]:
    """The vetoes of what this order announces, newest first, likewise."""
    return orders_for(identity=identity, now=now).filter(kind=Kind.VETO, subject=order.subject)


def takes_effect(order: SignerOrder) -> datetime | None:
    """The first moment at which a signer may take up what a recovery brings; None while none has obeyed."""
    if order.recovery is None:
        return None
    obeyed = (answer.answered_at for answer in order.answers.all() if answer.obeyed)
    return Terms.of(order.recovery).takes_effect(obeyed)


def signer_order(order_id: UUID) -> SignerOrder:
    """One order, for our own machines; NotFound."""
    row = SignerOrder.objects.filter(pk=order_id).first()
    if row is None:
        raise NotFound("There is no such order.", target=f"custody.signerorder/{order_id}")
    return row


def signers_for(*, identity: Identity | None, now: datetime) -> list[tuple[str, Wallet, SignerHealth | None]]:
    """Each token with its wallet and what its signer last said; nothing for who may not see the signers."""
    if not rights.allowed(identity, Permission.SEE_SIGNERS, now):
        return []
    known = SignerHealth.objects.in_bulk()
    return [
        (token, wallet, known.get(token))
        for wallet in Wallet.objects.order_by("-tier", "name")
        for token in wallet.tokens
    ]


def signer_states() -> dict[str, str]:
    """Token to state of the signers that have a socket; `silent` where the last question was not answered."""
    return {
        row.token: "silent" if row.is_silent else row.state
        for row in SignerHealth.objects.filter(token__in=reachable_tokens()).order_by("token")
    }


def signer_freezes() -> dict[str, list[str]]:
    """What signers with a socket hold frozen (a wallet, its lane, or `*`), each with those signers."""
    found: dict[str, list[str]] = {}
    for row in SignerHealth.objects.filter(token__in=reachable_tokens()).order_by("token"):
        for name in sorted(row.frozen):
            found.setdefault(name, []).append(row.token)
    return found


def described(names: Collection[str]) -> dict[str, str]:
    """What signers hold, each in words: a suspended officer by their name."""
    ids = [UUID(name.removeprefix(OFFICER)) for name in names if name.startswith(OFFICER)]
    people = Identity.objects.in_bulk(ids)
    found = {orders.officer(pk): f"{person.display_name} (suspended)" for pk, person in people.items()}
    return {name: "everything" if name == EVERYTHING else found.get(name, name) for name in names}


def suspends(person: UUID) -> tuple[list[str], list[str]]:
    """The signers with a socket that count nothing this officer signed, and those that still do."""
    held = set(signer_freezes().get(orders.officer(person), ()))
    return sorted(held), [token for token in reachable_tokens() if token not in held]


def suspended_officers() -> list[str]:
    """The ids of all officers who are not to be heard, in order: suspended here, held by a signer, or by an
    officer's order that no quorum let go of since. A signer that lost lines knows of none of them.
    """
    orders_of = SignerOrder.objects.filter(subject__startswith=OFFICER).order_by("made_at")
    freezes = Q(kind=Kind.FREEZE, assertion__isnull=False)
    releases = Q(kind=Kind.RELEASE, request__state=RequestState.CONSUMED)
    last = {row.subject: row.kind for row in orders_of.filter(freezes | releases)}
    held = {name for row in SignerHealth.objects.all() for name in row.frozen if name.startswith(OFFICER)}
    held |= {name for name, kind in last.items() if kind == Kind.FREEZE}
    held |= {orders.officer(one.pk) for one in signing_officers().filter(is_active=False)}
    return sorted(name.removeprefix(OFFICER) for name in held)


def forgotten(said: SignerHealth) -> list[SignerOrder]:
    """The freezes from here that this signer obeyed and holds no more, though it never let go of them.

    A reopening after lost lines leaves it so: everything is held, and until it is let go what must go on to
    stand still is frozen anew. What reached it past us is not known here.
    """
    if EVERYTHING not in said.frozen:
        return []
    told = SignerOrder.objects.filter(
        kind__in=(Kind.FREEZE, Kind.RELEASE), answers__token=said.token, answers__obeyed=True
    )
    last = {row.subject: row for row in told.order_by("answers__answered_at", "made_at")}
    return [row for name, row in last.items() if row.kind == Kind.FREEZE and name not in said.frozen]


def signing_officers() -> QuerySet[Identity]:
    """Officers with a passkey for the approver page, by name: those who can be suspended at the signers."""
    return Identity.objects.filter(credentials__isnull=False).distinct().order_by("display_name")


def uncounted(name: str) -> set[UUID]:
    """The officers whose release of this (a wallet, its lane, `*`) some signer does not count."""
    held = SignerHealth.objects.values_list("uncounted", flat=True)
    return {UUID(officer) for found in held for officer in found.get(name, ())}


def reachable_tokens() -> list[str]:
    """The tokens whose signers have a socket."""
    return sorted({token for row in Wallet.objects.filter(tier="hot") for token in row.tokens})


def orders_on_the_way() -> list[UUID]:
    """Signed orders that a signer has not answered yet, the oldest first."""
    rows = SignerOrder.objects.filter(state=State.SIGNED).order_by("made_at")
    return list(rows.values_list("pk", flat=True))


def overdue_orders(*, now: datetime) -> list[UUID]:
    """Orders whose time is over: unsigned stops, and signed ones that somebody did not answer."""
    rows = SignerOrder.objects.filter(expires_at__lte=now).order_by("made_at")
    waiting = rows.filter(state=State.SIGNED) | rows.filter(state=State.SIGNING, request=None)
    return list(waiting.values_list("pk", flat=True))


def unanswered_by(order: SignerOrder) -> list[str]:
    """The signers that are still to be told; nobody of a freeze that a quorum has let go of since."""
    later = SignerOrder.objects.filter(
        kind=Kind.RELEASE,
        subject=order.subject,
        made_at__gt=order.made_at,
        request__state=RequestState.CONSUMED,
    )
    if order.kind == Kind.FREEZE and later.exists():
        return []
    told = set(order.answers.values_list("token", flat=True))
    return [token for token in order.tokens if token not in told]


def order_message(order: SignerOrder) -> Mapping[str, canonical.Value]:
    """The order as signers take it, from a socket or from a file."""
    kept = order.assertion if isinstance(order.assertion, list) else [order.assertion]
    given = approvals.signatures(order.request) if order.request is not None else kept
    return {
        "v": 1,
        "type": "order",
        "payload": encodings.base64url(bytes(order.payload)),
        "approvals": [dict(each) for each in given if each],
    }


def order_life() -> timedelta:
    """How long an order to the signers is good for at most, by the registry that is loaded here."""
    shortest = Wallet.objects.aggregate(shortest=Min("order_life_s"))["shortest"]
    return orders.GOOD_FOR if shortest is None else timedelta(seconds=shortest)


def loaded_registry() -> int:
    """The version of the registry that is loaded here; 0 before the first."""
    return Wallet.objects.aggregate(version=Max("registry_version"))["version"] or 0


def teams_of_order(kind: Kind) -> Mapping[str, int]:
    """The quorum that the signers' registry wants for an order: its own, or else a withdrawal's."""
    own = PaymentPolicy.objects.filter(kind=kind.value).first()
    teams: Mapping[str, int] = (own or policy(intent.WITHDRAWAL)).teams
    return teams
