"""What a deed leaves behind: audit events and outbox messages, counted from where a test begins to look."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from core.audit.models import AuditEvent
from core.outbox.models import OutboxMessage


class Trace:
    """Names of the events and topics of the messages that were added within the block, in order."""

    events: list[str]
    topics: list[str]

    def __enter__(self) -> Self:
        self._events = set(AuditEvent.objects.values_list("id", flat=True))
        self._messages = set(OutboxMessage.objects.values_list("pk", flat=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        events = AuditEvent.objects.exclude(id__in=self._events).order_by("pk")
        messages = OutboxMessage.objects.exclude(pk__in=self._messages).order_by("pk")
        self.events = [doc["action"] for doc in events.values_list("doc", flat=True)]
        self.topics = list(messages.values_list("topic", flat=True))

    def only_refused(self, action: str) -> None:
        """The refusal was recorded, and nothing else happened."""
        assert self.events == [f"{action}.refused"]
        assert self.topics == []
