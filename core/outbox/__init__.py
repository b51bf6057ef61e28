"""Messages stored with the change and delivered after its commit, at least once each."""

from typing import TYPE_CHECKING

from core.lazy import front

if TYPE_CHECKING:
    from core.outbox.messages import message
    from core.outbox.publishing import publish
    from core.outbox.subscribers import subscriber

__all__ = ["message", "publish", "subscriber"]

__getattr__ = front(__name__, {"message": "messages", "publish": "publishing", "subscriber": "subscribers"})
