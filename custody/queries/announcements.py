"""Registries on their way: what our orders announced, and what signers say that they have heard and vetoed.

A signer obeys officers' signatures, whoever brings them, so what signers say comes before what we sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import TextField
from django.db.models.functions import Cast

from core.access import rights
from core.access.models import Identity
from custody.domain.journals import Read
from custody.domain.orders import ANNOUNCES, PENDING, Kind, State
from custody.models import SignerHealth, SignerOrder
from custody.permissions import Permission
from custody.queries.orders import orders_for, reachable_tokens, takes_effect, vetoes_for

SHOWN_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Heard:
    """What one signer says of a registry: from when on it may take it up (None: it has not heard of it),
    whether it runs it already, and by whom and why it was vetoed. Nothing of this is known before its journal
    was read.
    """

    token: str
    is_read: bool
    effect: datetime | None
    is_in_force: bool
    vetoed_by: str
    vetoed_because: str

    @property
    def is_vetoed(self) -> bool:
        """Whether this signer will never take it up."""
        return bool(self.vetoed_because)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One registry that is under way, or was vetoed. `order` is ours; None where it came past us."""

    digest: str
    version: int | None
    is_recovery: bool
    maker: str
    reason: str
    order: SignerOrder | None
    vetoes: tuple[SignerOrder, ...]
    heard: tuple[Heard, ...]

    @property
    def is_vetoed(self) -> bool:
        """Whether no signer can take it up any more, since every one that heard of it heard a veto too."""
        heard = [one for one in self.heard if one.effect or one.is_vetoed]
        return bool(heard) and all(one.is_vetoed for one in heard)

    @property
    def unheard(self) -> list[str]:
        """The signers that know of no veto, though an officer signed one here: that are down, or were."""
        if not any(row.assertion for row in self.vetoes):
            return []
        return [one.token for one in self.heard if not one.is_vetoed and not one.is_in_force]

    @property
    def carried_until(self) -> datetime | None:
        """Until when a veto is brought to those signers; None where none is on its way any more."""
        return max((row.expires_at for row in self.vetoes if row.state == State.SIGNED), default=None)

    @property
    def effect(self) -> datetime | None:
        """The first moment at which a signer may take it up; None where none can, as far as we know."""
        moments = [one.effect for one in self.heard if one.effect and not one.is_vetoed]
        if moments or self.is_vetoed:
            return min(moments, default=None)
        return takes_effect(self.order) if self.order else None


def announcements_for(*, identity: Identity | None, now: datetime) -> list[Announcement]:
    """All of them, our own first, for an officer who may see the signers; none for everybody else."""
    if not rights.allowed(identity, Permission.SEE_SIGNERS, now):
        return []
    said, ours = _said(), dict[str, SignerOrder]()
    rows = orders_for(identity=identity, now=now)
    for row in rows.filter(kind__in=ANNOUNCES, state__in=PENDING)[:SHOWN_MAX]:
        if not _is_done(row, said):
            ours.setdefault(row.subject, row)
    digests = dict.fromkeys([*ours, *(digest for one in said for digest in one.announced)])
    vetoes = list(rows.filter(kind=Kind.VETO, subject__in=list(digests)))
    return [_announcement(digest, said, ours.get(digest), vetoes) for digest in digests]


def announcement_of(order: SignerOrder, *, identity: Identity | None, now: datetime) -> Announcement:
    """What signers say of the registry that this order announces, for whoever may see the order."""
    vetoes = list(vetoes_for(order, identity=identity, now=now))
    return _announcement(order.subject, _said(), order, vetoes)


@dataclass(frozen=True, slots=True)
class Ahead:
    """A registry that these signers were told of; the first of them may take it up from `effect` on.
    `is_ours` says whether an order of ours announced it, `is_vetoed` whether an officer signed a veto here,
    which they have not heard.
    """

    digest: str
    version: int
    effect: datetime
    is_recovery: bool
    is_ours: bool
    is_vetoed: bool
    tokens: tuple[str, ...]


