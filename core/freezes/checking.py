"""Asking whether something is frozen: every act that moves or trades asks inside its own transaction."""

from __future__ import annotations

from typing import ClassVar

from core.freezes.domain.scopes import checked, described
from core.freezes.models import Freeze
from core.refusals import Refused


class Frozen(Refused):
    """An order to stop is in force."""

    code: ClassVar[str] = "frozen"
    status: ClassVar[int] = 423

    def __init__(self, freeze: Freeze) -> None:
        super().__init__(
            f"{described(freeze.scope)} frozen since {freeze.pulled_at:%Y-%m-%d %H:%M} UTC. "
            "Nothing was changed; support can say more.",
            target=f"freezes.freeze/{freeze.pk}",
        )
        self.scope = freeze.scope


def check(*scopes: str) -> None:
    """Frozen where a freeze of any of these scopes is in force."""
    held = Freeze.objects.filter(scope__in=[checked(scope) for scope in scopes], released_at=None)
    freeze = held.order_by("pulled_at", "id").first()
    if freeze is not None:
        raise Frozen(freeze)
