"""What can be done with a freeze."""

from core.freezes.actions.freezing import pull_freeze
from core.freezes.actions.releases import ask_release

__all__ = ["ask_release", "pull_freeze"]
