"""Orders to stop. One row per freeze; it is in force until it is released, and its row stays."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from core.ids import new_id


class Freeze(models.Model):
    """A freeze of one scope by one officer or alarm: it holds as long as any of the scope's is in force.

    Triggers let it end once, by an approved release of this very freeze.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    scope = models.CharField(max_length=96)
    reason = models.CharField(max_length=500)
    pulled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    pulled_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)
    release_request = models.UUIDField(null=True, blank=True)

    class Meta:
        db_table = "freezes_freeze"
        constraints = [
            models.CheckConstraint(
                condition=Q(released_at__isnull=True, release_request__isnull=True)
                | Q(released_at__isnull=False, release_request__isnull=False),
                name="freeze_released_by_approval",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="freeze_reasoned"),
        ]

    def __str__(self) -> str:
        return f"freeze of {self.scope}"
