"""Every act and every read of personal data, tamper-evident."""

from typing import TYPE_CHECKING

from core.lazy import front

if TYPE_CHECKING:
    from core.audit.subjects import personal
    from core.audit.writing import name_of, record, record_read, record_refusal

__all__ = ["name_of", "personal", "record", "record_read", "record_refusal"]

__getattr__ = front(__name__, dict.fromkeys(__all__, "writing") | {"personal": "subjects"})