def registries_ahead() -> list[Ahead]:
    """Every registry that some signer may still take up: announced to it, and not vetoed in it."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for one in _said():
        for digest in one.announced.keys() - one.vetoed.keys():
            found.setdefault(digest, []).append((one.token, one.announced[digest]))
    ours = SignerOrder.objects.filter(kind__in=ANNOUNCES, subject__in=list(found))
    known = set(ours.values_list("subject", flat=True))
    stops = SignerOrder.objects.filter(kind=Kind.VETO, subject__in=list(found), assertion__isnull=False)
    vetoed = set(stops.values_list("subject", flat=True))
    return [
        Ahead(
            digest=digest,
            version=told[0][1]["version"],
            effect=min(datetime.fromisoformat(said["from"]) for _, said in told),
            is_recovery=told[0][1]["is_recovery"],
            is_ours=digest in known,
            is_vetoed=digest in vetoed,
            tokens=tuple(token for token, _ in told),
        )
        for digest, told in sorted(found.items())
    ]


def warnings_due() -> list[Ahead]:
    """Those of them that nobody was warned of yet."""
    warned = {digest for row in SignerHealth.objects.all() for digest in row.warned}
    return [one for one in registries_ahead() if one.digest not in warned]


def was_announced(digest: str) -> bool:
    """Whether an order of ours, or any signer, says that a registry of this digest was announced."""
    ours = SignerOrder.objects.filter(kind__in=ANNOUNCES, subject=digest)
    return ours.exists() or any(digest in one.announced for one in _said())


def journal_read(token: str) -> Read:
    """The signer's journal as far as it was read before, without what it knows of customers."""
    row = SignerHealth.objects.filter(token=token).first()
    if row is None or not row.journal_lines:
        return Read()
    told = (dict(row.announced), dict(row.vetoed), dict(row.outstanding))
    return Read(row.journal_lines, row.journal_last, *told)


def _said() -> list[SignerHealth]:
    return list(SignerHealth.objects.filter(token__in=reachable_tokens()).order_by("token"))


def _is_done(order: SignerOrder, said: Sequence[SignerHealth]) -> bool:
    """Whether every signer runs its registry, or none remembers the order any more: it was overtaken."""
    if not said or not all(one.journal_lines for one in said):
        return False
    if all(one.registry_digest == order.subject for one in said):
        return True
    return order.state == State.OBEYED and not any(order.subject in one.announced for one in said)


def _announcement(
    digest: str,
    said: Sequence[SignerHealth],
    order: SignerOrder | None,
    vetoes: Iterable[SignerOrder],
) -> Announcement:
    told = [one.announced[digest] for one in said if digest in one.announced]
    names = _names([*told, *(one.vetoed[digest] for one in said if digest in one.vetoed)])
    first: Mapping[str, Any] = told[0] if told else {}
    return Announcement(
        digest=digest,
        version=first.get("version"),
        is_recovery=order.kind == Kind.RECOVERY if order else bool(first["is_recovery"]),
        maker=order.maker.display_name if order else names[first["maker"]],
        reason=order.reason if order else first["reason"],
        order=order,
        vetoes=tuple(row for row in vetoes if row.subject == digest),
        heard=tuple(_heard(one, digest, names) for one in said),
    )


def _heard(said: SignerHealth, digest: str, names: Mapping[str, str]) -> Heard:
    told, veto = said.announced.get(digest), said.vetoed.get(digest)
    return Heard(
        token=said.token,
        is_read=said.journal_lines > 0,
        effect=datetime.fromisoformat(told["from"]) if told else None,
        is_in_force=said.registry_digest == digest,
        vetoed_by=names[veto["maker"]] if veto else "",
        vetoed_because=veto["reason"] if veto else "",
    )


def _names(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What to call the makers of orders: by name whoever has an account here, and the others as they are."""
    makers = {str(entry["maker"]) for entry in entries}
    people = Identity.objects.annotate(name=Cast("pk", TextField())).filter(name__in=makers)
    return {one: f"somebody without an account ({one})" for one in makers} | dict(
        people.values_list("name", "display_name")
    )
