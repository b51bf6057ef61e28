"""What kind of deployment this is: the one place that reads DEPLOYMENT_KIND.

Everything that development is spared asks `is_development`, so a kind that is misspelt is spared nothing.
"""

from __future__ import annotations

from enum import StrEnum

from django.conf import settings


class Kind(StrEnum):
    """A developer's machine, or anything that others can reach."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


def kind() -> str:
    """As it is set, known or not; the start-up checks refuse every other."""
    return str(settings.DEPLOYMENT_KIND)


def is_development() -> bool:
    """Whether this is a developer's machine, and says so."""
    return kind() == Kind.DEVELOPMENT
