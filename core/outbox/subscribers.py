"""The register of subscribers: who answers which message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from core.outbox.messages import topic_of


class Answer(Protocol):
    """A subscriber: idempotent, since a message may come twice."""

    def __call__(self, message: Any, *, now: datetime) -> None: ...


@dataclass(frozen=True)
class Subscriber:
    name: str
    topic: str
    answer: Answer


_by_name: dict[str, Subscriber] = {}


def subscriber(kind: type, *, name: str) -> Callable[[Answer], Answer]:
    """Register the function as the subscriber `name` of the type; a worker runs it after the commit."""

    def register(answer: Answer) -> Answer:
        if name in _by_name:
            raise ValueError(f"two subscribers are called {name}")
        _by_name[name] = Subscriber(name, topic_of(kind), answer)
        return answer

    return register


def subscribers_of(topic: str) -> list[Subscriber]:
    """Everybody who answers the topic."""
    return [entry for entry in _by_name.values() if entry.topic == topic]


def by_name(name: str) -> Subscriber:
    """The subscriber of that name; KeyError."""
    return _by_name[name]
