"""What a provider says about one applicant, in our words. Only reads of the provider's API produce it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from kyc.domain.verifications import State


@dataclass(frozen=True, slots=True)
class Answer:
    """`state` is None for a value we do not know: nothing changes then, and somebody looks.

    `message` may be shown to the customer, `comment` never: a provider writes both.
    """

    state: State | None
    level: str
    applicant_type: str
    is_sandbox: bool = False
    is_suspected_fraud: bool = False
    country: str = ""
    labels: tuple[str, ...] = ()
    message: str = ""
    comment: str = ""
    mark: str = ""
    said: str = ""
    person: Mapping[str, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """The same for an answer that says nothing new: it is applied once. `mark` tells attempts apart."""
        said = [
            self.state,
            self.level,
            self.applicant_type,
            self.country,
            sorted(self.labels),
            self.mark,
            self.said,
        ]
        return hashlib.sha256(
            json.dumps([*said, self.is_sandbox, self.is_suspected_fraud]).encode()
        ).hexdigest()


def text(value: object) -> str:
    """The value if it is text, else nothing: providers leave fields out, and change them."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, object]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[Mapping[str, object]]:
    """The objects in the value if it is a list, else none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: object) -> tuple[str, ...]:
    """The texts in the value if it is a list, else none."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
