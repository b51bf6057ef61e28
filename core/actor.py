"""Who acts: the verified identity behind an action, with what is known of the way it came."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Actor:
    """`identity` is None for a daemon or task; `subject` is the edge's name for the person.

    `proof` names the ceremony in which the person confirmed this very act; `under` the elevations in force,
    so that what was done in one can be told from what anybody of the role may do. `rests_on` names what let
    the person in: an act does not happen once any of it has ended (`core.endings`).
    """

    identity: UUID | None
    kind: str
    label: str
    subject: str = ""
    device: str = ""
    ip: str = ""
    request_id: str = ""
    proof: str = ""
    under: str = ""
    rests_on: tuple[str, ...] = ()


def system(name: str) -> Actor:
    """A daemon or task, e.g. system("block-watcher")."""
    return Actor(identity=None, kind="system", label=name)
