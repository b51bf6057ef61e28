"""Refusals: the errors that a person meets, each with a stable code and a sentence."""

from __future__ import annotations

from typing import ClassVar


class Refused(Exception):
    """An action said no. `str()` says what did not happen and who can help; nothing was changed.

    Subclasses stand beside the function that raises them and set `code`, which clients may rely on.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 409

    def __init__(self, sentence: str, *, target: str = "") -> None:
        super().__init__(sentence)
        self.target = target


class NotAllowed(Refused):
    """The identity lacks the permission."""

    code = "not_allowed"
    status = 403


class NotFound(Refused):
    """No such object, or none that this identity may know of."""

    code = "not_found"
    status = 404


class Conflict(Refused):
    """The row moved on between reading and writing; look again and repeat."""

    code = "conflict"
