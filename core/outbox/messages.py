"""Message types: frozen dataclasses with a topic, whose fields survive JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform
from uuid import UUID

T = TypeVar("T")

_types: dict[str, type] = {}


@dataclass_transform(kw_only_default=True, frozen_default=True)
def message(topic: str) -> Callable[[type[T]], type[T]]:
    """Declare a message type: `@message("custody.withdrawal_requested")` over a class of annotated fields.

    Fields may be str, int, bool, UUID or None; UUIDs come back as UUIDs.
    """

    def declare(cls: type[T]) -> type[T]:
        kind = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        if topic in _types:
            raise ValueError(f"two message types claim the topic {topic}")
        kind.topic = topic  # type: ignore[attr-defined]
        _types[topic] = kind
        return kind

    return declare


def topic_of(kind: type) -> str:
    """The topic of a declared message type."""
    topic: str = kind.topic  # type: ignore[attr-defined]
    return topic


def to_body(value: Any) -> dict[str, Any]:
    """The message's fields as JSON types; UUIDs are tagged so that they return as what they were."""
    return {
        name: {"uuid": str(item)} if isinstance(item, UUID) else item
        for name, item in ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    }


def from_body(topic: str, body: dict[str, Any]) -> Any:
    """The message again."""
    fields = {name: UUID(item["uuid"]) if isinstance(item, dict) else item for name, item in body.items()}
    return _types[topic](**fields)
