"""Model fields shared by every app."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable

    _Whole = models.DecimalField[int | Combinable, int]
else:
    _Whole = models.DecimalField


class UnitsField(_Whole):
    """A whole number of smallest units: NUMERIC(78,0) in the database, `int` in Python."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(max_digits=78, decimal_places=0)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_digits"], kwargs["decimal_places"]
        return name, path, args, kwargs

    def from_db_value(self, value: Decimal | None, expression: object, connection: object) -> int | None:
        return None if value is None else int(value)

    def to_python(self, value: Any) -> Any:
        if value is None or type(value) is int:
            return value
        if isinstance(value, Decimal) and value == value.to_integral_value():
            return int(value)
        if isinstance(value, str):
            return int(value)
        raise TypeError(f"units must be an integer, not {value!r}")

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        return super().get_db_prep_save(self._whole(value), connection)

    def get_prep_value(self, value: Any) -> Any:
        return self._whole(value)

    def _whole(self, value: Any) -> Any:
        if hasattr(value, "resolve_expression") or value is None:
            return value
        return Decimal(self.to_python(value))
